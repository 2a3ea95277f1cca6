"""Layouts of kernels: which number of an operation's kernel is which one in the module.

A module may store a kernel transposed, flat or turned, or scale it (a weight norm). As
long as each number of the kernel is made of one number of the parameter `p`, in a place
that moves alone decide, a scheme can set the parameter:

    q = transpose p; r = mul q scale; conv_general_dilated x r
"""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np

from init_study.network.graph.dataflow import Graph, run_node

# What moves numbers without changing them; what only casts them is passed through.
KEPT_BY = {"reshape", "transpose", "rev", "squeeze", "expand_dims", "broadcast_in_dim"}


def places_in_leaf(
    graph: Graph, made_by: dict[int, int], value: int, leaf: int
) -> np.ndarray | None:
    """Find, for each number of a value, its place in the flat leaf it was made of.

    The steps that moved the numbers are done again to the places 0, 1, 2, … instead.
    None where a step changes the shape in another way than by moving.
    """
    steps = []
    while value != leaf:
        if value not in made_by:
            return None
        node = graph.nodes[made_by[value]]
        size = graph.size(value)
        before = [v for v in node.inputs if graph.size(v) == size]
        reached = [v for v in before if _reaches(graph, made_by, v, leaf)]
        if not reached:
            return None
        if node.name in KEPT_BY:
            steps.append(node)
        elif graph.shapes[reached[0]].shape != graph.shapes[value].shape:
            return None
        value = reached[0]
    shape = graph.shapes[leaf].shape
    numbers = np.arange(prod(shape), dtype=np.int32).reshape(shape)
    if steps:
        with jax.ensure_compile_time_eval():
            moved = jnp.asarray(numbers)
            for node in reversed(steps):
                moved = run_node(node, [moved])[0]
            numbers = np.asarray(moved)
    return numbers


def _reaches(graph: Graph, made_by: dict[int, int], value: int, leaf: int) -> bool:
    """Tell whether a value depends on a leaf."""
    open_values = [value]
    while open_values:
        value = open_values.pop()
        if value == leaf:
            return True
        if value in made_by:
            open_values += graph.nodes[made_by[value]].inputs
    return False
