"""Schemes that look at a batch: layers get outputs of the statistics they should have.

All of them are one loop over the layers around a single forward pass, so that programs
grow with the number of layers and not with its square. BatchNorm takes the batch's
statistics, as at the first step of training. A channel that is zero throughout has no
statistics and is left alone; where a whole layer is, or where its kernel's scale has no
effect, a draw is refused.
"""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from init_study.errors import check_count, check_number
from init_study.initializers import normal, orthogonal, zeros
from init_study.instruments.signals import layer_signals
from init_study.keys import fixed_key
from init_study.network import Layer, Network, Params, Path
from init_study.schemes.achieved import (
    no_dead_layers,
    refuse_stacks,
    unit_channels,
    unit_variances,
)
from init_study.schemes.equal_rates import equalize_rates
from init_study.schemes.per_layer import per_layer
from init_study.schemes.scheme import (
    Batch,
    Cost,
    Refinement,
    Scheme,
    leaf_of,
    replace_leaf,
)

_ROUNDS = 10


def lsuv(tolerance: float = 0.1, most: int = 10) -> Scheme:
    """LSUV: orthogonal kernels, then each layer scaled to outputs of variance 1.

    Layer by layer in the order of execution, until the variance over the batch is
    within `tolerance` of 1 or after `most` tries.
    Preserves: variance 1 of every layer's output on this batch, before norm and
    activation.
    Use: in nets of any make without norms, with one batch at hand.
    When not: where the first batch is not like the rest.
    Cost: at most layers × (`most` + 1) forward passes; a layer takes two as a rule, a
    try and a look, since its output is linear in its kernel.

    Raises: UserError for numbers that are not positive, or without a batch; on a draw,
        for a layer whose variance is not within `tolerance`.
    Reference: Mishkin & Matas 2016, arXiv:1511.06422, algorithm 1.

    Example:
        >>> from init_study.models import Linear
        >>> images = jax.random.normal(jax.random.key(0), (64, 2, 2, 1))
        >>> net, key = Linear(num_classes=2), jax.random.key(1)
        >>> variables = initialize(net, images, lsuv(), key)
        >>> outputs = net.apply(variables, images)
        >>> bool(abs(outputs.var() - 1) < 0.1)
        True
    """
    check_number("tolerance", tolerance, above=0)
    check_count("most", most)

    def refine(key: PRNGKeyArray, network: Network, params: Params, batch: Any) -> Any:
        refuse_stacks(network, "lsuv scales every layer by one factor")
        return _scale_in_order(network, params, batch, tolerance, most)

    step = Refinement(
        name=f"LSUV to within {tolerance:g}",
        stream="lsuv",
        function=refine,
        changes=_kernels,
        cost=lambda network: Cost(forward=len(network.layers) * (most + 1)),
    )
    law = per_layer(lambda layer: orthogonal(groups=layer.groups), name="orthogonal")
    checks = (unit_variances("lsuv", tolerance),)
    return Scheme(rules=law.rules, refinements=(step,), checks=checks)


def weight_norm(stddev: float = 0.05) -> Scheme:
    """Weight normalization's start: channels of mean 0 and variance 1 on the batch.

    N(0, stddev²), then channel by channel divided by the standard deviation of its
    output and shifted by its mean: what weight normalization's g and b begin as. The
    split into direction and length is not made: that would be another network.
    Use: to compare with weight normalization.
    When not: with batches of a few images: statistics of channels are noise.
    Cost: layers forward passes.

    Raises: UserError for a deviation that is not positive, or without a batch.
    Reference: Salimans & Kingma 2016, arXiv:1602.07868, section 3.

    Example:
        >>> from init_study.models import Linear
        >>> images = jax.random.normal(jax.random.key(0), (64, 2, 2, 1))
        >>> net, key = Linear(num_classes=2), jax.random.key(1)
        >>> variables = initialize(net, images, weight_norm(), key)
        >>> outputs = net.apply(variables, images)
        >>> bool(jnp.allclose(outputs.mean(0), 0, atol=1e-3))
        True
        >>> bool(jnp.allclose(outputs.var(0), 1, atol=1e-3))
        True
    """
    check_number("stddev", stddev, above=0)
    law = per_layer(normal(stddev), name=f"normal({stddev:g})")
    steps, checks = (_standardize_step(0.0),), (unit_channels("weight_norm"),)
    return Scheme(rules=law.rules, refinements=steps, checks=checks)


def krahenbuhl_within(bias: float = 0.1) -> Scheme:
    """Within-layer half of Krähenbühl's scheme: unit variance in every channel.

    Every channel of every layer gets the mean `bias` and variance 1 on the batch.
    Gaussian filters, divided and shifted channel by channel, layer by layer. A layer
    without a bias keeps its mean.
    Use: in nets without norms, with one batch at hand.
    When not: as `weight_norm`.
    Cost: layers forward passes.
    Reference: Krähenbühl et al. 2016, arXiv:1511.06856, section 3.1; `bias` is β,
    0.1 in the authors' code.

    Example:
        >>> from init_study.models import Linear
        >>> images = jax.random.normal(jax.random.key(0), (64, 2, 2, 1))
        >>> net, key = Linear(num_classes=2), jax.random.key(1)
        >>> variables = initialize(net, images, krahenbuhl_within(), key)
        >>> outputs = net.apply(variables, images)
        >>> bool(jnp.allclose(outputs.mean(0), 0.1, atol=1e-3))
        True
        >>> bool(jnp.allclose(outputs.var(0), 1, atol=1e-3))
        True
    """
    check_number("bias", bias)
    law = per_layer(normal(1.0), zeros(), name="normal(1)")
    steps, checks = (_standardize_step(bias),), (unit_channels("krahenbuhl_within"),)
    return Scheme(rules=law.rules, refinements=steps, checks=checks)


def krahenbuhl(bias: float = 0.1, rounds: int = _ROUNDS) -> Scheme:
    """Krähenbühl's scheme: `krahenbuhl_within`, then all layers learn at one rate.

    The rate of a layer is √(E[g²] / E[w²]) over its weights, g the gradient of the sum
    of the logits with random multipliers. Kernels are multiplied by √(rate / r̄), r̄ the
    geometric mean over layers, and biases by the product of the factors up to theirs.
    In a chain of layers with homogeneous activations, such as ReLU, one round makes the
    rates equal and keeps the logits: the factors' product is 1. Elsewhere several come
    near.
    Use: as `krahenbuhl_within`, in chains of ReLU layers.
    When not: where branches or norms break the chain: rates come near each other
    only.
    Cost: layers + `rounds` forward and `rounds` backward passes.

    Raises: UserError for rounds that are not positive, or without a batch.
    Reference: Krähenbühl et al. 2016, arXiv:1511.06856, section 3.2. There each factor
    is damped and undone in the layer above.

    Example:
        >>> network = trace(nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)]), (5,))
        >>> krahenbuhl(rounds=10).cost(network)
        Cost(forward=12, backward=10)
    """
    check_count("rounds", rounds)

    def refine(key: PRNGKeyArray, network: Network, params: Params, batch: Any) -> Any:
        return equalize_rates(key, network, params, batch, rounds)

    step = Refinement(
        name="equal rates",
        stream="equal_rates",
        function=refine,
        changes=lambda network: [p for layer in network.layers for p in layer.leaves],
        cost=lambda network: Cost(forward=rounds, backward=rounds),
    )
    within = krahenbuhl_within(bias)
    steps, checks = (*within.refinements, step), (no_dead_layers("krahenbuhl"),)
    return Scheme(rules=within.rules, refinements=steps, checks=checks)


def _kernels(network: Network) -> list[Path]:
    return [layer.kernel for layer in network.layers]


def _outputs(network: Network, params: Params, batch: Batch) -> tuple[Array, ...]:
    state = _model_state(network)
    signals = layer_signals(network, params, state, batch.images, train=True)
    return signals.outputs


def _model_state(network: Network) -> Any:
    """Draw the module's own state from a fixed key: averages begin alike for all."""
    return network.model_state(fixed_key(0))


def _scale_in_order(
    network: Network, params: Params, batch: Batch, tolerance: float, most: int
) -> Params:
    """Scale layer by layer: one forward pass in a loop; which layer it is, is data."""
    count = len(network.layers)

    def scaled(scales: Float[Array, " layers"]) -> Params:
        changed = params
        for index, layer in enumerate(network.layers):
            kernel = leaf_of(params, layer.kernel) * scales[index]
            changed = replace_leaf(changed, layer.kernel, kernel)
        return changed

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        scales, index, tries = state
        outputs = _outputs(network, scaled(scales), batch)
        variance = jnp.stack([jnp.var(out) for out in outputs])[index]
        usable = jnp.isfinite(variance) & (variance > 0)
        good = jnp.abs(variance - 1) <= tolerance
        done = good | ~usable | (tries >= most)
        factor = jnp.where(done, 1.0, lax.rsqrt(jnp.where(usable, variance, 1.0)))
        scales = scales.at[index].multiply(factor)
        return scales, index + done.astype(index.dtype), jnp.where(done, 0, tries + 1)

    start = (jnp.ones(count), jnp.int32(0), jnp.int32(0))
    scales, _, _ = lax.while_loop(lambda state: state[1] < count, step, start)
    return scaled(scales)


def _standardize_step(bias: float) -> Refinement:
    def refine(key: PRNGKeyArray, network: Network, params: Params, batch: Any) -> Any:
        def standardize(params: Params, index: Array) -> tuple[Params, None]:
            outputs = _outputs(network, params, batch)
            pairs = zip(network.layers, outputs, strict=True)
            for place, (layer, out) in enumerate(pairs):
                params = _standardized(params, layer, out, bias, index == place)
            return params, None

        return lax.scan(standardize, params, jnp.arange(len(network.layers)))[0]

    return Refinement(
        name=f"channels of mean {bias:g} and variance 1",
        stream="channels",
        function=refine,
        changes=lambda network: [p for layer in network.layers for p in layer.leaves],
        cost=lambda network: Cost(forward=len(network.layers)),
    )


def _standardized(
    params: Params, layer: Layer, outputs: Array, bias: float, chosen: Bool[Array, ""]
) -> Params:
    """Divide and shift the layer's channels if it is the chosen one."""
    channels = layer.whole_shape[-1]
    flat = outputs.reshape(-1, channels)
    mean, deviation = flat.mean(0), flat.std(0)
    usable = chosen & jnp.isfinite(deviation) & (deviation > 0)
    factor = jnp.where(usable, 1 / jnp.where(usable, deviation, 1.0), 1.0)
    stored = leaf_of(params, layer.kernel)
    plain = layer.plain(stored)
    kernel = plain * jnp.expand_dims(factor, tuple(range(plain.ndim - 1)))
    kernel = layer.stored(kernel).reshape(stored.shape)
    params = replace_leaf(params, layer.kernel, kernel)
    if layer.bias is None:
        return params
    old = leaf_of(params, layer.bias)
    moved = (old.reshape(-1) - mean) * factor + bias
    moved = jnp.where(usable, moved, old.reshape(-1)).reshape(old.shape)
    return replace_leaf(params, layer.bias, moved)
