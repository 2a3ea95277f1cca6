"""Cuts: where parameters are several, read apart by what follows.

Two kinds, found on numbered places that go the way of the numbers:

    stacked    u = slice p; c = dot_general x u        each slice is read by itself
    packed     c = dot_general x p; q, k = split c     each part of the output is
"""

import numpy as np

from init_study.network.graph.contractions import Operation
from init_study.network.graph.dataflow import Graph, Origins, Path, producers
from init_study.network.graph.moving import Constant, constants_of, move
from init_study.network.graph.operations import find_operations
from init_study.network.graph.pieces import find_pieces
from init_study.network.graph.slices import Cut, cut_of, find_stacks, leaf_places


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
    stacks = find_stacks(graph, origins, constant)
    if stacks:
        return stacks
    found: dict[Path, Cut] = {}
    operations, _ = find_operations(graph, origins)
    users = graph.users()
    for operation in operations:
        if operation.kernel in found:
            continue
        columns = _columns(graph, operation)
        parts = mapped = _mapped(graph, operation)
        if parts is None and operation.parts == operation.groups == 1:
            root = operation.result
            parts = find_pieces(graph, origins, users, root, columns, constant)
        if parts is None:
            continue
        cuts = {operation.kernel: _cut_of_kernel(graph, operation, parts)}
        if operation.bias is not None:
            bias = _bias_places(graph, operation, columns, constant)
            cuts[operation.bias] = (
                None
                if bias is None
                else cut_of(graph, operation.bias, [bias[list(one)] for one in parts])
            )
        if all(cut is not None for cut in cuts.values()):
            for path, cut in cuts.items():
                assert cut is not None
                found[path] = cut._replace(squeezed=bool(mapped) or cut.squeezed)
    return found


def _mapped(graph: Graph, operation: Operation) -> tuple[tuple[int, ...], ...] | None:
    """Find the outputs of kernels that are stacked along another axis than the first.

    A convolution's kernel then has an axis too many; a product, one of a batch.
    """
    leaf = graph.shapes[graph.variables[operation.kernel]].shape
    axes = [a for a in range(1, len(leaf)) if leaf[a] == operation.parts > 1]
    width = operation.shape[-1]
    for axis in axes:
        owner = np.unravel_index(_kernel_places(graph, operation), leaf)[axis]
        count = leaf[axis]
        if width % count == 0:
            wanted = np.repeat(np.arange(count), width // count)
            if count > 1 and (owner == wanted).all():
                columns = np.arange(width).reshape(count, -1)
                return tuple(tuple(one) for one in columns.tolist())
    return None


def _columns(graph: Graph, operation: Operation) -> np.ndarray:
    """Find, for each number of an operation's result, which output it is."""
    node = graph.nodes[operation.place]
    shape = graph.shapes[operation.result].shape
    params = node.equation.params
    if operation.kind == "conv":
        axes = [params["dimension_numbers"].out_spec[1]]
    else:
        contracted, (batch, _) = params["dimension_numbers"]
        side = 1 - operation.side
        rank = len(graph.shapes[node.inputs[side]].shape)
        count = rank - len(contracted[side]) - len(batch)
        first = len(batch) if side == 0 else len(shape) - count
        axes = [*range(len(batch)), *range(first, first + count)]
    sizes = [shape[axis] for axis in axes]
    numbers = np.arange(int(np.prod(sizes))).reshape(sizes)
    others = [axis for axis in range(len(shape)) if axis not in axes]
    return np.broadcast_to(np.expand_dims(numbers, others), shape)


def _cut_of_kernel(
    graph: Graph, operation: Operation, parts: tuple[tuple[int, ...], ...]
) -> Cut | None:
    places = _kernel_places(graph, operation)
    return cut_of(graph, operation.kernel, [places[:, list(one)] for one in parts])


def _kernel_places(graph: Graph, operation: Operation) -> np.ndarray:
    """Find the place in the parameter of each number of a kernel, `[in, out]`."""
    size = graph.size(graph.variables[operation.kernel])
    places = np.arange(size) if operation.order is None else operation.order
    return places.reshape(-1, operation.shape[-1])


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
            numbers = leaf_places(graph, made_by, other, leaf, constant)
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
