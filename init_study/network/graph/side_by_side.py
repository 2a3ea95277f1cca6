"""Kernels that are several, side by side: stacks that are mapped, packed projections.

`w` of parameters, `x` of the images, N parts of `o` outputs each:

    c = dot_general[batch=(0, 0)] x w      w of [N, in, o], as `nn.vmap` makes it
    c = conv_general_dilated[groups=N] x r r made of w of [N, height, width, in, o]
    c = dot_general x w                    w of [N, in, o]: all parts read the same
    c = dot_general x w; q, k, v = split c w of [in, 3·o]: packed
"""

from math import prod

import numpy as np
from jaxtyping import Int

from init_study.network.graph.dataflow import Graph, Node
from init_study.network.graph.elementwise import moved_as

_MOVES = ("reshape", "squeeze", "transpose", "convert_element_type")


def stacked_parts(
    places: Int[np.ndarray, "..."], leaf: tuple[int, ...], batches: int
) -> int:
    """Count the kernels that are stacked along the first axes of a parameter.

    Args:
        places: for each number of the kernel `[*spatial, in, out]` its place in the
            flat parameter.
        leaf: the shape of the parameter.
        batches: how many matrices a batched product multiplies with; else 1.

    Example:
        >>> stack = np.arange(24).reshape(2, 3, 4)
        >>> stacked_parts(stack.transpose(1, 0, 2).reshape(3, 8), (2, 3, 4), 1)
        2
        >>> stacked_parts(np.arange(24).reshape(3, 8), (3, 2, 4), 1)
        1
    """
    outputs = places.shape[-1]
    count = prod(leaf[: max(0, len(leaf) - places.ndim)])
    if count > 1 and count % batches == 0 and outputs % count == 0:
        owners = places.reshape(-1, count, outputs // count) // (places.size // count)
        if (owners == np.arange(count)[None, :, None]).all():
            return count
    return batches


def packed_parts(
    graph: Graph, users: dict[int, list[int]], value: int, features: int
) -> int:
    """Count the equal parts into which all readers of an output cut its features.

    1 where somebody reads it whole, or parts differ in size, overlap or are scattered.

    Args:
        graph: of a network's call.
        users: as of `Graph.users`.
        value: the output of a layer, bias included.
        features: the axis that is cut.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: jnp.split(x, 3, -1)[0], {}, jnp.ones((2, 6))
        ... )
        >>> packed_parts(traced, traced.users(), traced.images, 1)
        3
    """
    shape = graph.shapes[value].shape
    if not _is_cut(graph, users, value):
        return 1
    index = np.expand_dims(
        np.arange(shape[features]), [a for a in range(len(shape)) if a != features]
    )
    pieces = _pieces(graph, users, value, np.broadcast_to(index, shape))
    if pieces is None or len(pieces) < 2:
        return 1
    size = shape[features] // len(pieces)
    ranges = {tuple(range(i * size, (i + 1) * size)) for i in range(len(pieces))}
    return len(pieces) if pieces == ranges else 1


def _is_cut(graph: Graph, users: dict[int, list[int]], value: int) -> bool:
    """Tell whether moves of an output end in slices; most do not, and cost nothing."""
    nodes = [graph.nodes[place] for place in users.get(value, ())]
    names = {node.name for node in nodes}
    if not nodes or not names <= {"slice", "split", *_MOVES}:
        return False
    return all(
        node.name in ("slice", "split") or _is_cut(graph, users, node.outputs[0])
        for node in nodes
    )


def _pieces(
    graph: Graph, users: dict[int, list[int]], value: int, index: np.ndarray
) -> set[tuple[int, ...]] | None:
    """Collect the features that each slice takes; None if one takes all of them."""
    found: set[tuple[int, ...]] = set()
    whole = tuple(np.unique(index))
    for place in users.get(value, ()):
        node = graph.nodes[place]
        if node.name in _MOVES:
            moved = moved_as(node, index, graph.shapes[node.outputs[0]].shape)
            inner = _pieces(graph, users, node.outputs[0], moved)
            if inner is None:
                return None
            found |= inner
            continue
        for cut in _cuts(node, index):
            found.add(tuple(map(int, np.unique(cut))))
    return None if whole in found else found


def _cuts(node: Node, index: np.ndarray) -> list[np.ndarray]:
    """Cut an array as a node does."""
    params = node.equation.params
    if node.name == "split":
        bounds = np.cumsum(params["sizes"])[:-1]
        return np.split(index, bounds, params["axis"])
    strides = params["strides"] or (1,) * index.ndim
    cuts = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return [index[tuple(slice(*cut) for cut in cuts)]]
