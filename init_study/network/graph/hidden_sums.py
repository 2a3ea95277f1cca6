"""Sums inside of a `cond`, which is one node of the graph: no walk sees them."""

from init_study import jaxprs
from init_study.network.graph.dataflow import Graph, Origins


def has_hidden_sums(graph: Graph, origins: Origins) -> bool:
    """Tell whether a `cond` adds values of the images, which no sum here shows.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: jax.lax.cond(x.sum() > 0, lambda: x + x.T, lambda: x),
        ...     {},
        ...     jnp.ones((3, 3)),
        ... )
        >>> has_hidden_sums(traced, graph.find_origins(traced))
        True
    """
    for node in graph.nodes:
        if node.name != "cond" or not origins.of_images[node.outputs[0]]:
            continue
        for equation in jaxprs.inner_equations(node.equation):
            shapes = {getattr(v.aval, "shape", ()) for v in equation.invars}
            is_sum = str(equation.primitive) in ("add", "sub", "add_any")
            if is_sum and shapes == {graph.shapes[node.outputs[0]].shape}:
                return True
    return False
