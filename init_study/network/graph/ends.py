"""Where a branch ends: the kernels, and the scales, in which its summand is linear.

Walked back from the summand `s`, `c` a layer's output, `x` of the images:

    s = mul c x                           a gate on c: the factor that is linear goes on
    s = mul c g                           g a parameter: a scale that ends the branch
    e = sub c mean; s = mul e rsqrt·g     a norm: its scale is g
    s = concatenate c d                   both ways end it; sums and selections alike
    s = tanh c                            zero where c is, though not linear
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from init_study.network.graph.dataflow import CONTRACTIONS, Node, Origins, Path
from init_study.network.graph.elementwise import MOVES
from init_study.network.graph.walks import Ways

# What is a sum of its inputs' numbers times constants.
_LINEAR = {
    *MOVES,
    *"""add add_any sub neg reduce_sum concatenate stack pad slice dynamic_slice gather
    convert_element_type copy reduce_precision optimization_barrier stop_gradient rev
    reduce_window_sum cumsum select_n split psum select_and_gather_add real imag
    """.split(),
}
# What is zero where its inputs are, though it is not linear.
_KEEPS_ZERO = set(
    """max min abs sign tanh sinh asinh sin tan asin atan atanh erf erf_inv expm1 log1p
    sqrt cbrt square integer_pow floor round clamp custom_jvp_call custom_vjp_call
    custom_vjp_call_jaxpr reduce_max reduce_min reduce_window_max sort cummax top_k
    """.split()
)
_LINEARLY, _AT_ZERO, _NOT = 2, 1, 0


class Ends(NamedTuple):
    """What a value ends in.

    Attributes:
        results: of uses of kernels; with all of these at zero, the value is zero if
            `kind` is not 0, no way is open and nothing else is added behind them.
        scales: parameters that multiply the whole of a way behind its kernel, the last
            of each.
        bare: whether a way has no such scale.
        is_open: whether a way reaches no kernel.
        kind: 2 if the value is linear in them, 1 if it is zero with them, else 0.
    """

    results: frozenset[int]
    scales: frozenset[Path]
    bare: bool
    is_open: bool
    kind: int


_OPEN = Ends(frozenset(), frozenset(), True, True, _LINEARLY)


def find_ends(walk: Ways, value: int, is_own: Callable[[int], bool]) -> Ends:
    """Find the kernels and scales that a value of the images is linear in.

    Args:
        walk: through the graph of a network's call.
        value: the summand.
        is_own: whether a value is on the branch; the walk ends at others.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> from init_study.network.graph.walks import walk_of
        >>> variables = {("params", name): jnp.ones((3, 3)) for name in "vw"}
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x @ p["params", "w"] * jnp.exp(x @ p["params", "v"]),
        ...     variables,
        ...     jnp.ones((2, 3)),
        ... )
        >>> origins = graph.find_origins(traced)
        >>> walk = walk_of(traced, origins, graph.find_operations(traced, origins)[0])
        >>> ends = find_ends(walk, traced.outputs[0], lambda value: True)
        >>> [use.kernel for use in walk.uses if use.result in ends.results]
        [('params', 'w')]
    """
    graph, origins, made_by = walk.graph, walk.origins, walk.made_by
    results = {use.result for use in walk.uses}
    known: dict[int, Ends] = {}
    places, open_values = set(), [value]
    while open_values:
        current = open_values.pop()
        if current in known or not origins.of_images[current]:
            continue
        if not is_own(current) or current not in made_by:
            known[current] = _OPEN
        elif current in results:
            known[current] = _OPEN._replace(results=frozenset([current]), is_open=False)
        elif made_by[current] not in places:
            places.add(made_by[current])
            open_values += graph.nodes[made_by[current]].inputs
    for place in sorted(places):
        node = graph.nodes[place]
        ends = _through(origins, node, known)
        for output in node.outputs:
            known.setdefault(output, ends)
    return known[value]


def _through(origins: Origins, node: Node, known: Mapping[int, Ends]) -> Ends:
    """Tell what a node's result ends in, from what its inputs end in."""
    moved = [value for value in node.inputs if origins.of_images[value]]
    if node.name == "select_n" and len(moved) > 1 and moved[0] == node.inputs[0]:
        # What chooses adds nothing.
        moved = moved[1:]
    ends = [known[value] for value in moved]
    fixed = {p for v in node.inputs for p in origins.variables[v] if p[0] == "params"}
    if node.name in ("mul", "div", *CONTRACTIONS):
        return _of_product(node, origins, ends, fixed)
    kind = _LINEARLY if node.name in _LINEAR else _NOT
    kind = _AT_ZERO if node.name in _KEEPS_ZERO else kind
    whole = Ends(
        frozenset().union(*(one.results for one in ends)),
        frozenset().union(*(one.scales for one in ends)),
        any(one.bare for one in ends),
        any(one.is_open for one in ends),
        min(kind, *(one.kind for one in ends)),
    )
    # Before a function that is not zero at zero, no scale ends anything.
    return whole if kind else whole._replace(scales=frozenset(), bare=True)


def _of_product(
    node: Node, origins: Origins, ends: list[Ends], fixed: set[Path]
) -> Ends:
    """Tell what a product ends in: the factor that is linear in a kernel.

    The other one is a gate, and what scales it scales the product.
    """
    if len(ends) == 1:
        (one,) = ends
        if node.name == "div" and not origins.of_images[node.inputs[0]]:
            return one._replace(scales=frozenset(), bare=True, kind=_NOT)
        if node.name in ("mul", "div") and len(fixed) == 1:
            return one._replace(scales=frozenset(fixed), bare=False)
        return one
    order = (
        [0, 1] if node.name == "div" else sorted([0, 1], key=lambda i: _rank(ends[i]))
    )
    chosen, gate = ends[order[0]], ends[order[1]]
    from_gate = gate.kind == _NOT or chosen.bare
    if from_gate and gate.scales and not gate.bare:
        return chosen._replace(scales=gate.scales, bare=False)
    return chosen


def _rank(ends: Ends) -> tuple[bool, int, bool]:
    """Order the factors of a product: first what kernels at zero make zero."""
    closed = not ends.is_open and ends.kind > _NOT
    return not closed, -ends.kind, not ends.results
