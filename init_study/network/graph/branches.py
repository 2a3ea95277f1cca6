"""Residual branches: sums of two paths that part at one value.

fork:   b
branch: c = conv_general_dilated b w      any operations, at least one layer
sum:    d = add c b                       or add c (another path from b)
"""

from typing import NamedTuple

from init_study.network.graph.dataflow import Graph, Origins, Path, producers
from init_study.network.graph.operations import Operation


class ResidualSum(NamedTuple):
    """One residual sum: a branch, and the way around it.

    Attributes:
        layers: paths of the kernels on the branch, in the order of execution.
        shortcut: those on the way around it; none for an identity.
        place: of the sum's node.
        side: which of the sum's two inputs the branch is.
        summand: that input.
        fork: the value where both ways begin.
    """

    layers: tuple[Path, ...]
    shortcut: tuple[Path, ...]
    place: int
    side: int
    summand: int
    fork: int


def find_sums(
    graph: Graph, origins: Origins, layers: tuple[Operation, ...]
) -> tuple[ResidualSum, ...]:
    """Find the residual sums, in the order of execution.

    The branch of a sum is the way that cannot be walked with fewer layers than the
    other; where both have as many, the one with the larger kernels in all, then the
    second one.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        layers: its operations.

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
    made_by, places = producers(graph), {layer.place: layer for layer in layers}
    above = _ancestors(graph, origins)
    found = []
    for place, node in enumerate(graph.nodes):
        if node.name not in ("add", "add_any") or len(node.inputs) != 2:
            continue
        first, second = node.inputs
        moved = origins.of_images[first] and origins.of_images[second]
        # A sum of single numbers, as of means, has no channels.
        if not moved or first == second or not graph.shapes[node.outputs[0]].shape:
            continue
        fork = _fork(above[first] & above[second], graph)
        ways = [_layers_between(above, v, fork, places) for v in node.inputs]
        if not any(ways):
            continue
        fewest = [_fewest(graph, v, fork, places, made_by) for v in node.inputs]
        sizes = [
            sum(graph.size(graph.variables[w.kernel]) for w in way) for way in ways
        ]
        # Not less than the shortcut in all that counts.
        branch = 0 if (fewest[0], sizes[0]) > (fewest[1], sizes[1]) else 1
        found.append(
            ResidualSum(
                layers=tuple(layer.kernel for layer in ways[branch]),
                shortcut=tuple(layer.kernel for layer in ways[1 - branch]),
                place=place,
                side=branch,
                summand=node.inputs[branch],
                fork=fork,
            )
        )
    return tuple(found)


def _ancestors(graph: Graph, origins: Origins) -> dict[int, int]:
    """Collect, for each value of the images, what it depends on and itself, as bits."""
    above = {value: 1 << value for value in (graph.images, *origins.tokens)}
    for node in graph.nodes:
        bits = 0
        for value in node.inputs:
            if origins.of_images[value]:
                bits |= above[value]
        for value in node.outputs:
            above[value] = bits | (1 << value)
    return above


def _fork(common: int, graph: Graph) -> int:
    """Find the last value that both ways depend on.

    Values are numbered as they are made; the images come before all others.
    """
    rest = common & ~(1 << graph.images)
    return rest.bit_length() - 1 if rest else graph.images


def _layers_between(
    above: dict[int, int], value: int, fork: int, places: dict[int, Operation]
) -> list[Operation]:
    """List the layers that a value depends on and the fork does not."""
    between = above[value] & ~above[fork]
    return [layer for layer in places.values() if between >> layer.result & 1]


def _fewest(
    graph: Graph,
    value: int,
    fork: int,
    places: dict[int, Operation],
    made_by: dict[int, int],
) -> int:
    """Count layers on the shortest way from fork to value; many where there is none."""
    counts: dict[int, int] = {fork: 0}
    if value == fork:
        return 0
    for place in range(made_by.get(fork, -1) + 1, made_by[value] + 1):
        node = graph.nodes[place]
        known = [counts[v] for v in node.inputs if v in counts]
        if known:
            for output in node.outputs:
                counts[output] = min(known) + (place in places)
    return counts.get(value, len(graph.nodes))
