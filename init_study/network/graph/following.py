"""What a layer's output goes through: normalization, then a function of one number.

Of a layer's output `a`, in this order, each part possibly missing:

    norm      b = reduce_sum a; c = mul a a; …; f = mul e rsqrt    `norms.py` proves it
    affine    g = mul f scale;  h = add g shift      or one `mul` of rsqrt · scale
    function  i = max h 0.0                          each number by itself

Moves come in between: numbers in another shape or order, cut, padded, put together with
others, or the greatest of each window. Each part is a block of the output's region
(`regions.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from init_study import jaxprs
from init_study.activations import linear
from init_study.network.graph.dataflow import Graph, Origins, Path, producers
from init_study.network.graph.elementwise import function_of
from init_study.network.graph.moves import is_move
from init_study.network.graph.moving import Constant, constants_of
from init_study.network.graph.norms import Piece
from init_study.network.graph.regions import ends_straight, find_region
from init_study.network.graph.walking import Known, Walked, step


class Following(NamedTuple):
    """What follows a value before the next layer, branch or pool.

    Attributes:
        normalized: whether a norm comes in between, which takes the value's scale away.
        scale, shift: paths of the parameters that multiply and add behind it.
        function: of one number, from behind those to `output`, with parameters as they
            start; `linear` where only products with kernels, sums and results read the
            output. None where it is not recognized: gates, maxout, several functions.
        output: the value behind all this.
        said: names the function, so that the same one of another value is known.
    """

    normalized: bool
    scale: Path | None
    shift: Path | None
    function: Callable[[Any], Any] | None
    output: int
    said: tuple[Any, ...] | None = None


def find_following(
    graph: Graph,
    origins: Origins,
    users: dict[int, list[int]],
    value: int,
    features: int = -1,
    known: Known | None = None,
) -> Following:
    """Find what a layer's output goes through.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        users: as of `live_users`.
        value: the output, bias included.
        features: its axis of features.
        known: what is found once for all values of the graph.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: jnp.tanh(x), {}, jnp.ones((2, 3)))
        >>> origins, users = graph.find_origins(traced), traced.users()
        >>> following = find_following(traced, origins, users, traced.images)
        >>> following.normalized, float(following.function(jnp.zeros(())))
        (False, 0.0)
    """
    known = known or Known(producers(graph))
    region = find_region(graph, origins, users, value)
    walked = Walked(value)
    further: Walked | None = walked
    while further is not None:
        walked = further
        further = step(graph, origins, known, region, features, walked)
    last = walked.value
    straight = ends_straight(
        graph, region, users, last, lambda node: is_move(graph, origins, node)
    )
    function = said = None
    if walked.bent or straight:
        function = _composed(graph, origins, known, walked.pieces)
        constant = constants_of(graph, origins)
        said = tuple(_said(graph, piece, constant) for piece in walked.pieces)
    found = (walked.normalized, walked.scale, walked.shift, function, last, said)
    return Following(*found)


def common_following(followings: Sequence[Following]) -> Following:
    """Put together what follows the uses of one kernel: what they do not share is not.

    Example:
        >>> one = Following(True, ("params", "g"), None, linear, 3, ())
        >>> common_following([one, one._replace(scale=None)]).scale is None
        True
    """
    first, *others = followings

    def shared(name: str) -> Any:
        values = [getattr(following, name) for following in followings]
        return values[0] if all(value == values[0] for value in values) else None

    alike = all(other.said == first.said for other in others)
    return first._replace(
        normalized=all(following.normalized for following in followings),
        scale=shared("scale"),
        shift=shared("shift"),
        function=first.function if alike else None,
    )


def _said(graph: Graph, piece: Piece, constant_of: Constant) -> tuple[Any, ...]:
    """Name what a piece computes, at whatever shape."""
    known, said = {piece.root: 0}, []
    for value in piece.outer:
        known[value] = len(known)
        constant = constant_of(value)
        said.append(value if constant is None else np.asarray(constant).flat[0].item())
    for place in piece.places:
        node = graph.nodes[place]
        for value in node.outputs:
            known[value] = len(known)
        inner = [str(e.primitive) for e in jaxprs.inner_equations(node.equation)]
        power = node.equation.params.get("y")
        said += [node.name, tuple(known[v] for v in node.inputs), tuple(inner), power]
    return tuple(said)


def _composed(
    graph: Graph, origins: Origins, known: Known, pieces: tuple[Piece, ...]
) -> Callable[[Any], Any] | None:
    """Make one function of the pieces; None if a constant differs between places."""
    functions = []
    for piece in pieces:
        paths = {path for value in piece.outer for path in origins.variables[value]}
        start = known.start() if paths and known.start else {}
        if not paths <= start.keys():
            return None
        nodes = [graph.nodes[place] for place in piece.places]
        given = {path: start[path] for path in paths}
        function = function_of(graph, piece.root, nodes, piece.end, given)
        if function is None:
            return None
        functions.append(function)
    if len(functions) < 2:
        return functions[0] if functions else linear

    def composed(x: Any) -> Any:
        """Apply one after the other."""
        for function in functions:
            x = function(x)
        return x

    return composed
