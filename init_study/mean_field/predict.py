"""Predicted mean squares of a whole network's signals and gradients, without its width.

A value of the network is stood for by random numbers `[images, places, channels]` of a
very wide net; images are exchangeable, and so are the places of one image. A layer with
random weights turns them into new normal numbers whose second moments within and
between places and images its weights' mean squares give, exactly so in the limit of
large width; on the way back it does the same to gradients. All else, activations,
norms, sums and pools, is done to the numbers themselves.

What this leaves out: that borders are darker than the middle (a layer's own loss at a
zero-padded border is counted), and that near pixels are more alike than distant ones,
so that maxima over neighbours, and means of signed values over whole maps, come out too
large.
References: Poole et al. 2016, arXiv:1606.05340, for the limit; Bingham & Miikkulainen
2021, arXiv:2109.08958 (AutoInit), for moments carried through a graph of operations.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.instruments.gains import Gain, predicted_gain
from init_study.mean_field.ensemble import (
    BATCH,
    CHANNEL,
    CHANNELS,
    FLAT,
    IMAGES,
    PLACES,
    SHAPE,
    SPACE,
    of_images,
    through_layer,
)
from init_study.mean_field.nodes import through_node
from init_study.network import (
    Forward,
    ModelState,
    Network,
    Params,
    graph,
    trace_forward,
)


class Prediction(NamedTuple):
    """Of every layer, in the order of `network.layers`.

    Attributes:
        inputs: mean square of what it reads.
        signals: mean square of its output, bias included, before norm and activation.
        gradients: mean square of the gradient there, for gradients of variance 1 at the
            network's result.
    """

    inputs: tuple[Any, ...]
    signals: tuple[Any, ...]
    gradients: tuple[Any, ...]


def predict(
    network: Network,
    params: Params,
    model_state: ModelState,
    squares: Sequence[Float[Array, "... taps"]],
    images: Float[Array, "n h w c"],
    key: PRNGKeyArray,
) -> Prediction:
    """Mean squares of signals and gradients at every layer.

    Args:
        network, params, model_state: as of `Network.apply`; of the parameters only
            those count that are no kernels.
        squares: mean squares of the kernels' weights at each tap, as of
            `gains.tap_squares`, or their means over many draws.
        images: a batch; what the network reads.
        key: of the stand-ins' random numbers.

    Raises: UserError for an operation that is not known here.
    """
    predictor = make_predictor(network, params, model_state, images)
    return predictor(params, model_state, squares, key)


Predictor = Callable[[Params, ModelState, Sequence[Any], PRNGKeyArray], Prediction]


def make_predictor(
    network: Network,
    params: Params,
    model_state: ModelState,
    images: Float[Array, "n h w c"],
) -> Predictor:
    """`predict` for many parameters of one network, compiled once.

    Args:
        network, images: as of `predict`.
        params, model_state: of these only shapes count.

    Returns: (params, model_state, squares, key) -> prediction.
    Raises: UserError for an operation that is not known here.
    """
    shapes = trace_forward(network, params, model_state, images)

    @jax.jit
    def run(variables: Any, gains: Sequence[Gain], key: PRNGKeyArray) -> Any:
        forward = shapes._replace(variables=variables)

        def signals(shifts: list[Array]) -> tuple[Array, Any]:
            result, inputs, outputs = _walk(forward, key, images, gains, shifts)
            return result, (inputs, outputs)

        zeros = [jnp.zeros(SHAPE) for _ in gains]
        result, pull, (inputs, outputs) = jax.vjp(signals, zeros, has_aux=True)
        # Logits have no places: the gradient is the same wherever they stand for one.
        places = (
            1
            if len(forward.traced.shapes[forward.traced.outputs[0]].shape) == 2
            else PLACES
        )
        own = jax.random.normal(jax.random.fold_in(key, 0), (IMAGES, places, CHANNELS))
        cotangent = jnp.broadcast_to(own, result.shape)
        (gradients,) = pull(cotangent)
        return tuple(
            [jnp.mean(value**2) for value in values]
            for values in (inputs, outputs, gradients)
        )

    def predictor(
        params: Params,
        model_state: ModelState,
        squares: Sequence[Any],
        key: PRNGKeyArray,
    ) -> Prediction:
        gains = [
            predicted_gain(shapes.traced, layer, np.asarray(square, np.float64))
            for layer, square in zip(shapes.layers, squares, strict=True)
        ]
        variables = traverse_util.flatten_dict({"params": params, **model_state})
        return Prediction(
            *(tuple(map(float, values)) for values in run(variables, gains, key))
        )

    return predictor


def unit_variance_scales(network: Network) -> tuple[float, ...]:
    """The variance of each layer's weights for which its output has the mean square 1.

    For images of independent standard normal numbers, and what is no kernel as the
    module itself makes it: 1 / (mean taps in use · in · E[x²]), layer by layer.

    Raises: UserError for an operation that is not known here.
    """
    with jax.ensure_compile_time_eval():
        key = jax.random.key(0)
        params, state = (
            network.own_init(key),
            network.model_state(jax.random.clone(key)),
        )
        images = jax.random.normal(jax.random.key(1), (8, *network.image_shape))
        forward = trace_forward(network, params, state, images)
        ones = [np.ones(layer.shape[:-2]) for layer in forward.layers]
        gains = [
            predicted_gain(forward.traced, layer, one)
            for layer, one in zip(forward.layers, ones, strict=True)
        ]

        @jax.jit
        def run(key: PRNGKeyArray) -> list[Array]:
            _, inputs, _ = _walk(forward, key, images, [None] * len(gains), None)
            return [jnp.mean(value**2) for value in inputs]

        squares = [float(value) for value in run(jax.random.key(2))]
    return tuple(
        1.0 / (gain.forward * square) if square > 0 else 1.0
        for gain, square in zip(gains, squares, strict=True)
    )


def _walk(
    forward: Forward,
    key: PRNGKeyArray,
    images: Array,
    gains: Sequence[Gain | None],
    shifts: Sequence[Array] | None,
) -> tuple[Array, list[Array], list[Array]]:
    """The result, and of each layer its input and output, as stand-ins.

    A layer without a gain gives the mean square 1; `shifts` are added to outputs.
    """
    traced = forward.traced
    at = {layer.place: index for index, layer in enumerate(forward.layers)}
    ends = {layer.outputs: index for index, layer in enumerate(forward.layers)}
    inputs: dict[int, Array] = {}
    outputs: dict[int, Array] = {}
    values: dict[int, Array] = {
        traced.images: of_images(jax.random.fold_in(key, 1), images)
    }
    roles: dict[int, tuple[str, ...]] = {
        traced.images: (BATCH, *[SPACE] * (images.ndim - 2), CHANNEL)
    }

    def read(value: int) -> Array:
        if value in values:
            return values[value]
        return _fixed(forward, value, jax.random.fold_in(key, 2 + value))

    for place, node in enumerate(traced.nodes):
        moved = [v for v in node.inputs if forward.origins.of_images[v]]
        if not moved:
            continue
        own_key = jax.random.fold_in(key, 10_000_019 + place)
        if place in at:
            index = at[place]
            layer = forward.layers[index]
            inputs[index] = read(layer.inputs)
            flat = FLAT in roles[layer.inputs]
            made = through_layer(own_key, inputs[index], gains[index], flat)
            roles[node.outputs[0]] = _layer_roles(traced, node, layer, roles)
            results = [made]
        else:
            shapes = [traced.shapes[v].shape for v in node.inputs]
            given = [roles.get(v) for v in node.inputs]
            shape = traced.shapes[node.outputs[0]].shape
            results = through_node(
                own_key, node, [read(v) for v in node.inputs], shapes, given, shape
            )
            after = _roles_after(node, shapes, given, shape)
            roles.update(dict.fromkeys(node.outputs, after))
        for value, result in zip(node.outputs, results, strict=True):
            if value in ends:
                index = ends[value]
                if shifts is not None:
                    result = result + shifts[index]
                outputs[index] = result
            values[value] = result
    count = range(len(forward.layers))
    result = read(traced.outputs[0])
    return result, [inputs[i] for i in count], [outputs[i] for i in count]


def _fixed(forward: Forward, value: int, key: PRNGKeyArray) -> Array:
    """What does not depend on the images: one number, or numbers of channels."""
    (found,) = graph.evaluate(forward.traced, forward.variables, None, (value,))
    flat = jnp.ravel(found)
    if jnp.issubdtype(flat.dtype, jnp.floating):
        flat = flat.astype(jnp.float32)
    if flat.size <= 1:
        return flat.reshape(1, 1, 1)
    return flat[jax.random.randint(key, (1, 1, CHANNELS), 0, flat.size)]


def _layer_roles(
    traced: graph.Graph,
    node: Any,
    layer: graph.Operation,
    roles: dict[int, Any],
) -> tuple[str, ...]:
    if layer.kind == "conv":
        out = node.equation.params["dimension_numbers"].out_spec
        found = [SPACE] * len(out)
        found[out[0]], found[out[1]] = BATCH, CHANNEL
        return tuple(found)
    contracted = node.equation.params["dimension_numbers"][0][layer.side]
    kept = [r for a, r in enumerate(roles[layer.inputs]) if a not in contracted]
    made = len(traced.shapes[node.outputs[0]].shape) - len(kept)
    new = [CHANNEL] * made
    return tuple(kept + new if layer.side == 0 else new + kept)


def _roles_after(
    node: Any,
    shapes: list[tuple[int, ...]],
    roles: list[Any],
    shape: tuple[int, ...],
) -> tuple[str, ...]:
    """What the axes of a node's result stand for."""
    name, params = node.name, node.equation.params
    known = [(s, r) for s, r in zip(shapes, roles, strict=True) if r is not None]
    before, given = max(known, key=lambda pair: len(pair[0]))
    if name == "transpose":
        return tuple(given[axis] for axis in params["permutation"])
    if name.startswith("reduce_") and "axes" in params:
        return tuple(r for a, r in enumerate(given) if a not in params["axes"])
    if name == "squeeze":
        return tuple(r for a, r in enumerate(given) if a not in params["dimensions"])
    if name == "broadcast_in_dim":
        found = [SPACE] * len(shape)
        for axis, place in enumerate(params["broadcast_dimensions"]):
            found[place] = given[axis]
        return tuple(found)
    if name == "reshape":
        return _reshaped(before, given, shape)
    return tuple(given) if len(given) == len(shape) else _guessed(len(shape))


def _reshaped(
    before: tuple[int, ...], given: tuple[str, ...], shape: tuple[int, ...]
) -> tuple[str, ...]:
    """Axes that keep their sizes from the left keep what they are; the others hold
    channels, if the old ones do."""
    kept = 0
    while kept < min(len(before), len(shape)) and before[kept] == shape[kept]:
        kept += 1
    rest = given[kept:]
    wide = {r for r, size in zip(rest, before[kept:], strict=True) if size > 1}
    if FLAT in wide or {SPACE, CHANNEL} <= wide:
        new = [FLAT]
    else:
        new = [CHANNEL if CHANNEL in rest or not rest else rest[0]]
    return tuple(given[:kept]) + tuple(new * (len(shape) - kept))


def _guessed(rank: int) -> tuple[str, ...]:
    if rank == 0:
        return ()
    if rank == 1:
        return (CHANNEL,)
    return (BATCH, *[SPACE] * (rank - 2), CHANNEL)
