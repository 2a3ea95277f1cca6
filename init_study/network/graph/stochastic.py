"""A training graph at the mean of its dropout: masks are what they are on average, 1.

Dropout multiplies by a random mask and divides by the share that it keeps; stochastic
depth does the same to whole branches. What is looked for, `x` of the images and `m`
drawn from a key:

    select_n(m, 0, div(x, keep))      Flax, Equinox
    div(mul(m, x), keep)              Haiku; `x * m / keep`
    mul(div(x, keep), m)              `x / keep * m`
"""

from collections.abc import Mapping

import numpy as np

from init_study.network.graph.dataflow import (
    Graph,
    Node,
    Origins,
    needed_places,
    producers,
)

# The first name in the paths of variables that are random keys.
KEYS = "keys"


def without_dropout(graph: Graph, origins: Origins) -> Graph:
    """Put what dropout reads in the place of what it gives, and leave out the rest.

    Values keep their numbers. Nodes that no output depends on any more are gone.

    Args:
        graph: of a training call, with its keys among the variables, under `KEYS`.
        origins: what its values come from.

    Example:
        >>> import jax
        >>> from init_study.network import graph
        >>> def drop(variables, x):
        ...     mask = jax.random.bernoulli(variables[KEYS, "dropout"], 0.5, x.shape)
        ...     return x * mask / 0.5
        >>> keys = {(KEYS, "dropout"): jax.random.key(0)}
        >>> traced, _ = graph.make_graph(drop, keys, np.ones((2, 3), np.float32))
        >>> kept = without_dropout(traced, graph.find_origins(traced))
        >>> kept.nodes, kept.outputs == (kept.images,)
        ((), True)
    """
    made_by, users = producers(graph), graph.users()
    stands_for: dict[int, int] = {}
    for node in graph.nodes:
        kept = _kept(graph, origins, made_by, node)
        if kept is None:
            continue
        stands_for[node.outputs[0]] = kept
        readers = users.get(node.outputs[0], [])
        after = graph.nodes[readers[0]] if len(readers) == 1 else None
        if node.name == "mul" and after is not None and _scales(graph, origins, after):
            stands_for[after.outputs[0]] = kept
    if not stands_for:
        return graph
    nodes = tuple(
        node._replace(inputs=tuple(_end(stands_for, value) for value in node.inputs))
        for node in graph.nodes
    )
    outputs = tuple(_end(stands_for, value) for value in graph.outputs)
    changed = graph._replace(nodes=nodes, outputs=outputs)
    places = needed_places(changed, outputs)
    alive = tuple(n for place, n in enumerate(nodes) if place in places)
    return changed._replace(nodes=alive)


def _kept(
    graph: Graph, origins: Origins, made_by: Mapping[int, int], node: Node
) -> int | None:
    """Find the value that a mask is laid on here, before it is divided, or None."""
    if node.name == "select_n" and len(node.inputs) == 3:
        mask, *cases = node.inputs
        moved = [value for value in cases if origins.of_images[value]]
        still = [value for value in cases if not origins.of_images[value]]
        if _is_random(origins, mask) and len(moved) == 1:
            is_zero = _is_zero(graph, made_by, still[0])
            return _undivided(graph, origins, made_by, moved[0]) if is_zero else None
    if node.name == "mul":
        moved = [value for value in node.inputs if origins.of_images[value]]
        masks = [value for value in node.inputs if _is_random(origins, value)]
        if len(moved) == len(masks) == 1:
            return _undivided(graph, origins, made_by, moved[0])
    return None


def _is_random(origins: Origins, value: int) -> bool:
    """Tell whether a value is drawn from keys, and made of nothing else."""
    paths = origins.variables[value]
    return bool(paths) and all(path[0] == KEYS for path in paths)


def _is_zero(graph: Graph, made_by: Mapping[int, int], value: int) -> bool:
    """Tell whether a value is a constant of zeros, broadcast or not."""
    while value in made_by:
        node = graph.nodes[made_by[value]]
        if node.name not in ("broadcast_in_dim", "convert_element_type", "reshape"):
            return False
        value = node.inputs[0]
    return value in graph.constants and not np.any(np.asarray(graph.constants[value]))


def _undivided(
    graph: Graph, origins: Origins, made_by: Mapping[int, int], value: int
) -> int:
    """Go back behind the division by the share that is kept, if it stands here."""
    node = graph.nodes[made_by[value]] if value in made_by else None
    divides = node is not None and node.name == "div" and _scales(graph, origins, node)
    return node.inputs[0] if node is not None and divides else value


def _scales(graph: Graph, origins: Origins, node: Node) -> bool:
    """Tell whether a node multiplies or divides by one number that is no parameter."""
    if node.name not in ("mul", "div"):
        return False
    still = [value for value in node.inputs if not origins.of_images[value]]
    return (
        len(still) == 1
        and graph.size(still[0]) == 1
        and not origins.variables[still[0]]
    )


def _end(stands_for: Mapping[int, int], value: int) -> int:
    """Follow replacements to the last one."""
    while value in stands_for:
        value = stands_for[value]
    return value
