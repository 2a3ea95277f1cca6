"""Cuts: where parameters are several, read apart by what follows.

Two kinds, found on numbered places that go the way of the numbers:

    stacked    u = slice p; c = dot_general x u        each slice is read by itself
    packed     c = dot_general x p; q, k = split c     each part of the output is
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
from init_study.network.graph.moving import JOINERS, MOVERS, Constant, constants_of, move
from init_study.network.graph.operations import Operation, find_operations
from init_study.network.graph.pieces import find_pieces

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


def find_cuts(graph: Graph, origins: Origins) -> dict[Path, Cut]:
    """Find the parameters that are several, and how.

    Args:
        graph: of a network's call.
        origins: what its values come from.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: jnp.split(x @ p["params", "w"], [1], -1),
        ...     {("params", "w"): jnp.ones((3, 4))},
        ...     jnp.ones((2, 3)),
        ... )
        >>> find_cuts(traced, graph.find_origins(traced))
        {('params', 'w'): Cut(axis=1, sets=((0,), (1, 2, 3)), squeezed=False)}
    """
    constant = constants_of(graph, origins)
    stacks = _stacks(graph, origins, constant)
    if stacks:
        return stacks
    found: dict[Path, Cut] = {}
    operations, _ = find_operations(graph, origins)
    users = graph.users()
    for operation in operations:
        if operation.parts > 1 or operation.kernel in found:
            continue
        if operation.kind == "conv" and operation.groups > 1:
            continue
        columns = _columns(graph, operation)
        if columns is None:
            continue
        parts = find_pieces(graph, origins, users, operation.result, columns, constant)
        if parts is None:
            continue
        cuts = {operation.kernel: _cut_of_kernel(graph, operation, parts)}
        if operation.bias is not None:
            bias = _bias_places(graph, operation, columns, constant)
            cuts[operation.bias] = None if bias is None else _cut(
                graph, operation.bias, [bias[list(one)] for one in parts]
            )
        if all(cut is not None for cut in cuts.values()):
            found.update({path: cut for path, cut in cuts.items() if cut is not None})
    return found


def _columns(graph: Graph, operation: Operation) -> np.ndarray | None:
    """Number the outputs of an operation: for each number of its result, which it is."""
    node = graph.nodes[operation.place]
    shape = graph.shapes[operation.result].shape
    params = node.equation.params
    if operation.kind == "conv":
        axes = [params["dimension_numbers"].out_spec[1]]
    else:
        (_, _), (batch, _) = params["dimension_numbers"]
        contracted = params["dimension_numbers"][0]
        if batch:
            return None
        side = 1 - operation.side
        weights = graph.shapes[node.inputs[side]].shape
        count = len(weights) - len(contracted[side])
        first = 0 if side == 0 else len(shape) - count
        axes = list(range(first, first + count))
    sizes = [shape[axis] for axis in axes]
    numbers = np.arange(int(np.prod(sizes))).reshape(sizes)
    others = [axis for axis in range(len(shape)) if axis not in axes]
    return np.broadcast_to(np.expand_dims(numbers, others), shape)


def _cut_of_kernel(
    graph: Graph, operation: Operation, parts: tuple[tuple[int, ...], ...]
) -> Cut | None:
    width = operation.shape[-1]
    order = operation.order
    size = graph.size(graph.variables[operation.kernel])
    places = (np.arange(size) if order is None else order).reshape(-1, width)
    return _cut(graph, operation.kernel, [places[:, list(one)] for one in parts])


def _cut(graph: Graph, path: Path, sets: Iterable[np.ndarray]) -> Cut | None:
    """Find the one axis along which sets of places are apart; None if there is none."""
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
            parts = [tuple(np.flatnonzero(lines[0] == i).tolist()) for i in range(count)]
            one_each = len(shape) > 2 and all(len(part) == 1 for part in parts)
            return Cut(axis, tuple(parts), one_each and axis < len(shape) - 1)
    return None


def _bias_places(
    graph: Graph, operation: Operation, columns: np.ndarray, constant: Constant
) -> np.ndarray | None:
    """Find, for each output, the place of its number in the bias."""
    made_by = producers(graph)
    value, places = operation.result, columns
    while value != operation.outputs:
        reader = next(
            (node for node in graph.nodes[operation.place :] if value in node.inputs),
            None,
        )
        if reader is None:
            return None
        if reader.name == "add":
            (other,) = (v for v in reader.inputs if v != value)
            leaf = graph.variables[operation.bias or ()]
            numbers = places_of(graph, made_by, other, leaf, constant)
            if numbers is None or numbers.ndim not in (0, places.ndim):
                return None
            numbers = np.broadcast_to(numbers, places.shape)
            found = np.zeros(operation.shape[-1], np.int64)
            found[places.reshape(-1)] = numbers.reshape(-1)
            return found
        moved = move(reader, [places], constant)
        if moved is None:
            return None
        value, places = reader.outputs[0], moved[0]
    return None


def places_of(
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
        >>> node = traced.nodes[-1]
        >>> places_of(traced, producers(traced), node.inputs[1], leaf, constant).ravel()
        array([3, 4, 5])
    """
    if value == leaf:
        shape = graph.shapes[leaf].shape
        return np.arange(int(np.prod(shape))).reshape(shape)
    if value not in made_by:
        return None
    node = graph.nodes[made_by[value]]
    ways = [places_of(graph, made_by, v, leaf, constant) for v in node.inputs]
    known = [way for way in ways if way is not None]
    if not known:
        return None
    if node.name in MOVERS or node.name in JOINERS:
        moved = move(node, ways, constant)
        return None if moved is None else moved[node.outputs.index(value)]
    shape = graph.shapes[value].shape
    alike = all(way.shape == shape and (way == known[0]).all() for way in known)
    return known[0] if alike and is_elementwise(graph, node) else None


def _stacks(graph: Graph, origins: Origins, constant: Constant) -> dict[Path, Cut]:
    """Find the parameters of which each slice is read by itself.

    Those are what loops read slice by slice, and what products with images read so; and
    with them the other parameters beside those, as biases, that are read alike.
    """
    made_by, users = producers(graph), graph.users()
    found: dict[Path, Cut] = {}
    for value in sorted(graph.sliced):
        paths = [p for p in origins.variables[value] if p[0] == "params"]
        if len(paths) != 1 or origins.of_images[value]:
            continue
        places = places_of(graph, made_by, value, graph.variables[paths[0]], constant)
        cut = None if places is None else _cut(graph, paths[0], list(places))
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
        cut = _cut(graph, path, [np.asarray(one) for one in sets])
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
