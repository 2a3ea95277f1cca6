"""Slices: parameters of which each slice is read by itself.

u = slice p; v = squeeze u; c = dot_general x v      of each place along an axis of p
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from init_study.network.graph.dataflow import (
    CONTRACTIONS,
    Graph,
    Origins,
    Path,
    producers,
)
from init_study.network.graph.elementwise import is_elementwise
from init_study.network.graph.moving import JOINERS, MOVERS, Constant, move

_CASTS = ("convert_element_type", "copy", "stop_gradient")


class Cut(NamedTuple):
    """How a parameter is several.

    Attributes:
        axis: of the parameter.
        sets: the places along it of each part, ascending; all places, once.
        squeezed: whether parts have no such axis: one place each.
    """

    axis: int
    sets: tuple[tuple[int, ...], ...]
    squeezed: bool = False


def cut_of(graph: Graph, path: Path, sets: Iterable[np.ndarray]) -> Cut | None:
    """Find the one axis along which sets of places are apart; None if there is none.

    Args:
        graph: of a network's call.
        path: of a parameter.
        sets: places in it, flat, which each part takes.

    Example:
        >>> from init_study.network import graph
        >>> one = np.ones((2, 2))
        >>> traced, _ = graph.make_graph(lambda p, x: x, {("params", "w"): one}, one)
        >>> cut_of(traced, ("params", "w"), [np.array([0, 2]), np.array([1, 3])])
        Cut(axis=1, sets=((0,), (1,)), squeezed=False)
    """
    shape = graph.shapes[graph.variables[path]].shape
    owner = np.full(int(np.prod(shape)), -1)
    for index, places in enumerate(sets):
        owner[np.asarray(places).reshape(-1)] = index
    owner = owner.reshape(shape)
    if owner.size == 0 or owner.min() < 0 or owner.min() == owner.max():
        return None
    for axis in range(owner.ndim):
        lines = np.moveaxis(owner, axis, -1).reshape(-1, shape[axis])
        if (lines == lines[0]).all():
            count = int(owner.max()) + 1
            parts = [
                tuple(np.flatnonzero(lines[0] == i).tolist()) for i in range(count)
            ]
            one_each = len(shape) > 2 and all(len(part) == 1 for part in parts)
            return Cut(axis, tuple(parts), one_each and axis < len(shape) - 1)
    return None


def leaf_places(
    graph: Graph, made_by: dict[int, int], value: int, leaf: int, constant: Constant
) -> np.ndarray | None:
    """Find, for each number of a value, its place in the flat leaf it was made of.

    None where the way is not of moves and functions of one number alone.

    Args:
        graph: of a network's call.
        made_by: as of `producers`.
        value: the value.
        leaf: the value of a parameter.
        constant: as of `constants_of`.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x @ p["params", "w"][1],
        ...     {("params", "w"): jnp.ones((2, 3, 1))},
        ...     jnp.ones((2, 3)),
        ... )
        >>> leaf, constant = traced.variables["params", "w"], lambda value: None
        >>> made_by, value = producers(traced), traced.nodes[-1].inputs[1]
        >>> leaf_places(traced, made_by, value, leaf, constant).ravel()
        array([3, 4, 5])
    """
    if value == leaf:
        shape = graph.shapes[leaf].shape
        return np.arange(int(np.prod(shape))).reshape(shape)
    if value not in made_by:
        return None
    node = graph.nodes[made_by[value]]
    ways = [leaf_places(graph, made_by, v, leaf, constant) for v in node.inputs]
    known = [way for way in ways if way is not None]
    if not known:
        return None
    if node.name in MOVERS or node.name in JOINERS:
        moved = move(node, ways, constant)
        return None if moved is None else moved[node.outputs.index(value)]
    shape = graph.shapes[value].shape
    alike = all(way.shape == shape and (way == known[0]).all() for way in known)
    return known[0] if alike and is_elementwise(graph, node) else None


def find_stacks(graph: Graph, origins: Origins, constant: Constant) -> dict[Path, Cut]:
    """Find the parameters of which each slice is read by itself.

    Those are what loops read slice by slice, and what products with images read so; and
    with them the other parameters beside those, as biases, that are read alike.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        constant: as of `constants_of`.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x @ p["params", "w"][0] @ p["params", "w"][1],
        ...     {("params", "w"): jnp.ones((2, 3, 3))},
        ...     jnp.ones((2, 3)),
        ... )
        >>> origins = graph.find_origins(traced)
        >>> find_stacks(traced, origins, lambda value: None)
        {('params', 'w'): Cut(axis=0, sets=((0,), (1,)), squeezed=True)}
    """
    made_by, users = producers(graph), graph.users()
    found: dict[Path, Cut] = {}
    for value in sorted(graph.sliced):
        paths = [p for p in origins.variables[value] if p[0] == "params"]
        if len(paths) != 1 or origins.of_images[value]:
            continue
        places = leaf_places(graph, made_by, value, graph.variables[paths[0]], constant)
        cut = None if places is None else cut_of(graph, paths[0], list(places))
        if cut is not None and all(len(one) == 1 for one in cut.sets):
            found[paths[0]] = cut._replace(squeezed=True)
    if found:
        return found
    beside: dict[Path, Cut] = {}
    for path, leaf in graph.variables.items():
        if path[0] != "params" or not _is_sliced(graph, users, leaf):
            continue
        sets, multiplied = _readings(graph, users, leaf, constant)
        if sets is None or len(sets) < 2 or sum(map(len, sets)) != graph.size(leaf):
            continue
        cut = cut_of(graph, path, [np.asarray(one) for one in sets])
        if cut is not None and all(len(one) == 1 for one in cut.sets):
            where = found if multiplied else beside
            where[path] = cut._replace(squeezed=True)
    homes = {(path[:-1], len(cut.sets)) for path, cut in found.items()}
    return found | {
        path: cut for path, cut in beside.items() if (path[:-1], len(cut.sets)) in homes
    }


def _is_sliced(graph: Graph, users: dict[int, list[int]], leaf: int) -> bool:
    """Tell whether nobody reads a parameter but through slices."""
    readers = [graph.nodes[place] for place in users.get(leaf, ())]
    names = {node.name for node in readers}
    cuts = {"slice", "split", "dynamic_slice", "gather"}
    if names & {"transpose", *_CASTS}:
        return all(_is_sliced(graph, users, node.outputs[0]) for node in readers)
    return bool(names) and names <= cuts


def _readings(
    graph: Graph, users: dict[int, list[int]], leaf: int, constant: Constant
) -> tuple[list[tuple[int, ...]] | None, bool]:
    """Collect the sets of places that readers behind moves take, in order.

    Returns: the sets, or None if some overlap; and whether products take them.
    """
    shape = graph.shapes[leaf].shape
    open_values = {leaf: np.arange(int(np.prod(shape))).reshape(shape)}
    sets: set[tuple[int, ...]] = set()
    multiplied = False
    while open_values:
        value, places = open_values.popitem()
        for place in users.get(value, ()):
            node = graph.nodes[place]
            moved = move(node, [places, *[None] * (len(node.inputs) - 1)], constant)
            if moved is not None and node.inputs[0] == value:
                open_values.update(zip(node.outputs, moved, strict=True))
                continue
            sets.add(tuple(np.unique(places).tolist()))
            multiplied |= node.name in CONTRACTIONS
    ordered = sorted(sets)
    apart = len({place for one in ordered for place in one}) == sum(map(len, ordered))
    return (ordered if apart else None), multiplied
