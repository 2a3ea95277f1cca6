"""Moves on numbers: what a node that only moves numbers does to an array of places.

    q = slice p; r = transpose q; s = gather r i      i of constants alone

Provenance is evaluated, not read off shapes: numbered places go the way of the numbers.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from init_study.network.graph.dataflow import Graph, Node, Origins, compute, run_node

# Moves whose first input alone is moved; others of theirs say where to.
MOVERS = frozenset(
    """reshape transpose rev squeeze expand_dims broadcast_in_dim slice split
    dynamic_slice gather""".split()
)
JOINERS = frozenset(("concatenate", "stack"))
_SAME = frozenset(("convert_element_type", "copy", "stop_gradient"))
# Above this a float32 cannot number all places.
_MOST = 2**24

Constant = Callable[[int], np.ndarray | None]


def constants_of(graph: Graph, origins: Origins) -> Constant:
    """Make the function that computes a value, or None if it is no constant.

    Args:
        graph: of a network's call.
        origins: what its values come from.

    Example:
        >>> from init_study.network import graph
        >>> ones = jnp.ones(3)
        >>> traced, _ = graph.make_graph(lambda p, x: x * jnp.arange(3.0), {}, ones)
        >>> constant = constants_of(traced, graph.find_origins(traced))
        >>> constant(traced.images), constant(traced.nodes[0].outputs[0]).tolist()
        (None, [0.0, 1.0, 2.0])
    """

    def constant(value: int) -> np.ndarray | None:
        if origins.of_images[value] or origins.variables[value]:
            return None
        with jax.ensure_compile_time_eval():
            return np.asarray(compute(graph, {}, None, (value,))[0])

    return constant


def move(
    node: Node, places: Sequence[np.ndarray | None], constant: Constant
) -> list[np.ndarray] | None:
    """Move places as a node moves numbers.

    Args:
        node: of the graph.
        places: for each input, in its shape; None for one that is not followed.
        constant: as of `constants_of`.

    Returns: the places in each output; None where the node is no move, or leads
        somewhere that is not fixed.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: x[1], {}, jnp.ones((2, 3)))
        >>> origins = graph.find_origins(traced)
        >>> given = np.arange(6).reshape(2, 3)
        >>> (cut,) = move(traced.nodes[0], [given], constants_of(traced, origins))
        >>> cut.tolist()
        [[3, 4, 5]]
    """
    first, params = places[0], node.equation.params
    if node.name in JOINERS:
        if any(one is None for one in places):
            return None
        joined = np.concatenate if node.name == "concatenate" else np.stack
        axis = params["dimension"] if node.name == "concatenate" else params["axis"]
        return [joined([one for one in places if one is not None], axis)]
    if first is None or node.name not in MOVERS | _SAME:
        return None
    if node.name in _SAME:
        return [first]
    if node.name == "reshape" and params.get("dimensions") is None:
        return [first.reshape(params["new_sizes"])]
    if node.name == "transpose":
        return [first.transpose(params["permutation"])]
    if node.name == "squeeze":
        return [first.squeeze(tuple(params["dimensions"]))]
    if node.name == "slice":
        steps = params["strides"] or (1,) * first.ndim
        cuts = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
        return [first[tuple(slice(*cut) for cut in cuts)]]
    if node.name == "split":
        return np.split(first, np.cumsum(params["sizes"])[:-1], params["axis"])
    return _computed(node, first, constant)


def _computed(
    node: Node, places: np.ndarray, constant: Constant
) -> list[np.ndarray] | None:
    """Let JAX move the numbers, as floats: a gather may fill in what is outside."""
    others = [constant(value) for value in node.inputs[1:]]
    if any(other is None for other in others) or places.max(initial=0) >= _MOST:
        return None
    with jax.ensure_compile_time_eval():
        given = [jnp.asarray(places, jnp.float32), *map(jnp.asarray, others)]
        moved = [np.asarray(one) for one in run_node(node, given)]
    if not all(np.isfinite(one).all() for one in moved):
        return None
    return [one.astype(np.int64) for one in moved]
