"""Residual branches: sums of paths that part at one value.

fork:   b
branch: c = conv_general_dilated b w      any operations, at least one layer
sum:    d = add c b                       or add c (another path from b); sub alike
        d = reduce_sum[axis](stack[axis] c b)
more:   e = add d (a third path from b)   one sum of three, if nobody else reads d
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from init_study.network.graph.bypasses import is_bypassed
from init_study.network.graph.contractions import Operation, Use
from init_study.network.graph.dataflow import Graph, Node, Origins, Path
from init_study.network.graph.ends import Ends, find_ends
from init_study.network.graph.walks import Ways, walk_of

# Between two nodes of one sum, these change no number.
_PASSES = ("convert_element_type", "copy", "reshape", "squeeze", "expand_dims")


class Term(NamedTuple):
    """One term of a sum.

    Attributes:
        place: of the node that reads it.
        side: which of the node's inputs it is.
        value: that input.
    """

    place: int
    side: int
    value: int


class ResidualSum(NamedTuple):
    """One residual sum: a branch, and the way around it.

    Attributes:
        layers: paths of the kernels on the branch, in the order of execution.
        shortcut: those on the way around it; none for an identity.
        summands: the branch's terms; more than one for parallel paths.
        fork: the value where all ways begin.
        output: the sum.
        ends: paths of the kernels in which the summands are linear.
        scales: paths of the parameters that multiply all of the branch behind them;
            none if a way to a summand has no such parameter.
        before: paths of the kernels on the branch that lead to an end.
        depth: layers on the longest way to an end, itself included.
        results: what the ends give.
    """

    layers: tuple[Path, ...]
    shortcut: tuple[Path, ...]
    summands: tuple[Term, ...]
    fork: int
    output: int
    ends: tuple[Path, ...] = ()
    scales: tuple[Path, ...] = ()
    before: tuple[Path, ...] = ()
    depth: int = 0
    results: frozenset[int] = frozenset()


class _Sum(NamedTuple):
    """A sum of values that part at a fork; `is_identity` if one is the fork itself."""

    terms: tuple[Term, ...]
    fork: int
    output: int
    is_identity: bool


def find_sums(
    graph: Graph,
    origins: Origins,
    layers: tuple[Operation, ...],
    note: Callable[[ResidualSum], None] = lambda one: None,
) -> tuple[ResidualSum, ...]:
    """Find the residual sums, in the order of execution.

    The shortcut of a sum is the way that can be walked with the fewest layers; where
    several have as few, the one with the smallest kernels in all, then the first. The
    others are the branch. The layers on a way are those that depend on the fork. A sum
    is left out if a part of it goes past kernels that all end sums inside of it.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        layers: its operations.
        note: is called with each sum that is left out.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> variables, images = {("params", "w"): jnp.ones((3, 3))}, jnp.ones((2, 3))
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x + jnp.tanh(x @ p["params", "w"]), variables, images
        ... )
        >>> origins = graph.find_origins(traced)
        >>> found, _ = graph.find_operations(traced, origins)
        >>> [residual.layers for residual in find_sums(traced, origins, found)]
        [(('params', 'w'),)]
    """
    walk = walk_of(graph, origins, layers)
    found: dict[int, _Sum] = {}
    for place, node in enumerate(graph.nodes):
        terms = _terms(walk, place) if place in walk.live else []
        if len(terms) < 2 or len({term.value for term in terms}) < 2:
            continue
        output = node.outputs[0]
        # A sum of single numbers, as of means, has no channels.
        if not graph.shapes[output].shape:
            continue
        inner = [found.get(_summed(walk, term.value)) for term in terms]
        merged = _merge(walk, terms, inner, output)
        if not any(walk.uses_between(t.value, merged.fork) for t in merged.terms):
            continue
        if not merged.is_identity and _has_no_shortcut(walk, merged):
            continue
        for one in inner:
            if one is not None and one.terms[0] in merged.terms:
                del found[one.output]
        found[output] = merged
    kept: list[ResidualSum] = []
    for merged in found.values():
        one, ends = _residual(walk, merged)
        others = [(other.output, other.results) for other in kept]
        if is_bypassed(walk, [t.value for t in one.summands], ends, others):
            note(one)
        else:
            kept.append(one)
    return tuple(kept)


def _has_no_shortcut(walk: Ways, found: _Sum) -> bool:
    """Tell whether of a sum with kernels on all ways none is the way around.

    FiLM's sum shifts x by numbers that come from the images another way: a way around
    comes from the fork alone, as the others do. The members of an ensemble are as long
    as each other: a way around is shorter.
    """
    alone = [walk.comes_by(term.value, found.fork) for term in found.terms]
    lengths = {walk.longest(term.value, found.fork) for term in found.terms}
    return (any(alone) and not all(alone)) or len(lengths) == 1


def _terms(walk: Ways, place: int) -> list[Term]:
    """List the terms of the images that a node sums: two of an `add`, or a stack's."""
    graph, made_by = walk.graph, walk.made_by
    node = graph.nodes[place]
    if node.name in ("add", "add_any", "sub") and len(node.inputs) == 2:
        reader = place
    elif node.name == "reduce_sum" and node.inputs[0] in made_by:
        reader = made_by[node.inputs[0]]
        if not _is_stack(graph, graph.nodes[reader], node):
            return []
        if walk.users[node.inputs[0]] != [place]:
            return []
    else:
        return []
    inputs = graph.nodes[reader].inputs
    terms = [Term(reader, side, value) for side, value in enumerate(inputs)]
    return terms if all(walk.origins.of_images[term.value] for term in terms) else []


def _is_stack(graph: Graph, node: Node, reduction: Node) -> bool:
    """Tell whether a node puts values side by side along the axis that is summed."""
    params = node.equation.params
    axes = tuple(reduction.equation.params["axes"])
    if node.name == "stack":
        return axes == (params["axis"],)
    if node.name != "concatenate" or axes != (params["dimension"],):
        return False
    return all(graph.shapes[v].shape[axes[0]] == 1 for v in node.inputs)


def _summed(walk: Ways, value: int) -> int:
    """Find the value that a term is, but for moves; -1 if others read it."""
    graph = walk.graph
    while len(walk.users[value]) == 1 and value not in graph.outputs:
        if value not in walk.made_by:
            return value
        node = graph.nodes[walk.made_by[value]]
        if node.name not in _PASSES:
            return value
        value = node.inputs[0]
    return -1


def _merge(
    walk: Ways, terms: list[Term], inner: list[_Sum | None], output: int
) -> _Sum:
    """Make one sum of terms that are sums themselves, if all ways part at one value.

    A sum of x and a way from x stays a branch of its own inside another one.
    """
    merged = list(inner)
    while True:
        flat = [
            term
            for one, term in zip(merged, terms, strict=True)
            for term in ([term] if one is None else one.terms)
        ]
        fork = walk.fork([term.value for term in flat])
        nested = [
            one is not None and one.is_identity and one.fork != fork for one in merged
        ]
        if not any(nested):
            least = min(walk.shortest(term.value, fork) for term in flat)
            return _Sum(tuple(flat), fork, output, least == 0)
        merged = [
            None if is_nested else one
            for one, is_nested in zip(merged, nested, strict=True)
        ]


def _residual(walk: Ways, found: _Sum) -> tuple[ResidualSum, list[Ends]]:
    """Tell branch from shortcut, and find where the branch ends."""
    terms, fork = found.terms, found.fork
    ways = [walk.uses_between(term.value, fork) for term in terms]
    weights = [_weight(walk, term.value, fork) for term in terms]
    around = weights.index(min(weights))
    sides = [bool(way) and side != around for side, way in enumerate(ways)]
    if not any(sides):
        sides = [bool(way) for way in ways]
    layers = _in_order(way for way, on in zip(ways, sides, strict=True) if on)
    shortcut = _in_order(way for way, on in zip(ways, sides, strict=True) if not on)
    summands = tuple(t for t, on in zip(terms, sides, strict=True) if on)
    ends = [
        find_ends(walk, term.value, lambda value: _is_own(walk, value, found))
        for term in summands
    ]
    results = frozenset().union(*(one.results for one in ends))
    scales = frozenset().union(*(one.scales for one in ends))
    last = [use for use in walk.uses if use.result in results]
    kernels, above = _kernels(last), 0
    for use in last:
        above |= walk.above[use.result]
    before = [use for use in layers if above >> use.result & 1]
    residual = ResidualSum(
        layers=_kernels(layers),
        shortcut=_kernels(shortcut),
        summands=summands,
        fork=fork,
        output=found.output,
        ends=kernels,
        scales=() if any(one.bare for one in ends) else tuple(sorted(scales)),
        before=tuple(path for path in _kernels(before) if path not in kernels),
        depth=max((walk.longest(use.result, fork) for use in last), default=0),
        results=results,
    )
    return residual, ends


def _in_order(ways: Iterable[list[Use]]) -> list[Use]:
    """List the uses on several ways once each, in the order of execution."""
    return sorted({use.place: use for way in ways for use in way}.values())


def _kernels(uses: Iterable[Use]) -> tuple[Path, ...]:
    """List the kernels of uses once each, in the order of their first use here."""
    return tuple(dict.fromkeys(use.kernel for use in uses))


def _is_own(walk: Ways, value: int, found: _Sum) -> bool:
    """Tell whether a value is on the branch, or made elsewhere for the branch alone.

    So is a shift or a gate that a condition gives to this branch.
    """
    if value == found.fork:
        return False
    on_branch = walk.depends(value, found.fork)
    return on_branch or walk.leaves_only_by(value, found.output)


def _weight(walk: Ways, value: int, fork: int) -> tuple[int, int]:
    """Count a way's layers where they are fewest, and the numbers of its kernels."""
    graph = walk.graph
    kernels = [use.kernel for use in walk.uses_between(value, fork)]
    sizes = sum(graph.size(graph.variables[kernel]) for kernel in kernels)
    return walk.shortest(value, fork), sizes
