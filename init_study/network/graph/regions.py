"""Regions: all that is computed of a layer's output before the next one, as blocks.

The walk ends where a value meets a kernel, is added to another one of the images, is
multiplied by one, or is the result. Between, some values are such that every way goes
through them. They cut the region into blocks with one way in and one way out:

    root   a
           b = reduce_sum a; c = mul a a; d = reduce_sum c; e = rsqrt d; f = sub a b
    cut    g = mul f e            all ways go through: block 1 is a norm
    cut    h = max g 0.0          block 2 is an activation
    end    conv h w
"""

import heapq
from collections.abc import Callable, Mapping
from typing import NamedTuple

from init_study import jaxprs
from init_study.network.graph import dataflow
from init_study.network.graph.dataflow import CONTRACTIONS, Graph, Node, Origins
from init_study.network.graph.products import is_summed

# Ends at which a value counts as it is: sums of products, sums, and results.
STRAIGHT = ("contraction", "sum", "result")
_SUMS = ("add", "add_any", "sub")
_JOINS = ("concatenate", "stack")
# What reads a value inside of a region, and gives nothing but sums of it.
_ADDS_UP = ("reduce_sum", "reduce_window_sum", "psum")
_SQUARES = ("square", "integer_pow", "mul")
_LOOPS = ("scan", "while", "cond")


class Region(NamedTuple):
    """What is computed of one value until the next layer.

    Attributes:
        root: the value.
        places: of the nodes, in order.
        inside: the values, with all that they are made of on the way, as bits of places
            in `order`; what all ways to it go through.
        others: values of the images that come in beside it, by concatenation.
        cuts: values through which all ways go, in order, the root first.
        ends: values that are read at the ends, and how: `contraction`, `sum`, `gate`,
            `result` or `other`.
    """

    root: int
    places: tuple[int, ...]
    inside: frozenset[int]
    others: frozenset[int]
    cuts: tuple[int, ...]
    ends: tuple[tuple[int, str], ...]


def find_region(
    graph: Graph, origins: Origins, users: dict[int, list[int]], root: int
) -> Region:
    """Walk downstream from a value, up to the next layers, sums and gates.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        users: of its values; none that lead nowhere.
        root: the value.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: jnp.tanh(x) * 2.0, {}, jnp.ones((2, 3))
        ... )
        >>> origins, users = graph.find_origins(traced), traced.users()
        >>> region = find_region(traced, origins, users, traced.images)
        >>> len(region.cuts), region.ends == ((traced.outputs[0], "result"),)
        (3, True)
    """
    # For each value inside, the values that every way to it goes through, as bits.
    through: dict[int, int] = {root: 1}
    order, others, places = [root], set(), []
    ends: set[tuple[int, str]] = set()
    joint = _Joint(set(), set(), set())
    # In order, so that they are a heap.
    waiting = sorted(users.get(root, ()))
    seen = set(waiting)
    while waiting:
        place = heapq.heappop(waiting)
        node = graph.nodes[place]
        held = [value for value in node.inputs if value in through]
        beside = [v for v in node.inputs if v not in through and origins.of_images[v]]
        kind = _end(graph, origins, users, node, held, beside)
        if kind is not None:
            if not joint.takes(graph, origins, node, held, beside, kind):
                ends.update((value, kind) for value in held)
            continue
        places.append(place)
        others.update(beside)
        joint.note(graph, node, held, beside)
        common = -1
        for value in held:
            common &= through[value]
        for value in node.outputs:
            through[value] = common | (1 << len(order))
            order.append(value)
            for reader in (r for r in users.get(value, ()) if r not in seen):
                seen.add(reader)
                heapq.heappush(waiting, reader)
    ends.update(joint.ends())
    ends.update((value, "result") for value in order if value in graph.outputs)
    if not users.get(root):
        ends.add((root, "result"))
    cuts = _cuts(through, {value for value, _ in ends})
    sets = frozenset(through), frozenset(others)
    return Region(root, tuple(places), *sets, cuts, tuple(sorted(ends)))


def _cuts(through: dict[int, int], ends: set[int]) -> tuple[int, ...]:
    """List the values that every way to every end goes through, in order."""
    common = -1
    for value in ends:
        common &= through[value]
    return tuple(v for bit, v in enumerate(through) if common >> bit & 1)


def root_of_square(graph: Graph, made_by: Mapping[int, int], value: int) -> int:
    """Find what a value is the square of; itself where it is none.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: x * x, {}, 3.0)
        >>> made_by, (square,) = dataflow.producers(traced), traced.outputs
        >>> root_of_square(traced, made_by, square) == traced.images
        True
    """
    while value in made_by:
        node = graph.nodes[made_by[value]]
        if node.name not in _SQUARES or len(set(node.inputs)) > 1:
            break
        (value, *_) = node.inputs
    return value


class _Joint(NamedTuple):
    """Statistics of a value and others together, which normalize each of them.

    Of parts of one layer `a` and `b`, `b` is none of the ways of `a`:

        c = concatenate a b; m = reduce_sum c; d = sub a m; e = sub b m

    Attributes:
        statistics: values that are made of reductions alone.
        theirs: what is made of the others and of statistics.
        meetings: ends at which statistics meet the others; and -1 once they meet the
            value itself.
    """

    statistics: set[int]
    theirs: set[int]
    meetings: set[tuple[int, str]]

    def takes(
        self,
        graph: Graph,
        origins: Origins,
        node: Node,
        held: list[int],
        beside: list[int],
        kind: str,
    ) -> bool:
        """Take an end that is none of the value's own; tell whether it is one."""
        if kind == "contraction" or not beside or not self.statistics.issuperset(held):
            return False
        made_by = dataflow.producers(graph)
        for value in beside:
            while value not in self.theirs:
                made = graph.nodes[made_by[value]] if value in made_by else node
                read = {v for v in made.inputs if origins.of_images[v]}
                if made is node or len(read) != 1:
                    return False
                (value,) = read
        self.theirs.update(node.outputs)
        self.meetings.update((value, kind) for value in held)
        return True

    def note(
        self, graph: Graph, node: Node, held: list[int], beside: list[int]
    ) -> None:
        """Note what a node inside of the region makes."""
        made_by = dataflow.producers(graph) if beside else {}
        for value in beside:
            self.theirs.update((value, root_of_square(graph, made_by, value)))
        made = self.statistics.issuperset(held)
        if made or node.name.startswith("reduce_"):
            self.statistics.update(node.outputs)
        elif not self.statistics.isdisjoint(held):
            self.meetings.add((-1, ""))

    def ends(self) -> set[tuple[int, str]]:
        """List the ends: what only the others get of the statistics is one."""
        own = (-1, "") in self.meetings
        return set() if own else self.meetings


def _end(
    graph: Graph,
    origins: Origins,
    users: dict[int, list[int]],
    node: Node,
    held: list[int],
    beside: list[int],
) -> str | None:
    """Name the end that a node is to the values that it reads; None for none."""
    if node.name == "dot_general" and len(held) + len(beside) > 1:
        return "contraction" if is_summed(graph, users, node) else "gate"
    if node.name in CONTRACTIONS:
        return "contraction"
    if node.name == "mul" and beside and is_summed(graph, users, node):
        return "contraction"
    if node.name in _LOOPS:
        return "other"
    if node.name.startswith("custom_"):
        inner = {str(e.primitive) for e in jaxprs.inner_equations(node.equation)}
        if not inner.isdisjoint((*CONTRACTIONS, *_LOOPS)):
            return "other"
    if beside and node.name not in _JOINS:
        return "sum" if node.name in _SUMS else "gate"
    return None


def ends_straight(
    graph: Graph,
    region: Region,
    users: dict[int, list[int]],
    value: int,
    moves: Callable[[Node], bool],
) -> bool:
    """Tell whether all that reads a value multiplies it by kernels or adds it up.

    Args:
        graph: of a network's call.
        region: in which the value is.
        users: as of `live_users`.
        value: the value.
        moves: tells whether a node only moves numbers: what reads those counts then.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: x * x, {}, jnp.ones((2, 3)))
        >>> origins, users = graph.find_origins(traced), traced.users()
        >>> region = find_region(traced, origins, users, traced.images)
        >>> ends_straight(traced, region, users, traced.images, lambda node: False)
        False
    """
    inside, ends = set(region.places), dict.fromkeys(region.inside, frozenset[str]())
    for end, kind in region.ends:
        ends[end] |= {kind}
    open_values, seen = [value], {value}
    while open_values:
        one = open_values.pop()
        if not ends[one] <= {*STRAIGHT}:
            return False
        for place in users.get(one, ()):
            node = graph.nodes[place]
            if place not in inside or node.name in _ADDS_UP:
                continue
            if not moves(node):
                return False
            open_values += [made for made in node.outputs if made not in seen]
            seen.update(node.outputs)
    return True


def live_users(graph: Graph) -> dict[int, list[int]]:
    """List the nodes that read each value, without those that lead nowhere.

    A norm computes its next running averages, which no output and no layer needs.

    Example:
        >>> from init_study.network import graph
        >>> def unread(p, x):
        ...     x * 2.0
        ...     return x + 1.0
        >>> traced, _ = graph.make_graph(unread, {}, 3.0)
        >>> [len(places) for places in live_users(traced).values()]
        [1, 1]
    """
    needed = set(graph.outputs)
    alive = []
    for place in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[place]
        if node.name in CONTRACTIONS or not needed.isdisjoint(node.outputs):
            alive.append(place)
            needed.update(node.inputs)
    found: dict[int, list[int]] = {}
    for place in reversed(alive):
        for value in dict.fromkeys(graph.nodes[place].inputs):
            found.setdefault(value, []).append(place)
    return found
