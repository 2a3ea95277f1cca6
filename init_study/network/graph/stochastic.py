"""A training graph at the mean of its dropout: masks are what they are on average, 1.

Dropout multiplies by a random mask and divides by the share that it keeps; stochastic
depth does the same to whole branches. What is looked for, `x` of the images and `m`
drawn from a key:

    select_n(m, 0, div(x, keep))      Flax, Equinox
    div(mul(m, x), keep)              Haiku; `x * m / keep`
    mul(div(x, keep), m)              `x / keep * m`
    add(x, m)                         noise, whose mean is taken to be 0

A division may be a product with `1 / keep`. One of them belongs to a mask; any other
number before or behind it is the network's own.
"""

from collections.abc import Mapping

import numpy as np

from init_study.keys import fixed_key
from init_study.network.graph.dataflow import (
    Graph,
    Node,
    Origins,
    compute,
    needed_places,
    producers,
)

# The first name in the paths of variables that are random keys.
KEYS = "keys"
# Two shares are one up to this: bfloat16 has three digits.
_ROUNDING = 0.01
_COMPARISONS = ("lt", "le", "gt", "ge")


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
        ...     return x * mask.astype(x.dtype) / 0.5
        >>> keys = {(KEYS, "dropout"): jax.random.key(0)}
        >>> traced, _ = graph.make_graph(drop, keys, np.ones((2, 3), np.float32))
        >>> kept = without_dropout(traced, graph.find_origins(traced))
        >>> kept.nodes, kept.outputs == (kept.images,)
        ((), True)
    """
    made_by, users = producers(graph), graph.users()
    stands_for: dict[int, int] = {}
    for node in graph.nodes:
        masked = _masked(graph, origins, made_by, node)
        if masked is None:
            continue
        value, mask = masked
        if mask is None:
            stands_for[node.outputs[0]] = value
            continue
        share = _share(graph, origins, made_by, mask)
        # What stands for something already has had its own division, and what others
        # read too is not divided for the mask.
        alone = value not in stands_for and len(users[value]) == 1
        place = made_by.get(value) if alone else None
        before = None if place is None else graph.nodes[place]
        if before is not None and _divides(graph, origins, before, share):
            (value,) = _of_images(origins, before)
        else:
            readers = users.get(node.outputs[0], [])
            after = graph.nodes[readers[0]] if len(readers) == 1 else None
            if after is not None and _divides(graph, origins, after, share):
                stands_for[after.outputs[0]] = value
        stands_for[node.outputs[0]] = value
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


def _masked(
    graph: Graph, origins: Origins, made_by: Mapping[int, int], node: Node
) -> tuple[int, int | None] | None:
    """Find what a mask is laid on here, and the mask, or what noise is added to.

    None where nothing random comes in, or where what it gives has another shape.
    """
    found = None
    if node.name == "select_n" and len(node.inputs) == 3:
        mask, *cases = node.inputs
        still = [value for value in cases if not origins.of_images[value]]
        if _is_random(origins, mask) and len(still) == 1:
            if _is_zero(graph, made_by, still[0]):
                found = (_of_images(origins, node)[0], mask)
    elif node.name in ("mul", "add", "sub"):
        moved = _of_images(origins, node)
        drawn = [value for value in node.inputs if _is_random(origins, value)]
        # Of a difference only what is subtracted can be noise.
        in_order = node.name != "sub" or drawn == [node.inputs[1]]
        if len(moved) == len(drawn) == 1 and in_order:
            found = (moved[0], drawn[0] if node.name == "mul" else None)
        if node.name == "mul" and found and not _is_mask(graph, drawn[0]):
            found = None
    if found is None or graph.shapes[found[0]] != graph.shapes[node.outputs[0]]:
        return None
    return found


def _is_mask(graph: Graph, value: int) -> bool:
    """Tell whether random factors are a mask, or have a mean of 1.

    A mask comes of a comparison. The mean of others, such as slopes between an eighth
    and a third, is taken over draws.
    """
    places = needed_places(graph, (value,))
    if any(graph.nodes[place].name in _COMPARISONS for place in places):
        return True
    keys = {path: fixed_key(0) for path in graph.variables if path[0] == KEYS}
    (drawn,) = compute(graph, keys, None, (value,))
    numbers = np.asarray(drawn, np.float32)
    error = 4 * float(numbers.std()) / max(1, numbers.size) ** 0.5
    return abs(float(numbers.mean()) - 1) <= max(error, _ROUNDING)


def _of_images(origins: Origins, node: Node) -> list[int]:
    """List the inputs of a node that depend on the images."""
    return [value for value in node.inputs if origins.of_images[value]]


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


def _share(
    graph: Graph, origins: Origins, made_by: Mapping[int, int], mask: int
) -> float | None:
    """Find the number that a mask's draws are compared with, or None.

    It is the share that is kept, or the share that is not.
    """
    open_values, seen, numbers = [mask], {mask}, []
    while open_values:
        value = open_values.pop()
        if value not in made_by:
            continue
        node = graph.nodes[made_by[value]]
        if node.name in _COMPARISONS:
            still = [v for v in node.inputs if not _is_random(origins, v)]
            numbers.append(_number(graph, origins, still[0]) if still else None)
        else:
            open_values += [v for v in node.inputs if v not in seen]
            seen.update(node.inputs)
    share = numbers[0] if len(numbers) == 1 else None
    return share if share is not None and 0 < share < 1 else None


def _divides(graph: Graph, origins: Origins, node: Node, share: float | None) -> bool:
    """Tell whether a node divides by the share that a mask keeps.

    Where the share is not known, any number from 0 to 1 will do.
    """
    still = [value for value in node.inputs if not origins.of_images[value]]
    if node.name not in ("mul", "div") or len(still) != 1:
        return False
    number = _number(graph, origins, still[0])
    if not number or (node.name == "div" and still[0] != node.inputs[1]):
        return False
    kept = number if node.name == "div" else 1 / number
    if share is None:
        return 0 < kept <= 1
    return bool(np.isclose(kept, (share, 1 - share), rtol=_ROUNDING, atol=0).any())


def _number(graph: Graph, origins: Origins, value: int) -> float | None:
    """Compute a value that is one number and made of constants, else None."""
    if origins.of_images[value] or origins.variables[value] or graph.size(value) != 1:
        return None
    (number,) = compute(graph, {}, None, (value,))
    return float(np.asarray(number).reshape(()))


def _end(stands_for: Mapping[int, int], value: int) -> int:
    """Follow replacements to the last one."""
    while value in stands_for:
        value = stands_for[value]
    return value
