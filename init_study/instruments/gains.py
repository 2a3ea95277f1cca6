"""Gains: what each layer's own operation does to mean squares, forwards and backwards.

White noise goes through the operation itself, with its strides, groups, padding and
dtype: E[out²] / E[in²] is its forward gain, and the same of gradients its backward
gain. Beside it stands what the mean square of the weights predicts, which counts the
taps that fall beyond the border of a padded map.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.conv import fast_in_loops
from init_study.initializers.draws import flat
from init_study.jaxprs import SOON
from init_study.network import (
    Forward,
    ModelState,
    Network,
    Params,
    graph,
    trace_forward,
)

# So many numbers go through the largest layer: enough for two digits of its gain.
_NUMBERS = 2**21
# Images of noise, whatever the layer's size.
_FEWEST, _MOST = 8, 256


class Gain(NamedTuple):
    """Factors on the mean square of white noise.

    Attributes:
        forward: of the layer's input.
        backward: of the gradient at the layer's output.
    """

    forward: Any
    backward: Any


def tap_squares(
    network: Network, params: Params, model_state: ModelState | None = None
) -> tuple[Float[Array, "..."], ...]:
    """Compute the mean square of each layer's weights at each tap of its kernel.

    Weights are what meets the images: a kernel that is standardized, divided by its
    norm or multiplied on its way counts as what it has become.

    Args:
        network: a traced network.
        params: its parameters.
        model_state: its state, which some norms of kernels read.

    Returns: in the order of `network.layers`, each `[height, width]`, or `[]` for a
        dense layer.

    Example:
        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(2), (1, 1, 3))
        >>> params = {"Dense_0": {"kernel": jnp.full((3, 2), 2.0)}}
        >>> [float(square) for square in tap_squares(network, params)]
        [4.0]
    """
    if any(layer.scale_free or layer.multiplier != 1 for layer in network.layers):
        return _squares_of_weights(network, params, model_state or {})
    flat: Any = traverse_util.flatten_dict(params)
    return tuple(
        jnp.mean(layer.plain(flat[layer.kernel]).astype(jnp.float32) ** 2, (-2, -1))
        for layer in network.layers
    )


def _squares_of_weights(
    network: Network, params: Params, model_state: ModelState
) -> tuple[Array, ...]:
    """Compute mean squares at each tap of what the operations are given."""
    images = jax.ShapeDtypeStruct((1, *network.image_shape), jnp.float32)
    forward = trace_forward(network, params, model_state, images)
    nodes = [forward.traced.nodes[layer.place] for layer in forward.layers]
    places = [
        node.inputs[1 - layer.side]
        for node, layer in zip(nodes, forward.layers, strict=True)
    ]
    weights = graph.compute(forward.traced, forward.variables, None, tuple(places))
    return tuple(
        _mean_squares(node, layer, kernel)
        for node, layer, kernel in zip(nodes, forward.layers, weights, strict=True)
    )


def _mean_squares(node: graph.Node, layer: graph.Operation, weights: Array) -> Array:
    squares = weights.astype(jnp.float32) ** 2
    if layer.kind == "dense":
        return squares.mean()
    # Their axes: outputs, inputs, and the taps'.
    outputs, inputs, *taps = node.equation.params["dimension_numbers"].rhs_spec
    means = squares.mean((outputs, inputs), keepdims=True)
    return means.transpose(*taps, outputs, inputs)[..., 0, 0]


def layer_gains(
    network: Network,
    params: Params,
    model_state: ModelState,
    squares: Sequence[Float[Array | np.ndarray, "..."]],
    key: PRNGKeyArray,
) -> tuple[tuple[Gain, ...], tuple[Gain, ...]]:
    """Measure and predict the gains of every layer.

    Args:
        network: a traced network.
        params: its parameters.
        model_state: its state.
        squares: mean squares at each tap, that predict; as of `tap_squares`, or their
            means over many draws.
        key: of the noise.

    Returns: measured and predicted ones, each in the order of `network.layers`.

    Example:
        Weights of 2 on 3 inputs: the prediction is 3 · 2² forwards, for 2 outputs
        2 · 2² backwards.

        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(2), (1, 1, 3))
        >>> kernel, bias = jnp.full((3, 2), 2.0), jnp.zeros(2)
        >>> params = {"Dense_0": {"kernel": kernel, "bias": bias}}
        >>> squares = tap_squares(network, params)
        >>> measured, predicted = layer_gains(
        ...     network, params, {}, squares, jax.random.key(0)
        ... )
        >>> predicted
        (Gain(forward=12.0, backward=8.0),)
    """
    largest = max(prod(layer.image_shape) for layer in network.layers)
    count = min(_MOST, max(_FEWEST, _NUMBERS // largest))
    images = jax.ShapeDtypeStruct((count, *network.image_shape), jnp.float32)

    forward = trace_forward(network, params, model_state, images)
    traced, found = forward.traced, forward.layers

    measure = _measurer(forward)
    measured = tuple(
        measure(layer, jax.random.fold_in(key, index))
        for index, layer in enumerate(found)
    )
    predicted = tuple(
        predicted_gain(traced, layer, np.asarray(square, np.float64))
        for layer, square in zip(found, squares, strict=True)
    )
    return measured, predicted


def _measurer(forward: Forward) -> Callable[[graph.Operation, PRNGKeyArray], Gain]:
    """Make what sends white noise through an operation, and white gradients back.

    Layers that compute the same share a program.
    """
    traced = forward.traced
    programs: dict[str, Callable[..., Gain]] = {}

    def measure(layer: graph.Operation, key: PRNGKeyArray) -> Gain:
        node = traced.nodes[layer.place]
        weights = node.inputs[1 - layer.side]
        (kernel,) = graph.compute(traced, forward.variables, None, (weights,))
        read, made = (traced.shapes[value] for value in (layer.inputs, layer.result))
        params = sorted(node.equation.params.items())
        what = repr((node.name, params, layer.side, read, kernel.shape, kernel.dtype))
        if what not in programs:
            form = _form(traced, layer)
            through = partial(_through, node, layer.side, form)
            programs[what] = jax.jit(through, compiler_options=SOON)
        forward_key, backward_key = jax.random.split(key)
        noise, gradient = _noise(forward_key, read), _noise(backward_key, made)
        return programs[what](kernel, noise, gradient)

    return measure


def _form(traced: graph.Graph, layer: graph.Operation) -> str:
    """Choose a form of `init_study.conv` by the time that a single call takes.

    XLA multiplies a border of zeros too, and that is most of a map which is smaller
    than its kernel; as patches they take longer to compile.
    """
    if layer.kind == "dense":
        return "xla"
    _, made = _map_sizes(traced, layer)
    return "patches" if prod(made) < prod(layer.shape[:-2]) else "xla"


def _noise(key: PRNGKeyArray, like: jax.ShapeDtypeStruct) -> Array:
    """Draw white noise, by a program that other shapes share."""
    noise = flat(jax.random.normal, key, prod(like.shape), jnp.float32)
    return noise.reshape(like.shape).astype(like.dtype)


def _through(
    node: graph.Node, side: int, form: str, kernel: Array, noise: Array, gradient: Array
) -> Gain:
    """Compute what one operation does to noise, and to gradients."""

    def operation(images: Array) -> Array:
        operands = [images, kernel] if side == 0 else [kernel, images]
        return graph.run_node(node, operands)[0]

    outputs, pull = jax.vjp(fast_in_loops(operation, form), noise)
    (pulled,) = pull(gradient)
    return Gain(_ratio(outputs, noise), _ratio(pulled, gradient))


def _ratio(after: Array, before: Array) -> Array:
    after, before = after.astype(jnp.float32), before.astype(jnp.float32)
    return jnp.mean(after**2) / jnp.mean(before**2)


def predicted_gain(
    traced: graph.Graph, layer: graph.Operation, squares: Float[np.ndarray, "..."]
) -> Gain:
    """Predict what mean squares of weights, at each tap, do to white noise.

    Args:
        traced: the graph that the layer is in.
        layer: the operation.
        squares: mean square of its weights at each tap, `[]` for a dense layer.

    Returns: forward, in · Σ (share of outputs that a tap serves · its mean square);
        backward, the same with out, per pixel of the input.
    """
    inputs, outputs = layer.shape[-2], layer.shape[-1] // layer.groups
    if layer.kind == "dense":
        return Gain(float(squares) * inputs, float(squares) * outputs)
    read, made = _map_sizes(traced, layer)
    shares = [
        _shares(
            *sizes,
            layer.shape[axis],
            layer.strides[axis],
            layer.padding[axis][0],
            layer.input_dilation[axis],
            layer.kernel_dilation[axis],
        )
        for axis, sizes in enumerate(zip(read, made, strict=True))
    ]
    taps = float((reduce(np.multiply.outer, shares) * squares).sum())
    # Each tap of each output is one of some input: as many connections on both sides.
    return Gain(taps * inputs, taps * outputs * prod(made) / prod(read))


def _map_sizes(
    traced: graph.Graph, layer: graph.Operation
) -> tuple[list[int], list[int]]:
    """Read the spatial sizes of a convolution's input and of its result."""
    node = traced.nodes[layer.place]
    numbers = node.equation.params["dimension_numbers"]
    read = [traced.shapes[layer.inputs].shape[axis] for axis in numbers.lhs_spec[2:]]
    made = [traced.shapes[layer.result].shape[axis] for axis in numbers.out_spec[2:]]
    return read, made


def _shares(
    read: int, made: int, taps: int, stride: int, before: int, spread: int, apart: int
) -> Float[np.ndarray, " taps"]:
    """Count, for each tap along an axis, the share of outputs where it meets a pixel.

    Args:
        read: size of the input.
        made: size of the output.
        taps: of the kernel.
        stride: of the window.
        before: padding.
        spread: pixels of a dilated input for one of the input.
        apart: pixels from one tap to the next.
    """
    place = np.arange(made)[:, None] * stride + np.arange(taps) * apart - before
    meets = (place >= 0) & (place <= (read - 1) * spread) & (place % spread == 0)
    return meets.mean(0)
