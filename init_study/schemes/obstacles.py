"""What stands between the end of a branch and its sum, found by numbers, in words."""

from collections.abc import Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from init_study.errors import UserError
from init_study.network import Forward, Path, graph
from init_study.network.graph import ResidualSum
from init_study.network.graph.dataflow import Node, producers

_WORDS = {
    "logistic": "a sigmoid",
    "exp": "an exponential",
    "exp2": "an exponential",
    "cos": "a cosine",
    "cosh": "a cosine",
    "custom_jvp_call": "an activation",
    "tanh": "a tanh",
    "erf": "a GELU",
    "erfc": "a GELU",
    "max": "a ReLU or maximum",
    "select_n": "a choice",
    "log1p": "a softplus",
}


def what_is_not_zero(forward: Forward, images: Array, one: ResidualSum) -> str:
    """Say what makes a branch other than zero: the last thing that is not, of zeros.

    Args:
        forward: the pass.
        images: what went in.
        one: the sum.
    """
    traced, origins, made_by = (
        forward.traced,
        forward.origins,
        producers(forward.traced),
    )
    results = {use.result: la.kernel for la in forward.layers for use in la.uses}
    places = range(made_by[one.fork] if one.fork in made_by else 0, len(traced.nodes))
    wanted = tuple(v for place in places for v in traced.nodes[place].outputs)
    wanted += tuple(term.value for term in one.summands)
    run = jax.jit(lambda x: graph.compute(traced, forward.variables, x, wanted))
    values = run(images)
    is_zero = {v: not bool(jnp.any(x)) for v, x in zip(wanted, values, strict=True)}
    value = next(term.value for term in one.summands if not is_zero[term.value])
    joined = ""
    while value in made_by and value in is_zero and value != one.fork:
        node = traced.nodes[made_by[value]]
        if value in results:
            return _at_a_layer("/".join(results[value][1:]), value in one.results)
        moved = [v for v in node.inputs if origins.of_images[v]]
        # A product is not zero where none of its factors is.
        left = [v for v in moved if not is_zero.get(v, False)]
        if not left:
            return f"behind its last kernel comes {_words(forward, node)}"
        held = _holds(forward, one, value)
        value = max(left, key=lambda v: (_holds(forward, one, v), v))
        if held and not _holds(forward, one, value):
            joined = f", and comes in again by the operation {node.name}"
    return f"a part of it goes past all its kernels{joined}"


def what_bends(forward: Forward, one: ResidualSum) -> str:
    """Say which operation behind a branch's last kernels is not linear, if any is.

    Args:
        forward: the pass.
        one: the sum.
    """
    traced = forward.traced
    behind = set(one.results)
    for node in traced.nodes:
        if behind.isdisjoint(node.inputs):
            continue
        if node.name in _WORDS:
            return f"behind its last kernel comes {_words(forward, node)}"
        if one.output in node.outputs:
            break
        behind.update(node.outputs)
    return "it is not linear in its last kernel"


def refuse_other_uses(
    name: str, forward: Forward, sums: Sequence[ResidualSum], changed: Collection[Path]
) -> None:
    """Refuse tied kernels that are changed as a branch's end and are more than that.

    Args:
        name: of the scheme, for people.
        forward: the pass.
        sums: its residual sums.
        changed: the kernels that are changed as ends.

    Raises: UserError with the kernel.
    """
    results = frozenset().union(*(one.results for one in sums))
    for layer in forward.layers:
        others = [use for use in layer.uses if use.result not in results]
        if layer.kernel in changed and others:
            raise UserError(
                f"{name}: {'/'.join(layer.kernel[1:])} is used {len(layer.uses)} times "
                f"and ends a branch in {len(layer.uses) - len(others)} of them, but "
                "what is done to a branch's end would be done to every use; take a "
                "scheme that sets no branch"
            )


def _holds(forward: Forward, one: ResidualSum, value: int) -> bool:
    """Tell whether a value depends on one of a branch's ends."""
    needed = graph.needed_places(forward.traced, (value,))
    nodes = forward.traced.nodes
    return any(not one.results.isdisjoint(nodes[place].outputs) for place in needed)


def _at_a_layer(kernel: str, is_end: bool) -> str:
    if is_end:
        return f"{kernel} gives other numbers than zeros"
    return f"a part of it ends in {kernel}, which this scheme does not set"


def _words(forward: Forward, node: Node) -> str:
    """Name an operation: by the parameter that comes in, or by what it computes."""
    paths: Any = {
        "/".join(path[1:])
        for value in node.inputs
        for path in forward.origins.variables[value]
        if path[0] == "params"
    }
    if node.name in ("add", "sub", "add_any"):
        if paths:
            return f"{' and '.join(sorted(paths))}, which is not zero"
        return "a constant that is added"
    return _WORDS.get(node.name, f"the operation {node.name}, not zero at zero")
