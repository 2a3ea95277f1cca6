"""What a kernel goes through on its way to its operation, proved on numbers.

`w` is the parameter; the weights are computed at random numbers and at their double:

    W(2w) = W(w), each set of numbers scaled and shifted      scale-free: standardized,
                                                              or divided by its norm
    W(w) = c·w                                                multiplied by c
    anything else: |w|, w + a @ b, a mask, q of w = q·r       not recognized
"""

from typing import Any, NamedTuple

import numpy as np

from init_study.network.graph.contractions import Operation
from init_study.network.graph.dataflow import Graph, Origins
from init_study.network.graph.elementwise import only_casts
from init_study.network.graph.in_numpy import compute_in_numpy
from init_study.network.graph.layouts import KEPT_BY, places_in_leaf
from init_study.network.graph.signatures import needed_of, signature_of
from init_study.network.graph.stochastic import KEYS

# Random numbers are drawn once, as many, and repeated: a prime number, so that no two
# columns are alike.
_DRAWN = 10_007
_CLOSE = 1e-3


class Weights(NamedTuple):
    """What an operation's weights are of its kernel.

    Attributes:
        scale_free: whether the kernel's scale has no effect.
        multiplier: what its numbers are multiplied by, if not.
    """

    scale_free: bool = False
    multiplier: float = 1.0


def find_weights(
    graph: Graph,
    origins: Origins,
    made_by: dict[int, int],
    layer: Operation,
    proofs: dict[Any, Any],
) -> Weights | None:
    """Find what an operation's weights are of its kernel; None if not recognized.

    Other parameters on the way are taken to be 1: they are no part of the kernel.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        made_by: as of `producers`.
        layer: one of its operations.
        proofs: of weights that were computed before; new ones come in.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x @ (p["params", "w"] / 4.0),
        ...     {("params", "w"): jnp.ones((16, 2))},
        ...     jnp.ones((3, 16)),
        ... )
        >>> origins = graph.find_origins(traced)
        >>> (layer,), _ = graph.find_operations(traced, origins)
        >>> find_weights(traced, origins, graph.producers(traced), layer, {}).multiplier
        0.25
    """
    weights = graph.nodes[layer.place].inputs[1 - layer.side]
    leaf = graph.variables[layer.kernel]
    places, read = needed_of(graph, made_by, leaf, weights)
    nodes = [graph.nodes[place] for place in places]
    if all(node.name in KEPT_BY or only_casts(graph, node) for node in nodes):
        return Weights()
    if any(path[0] == KEYS for path in origins.variables[weights]):
        return None
    key = ("weights", *signature_of(graph, places, read, leaf))
    if key not in proofs:
        proofs[key] = _proved(graph, origins, made_by, weights, leaf)
    return proofs[key]


def _proved(
    graph: Graph, origins: Origins, made_by: dict[int, int], weights: int, leaf: int
) -> Weights | None:
    """Compute weights of random numbers, and of their double."""
    moved = places_in_leaf(graph, made_by, weights, leaf)
    if moved is None:
        return None
    draws = np.random.default_rng(0).standard_normal(_DRAWN, np.float32)
    numbers = np.resize(draws, graph.shapes[leaf].shape)

    def at(scale: float) -> Any:
        values: dict[int, Any] = {leaf: np.float32(scale) * numbers}
        for path in origins.variables[weights]:
            value = graph.variables[path]
            ones = np.broadcast_to(np.float32(1), graph.shapes[value].shape)
            values.setdefault(value, ones)
        return compute_in_numpy(graph, made_by, weights, values)

    once, twice, given = at(1.0), at(2.0), numbers.reshape(-1)[moved]
    multiplier = float(np.vdot(given, once) / np.vdot(given, given))
    if not np.isfinite(multiplier) or not once.any():
        return None
    close = _CLOSE * float(abs(once).max())
    if np.allclose(twice, 2 * once, _CLOSE, close):
        linear = np.allclose(once, multiplier * given, _CLOSE, close)
        one = abs(multiplier - 1) < 1e-6
        return Weights(False, 1.0 if one else multiplier) if linear else None
    if not np.allclose(once, twice, _CLOSE, close):
        return None
    # All numbers are one set, or those of one place along an axis, or of all but one.
    axes = range(once.ndim)
    sets = [tuple(axes), *(tuple(a for a in axes if a != one) for one in axes)]
    sets += [(one,) for one in axes]
    normal = any(_is_straight(given, once, axes) for axes in sets if axes)
    return Weights(True) if normal else None


def _is_straight(given: Any, made: Any, axes: tuple[int, ...]) -> bool:
    """Tell whether numbers are scaled and shifted, over these axes all alike."""
    given = given - given.mean(axes, keepdims=True)
    made = made - made.mean(axes, keepdims=True)
    square = np.square(given).sum(axes, keepdims=True)
    if not square.all():
        return False
    slope = (given * made).sum(axes, keepdims=True) / square
    close = 10 * _CLOSE * float(np.sqrt(np.square(made).mean()))
    return bool(close) and np.allclose(made, slope * given, 0.0, close)
