"""Signals: the outputs of a network's layers, and the gradients there."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.conv import fast_in_loops
from init_study.network import ModelState, Network, Params, graph, trace_forward


class Signals(NamedTuple):
    """What every layer reads and gives, in the order of `network.layers`.

    Attributes:
        inputs: what it reads, `[n, ..., in]`.
        outputs: what it gives, `[n, ..., out]`, bias included, before norm and
            activation; the features last, wherever the network has them.
        result: of the network.
    """

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    result: Array


def layer_signals(
    network: Network,
    params: Params,
    model_state: ModelState,
    images: Float[Array, "n ..."],
    *,
    train: bool = True,
    key: PRNGKeyArray | None = None,
    shifts: Mapping[int, Array] | None = None,
    convolution: str = "xla",
) -> Signals:
    """Pass images through a network, and keep every layer's output on the way.

    Args:
        network: a traced network.
        params: its parameters.
        model_state: its state.
        images: a batch.
        train: whether BatchNorm takes the batch's statistics, as at the first step.
        key: of dropout; without one it takes always the same.
        shifts: added to the outputs of layers, by index: differentiate by them to get
            gradients at a layer.
        convolution: a form of `init_study.conv`.

    Example:
        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(4), (1, 1, 3))
        >>> params = network.own_init(jax.random.key(0))
        >>> signals = layer_signals(network, params, {}, jnp.zeros((2, 1, 1, 3)))
        >>> [output.shape for output in signals.outputs]
        [(2, 4)]
    """
    forward = trace_forward(network, params, model_state, images, train=train, key=key)
    traced, found = forward.traced, forward.layers
    places = {layer.outputs: index for index, layer in enumerate(found)}
    shifts = shifts or {}

    def shift(value: int, computed: Any) -> Any:
        index = places.get(value, -1)
        if index not in shifts:
            return computed
        return computed + _features_back(shifts[index], found[index], computed.shape)

    wanted = (
        *(layer.inputs for layer in found),
        *(layer.outputs for layer in found),
        *traced.outputs,
    )

    def run(variables: Mapping[Any, Any], images: Array) -> list[Any]:
        return graph.compute(traced, variables, images, wanted, shift)

    values = fast_in_loops(run, convolution)(forward.variables, images)
    count = len(found)
    outputs = [
        _features_last(value, layer)
        for value, layer in zip(values[count : 2 * count], found, strict=True)
    ]
    return Signals(tuple(values[:count]), tuple(outputs), values[-1])


def _features_last(value: Array, layer: graph.Operation) -> Array:
    """Bring features last, those of all parts; in most nets nothing is done."""
    axes = (*layer.across, layer.features)
    if axes == (value.ndim - 1,):
        return value
    moved = jnp.moveaxis(value, axes, range(-len(axes), 0))
    return moved.reshape(*moved.shape[: value.ndim - len(axes)], -1)


def _features_back(value: Array, layer: graph.Operation, shape: Any) -> Array:
    """Bring features back to their places in an output; undoes `_features_last`."""
    axes = (*layer.across, layer.features)
    if axes == (len(shape) - 1,):
        return value
    sizes = [shape[axis] for axis in axes]
    rest = [size for axis, size in enumerate(shape) if axis not in axes]
    return jnp.moveaxis(value.reshape(*rest, *sizes), range(-len(axes), 0), axes)


def gradients_at_layers(
    network: Network,
    params: Params,
    model_state: ModelState,
    images: Float[Array, "n ..."],
    cotangent: Float[Array, "n ..."],
    **options: Any,
) -> tuple[Signals, tuple[Array, ...]]:
    """Compute the signals, and the gradient of result · cotangent at each layer.

    Args:
        network: a traced network.
        params: its parameters.
        model_state: its state.
        images: a batch.
        cotangent: the gradient at the network's result.
        options: the others of `layer_signals`.

    Returns: the signals, and one gradient by each layer's output.

    Example:
        The last layer's output is the result, so the gradient there is the cotangent.

        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(4), (1, 1, 3))
        >>> params = network.own_init(jax.random.key(0))
        >>> cotangent = jnp.arange(8.0).reshape(2, 4)
        >>> _, gradients = gradients_at_layers(
        ...     network, params, {}, jnp.zeros((2, 1, 1, 3)), cotangent
        ... )
        >>> bool((gradients[0] == cotangent).all())
        True
    """

    def product(shifts: dict[int, Array]) -> tuple[Array, Signals]:
        signals = layer_signals(
            network, params, model_state, images, shifts=shifts, **options
        )
        return jnp.sum(signals.result * cotangent), signals

    shapes = jax.eval_shape(lambda: product({})[1])
    zeros = {i: jnp.zeros(s.shape, s.dtype) for i, s in enumerate(shapes.outputs)}
    (_, signals), gradients = jax.value_and_grad(product, has_aux=True)(zeros)
    return signals, tuple(gradients[index] for index in range(len(zeros)))
