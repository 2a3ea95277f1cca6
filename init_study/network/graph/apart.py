"""Images that only stand beside something else are taken away from it.

`t` of a parameter, `x` of the images. Where all that is read of `z` is of `t`, as where
a class token asks before it has seen the images, zeros stand in for `x`:

    z = concatenate[dimension=1] t x; n = mul z s; q = slice n[:, :1]
    y = concatenate[dimension=1] t 0; m = mul y s; q = slice m[:, :1]
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from init_study.network.graph.building import make_graph
from init_study.network.graph.dataflow import (
    Graph,
    Node,
    Path,
    origins_beside,
    run_node,
)
from init_study.network.graph.elementwise import is_elementwise
from init_study.network.graph.moving import JOINERS

_SUMS = ("reduce_sum", "reduce_max", "reduce_min")
_ALIKE = ("copy", "stop_gradient", "reduce_precision", "optimization_barrier")


class _Beside(NamedTuple):
    """What is known of a value that is of the images at some places along an axis.

    Attributes:
        axis: that one.
        of_images: for each place along it, whether it is.
    """

    axis: int
    of_images: Bool[np.ndarray, " places"]


def images_apart(graph: Graph) -> Graph:
    """Take images away from values that only stood beside them.

    Most graphs have none of these and stay as they are; else values get new numbers.

    Args:
        graph: of a network's call.

    Example:
        >>> from init_study.network.graph import find_origins
        >>> def token(p, x):
        ...     return jnp.concatenate([p["t",], x])[:1] * 2.0
        >>> variables = {("t",): jnp.ones((1, 3))}
        >>> traced, _ = make_graph(token, variables, jnp.ones((2, 3)))
        >>> find_origins(traced).of_images[traced.outputs[0]]
        True
        >>> apart = images_apart(traced)
        >>> find_origins(apart).of_images[apart.outputs[0]]
        False
    """
    if not any(node.name in JOINERS for node in graph.nodes):
        return graph
    of_images = list(origins_beside(graph, frozenset()).of_images)
    beside: dict[int, _Beside] = {}
    ends: set[int] = set()
    for place, node in enumerate(graph.nodes):
        moved = [value for value in node.inputs if of_images[value]]
        if not moved:
            for value in node.outputs:
                of_images[value] = False
            continue
        if node.name not in JOINERS and not all(value in beside for value in moved):
            continue
        for value, one in zip(
            node.outputs, _through(graph, node, of_images, beside), strict=True
        ):
            if one is not None and not one.of_images.any():
                of_images[value] = False
                ends.add(place)
            elif one is not None and not one.of_images.all():
                beside[value] = one
    return _traced_anew(graph, of_images, beside, ends) if ends else graph


def _traced_anew(
    graph: Graph, of_images: Sequence[bool], beside: dict[int, _Beside], ends: set[int]
) -> Graph:
    """Trace a graph with zeros in the place of images where these are not read."""

    def run(variables: dict[Path, Any], images: Any) -> list[Any]:
        values: dict[int, Any] = {**graph.constants, graph.images: images}
        values.update({graph.variables[path]: leaf for path, leaf in variables.items()})
        without: dict[int, Any] = {}

        def read(value: int) -> Any:
            if value in without or not of_images[value]:
                return without.get(value, values[value])
            shape = graph.shapes[value]
            return jnp.zeros(shape.shape, shape.dtype)

        for place, node in enumerate(graph.nodes):
            if any(value in beside for value in node.outputs) or place in ends:
                made = run_node(node, [read(value) for value in node.inputs])
                without.update(zip(node.outputs, made, strict=True))
            results = run_node(node, [values[value] for value in node.inputs])
            values.update(zip(node.outputs, results, strict=True))
            if place in ends:
                apart = [value for value in node.outputs if not of_images[value]]
                values.update({value: without[value] for value in apart})
        return [values[value] for value in graph.outputs]

    shapes = {path: graph.shapes[value] for path, value in graph.variables.items()}
    return make_graph(run, shapes, graph.shapes[graph.images])[0]


def _through(
    graph: Graph, node: Node, of_images: Sequence[bool], beside: dict[int, _Beside]
) -> Sequence[_Beside | None]:
    """Follow the places of the images through a node; None where all may be."""
    lost = [None] * len(node.outputs)
    given = [beside[value] for value in node.inputs if value in beside]
    axes = {one.axis for one in given}
    if node.name in JOINERS:
        axis = node.equation.params["axis" if node.name == "stack" else "dimension"]
        if not axes <= ({axis} if node.name == "concatenate" else set()):
            return lost
        sizes = [
            graph.shapes[v].shape[axis] if node.name == "concatenate" else 1
            for v in node.inputs
        ]
        each = [
            beside[v].of_images if v in beside else np.full(size, of_images[v])
            for v, size in zip(node.inputs, sizes, strict=True)
        ]
        return [_Beside(axis, np.concatenate(each))]
    if len(axes) != 1:
        return lost
    if node.name in _ALIKE or (
        node.name != "broadcast_in_dim" and is_elementwise(graph, node)
    ):
        whole = np.any([one.of_images for one in given], 0)
        return [_Beside(given[0].axis, whole)] * len(node.outputs)
    return _moved(graph, node, *given[0]) or lost


def _moved(
    graph: Graph, node: Node, axis: int, mask: np.ndarray
) -> list[_Beside] | None:
    """Follow an axis, and what is said of its places, through a move or a sum."""
    params, shape = node.equation.params, graph.shapes[node.inputs[0]].shape
    if node.name == "slice":
        start, stop = params["start_indices"][axis], params["limit_indices"][axis]
        step = params["strides"][axis] if params["strides"] else 1
        return [_Beside(axis, mask[start:stop:step])]
    if node.name == "split":
        places = np.cumsum(params["sizes"])[:-1]
        cut = params["axis"] == axis
        parts = np.split(mask, places) if cut else [mask] * len(params["sizes"])
        return [_Beside(axis, part) for part in parts]
    if node.name == "rev":
        return [_Beside(axis, mask[::-1] if axis in params["dimensions"] else mask)]
    if node.name == "transpose":
        return [_Beside(list(params["permutation"]).index(axis), mask)]
    if node.name == "broadcast_in_dim":
        after = params["broadcast_dimensions"][axis]
        same = graph.shapes[node.outputs[0]].shape[after] == shape[axis]
        return [_Beside(after, mask)] if same else None
    if node.name in (*_SUMS, "squeeze"):
        gone = params["dimensions" if node.name == "squeeze" else "axes"]
        place = axis - sum(other < axis for other in gone)
        return None if axis in gone else [_Beside(place, mask)]
    if node.name == "reshape" and params.get("dimensions") is None:
        sizes = graph.shapes[node.outputs[0]].shape
        around = prod(shape[:axis]), prod(shape[axis + 1 :])
        for place, size in enumerate(sizes):
            outside = prod(sizes[:place]), prod(sizes[place + 1 :])
            if size == shape[axis] and outside == around:
                return [_Beside(place, mask)]
    return None
