"""What a layer's output goes through: normalization, then a function of one number."""

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from init_study import jaxprs
from init_study.activations import linear
from init_study.network.graph.dataflow import (
    Graph,
    Node,
    Origins,
    Path,
    evaluate,
    run_node,
)

ELEMENTWISE = set(
    """abs acos acosh add asin asinh atan atan2 atanh cbrt clamp convert_element_type
    copy cos cosh div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow
    is_finite le log log1p logistic lt max min mul ne neg not and or pow round rsqrt
    select_n sign sin sinh sqrt square stop_gradient sub tan tanh xor""".split()
)
_CUSTOM_DERIVATIVES = ("custom_jvp_call", "custom_vjp_call")
_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "psum", "pmax", "pmin")
# What else means go through before they come in: norms over devices stack two of them.
_PACKS = ("stack", "concatenate", "slice", "split")
_MOVES = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose")


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
    """Of a layer's output."""
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
        function = _function(graph, value, region.places, region.exits[0])
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
    """`statistics`: values that are means, and what they are made of; grows."""
    inside, places, joins = {root}, [], []
    left: set[int] = set()
    reduced: set[int] = set()
    after = _after(graph, users, root)
    measured, centred = _measured(graph, users, after, root), set()
    for place in after:
        node = graph.nodes[place]
        kinds = {
            v: "centred"
            if v in centred
            else _kind(graph, origins, inside, statistics, v)
            for v in node.inputs
        }
        given = set(kinds.values())
        if not {"inside", "statistic", "centred"} & given:
            continue
        if given <= {"inside", "number"} and (
            _is_elementwise(graph, node) or _only_moves(graph, node)
        ):
            inside.update(node.outputs)
            places.append(place)
        elif given <= {"statistic", "number", "parameter"} and (
            _is_elementwise(graph, node)
            or node.name in (*_MOVES, *_REDUCTIONS, *_PACKS)
        ):
            made_of = [statistics.get(v, origins.variables[v]) for v in node.inputs]
            statistics.update({v: frozenset().union(*made_of) for v in node.outputs})
        elif given == {"inside"} and node.name in _REDUCTIONS:
            statistics.update({v: frozenset() for v in node.outputs})
            reduced.update(node.inputs)
        elif given == {"centred"} and node.name in _REDUCTIONS:
            statistics.update({v: frozenset() for v in node.outputs})
        elif (
            given <= {"inside", "statistic", "centred", "number"}
            and not given.isdisjoint({"statistic", "centred"})
            and measured.issuperset(node.outputs)
        ):
            # x - mean(x), on its way into a variance.
            centred.update(node.outputs)
        elif (
            given <= {"inside", "statistic", "parameter"}
            and "inside" in given
            and node.name in ("add", "sub", "mul", "div")
        ):
            joins.append(place)
        else:
            left.update(v for v in node.inputs if kinds[v] == "inside")
    left |= set(graph.outputs) & inside
    if len(joins) == 1 and not left and root in graph.nodes[joins[0]].inputs:
        return _norm(graph, origins, root, tuple(places), joins[0], statistics)
    # Means that nothing is divided by or subtracted from are results: a pool.
    left |= reduced
    left |= {v for p in joins for v in graph.nodes[p].inputs if v in inside}
    return _Region(tuple(places), tuple(sorted(left)) or (root,), None, (), False)


def _measured(
    graph: Graph, users: dict[int, list[int]], after: list[int], root: int
) -> set[int]:
    """The values of which nothing but a norm's statistics is made, whatever is done to
    each number before: means that come back to numbers of all places."""
    found: set[int] = set()
    returning: set[int] = set()
    for place in reversed(after):
        node = graph.nodes[place]
        readers = [graph.nodes[p] for v in node.outputs for p in users.get(v, ())]
        if any(_returns(graph, reader, returning, root) for reader in readers):
            returning.update(node.outputs)
        ends = [
            returning.issuperset(reader.outputs)
            if reader.name in _REDUCTIONS
            else _is_elementwise(graph, reader) and found.issuperset(reader.outputs)
            for reader in readers
        ]
        if ends and all(ends) and not set(graph.outputs) & set(node.outputs):
            found.update(node.outputs)
    return found


def _returns(graph: Graph, node: Node, returning: set[int], root: int) -> bool:
    """Whether a mean that a node reads meets numbers of all places there or later."""
    passes = node.name in (*_MOVES, *_PACKS, *_REDUCTIONS)
    if not (passes or _is_elementwise(graph, node)):
        return False
    is_whole = graph.size(node.outputs[0]) == graph.size(root)
    return is_whole or not returning.isdisjoint(node.outputs)


def _norm(
    graph: Graph,
    origins: Origins,
    root: int,
    places: tuple[int, ...],
    place: int,
    statistics: dict[int, frozenset[Path]],
) -> _Region:
    """Something comes in at one node, and nothing else goes on from the value."""
    others = [value for value in graph.nodes[place].inputs if value != root]
    paths = [p for v in others for p in statistics.get(v, origins.variables[v])]
    of_state = any(path[0] != "params" for path in paths)
    means = of_state or any(value in statistics for value in others)
    return _Region(places, (), place, tuple(paths), means)


def _kind(
    graph: Graph,
    origins: Origins,
    inside: set[int],
    statistics: dict[int, frozenset[Path]],
    value: int,
) -> str:
    if value in inside:
        return "inside"
    if value in statistics:
        return "statistic"
    if origins.of_images[value]:
        return "other"
    return "parameter" if origins.variables[value] else "number"


def _after(graph: Graph, users: dict[int, list[int]], root: int) -> list[int]:
    """All nodes downstream, in order."""
    found, open_values = set(), [root]
    while open_values:
        for place in users.get(open_values.pop(), ()):
            if place not in found:
                found.add(place)
                open_values += graph.nodes[place].outputs
    return sorted(found)


def _is_elementwise(graph: Graph, node: Node) -> bool:
    """Each number of the result depends on the numbers at its place alone."""
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


def _only_moves(graph: Graph, node: Node) -> bool:
    """The same numbers in another shape."""
    before, after = graph.size(node.inputs[0]), graph.size(node.outputs[0])
    return node.name in _MOVES and len(node.inputs) == 1 and before == after


def _function(
    graph: Graph, root: int, places: tuple[int, ...], exit_value: int
) -> Callable[[Any], Any] | None:
    """The region as a function of an array of any shape; None if a constant in it
    differs from place to place."""
    if exit_value == root:
        return linear
    needed, wanted = [], {exit_value}
    for place in reversed(places):
        node = graph.nodes[place]
        if wanted & set(node.outputs):
            needed.append(node)
            wanted.update(node.inputs)
    needed.reverse()
    inside = {root, *(value for node in needed for value in node.outputs)}
    fixed = sorted({v for node in needed for v in node.inputs} - inside)
    constants = dict(zip(fixed, evaluate(graph, {}, None, tuple(fixed)), strict=True))
    for constant in map(np.asarray, constants.values()):
        if constant.size == 0 or (constant != constant.flat[0]).any():
            return None
    shape, dtype = graph.shapes[root].shape, graph.shapes[root].dtype

    def block(x: Any) -> Any:
        values = {**constants, root: x}
        for node in needed:
            results = run_node(node, [values[value] for value in node.inputs])
            values.update(zip(node.outputs, results, strict=True))
        return values[exit_value].reshape(-1)

    def function(x: Any) -> Any:
        """In blocks of the shape that was traced, which its nodes may depend on."""
        size = prod(shape)
        count = -(-x.size // size)
        flat = jnp.pad(x.reshape(-1).astype(dtype), (0, count * size - x.size))
        blocks = jax.lax.map(block, flat.reshape(count, *shape))
        return blocks.reshape(-1)[: x.size].reshape(x.shape).astype(x.dtype)

    return function
