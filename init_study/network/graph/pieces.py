"""Pieces: how what follows a layer cuts its outputs into parts.

    c = dot_general x w; d = add c b; q, k, v = split d

Numbered outputs go the way of the outputs: through moves, functions of one number,
norms, and sums in which pieces of one output meet again, as a rotation's halves do.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from init_study.network.graph.dataflow import Graph, Node, Origins, needed_places
from init_study.network.graph.elementwise import is_elementwise
from init_study.network.graph.moving import JOINERS, MOVERS, Constant, move

_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min")
_CUTS = ("slice", "split", "dynamic_slice", "gather")
_LINEAR = ("add", "sub", "mul", "div", "neg", "convert_element_type", "copy")
# More parts than these are groups, or heads in a loop, and no projections of their own.
_MOST = 8


class _Followed(NamedTuple):
    """The outputs that a value's numbers are made of.

    Attributes:
        outputs: of the output that each number is made of.
        linear: whether it is that output but for factors and shifts.
    """

    outputs: np.ndarray
    linear: bool


def find_pieces(
    graph: Graph,
    origins: Origins,
    users: dict[int, list[int]],
    root: int,
    columns: np.ndarray,
    constant: Constant,
) -> tuple[tuple[int, ...], ...] | None:
    """Find the parts into which all readers of a layer's result cut its outputs.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        users: as of `Graph.users`.
        root: the result.
        columns: for each number of it, which output it is.
        constant: as of `constants_of`.

    Returns: the outputs of each part, in order; None if there is but one, because
        somebody reads all of them together, or more than eight.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: jnp.split(x, [2], -1), {}, jnp.ones((1, 6))
        ... )
        >>> origins, columns = graph.find_origins(traced), np.arange(6).reshape(1, 6)
        >>> find_pieces(
        ...     traced, origins, traced.users(), 0, columns, lambda value: None
        ... )
        ((0, 1), (2, 3, 4, 5))
    """
    if not _may_be_cut(graph, origins, users, root):
        return None
    width = int(columns.max(initial=0)) + 1
    same = np.arange(width)
    pieces: list[set[int]] = []
    found = {root: _Followed(columns, True)}
    means: dict[int, set[int]] = {}
    for place in _after(graph, users, root, found, means):
        node = graph.nodes[place]
        result = _follow(graph, origins, node, found, means, constant)
        if isinstance(result, set):
            means.update(dict.fromkeys(node.outputs, result))
            continue
        if result is None:
            pieces += [
                set(np.unique(found[v].outputs).tolist())
                for v in node.inputs
                if v in found
            ]
            pieces += [means[v] for v in node.inputs if v in means]
            continue
        followed, met = result
        for one, other in met:
            same = _union(same, one, other)
        found.update(zip(node.outputs, followed, strict=True))
    pieces += _unread(graph, users, found)
    return _parts(pieces, same, width)


def _unread(
    graph: Graph, users: dict[int, list[int]], found: dict[int, _Followed]
) -> list[set[int]]:
    """Collect the pieces that are results, or that a split gives and nobody reads."""
    pieces: list[set[int]] = []
    split = {v for node in graph.nodes if node.name == "split" for v in node.outputs}
    for value, one in found.items():
        # What nobody reads of a split is a part as well.
        if value in graph.outputs or (value in split and not users.get(value)):
            pieces.append(set(np.unique(one.outputs).tolist()))
    return pieces


def _may_be_cut(
    graph: Graph, origins: Origins, users: dict[int, list[int]], root: int
) -> bool:
    """Tell, by names alone, whether a cut may follow; in most nets none does."""
    seen, open_values = {root}, [root]
    while open_values:
        for place in users.get(open_values.pop(), ()):
            node = graph.nodes[place]
            if node.name in _CUTS:
                return True
            moves = node.name in (*MOVERS, *JOINERS, *_REDUCTIONS)
            if not (moves or is_elementwise(graph, node)):
                continue
            others = [v for v in node.inputs if v not in seen and origins.of_images[v]]
            # A sum with what is no mean of these outputs ends the way.
            if others and graph.size(others[0]) == graph.size(root):
                continue
            new = [v for v in node.outputs if v not in seen]
            seen.update(new)
            open_values += new
    return False


def _after(
    graph: Graph,
    users: dict[int, list[int]],
    root: int,
    found: dict[int, _Followed],
    means: dict[int, set[int]],
) -> Iterator[int]:
    """Iterate over the nodes that read what is followed, in order."""
    first = min(users.get(root, [len(graph.nodes)]))
    # Running averages are made and, here, never read.
    for place in sorted(needed_places(graph, graph.outputs)):
        if place >= first and any(
            v in found or v in means for v in graph.nodes[place].inputs
        ):
            yield place


def _follow(
    graph: Graph,
    origins: Origins,
    node: Node,
    found: dict[int, _Followed],
    means: dict[int, set[int]],
    constant: Constant,
) -> "tuple[list[_Followed], list[tuple[np.ndarray, np.ndarray]]] | set[int] | None":
    """Follow outputs through a node.

    Returns: what its results are made of, with the pairs of outputs that meet in it; or
        the outputs that its result is a mean of; or None where they are read.
    """
    given = [found.get(value) for value in node.inputs]
    known = [one for one in given if one is not None]
    of_means = [means[value] for value in node.inputs if value in means]
    elementwise = is_elementwise(graph, node)
    strange = any(
        origins.of_images[v] and v not in found and v not in means for v in node.inputs
    )
    if not known:
        passes = elementwise or node.name in (*MOVERS, *JOINERS, *_REDUCTIONS)
        alike = all(one == of_means[0] for one in of_means)
        return of_means[0] if passes and alike and not strange else None
    if node.name in (*MOVERS, *JOINERS):
        moved = move(node, [one and one.outputs for one in given], constant)
        if moved is None:
            return None
        linear = all(one.linear for one in known)
        return [_Followed(one, linear) for one in moved], []
    if node.name in _REDUCTIONS:
        one = known[0]
        axes = tuple(node.equation.params["axes"])
        first = one.outputs.min(axes)
        if (first == one.outputs.max(axes)).all():
            return [_Followed(first, False)], []
        return set(np.unique(one.outputs).tolist())
    shape = graph.shapes[node.outputs[0]].shape
    if not elementwise or strange or len(node.outputs) > 1:
        return None
    index: list[np.ndarray] = [np.broadcast_to(one.outputs, shape) for one in known]
    linear = node.name in _LINEAR and all(one.linear for one in known)
    met = [(index[0], one) for one in index[1:]]
    met = [pair for pair in met if (pair[0] != pair[1]).any()]
    if met and not (linear and node.name in ("add", "sub")):
        return None
    if of_means or (node.name in ("mul", "div") and len(known) > 1):
        linear = False
    return [_Followed(index[0], linear)], met


def _union(same: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Count outputs that meet as one: each stands for the least of its kind."""
    pairs = np.unique(np.stack([one.reshape(-1), other.reshape(-1)]), axis=1)
    same = same.copy()
    for left, right in pairs.T:
        low, high = sorted((same[left], same[right]))
        same[same == high] = low
    return same


def _parts(
    pieces: list[set[int]], same: np.ndarray, width: int
) -> tuple[tuple[int, ...], ...] | None:
    """Make parts of what is read: pieces that overlap are one."""
    parts: list[set[int]] = []
    for piece in pieces:
        kinds = np.unique(same[sorted(piece)])
        whole = set(np.flatnonzero(np.isin(same, kinds)).tolist())
        for part in [part for part in parts if part & whole]:
            parts.remove(part)
            whole |= part
        parts.append(whole)
    if not 1 < len(parts) <= _MOST:
        return None
    rest = set(range(width)).difference(*parts)
    parts = [part for part in (*parts, rest) if part]
    return tuple(sorted(tuple(sorted(part)) for part in parts))
