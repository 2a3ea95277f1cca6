"""Kernels that are put together of several: each gets an operation of its own.

`x` of the images, `u` and `v` of parameters:

    w = concatenate u v; c = dot_general x w; d, e = split c
    is    d = dot_general x u; e = dot_general x v

A value that is put together stays its parts, side by side along one axis, through
moves, functions of one number, biases, means along other axes and products with the
rest; where a node needs it whole, it is put together there.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from init_study.network.graph.building import make_graph
from init_study.network.graph.dataflow import (
    Graph,
    Node,
    Path,
    needed_places,
    run_node,
)
from init_study.network.graph.elementwise import is_elementwise
from init_study.network.graph.moving import (
    JOINERS,
    MOVERS,
    Constant,
    constants_of,
    move,
)
from init_study.network.graph.packed import Packed, resize, take, whole
from init_study.network.graph.resizing import resized
from init_study.network.graph.tokens import find_origins

_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min")


def part(graph: Graph) -> Graph:
    """Give each part of a kernel that is put together an operation of its own.

    Args:
        graph: of a network's call; one without such kernels is given back as it is.

    Example:
        >>> one = jnp.ones((3, 2))
        >>> traced, _ = make_graph(
        ...     lambda p, x: jnp.split(x @ jnp.hstack([p["params", "u"], p["params", "v"]]), 2, 1),
        ...     {("params", "u"): one, ("params", "v"): one},
        ...     one.T,
        ... )
        >>> [node.name for node in part(traced).nodes]
        ['dot_general', 'dot_general']
    """  # noqa: E501
    if not any(node.name in JOINERS for node in graph.nodes):
        return graph
    origins = find_origins(graph)
    joins = {
        place
        for place, node in enumerate(graph.nodes)
        if node.name in JOINERS
        and _joins(node, [origins.variables[v] for v in node.inputs])
    }
    if not joins:
        return graph
    constant = constants_of(graph, origins)
    needed = needed_places(graph, graph.outputs)

    def run(variables: dict[Path, Any], images: Any) -> list[Any]:
        values: dict[int, Any] = {**graph.constants, graph.images: images}
        values.update({graph.variables[path]: leaf for path, leaf in variables.items()})
        for place, node in enumerate(graph.nodes):
            if place not in needed:
                continue
            inputs = [values[value] for value in node.inputs]
            results = _pack(node, inputs) if place in joins else None
            if results is None:
                results = _through(graph, node, inputs, constant)
            values.update(zip(node.outputs, results, strict=True))
        return [whole(values[value]) for value in graph.outputs]

    shapes = {path: graph.shapes[value] for path, value in graph.variables.items()}
    return make_graph(run, shapes, graph.shapes[graph.images])[0]


def _joins(node: Node, made_of: Sequence[frozenset[Path]]) -> bool:
    """Tell whether a node puts different parameters together."""
    return (
        all(any(path[0] == "params" for path in one) for one in made_of)
        and len(set(made_of)) == len(made_of) > 1
    )


def _pack(node: Node, inputs: list[Any]) -> list[Any]:
    params = node.equation.params
    if node.name == "stack":
        axis = params["axis"]
        inputs = [jnp.expand_dims(whole(one), axis) for one in inputs]
    else:
        axis, inputs = params["dimension"], [whole(one) for one in inputs]
    ends = np.cumsum([0, *(one.shape[axis] for one in inputs)])
    sets = [tuple(range(*pair)) for pair in pairwise(ends.tolist())]
    return [Packed(tuple(inputs), tuple(sets), axis)]


def _through(
    graph: Graph, node: Node, inputs: list[Any], constant: Constant
) -> list[Any]:
    """Compute a node, part by part where that is possible."""
    if any(isinstance(one, Packed) for one in inputs):
        results = _by_parts(graph, node, inputs, constant)
        if results is not None:
            return results
        inputs = [whole(one) for one in inputs]
    return run_node(node, inputs)


def _by_parts(
    graph: Graph, node: Node, inputs: list[Any], constant: Constant
) -> list[Any] | None:
    first, params = inputs[0], node.equation.params
    if node.name == "dot_general":
        return _product(node, inputs)
    if node.name == "conv_general_dilated":
        return _convolution(node, inputs)
    if node.name in MOVERS and isinstance(first, Packed):
        return _moved(node, first, constant)
    if node.name in _REDUCTIONS and isinstance(first, Packed):
        if first.axis in params["axes"]:
            return None
        made = tuple(run_node(node, [one])[0] for one in first.parts)
        gone = sum(axis < first.axis for axis in params["axes"])
        return [Packed(made, first.sets, first.axis - gone)]
    if len(node.outputs) == 1 and is_elementwise(graph, node):
        return _elementwise(graph, node, inputs)
    return None


def _elementwise(graph: Graph, node: Node, inputs: list[Any]) -> list[Any] | None:
    like = next(one for one in inputs if isinstance(one, Packed))
    shape = graph.shapes[node.outputs[0]].shape
    if len(shape) != len(like.shape) or shape[like.axis] != like.shape[like.axis]:
        return None
    made = []
    for places in like.sets:
        given = [
            take(value, like.axis, places) if np.ndim(_some(value)) else value
            for value in inputs
        ]
        results = resized(node, given, shape, resize(shape, like.axis, len(places)))
        if results is None:
            return None
        made += results
    return [like._replace(parts=tuple(made))]


def _product(node: Node, inputs: list[Any]) -> list[Any] | None:
    """Compute a product part by part along what is not summed over."""
    contracted, batched = node.equation.params["dimension_numbers"]
    for side, packed in enumerate(inputs):
        if not isinstance(packed, Packed) or packed.axis in contracted[side]:
            continue
        other, axis = inputs[1 - side], packed.axis
        if axis in batched[side]:
            out = list(batched[side]).index(axis)
            over = batched[1 - side][out]
            others = [take(other, over, places) for places in packed.sets]
        else:
            used = {*contracted[side], *batched[side]}
            free = [a for a in range(len(packed.shape)) if a not in used]
            ahead = (
                len(inputs[0].shape) - len(contracted[0]) if side else len(batched[0])
            )
            out = ahead + free.index(axis)
            others = [whole(other)] * len(packed.parts)
        pairs = zip(packed.parts, others, strict=True)
        made = [
            run_node(node, list(pair if side == 0 else pair[::-1])) for pair in pairs
        ]
        return [Packed(tuple(one[0] for one in made), packed.sets, out)]
    return None


def _convolution(node: Node, inputs: list[Any]) -> list[Any] | None:
    images, kernel = inputs
    params = node.equation.params
    spec, groups = params["dimension_numbers"], params["feature_group_count"]
    if not isinstance(kernel, Packed) or kernel.axis != spec.rhs_spec[0]:
        return None
    count = len(kernel.parts)
    ordered = [place for places in kernel.sets for place in places]
    even = len(set(map(len, kernel.sets))) == 1 and ordered == sorted(ordered)
    if params["batch_group_count"] > 1 or (groups > 1 and (groups % count or not even)):
        return None
    axis, every = spec.lhs_spec[1], whole(images)
    given = [every] * count
    if groups > 1:
        # Each part reads features of its own.
        size = every.shape[axis] // count
        ranges = [tuple(range(i * size, (i + 1) * size)) for i in range(count)]
        given = [take(images, axis, places) for places in ranges]
        params = {**params, "feature_group_count": groups // count}
    made = [
        node.equation.primitive.bind(*pair, **params)
        for pair in zip(given, kernel.parts, strict=True)
    ]
    return [Packed(tuple(made), kernel.sets, spec.out_spec[1])]


def _moved(node: Node, packed: Packed, constant: Constant) -> list[Any] | None:
    """Move parts as a node moves the whole, found on numbered places."""
    shape = packed.shape
    owner, local = np.empty(shape, np.int64), np.empty(shape, np.int64)
    for index, (one, places) in enumerate(zip(packed.parts, packed.sets, strict=True)):
        where = [np.arange(size) for size in shape]
        where[packed.axis] = np.asarray(places)
        owner[np.ix_(*where)] = index
        local[np.ix_(*where)] = np.arange(one.size).reshape(one.shape)
    owners = move(node, [owner, *[None] * (len(node.inputs) - 1)], constant)
    locals_ = move(node, [local, *[None] * (len(node.inputs) - 1)], constant)
    if owners is None or locals_ is None:
        return None
    results = [
        _placed(node, packed, *pair) for pair in zip(owners, locals_, strict=True)
    ]
    return None if any(one is None for one in results) else results


def _placed(
    node: Node, packed: Packed, owner: np.ndarray, local: np.ndarray
) -> Any | None:
    """Make the value whose numbers are those of parts at these places."""
    found = np.unique(owner)
    if len(found) == 1:
        return _rearranged(node, packed.parts[found[0]], local)
    for axis in range(owner.ndim):
        line = np.moveaxis(owner, axis, -1)
        if (line == line.reshape(-1, line.shape[-1])[0]).all():
            row = line.reshape(-1, line.shape[-1])[0]
            sets = [np.flatnonzero(row == index) for index in found]
            made = tuple(
                _rearranged(node, packed.parts[i], np.take(local, places, axis))
                for i, places in zip(found, sets, strict=True)
            )
            return Packed(made, tuple(tuple(map(int, s)) for s in sets), axis)
    return None


def _rearranged(node: Node, value: Any, local: np.ndarray) -> Any:
    """Move one part: by a reshape, a transpose or a slice, if one of them does."""
    numbers = np.arange(value.size)
    if local.size == value.size and (local.reshape(-1) == numbers).all():
        return value if value.shape == local.shape else value.reshape(local.shape)
    if node.name == "transpose":
        return jnp.transpose(value, node.equation.params["permutation"])
    numbers = numbers.reshape(value.shape)
    if local.ndim == value.ndim:
        first = np.unravel_index(local.reshape(-1)[0], value.shape)
        last = np.unravel_index(local.reshape(-1)[-1], value.shape)
        cut = tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
        if numbers[cut].shape == local.shape and (numbers[cut] == local).all():
            starts, limits = zip(*((c.start, c.stop) for c in cut), strict=True)
            return jax.lax.slice(value, starts, limits)
    if node.name == "broadcast_in_dim":
        dims = node.equation.params["broadcast_dimensions"]
        return jax.lax.broadcast_in_dim(value, local.shape, dims)
    return jnp.take(value.reshape(-1), local, mode="clip")


def _some(value: Any) -> Any:
    return value.parts[0] if isinstance(value, Packed) else value
