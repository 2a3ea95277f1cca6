"""Products of values that both come from the images: gates, and sums of products.

    gate      c = mul a b                              einsum("bc,bc->bc", a, b)
    sum       c = mul a b; d = reduce_sum[axes=1] c    einsum("bm,bme->be", a, b)

A sum is what a product of matrices is: both vary along the axis that is summed, and one
of them has an axis of its own. A gated linear unit with a mean over places behind it is
a gate: each number is multiplied by one of its own before the sum.
"""

from collections.abc import Sequence
from math import prod

from init_study.network.graph.dataflow import Graph, Node, producers

_CASTS = ("convert_element_type", "copy", "reduce_precision")


def is_summed(graph: Graph, users: dict[int, list[int]], node: Node) -> bool:
    """Tell whether a product of two values is one that is summed, as kernels sum.

    Args:
        graph: of a network's call.
        users: as of `live_users`.
        node: a `dot_general` or `mul`.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> gated = lambda p, x: (x * jnp.tanh(x)).sum(1)
        >>> mixed = lambda p, x: jnp.einsum("bm,bme->be", x[..., 0], x)
        >>> for function in (gated, mixed):
        ...     traced, _ = graph.make_graph(function, {}, jnp.ones((2, 3, 4)))
        ...     (node,) = (n for n in traced.nodes if n.name in ("mul", "dot_general"))
        ...     print(is_summed(traced, traced.users(), node))
        False
        True
    """
    if node.name == "dot_general":
        (left, right), (ours, theirs) = node.equation.params["dimension_numbers"]
        one, other = (graph.shapes[value].shape for value in node.inputs)
        summed = prod(one[axis] for axis in left) > 1
        return summed and (_is_free(one, left, ours) or _is_free(other, right, theirs))
    (value,) = node.outputs
    shape = graph.shapes[value].shape
    while len(users.get(value, ())) == 1 and value not in graph.outputs:
        reader = graph.nodes[users[value][0]]
        if reader.name == "reduce_sum":
            made_by = producers(graph)
            gone = reader.equation.params["axes"]
            varies = [
                [_varies(graph, made_by, one, axis) for one in node.inputs]
                for axis in range(len(shape))
            ]
            summed = any(all(varies[axis]) for axis in gone if shape[axis] > 1)
            kept = [both for axis, both in enumerate(varies) if axis not in gone]
            return summed and any(any(both) and not all(both) for both in kept)
        if reader.name not in _CASTS:
            return False
        (value,) = reader.outputs
    return False


def _is_free(
    shape: tuple[int, ...], summed: Sequence[int], batched: Sequence[int]
) -> bool:
    """Tell whether an operand has an axis that is its own."""
    free = set(range(len(shape))) - {*summed, *batched}
    return any(shape[axis] > 1 for axis in free)


def _varies(graph: Graph, made_by: dict[int, int], value: int, axis: int) -> bool:
    """Tell whether a value is more than copies of one number along an axis."""
    while graph.shapes[value].shape[axis : axis + 1] != (1,) and value in made_by:
        node = graph.nodes[made_by[value]]
        if node.name == "broadcast_in_dim":
            kept = node.equation.params["broadcast_dimensions"]
            if axis not in kept:
                return False
            axis = kept.index(axis)
        elif node.name not in _CASTS:
            return True
        value = node.inputs[0]
    return graph.shapes[value].shape[axis : axis + 1] not in ((), (1,))
