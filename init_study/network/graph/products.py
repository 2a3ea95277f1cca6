"""Products of values that both come from the images: gates, and sums of products.

    gate      c = mul a b                              einsum("bc,bc->bc", a, b)
    sum       c = mul a b; d = reduce_sum[axes=1] c    einsum("bm,bm->b", a, b)

Where one of the two is the same number all along the axis, it is a gate of the sum: a
gate of channels, then a sum over places.
"""

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
        >>> gate = lambda p, x: x * jnp.tanh(x)
        >>> both = lambda p, x: (x * jnp.tanh(x)).sum(1)
        >>> for function in (gate, both):
        ...     traced, _ = graph.make_graph(function, {}, jnp.ones((2, 3)))
        ...     print(is_summed(traced, traced.users(), traced.nodes[1]))
        False
        True
    """
    if node.name == "dot_general":
        (left, _), _ = node.equation.params["dimension_numbers"]
        return prod(graph.shapes[node.inputs[0]].shape[axis] for axis in left) > 1
    (value,) = node.outputs
    shape = graph.shapes[value].shape
    while len(users.get(value, ())) == 1 and value not in graph.outputs:
        reader = graph.nodes[users[value][0]]
        if reader.name == "reduce_sum":
            made_by = producers(graph)
            axes = [a for a in reader.equation.params["axes"] if shape[a] > 1]
            return any(
                all(_varies(graph, made_by, one, axis) for one in node.inputs)
                for axis in axes
            )
        if reader.name not in _CASTS:
            return False
        (value,) = reader.outputs
    return False


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
