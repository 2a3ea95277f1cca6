"""Numbers of every layer of a member: signals, gradients, symmetry.

They are measured before the first step and after the last, and say why a net learns or
does not. All are taken on the member's first training batch, with BatchNorm on that
batch's statistics and the dropout of the first step.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Float, Int

from init_study.data import standardize
from init_study.data.batches import center_crop
from init_study.data.feeds import Examples
from init_study.instruments.signals import Signals, layer_signals
from init_study.instruments.symmetry import distinct_filters
from init_study.instruments.units import FLAT_SLOPE
from init_study.network import Network, Params
from init_study.network.layers import Layer
from init_study.train import Hyper, TrainState, cross_entropy, step_keys


def measure_layers(
    network: Network,
    convolution: str,
    member: tuple[TrainState, Hyper],
    data: Examples,
    first_steps: Int[Array, "seeds batch"],
) -> dict[str, Float[Array, " layers"]]:
    """Measure every layer of a member, in the order of `network.layers`.

    Args:
        network: what the member trains.
        convolution: the form of `init_study.conv` that its convolutions take.
        member: its state and hyper-parameters.
        data: the training examples.
        first_steps: places of the examples of each seed's first batch.

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

    Example:
        Of a dense layer of zeros the two filters are alike.

        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> from init_study.study import Program
        >>> from init_study.train import init_state
        >>> network = trace(Linear(2), (1, 1, 3))
        >>> params = {"Dense_0": {"kernel": jnp.zeros((3, 2)), "bias": jnp.zeros(2)}}
        >>> state = init_state(Program(), params, {})
        >>> hyper = Hyper(jnp.float32(0.1), jnp.int32(0), jnp.int32(0))
        >>> images = jnp.zeros((4, 1, 1, 3), jnp.uint8)
        >>> data = Examples(images, jnp.zeros(4, jnp.int32), jnp.zeros(3), jnp.ones(3))
        >>> first = jnp.array([[0, 1]])
        >>> member = state, hyper
        >>> found = jax.jit(
        ...     lambda: measure_layers(network, "xla", member, data, first)
        ... )()
        >>> [float(found[name][0]) for name in ("zero_weights", "distinct", "signal")]
        [1.0, 0.5, 0.0]
    """
    if not network.layers:
        return {}
    passes = _through_and_back(network, convolution, member, data, first_steps)
    rows = [
        _numbers(*of_layer) for of_layer in zip(network.layers, passes, strict=True)
    ]
    return {name: jnp.stack([row[name] for row in rows]) for name in rows[0]}


class _Pass(NamedTuple):
    """What one pass through a network and back shows of a layer.

    Attributes:
        kernel: as `Layer.whole_shape`.
        slope: gradient of the batch's loss by the kernel.
        output: before norm and activation.
        gradient: of the batch's loss by the output.
        examples: how many are in the batch.
    """

    kernel: Array
    slope: Array
    output: Array
    gradient: Array
    examples: int


def _numbers(layer: Layer, passed: _Pass) -> dict[str, Float[Array, ""]]:
    """Compute the numbers of one layer, by name."""
    output = passed.output
    return {
        "weight_square": _square(passed.kernel),
        "zero_weights": jnp.mean(passed.kernel == 0),
        "distinct": distinct_filters(passed.kernel),
        "signal": _square(output),
        "spread": jnp.mean(jnp.var(output.astype(jnp.float32), axis=0)),
        # The loss is the mean over the batch: its gradient is one image's over n.
        "gradient": _square(passed.gradient * passed.examples),
        "weight_gradient": _square(passed.slope),
        **_idle(layer, output),
    }


def _through_and_back(
    network: Network,
    convolution: str,
    member: tuple[TrainState, Hyper],
    data: Examples,
    first_steps: Int[Array, "seeds batch"],
) -> list[_Pass]:
    """Pass a member's first training batch through its network, and gradients back."""
    state, hyper = member
    places = first_steps[hyper.seed_slot]
    seen = center_crop(data.images[places], network.image_shape[:2])
    images = standardize(seen, data.mean, data.std)
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
    return [
        _Pass(kernel, slope, output, by_shifts[index], len(labels))
        for index, (kernel, slope, output) in enumerate(
            zip(kernels, slopes, signals.outputs, strict=True)
        )
    ]


def _kernels(network: Network, params: Params) -> list[Array]:
    flat: Any = traverse_util.flatten_dict(params)
    return [layer.plain(flat[layer.kernel]) for layer in network.layers]


def _idle(layer: Layer, output: Float[Array, "n ... units"]) -> dict[str, Array]:
    """Compute `dead` and `flat`: where the activation passes on hardly a gradient."""
    nothing = jnp.float32(jnp.nan)
    if layer.normalized or layer.activation is None:
        return {"dead": nothing, "flat": nothing}
    _, slope = jax.jvp(layer.activation, (output,), (jnp.ones_like(output),))
    flat = jnp.abs(slope) < FLAT_SLOPE
    return {
        "dead": jnp.mean(flat.reshape(-1, output.shape[-1]).all(0)),
        "flat": jnp.mean(flat),
    }


def _square(values: Array) -> Float[Array, ""]:
    return jnp.mean(values.astype(jnp.float32) ** 2)
