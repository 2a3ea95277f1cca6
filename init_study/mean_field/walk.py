"""The walk of an ensemble through a network's graph, from the images to the result."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError
from init_study.instruments.gains import Gain
from init_study.mean_field.ensemble import CHANNELS, through_layer
from init_study.mean_field.matrices import is_product, through_product
from init_study.mean_field.nodes import through_node
from init_study.mean_field.roles import (
    BATCH,
    CHANNEL,
    FLAT,
    SPACE,
    Roles,
    roles_after_layer,
    roles_after_node,
)
from init_study.network import Forward, graph

# Keys of nodes begin behind those of values, of which no graph has so many.
_NODES = 10_000_019


class Walk(NamedTuple):
    """What the ensemble was on its way through a network.

    Attributes:
        result: at the network's result.
        inputs: at the input of each layer, in the order of `Forward.layers`.
        outputs: at the output of each layer, bias included.
    """

    result: Array
    inputs: list[Array]
    outputs: list[Array]


def walk(
    forward: Forward,
    key: PRNGKeyArray,
    start: Array,
    gains: Sequence[Gain | None],
    shifts: Sequence[Array] | None = None,
) -> Walk:
    """Walk an ensemble through a network, node by node.

    Args:
        forward: the network as a graph.
        key: of the random numbers.
        start: the ensemble that stands for the images.
        gains: of each layer; a layer without one gives the mean square 1.
        shifts: added to the outputs of the layers; differentiate by them to get the
            gradients there.

    Raises: UserError for an operation that is not known.
    """
    _refuse_stacks_of_vmap(forward)
    traced = forward.traced
    layer_at = {layer.place: index for index, layer in enumerate(forward.layers)}
    layer_of = {layer.outputs: index for index, layer in enumerate(forward.layers)}
    inputs: dict[int, Array] = {}
    outputs: dict[int, Array] = {}
    values = {traced.images: start}
    axes = len(traced.shapes[traced.images].shape)
    roles: dict[int, Roles] = {traced.images: (BATCH, *[SPACE] * (axes - 2), CHANNEL)}

    def read(value: int) -> Array:
        if value in values:
            return values[value]
        return _fixed(forward, value, jax.random.fold_in(key, 2 + value))

    for place, node in enumerate(traced.nodes):
        if not any(forward.origins.of_images[value] for value in node.inputs):
            continue
        node_key = jax.random.fold_in(key, _NODES + place)
        if place in layer_at:
            index = layer_at[place]
            layer = forward.layers[index]
            given = roles[layer.inputs]
            inputs[index] = read(layer.inputs)
            made = through_layer(node_key, inputs[index], gains[index], FLAT in given)
            results, after = [made], roles_after_layer(traced, node, layer, given)
        else:
            known = [roles.get(value) for value in node.inputs]
            read_here = [read(value) for value in node.inputs]
            results, after = _through_other(forward, node, read_here, known, node_key)
        roles.update(dict.fromkeys(node.outputs, after))
        for value, result in zip(node.outputs, results, strict=True):
            if value in layer_of:
                index = layer_of[value]
                result = result if shifts is None else result + shifts[index]
                outputs[index] = result
            values[value] = result
    count = range(len(forward.layers))
    result = read(traced.outputs[0])
    return Walk(result, [inputs[i] for i in count], [outputs[i] for i in count])


def _refuse_stacks_of_vmap(forward: Forward) -> None:
    """Refuse kernels that are mapped over: an ensemble has no axis for them.

    Raises: UserError with the kernel.
    """
    for layer in forward.layers:
        if layer.parts > 1 and (layer.across or layer.kind == "conv"):
            raise UserError(
                f"nothing is known of kernels that are mapped over (vmap), as the "
                f"{layer.parts} of {'/'.join(layer.kernel[1:])}"
            )


def _through_other(
    forward: Forward,
    node: Any,
    inputs: list[Array],
    roles: list[Roles | None],
    key: PRNGKeyArray,
) -> tuple[list[Array], Roles]:
    """Compute a node that is no layer, and tell what its axes stand for.

    Raises: UserError for what is made of a learned token alone, which has no moments.
    """
    if all(one is None for one in roles):
        raise UserError(
            "nothing is known of the moments of a learned token, which is the same "
            "for all images; take a scheme without predictions"
        )
    if is_product(node):
        return through_product(forward, node, inputs, roles)
    traced = forward.traced
    shapes = [traced.shapes[value].shape for value in node.inputs]
    shape = traced.shapes[node.outputs[0]].shape
    results = through_node(key, node, inputs, shapes, roles, shape)
    return results, roles_after_node(node, shapes, roles, shape)


def _fixed(forward: Forward, value: int, key: PRNGKeyArray) -> Array:
    """Draw channels of a value that does not depend on the images, e.g. of a bias.

    A single number stays that number.
    """
    (computed,) = graph.compute(forward.traced, forward.variables, None, (value,))
    flat = jnp.ravel(computed)
    if jnp.issubdtype(flat.dtype, jnp.floating):
        flat = flat.astype(jnp.float32)
    if flat.size <= 1:
        return flat.reshape(1, 1, 1)
    return flat[jax.random.randint(key, (1, 1, CHANNELS), 0, flat.size)]
