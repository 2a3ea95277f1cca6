"""Functions of one number on arrays of another shape than they were traced for.

What has a derivative of its own, as ReLU, keeps it: custom_jvp_call[relu] of
`[n, 24]` becomes one of `[n, 8]`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn

from init_study import jaxprs
from init_study.network.graph.dataflow import Node, run_node


def resized(
    node: Node, inputs: Sequence[Any], whole: tuple[int, ...], shape: tuple[int, ...]
) -> list[Any] | None:
    """Compute a function of one number on fewer numbers.

    Args:
        node: of such a function.
        inputs: numbers, or arrays of the new shape.
        whole: the shape that was traced.
        shape: the new one, of fewer numbers.

    Returns: what it gives; None where it has a derivative that cannot be kept.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: jax.nn.relu(x), {}, jnp.ones(6))
        >>> resized(traced.nodes[0], [jnp.array([-1.0, 2.0])], (6,), (2,))[0].tolist()
        [0.0, 2.0]
    """
    if not node.name.startswith("custom_"):
        return run_node(node, list(inputs))
    floats = all(jnp.issubdtype(jnp.asarray(x).dtype, jnp.floating) for x in inputs)
    if not node.name.startswith("custom_jvp") or not floats:
        return None
    size = 1
    for one in whole:
        size *= one

    @jax.custom_jvp
    def function(*given: Any) -> Any:
        return _plain(node.equation, given, whole, shape)

    @function.defjvp
    def rule(given: Any, slopes: Any) -> Any:
        """Take the rule that was traced, on the same numbers and zeros behind them."""

        def padded(x: Any) -> Any:
            x = jnp.asarray(x)
            more = (0, size - x.size)
            return jnp.pad(x.reshape(-1), more).reshape(whole) if x.ndim else x

        def call(*all_of: Any) -> Any:
            return run_node(node, list(all_of))[0]

        both = jax.jvp(call, tuple(map(padded, given)), tuple(map(padded, slopes)))
        count = 1
        for one in shape:
            count *= one
        return tuple(one.reshape(-1)[:count].reshape(shape) for one in both)

    return [function(*inputs)]


def _plain(
    equation: JaxprEqn, inputs: Any, whole: tuple[int, ...], shape: tuple[int, ...]
) -> Any:
    """Compute an equation without its own derivative."""

    def apply(inner: JaxprEqn, given: list[Any]) -> list[Any]:
        name = str(inner.primitive)
        if name.startswith("custom_jvp"):
            return [_plain(inner, given, whole, shape)]
        if name == "broadcast_in_dim":
            to = inner.params["shape"]
            return [jnp.broadcast_to(given[0], shape if to == whole else to)]
        return jaxprs.bind(inner, given)

    return jaxprs.interpret(equation.params["call_jaxpr"], (), list(inputs), apply)[0]
