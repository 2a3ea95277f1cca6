"""The between-layer half of Krähenbühl's scheme: all layers learn at one rate."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PRNGKeyArray

from init_study.conv.forms import check_form
from init_study.keys import fixed_key
from init_study.network import Layer, Network, Params
from init_study.schemes.scheme import Batch, leaf_of, replace_leaf


def equalize_rates(
    key: PRNGKeyArray, network: Network, params: Params, batch: Batch, rounds: int
) -> Params:
    """Scale kernels until all layers learn at one rate, biases by what came before.

    Args:
        key: of the random multipliers of the logits.
        network: a traced network.
        params: its parameters.
        batch: what goes in.
        rounds: how often; in a chain one does.
    """
    state = network.model_state(fixed_key(0))

    def loss(params: Params, key: PRNGKeyArray) -> Array:
        logits, _ = network.apply(
            params, state, batch.images, train=True, convolution=check_form(None)
        )
        return jnp.sum(logits * jax.random.normal(key, logits.shape)) / len(logits)

    def one(params: Params, index: Array) -> tuple[Params, None]:
        gradient = jax.grad(loss)(params, jax.random.fold_in(key, index))
        rates = jnp.stack([_rate(gradient, params, layer) for layer in network.layers])
        usable = jnp.isfinite(rates) & (rates > 0)
        logs = jnp.log(jnp.where(usable, rates, 1.0))
        mean = jnp.sum(logs) / jnp.maximum(1.0, jnp.sum(usable.astype(logs.dtype)))
        # Not more than e² at once: a dying layer must not take all with it.
        changes = jnp.where(usable, jnp.clip((logs - mean) / 2, -2.0, 2.0), 0.0)
        # The multipliers are random: later rounds count less, as in a running mean.
        factors = jnp.exp(changes / (1 + index).astype(changes.dtype))
        upto = jnp.cumprod(factors)
        for place, layer in enumerate(network.layers):
            kernel = leaf_of(params, layer.kernel) * factors[place]
            params = replace_leaf(params, layer.kernel, kernel)
            if layer.bias is not None:
                bias = leaf_of(params, layer.bias) * upto[place]
                params = replace_leaf(params, layer.bias, bias)
        return params, None

    return lax.scan(one, params, jnp.arange(rounds))[0]


def _rate(gradient: Params, params: Params, layer: Layer) -> Array:
    g, w = leaf_of(gradient, layer.kernel), leaf_of(params, layer.kernel)
    size = jnp.mean(w**2)
    return jnp.sqrt(jnp.mean(g**2) / jnp.where(size > 0, size, 1.0))
