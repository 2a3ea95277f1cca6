"""What a layer's output goes through: normalization, then a function of one number.

Of a layer's output `a`, in this order, each part possibly missing:

    means     b = reduce_sum a; c = mul a a; d = reduce_sum c; and what is made of them
    norm      e = sub a mean;   f = mul e rsqrt      `join` nodes, where they come in
    affine    g = mul f scale;  h = add g shift      or one `mul` of rsqrt · scale
    function  i = max h 0.0                          elementwise, no parameters
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from init_study.network.graph.dataflow import Graph, Node, Origins, Path
from init_study.network.graph.elementwise import (
    MOVES,
    function_of,
    is_elementwise,
    only_casts,
    only_moves,
)
from init_study.network.graph.stochastic import KEYS

_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "psum", "pmax", "pmin")
# What else means go through before they come in: norms over devices stack two of them.
_PACKS = ("stack", "concatenate", "slice", "split")
# What scales and shifts by numbers, and casts and moves: no activation by itself.
_SCALES = ("mul", "div", "neg", "add", "sub", "convert_element_type", *MOVES)


class Following(NamedTuple):
    """What follows a value before the next layer, branch or pool.

    Attributes:
        normalized: whether statistics of batches, layers or groups come in between.
        scale, shift: paths of the parameters that multiply and add behind them.
        function: of one number, from behind those to `output`; None where there is
            none, that is where several values go on or the function has parameters.
        output: the value behind all this.
    """

    normalized: bool
    scale: Path | None
    shift: Path | None
    function: Callable[[Any], Any] | None
    output: int


def find_following(
    graph: Graph, origins: Origins, users: dict[int, list[int]], value: int
) -> Following:
    """Find what a layer's output goes through.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        users: as of `Graph.users`.
        value: the output, bias included.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: jnp.tanh(x), {}, jnp.ones((2, 3)))
        >>> origins, users = graph.find_origins(traced), traced.users()
        >>> following = find_following(traced, origins, users, traced.images)
        >>> following.normalized, float(following.function(jnp.zeros(())))
        (False, 0.0)
    """
    normalized, scale, shift = False, None, None
    # Means of what came before a norm's first step come in again at its later ones.
    statistics: dict[int, frozenset[Path]] = {}
    while True:
        region = _region(graph, origins, users, value, statistics)
        if region.joined is None:
            break
        node = graph.nodes[region.joined]
        paths = [p for p in region.of_joined if p[0] == "params"]
        if node.name in ("mul", "div"):
            scale = paths[-1] if len(paths) == 1 else scale
        elif len(paths) == 1:
            shift = paths[0]
        normalized |= region.statistics
        value = node.outputs[0]
    function = None
    if len(region.exits) == 1:
        function = function_of(graph, value, region.places, region.exits[0])
    output = region.exits[0] if len(region.exits) == 1 else value
    return Following(normalized, scale, shift, function, output)


class _Region(NamedTuple):
    """The nodes that compute functions of one number, from one value on.

    Attributes:
        places: of those nodes.
        exits: values that others read, or that are the result of all.
        joined: the node at which a statistic or a parameter comes in, which is the only
            way out; else None.
        of_joined: the variables that come in there.
        statistics: whether means over the value, or running averages, come in.
    """

    places: tuple[int, ...]
    exits: tuple[int, ...]
    joined: int | None
    of_joined: tuple[Path, ...]
    statistics: bool


def _region(
    graph: Graph,
    origins: Origins,
    users: dict[int, list[int]],
    root: int,
    statistics: dict[int, frozenset[Path]],
) -> _Region:
    """Walk downstream from a value, as far as functions of one number go.

    `statistics` are values that are means, with the variables that they are made of;
    those that are found here are put in.
    """
    inside, places, joins = {root}, [], []
    # The value itself, in other shapes and precisions: norms compute in float32.
    same = {root}
    left: set[int] = set()
    reduced: set[int] = set()
    after = _after(graph, users, root)
    measured, centred = _measured(graph, users, after, root), set()
    for place in after:
        node = graph.nodes[place]
        kinds = {
            v: "centred" if v in centred else _kind(origins, inside, statistics, v)
            for v in node.inputs
        }
        part = _part(graph, node, set(kinds.values()), measured)
        if part == "function":
            inside.update(node.outputs)
            places.append(place)
            if only_moves(graph, node) or only_casts(graph, node):
                same.update(node.outputs if same.issuperset(node.inputs) else ())
        elif part == "statistic":
            made_of = [statistics.get(v, origins.variables[v]) for v in node.inputs]
            statistics.update({v: frozenset().union(*made_of) for v in node.outputs})
        elif part in ("mean", "variance"):
            statistics.update({v: frozenset() for v in node.outputs})
            reduced.update(node.inputs if part == "mean" else ())
        elif part == "centred":
            centred.update(node.outputs)
        elif part == "join":
            joins.append(place)
        elif part == "exit":
            left.update(v for v in node.inputs if kinds[v] == "inside")
    left |= set(graph.outputs) & inside
    if len(joins) == 1 and not left and same & set(graph.nodes[joins[0]].inputs):
        return _norm(graph, origins, same, tuple(places), joins[0], statistics)
    # Means that nothing is divided by or subtracted from are results: a pool.
    left |= reduced
    left |= {v for p in joins for v in graph.nodes[p].inputs if v in inside}
    exits = _behind_one(graph, places, root, same, left)
    return _Region(tuple(places), tuple(sorted(exits)) or (root,), None, (), False)


def _behind_one(
    graph: Graph, places: list[int], root: int, same: set[int], exits: set[int]
) -> set[int]:
    """Find the one value that all exits are made of, if it is more than a scaled root.

    A response normalization reads an activation's output and its squares: both go
    through the activation. CReLU, of x and -x, has no value behind x in common.
    """
    if len(exits) < 2:
        return exits
    # For each value, those that every way to it from the root goes through.
    through: dict[int, set[int]] = {root: {root}}
    scaled = set(same)
    for place in places:
        node = graph.nodes[place]
        ways = [through[value] for value in node.inputs if value in through]
        for value in node.outputs:
            through[value] = set.intersection(*ways) | {value}
        if node.name in _SCALES and len(ways) == 1 and scaled & set(node.inputs):
            scaled.update(node.outputs)
    common = set.intersection(*(through[value] for value in exits)) - scaled
    return {max(common)} if common else exits


def _part(graph: Graph, node: Node, given: set[str], measured: set[int]) -> str:
    """Name the part that a node plays which reads values of these kinds.

    Args:
        graph: the graph.
        node: the node.
        given: kinds of its inputs, as of `_kind`, or `centred`.
        measured: values of which nothing but statistics is made.

    Returns: `nothing`, `function`, `statistic`, `mean`, `variance`, `centred`, `join`
        (a statistic or parameter comes in) or `exit` (the value goes elsewhere).
    """
    if not {"inside", "statistic", "centred"} & given:
        return "nothing"
    elementwise = is_elementwise(graph, node)
    if given <= {"inside", "number"} and (elementwise or only_moves(graph, node)):
        return "function"
    passes = node.name in (*MOVES, *_REDUCTIONS, *_PACKS)
    if given <= {"statistic", "number", "parameter"} and (elementwise or passes):
        return "statistic"
    if node.name in _REDUCTIONS and given in ({"inside"}, {"centred"}):
        return "mean" if given == {"inside"} else "variance"
    # x - mean(x), on its way into a variance.
    of_numbers = given <= {"inside", "statistic", "centred", "number"}
    if of_numbers and given & {"statistic", "centred"}:
        if measured.issuperset(node.outputs):
            return "centred"
    joins = given <= {"inside", "statistic", "parameter"} and "inside" in given
    return "join" if joins and node.name in ("add", "sub", "mul", "div") else "exit"


def _measured(
    graph: Graph, users: dict[int, list[int]], after: list[int], root: int
) -> set[int]:
    """Find the values of which nothing but a norm's statistics is made.

    Whatever is done to each number before, they end in means that come back to numbers
    of all places: `reduce_sum`, then `sub x mean` or `mul x rsqrt`.
    """
    found: set[int] = set()
    returning: set[int] = set()
    for place in reversed(after):
        node = graph.nodes[place]
        readers = [graph.nodes[p] for v in node.outputs for p in users.get(v, ())]
        if any(_returns(graph, reader, returning, root) for reader in readers):
            returning.update(node.outputs)
        ends = [
            returning.issuperset(reader.outputs)
            if reader.name in _REDUCTIONS and not only_moves(graph, reader)
            else is_elementwise(graph, reader) and found.issuperset(reader.outputs)
            for reader in readers
        ]
        if ends and all(ends) and not set(graph.outputs) & set(node.outputs):
            found.update(node.outputs)
    return found


def _returns(graph: Graph, node: Node, returning: set[int], root: int) -> bool:
    """Tell whether a mean that a node reads meets numbers of all places later."""
    passes = node.name in (*MOVES, *_PACKS, *_REDUCTIONS)
    if not (passes or is_elementwise(graph, node)):
        return False
    is_whole = graph.size(node.outputs[0]) == graph.size(root)
    return is_whole or not returning.isdisjoint(node.outputs)


def _norm(
    graph: Graph,
    origins: Origins,
    same: set[int],
    places: tuple[int, ...],
    place: int,
    statistics: dict[int, frozenset[Path]],
) -> _Region:
    """Describe a region that ends where something comes in at one node.

    A random summand, whatever scales it, is noise: neither a norm nor a shift.
    """
    node = graph.nodes[place]
    others = [value for value in node.inputs if value not in same]
    paths = [p for v in others for p in statistics.get(v, origins.variables[v])]
    if node.name in ("add", "sub") and any(path[0] == KEYS for path in paths):
        return _Region(places, (), place, (), False)
    of_state = any(path[0] not in ("params", KEYS) for path in paths)
    means = of_state or any(value in statistics for value in others)
    return _Region(places, (), place, tuple(paths), means)


def _kind(
    origins: Origins,
    inside: set[int],
    statistics: dict[int, frozenset[Path]],
    value: int,
) -> str:
    """Name what a value is to a region."""
    if value in inside:
        return "inside"
    if value in statistics:
        return "statistic"
    if origins.of_images[value]:
        return "other"
    return "parameter" if origins.variables[value] else "number"


def _after(graph: Graph, users: dict[int, list[int]], root: int) -> list[int]:
    """List the places of all nodes downstream, in order."""
    found, open_values = set(), [root]
    while open_values:
        for place in users.get(open_values.pop(), ()):
            if place not in found:
                found.add(place)
                open_values += graph.nodes[place].outputs
    return sorted(found)
