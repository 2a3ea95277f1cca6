"""What is measured in every layer of a member, before its first step and after its
last: signals, gradients, symmetry. Pure; the numbers say why a net learns or does not.

All on the member's first training batch, with BatchNorm on that batch's statistics and
the dropout of the first step.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Float, Int

from init_study.data import standardize
from init_study.data.feeds import Examples
from init_study.instruments.signals import Signals, layer_signals
from init_study.instruments.symmetry import distinct_filters
from init_study.network import Network, Params
from init_study.network.layers import Layer
from init_study.train import Hyper, TrainState, cross_entropy, step_keys

# A unit this flat passes on less than a twentieth of a gradient.
_FLAT = 0.05


def measure_layers(
    network: Network,
    convolution: str,
    member: tuple[TrainState, Hyper],
    data: Examples,
    first_steps: Int[Array, "seeds batch"],
) -> dict[str, Float[Array, " layers"]]:
    """Numbers of every layer, in the order of `network.layers`.

    Returns:
        `weight_square`: mean square of the kernel.
        `zero_weights`: share of the kernel that is exactly zero.
        `distinct`: share of its filters that are no copy of an earlier one.
        `signal`: mean square of the layer's output, before norm and activation.
        `spread`: the output's variance over images, mean over units and places: what
            the layer knows of its input.
        `gradient`: mean square of the gradient of one image's loss at that output.
        `weight_gradient`: mean square of the batch's loss gradient by the kernel.
        `dead`: share of units whose activation passes on less than 5 % of a gradient,
            on all images and at all places.
        `flat`: share of outputs, over units, images and places, where it does so.

    Empty for a network in which no layer was found.
    `dead` and `flat` are NaN where a norm, no activation or an unknown one follows.
    """
    if not network.layers:
        return {}
    state, hyper = member
    places = first_steps[hyper.seed_slot]
    images = standardize(data.images[places], data.mean, data.std)
    labels = data.labels[places]
    _, dropout_key = step_keys(hyper.seed, 0)

    def run(params: Params, shifts: dict[int, Array]) -> tuple[Array, Signals]:
        signals = layer_signals(
            network,
            params,
            state.model_state,
            images,
            shifts=shifts,
            key=dropout_key,
            convolution=convolution,
        )
        return cross_entropy(signals.result, labels).mean(), signals

    outputs = jax.eval_shape(lambda: run(state.params, {})[1]).outputs
    shifts = {i: jnp.zeros(s.shape, s.dtype) for i, s in enumerate(outputs)}
    (by_params, by_shifts), signals = jax.grad(run, argnums=(0, 1), has_aux=True)(
        state.params, shifts
    )
    kernels = _kernels(network, state.params)
    slopes = _kernels(network, by_params)
    rows = [
        {
            "weight_square": _square(kernel),
            "zero_weights": jnp.mean(kernel == 0),
            "distinct": distinct_filters(kernel),
            "signal": _square(output),
            "spread": jnp.mean(jnp.var(output.astype(jnp.float32), axis=0)),
            "gradient": _square(by_shifts[index] * len(labels)),
            "weight_gradient": _square(slope),
            **_idle(layer, output),
        }
        for index, (layer, kernel, slope, output) in enumerate(
            zip(network.layers, kernels, slopes, signals.outputs, strict=True)
        )
    ]
    return {name: jnp.stack([row[name] for row in rows]) for name in rows[0]}


def _kernels(network: Network, params: Params) -> list[Array]:
    flat: Any = traverse_util.flatten_dict(params)
    return [layer.plain(flat[layer.kernel]) for layer in network.layers]


def _idle(layer: Layer, output: Float[Array, "n ... units"]) -> dict[str, Array]:
    nothing = jnp.float32(jnp.nan)
    if layer.normalized or layer.activation is None:
        return {"dead": nothing, "flat": nothing}
    _, slope = jax.jvp(layer.activation, (output,), (jnp.ones_like(output),))
    flat = jnp.abs(slope) < _FLAT
    return {
        "dead": jnp.mean(flat.reshape(-1, output.shape[-1]).all(0)),
        "flat": jnp.mean(flat),
    }


def _square(values: Array) -> Float[Array, ""]:
    return jnp.mean(values.astype(jnp.float32) ** 2)
