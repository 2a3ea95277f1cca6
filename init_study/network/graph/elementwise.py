"""Functions of one number in a graph: which nodes compute them, and what they are."""

from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from init_study import jaxprs
from init_study.network.graph.dataflow import (
    Graph,
    Node,
    Path,
    compute,
    run_node,
)

# Primitives that compute each number of the result from those at its place alone.
ELEMENTWISE = set(
    """abs acos acosh add asin asinh atan atan2 atanh cbrt clamp convert_element_type
    copy cos cosh div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow
    is_finite le log log1p logistic lt max min mul ne neg not and or pow round rsqrt
    select_n sign sin sinh sqrt square stop_gradient sub tan tanh xor""".split()
)
_CUSTOM_DERIVATIVES = ("custom_jvp_call", "custom_vjp_call")
# Primitives that give the same numbers in another shape, or more than once.
MOVES = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose")
# Over axes of size 1, as a global mean at one place, these do so too.
_OVER_AXES = ("reduce_sum", "reduce_max", "reduce_min")


def is_elementwise(graph: Graph, node: Node) -> bool:
    """Tell whether each number of the result depends on those at its place alone."""
    if node.name == "broadcast_in_dim":
        return graph.size(node.inputs[0]) in (1, graph.size(node.outputs[0]))
    if node.name.startswith(_CUSTOM_DERIVATIVES):
        inner = [
            equation
            for equation in jaxprs.inner_equations(node.equation)
            if equation.primitive not in jaxprs.CALLS
            and not str(equation.primitive).startswith(_CUSTOM_DERIVATIVES)
        ]
        names = {str(equation.primitive) for equation in inner}
        return names <= {*ELEMENTWISE, "broadcast_in_dim"}
    return node.name in ELEMENTWISE


def only_moves(graph: Graph, node: Node) -> bool:
    """Tell whether a node gives the same numbers in another shape."""
    before, after = graph.size(node.inputs[0]), graph.size(node.outputs[0])
    moves = node.name in (*MOVES, *_OVER_AXES)
    return moves and len(node.inputs) == 1 and before == after


def only_casts(graph: Graph, node: Node) -> bool:
    """Tell whether a node gives the same floats in another precision."""
    dtypes = [graph.shapes[value].dtype for value in (*node.inputs, *node.outputs)]
    floats = all(jnp.issubdtype(dtype, jnp.floating) for dtype in dtypes)
    return node.name in ("convert_element_type", "copy") and floats


def moved_as(node: Node, numbers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Move numbers as a node does that keeps all of them.

    Args:
        node: of the graph; one that moves nothing leaves them in order.
        numbers: in the shape of its input.
        shape: of its output.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: x.T, {}, jnp.ones((2, 2)))
        >>> moved_as(traced.nodes[0], np.arange(4).reshape(2, 2), (2, 2)).tolist()
        [[0, 2], [1, 3]]
    """
    permutation = _permutation(node)
    moved = numbers if permutation is None else numbers.transpose(permutation)
    return moved.reshape(shape)


def _permutation(node: Node) -> Any:
    """Find the order of axes that a node makes; a reshape may make one before."""
    params = node.equation.params
    return params.get("permutation") or (
        params.get("dimensions") if node.name == "reshape" else None
    )


def keeps_order(graph: Graph, node: Node) -> bool:
    """Tell whether a node gives the same numbers in the same order, or casts them.

    Example:
        >>> from init_study.network import graph
        >>> images = jnp.ones((2, 3))
        >>> traced, _ = graph.make_graph(lambda p, x: x.T.reshape(-1), {}, images)
        >>> [keeps_order(traced, node) for node in traced.nodes]
        [False, True]
    """
    if only_casts(graph, node):
        return True
    return only_moves(graph, node) and _permutation(node) is None


def is_affine(graph: Graph, node: Node, moving: Collection[int]) -> bool:
    """Tell whether a node scales, shifts, casts or moves what it reads.

    Args:
        graph: the graph.
        node: of it.
        moving: the values that are no constants.
    """
    read = [value for value in node.inputs if value in moving]
    if node.name == "mul":
        return len(read) == 1
    if node.name == "div":
        return read == [node.inputs[0]]
    plain = node.name in ("add", "sub", "neg", "broadcast_in_dim")
    return plain or keeps_order(graph, node)


def function_of(
    graph: Graph,
    root: int,
    nodes: Sequence[Node],
    exit_value: int,
    variables: Mapping[Path, Any],
) -> Callable[[Any], Any] | None:
    """Make nodes that compute each number by itself a function of an array.

    None if a constant in it differs from place to place.
    """
    inside = {root, *(value for node in nodes for value in node.outputs)}
    fixed = sorted({v for node in nodes for v in node.inputs} - inside)
    made = compute(graph, variables, None, tuple(fixed))
    constants = dict(zip(fixed, made, strict=True))
    for constant in map(np.asarray, constants.values()):
        if constant.size == 0 or (constant != constant.flat[0]).any():
            return None
    shape, dtype = graph.shapes[root].shape, graph.shapes[root].dtype

    def block(x: Any) -> Any:
        values = {**constants, root: x}
        for node in nodes:
            results = run_node(node, [values[value] for value in node.inputs])
            values.update(zip(node.outputs, results, strict=True))
        return values[exit_value].reshape(-1)

    def function(x: Any) -> Any:
        """Apply it in blocks of the shape that was traced: nodes may depend on it."""
        size = prod(shape)
        count = -(-x.size // size)
        flat = jnp.pad(x.reshape(-1).astype(dtype), (0, count * size - x.size))
        blocks = jax.lax.map(block, flat.reshape(count, *shape))
        return blocks.reshape(-1)[: x.size].reshape(x.shape).astype(x.dtype)

    return function
