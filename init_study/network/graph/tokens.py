"""Learned tokens: parameters that a network treats as it treats images.

A query for all images goes through kernels of its own, `p` of the token, `w` and `b` of
its layer, `k` of the images:

    q = dot_general p w; r = add q b; s = dot_general[batch] r k      or
    q = dot_general p w; s = dot_general r k; e = exp s

In the second each image has the same product, and it is one of numbers that `w` gives:
a kernel that is a product of two, as in `x @ (a @ b)`, sums over those that `a` has.
"""

from typing import NamedTuple

import numpy as np

from init_study.network.graph.dataflow import (
    CONTRACTIONS,
    Graph,
    Node,
    Origins,
    Path,
    origins_beside,
)
from init_study.network.graph.elementwise import is_elementwise
from init_study.network.graph.moving import MOVERS, constants_of, move


class _Query(NamedTuple):
    """What is made of a token by a layer.

    Attributes:
        token: its value.
        features: for each number which of the layer's outputs it is; None where that
            is lost.
    """

    token: int
    features: np.ndarray | None


def find_origins(graph: Graph) -> Origins:
    """Find what each value of a graph comes from.

    Example:
        >>> from init_study.network.graph import make_graph
        >>> graph, _ = make_graph(lambda p, x: x * (p["w",] + 1.0), {("w",): 2.0}, 3.0)
        >>> origins = find_origins(graph)
        >>> plus, times = (node.outputs[0] for node in graph.nodes)
        >>> origins.of_images[plus], origins.of_images[times], origins.variables[plus]
        (False, True, frozenset({('w',)}))
    """
    origins = origins_beside(graph, frozenset())
    while (token := _token(graph, origins)) is not None:
        origins = origins_beside(graph, origins.tokens | {token})
    return origins


def _token(graph: Graph, origins: Origins) -> int | None:
    """Find a parameter that goes through a kernel of its own before it meets images."""
    queries: dict[int, _Query] = {}
    constant = constants_of(graph, origins)
    for node in graph.nodes:
        fixed = [v for v in node.inputs if not origins.of_images[v]]
        known = [queries[v] for v in fixed if v in queries]
        if node.name == "dot_general" and len(fixed) == 2 and not known:
            made = _of_layer(graph, origins, node)
            if made is not None:
                queries[node.outputs[0]] = made
            continue
        if not known:
            continue
        if node.name == "dot_general" and len(fixed) == 1:
            if _is_asked(graph, node, fixed[0], known[0]):
                return known[0].token
        if len(fixed) < len(node.inputs):
            continue
        places = [queries[v].features if v in queries else None for v in node.inputs]
        moved = move(node, places, constant) if node.name in MOVERS else None
        for index, value in enumerate(node.outputs):
            shape = graph.shapes[value].shape
            features = None if moved is None else moved[index]
            if moved is None and is_elementwise(graph, node):
                given = next((one for one in places if one is not None), None)
                if given is not None and given.ndim == len(shape):
                    features = np.broadcast_to(given, shape)
            queries[value] = _Query(known[0].token, features)
    return None


def _of_layer(graph: Graph, origins: Origins, node: Node) -> _Query | None:
    """Read a product of two parameters as that of a token with a kernel.

    x·w sums over the first axis of w, and w·x over the last of x.
    """
    (first, contracted), _ = node.equation.params["dimension_numbers"]
    last = len(graph.shapes[node.inputs[1]].shape) - 1
    side = 1 if last in contracted else 0
    token, kernel = (
        _of_params(origins, v) for v in (node.inputs[side], node.inputs[1 - side])
    )
    if len(kernel) != 1 or not token or kernel <= token:
        return None
    # A norm's scale and shift are read after what they scale.
    order = _first_readers(graph, token)
    shape = graph.shapes[node.outputs[0]].shape
    axes = graph.shapes[node.inputs[1 - side]].shape
    count = len(axes) - len((first, contracted)[1 - side])
    start = 0 if side == 1 else len(shape) - count
    sizes = shape[start : start + count]
    numbers = np.arange(int(np.prod(sizes))).reshape(sizes)
    others = [axis for axis in range(len(shape)) if not start <= axis < start + count]
    return _Query(order[0], np.broadcast_to(np.expand_dims(numbers, others), shape))


def _is_asked(graph: Graph, node: Node, value: int, query: _Query) -> bool:
    """Tell whether a product with images is that of a query with keys."""
    contracted, (batch, _) = node.equation.params["dimension_numbers"]
    if batch:
        return True
    if query.features is None or not _has_softmax(graph, node.outputs[0]):
        return False
    summed = tuple(contracted[node.inputs.index(value)])
    others = tuple(a for a in range(query.features.ndim) if a not in summed)
    return bool((np.ptp(query.features, axis=others) == 0).all())


def _has_softmax(graph: Graph, value: int) -> bool:
    """Tell whether exponentials are taken before the next product."""
    reached = {value}
    for node in graph.nodes:
        if reached.isdisjoint(node.inputs) or node.name in CONTRACTIONS:
            continue
        if node.name == "exp":
            return True
        reached.update(node.outputs)
    return False


def _first_readers(graph: Graph, paths: frozenset[Path]) -> list[int]:
    """Order parameters by where they are read first."""
    values = {graph.variables[path] for path in paths}
    order: list[int] = []
    for node in graph.nodes:
        order += [v for v in node.inputs if v in values and v not in order]
    return order


def _of_params(origins: Origins, value: int) -> frozenset[Path]:
    return frozenset(path for path in origins.variables[value] if path[0] == "params")
