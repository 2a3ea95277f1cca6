"""Operations with all that is known of each: its weights, and what follows it."""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from init_study.network.graph.contractions import Operation
from init_study.network.graph.dataflow import (
    Graph,
    Origins,
    Path,
    live_places,
    producers,
)
from init_study.network.graph.following import (
    Following,
    common_following,
    find_following,
)
from init_study.network.graph.operations import find_operations
from init_study.network.graph.references import results_of_reference
from init_study.network.graph.regions import live_users
from init_study.network.graph.walking import Known
from init_study.network.graph.weights import Weights, find_weights

# From the paths of kernels to the numbers from which all other variables start.
Start = Callable[[Collection[Path]], Mapping[Path, Any]]


class Described(NamedTuple):
    """One operation, and what is known of it.

    Attributes:
        operation: the operation, at its first use.
        weights: what its weights are of its kernel.
        following: what follows all its uses.
    """

    operation: Operation
    weights: Weights
    following: Following


def describe_operations(
    graph: Graph, origins: Origins, start: Start | None = None
) -> tuple[tuple[Described, ...], frozenset[Path]]:
    """Find the operations of a graph, their weights and what follows them.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        start: gives the numbers from which variables start that are no kernels, for
            activations that have parameters.

    Returns: the layers in the order of execution, and the parameters that are used as
        kernels but in no way that is known.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: jnp.tanh(x @ p["params", "w"]),
        ...     {("params", "w"): jnp.ones((3, 2))},
        ...     jnp.ones((4, 3)),
        ... )
        >>> (found,), _ = describe_operations(traced, graph.find_origins(traced))
        >>> found.weights.multiplier, float(found.following.function(jnp.zeros(())))
        (1.0, 0.0)
    """
    operations, unknown = find_operations(graph, origins)
    kernels = frozenset(layer.kernel for layer in operations)
    numbers = None if start is None else functools.cache(lambda: start(kernels))
    references = {
        use.outputs: results_of_reference(graph, origins, use.place, use.side)
        for layer in operations
        for use in layer.uses
    }
    known = Known(producers(graph), {}, numbers, kernels, references)
    users, live = live_users(graph), live_places(graph, comparisons=True)
    # Of what reaches the outputs, what does not is no follower.
    of_live = {v: [p for p in places if p in live] for v, places in users.items()}
    found, unknown = [], set(unknown)
    for layer in operations:
        weights = _weights_of_all(graph, origins, known, layer)
        if weights is None:
            values = [graph.nodes[u.place].inputs[1 - u.side] for u in layer.uses]
            paths = {path for value in values for path in origins.variables[value]}
            unknown.update(path for path in paths if path[0] == "params")
            continue
        followings = [
            find_following(
                graph,
                origins,
                of_live if layer.is_live else users,
                use.outputs,
                layer.features,
                known,
            )
            for use in layer.uses
        ]
        found.append(Described(layer, weights, common_following(followings)))
    return tuple(found), frozenset(unknown)


def _weights_of_all(
    graph: Graph, origins: Origins, known: Known, layer: Operation
) -> Weights | None:
    """Find what the weights are of the kernel; None where uses differ in it."""
    found = {
        find_weights(
            graph,
            origins,
            known.made_by,
            layer._replace(place=use.place, side=use.side),
            known.proofs,
        )
        for use in layer.uses
    }
    return found.pop() if len(found) == 1 else None
