"""Norms by a reference batch: statistics that are not of the images alone.

Virtual batch normalization divides by what a batch of reference has, with a share of
the image's own or without. Its statistics are either kept, as variables of the module,
or computed in the call, of reference images that go through the same layer:

    m = add (mul mean(a) 1/33) (mul kept 32/33)      kept: 0, a deviation, a square
    r = conv ref w; m = mean r                       r is `a` for other images

What is kept alone, beside nothing of the images, is no norm: a batch norm in evaluation
mode looks the same, and does nothing at its start.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

from init_study.network.graph.dataflow import CONTRACTIONS, Graph, Origins, Path

# From the deviation of what comes in to the numbers of variables.
KeptNumbers = Callable[[float], Mapping[Path, float]]

# Norms keep a mean and a square, or a deviation; more makes too many ways.
_MOST_KEPT = 3


def kept_numbers(kept: Sequence[Path]) -> list[KeptNumbers]:
    """List what variables may be if they keep statistics: mean, deviation or square.

    The first way is that they keep none, and are ones.

    Args:
        kept: variables that are no parameters.

    Example:
        >>> [dict(way(16.0)) for way in kept_numbers([("state", "m")])]
        [{}, {('state', 'm'): 0.0}, {('state', 'm'): 16.0}, {('state', 'm'): 256.0}]
    """
    ways: list[KeptNumbers] = [lambda deviation: {}]
    if not 0 < len(kept) <= _MOST_KEPT:
        return ways
    for powers in itertools.product((0, 1, 2), repeat=len(kept)):

        def way(deviation: float, powers: tuple[int, ...] = powers) -> dict:
            pairs = zip(kept, powers, strict=True)
            return {path: deviation**power if power else 0.0 for path, power in pairs}

        ways.append(way)
    return ways


def results_of_reference(
    graph: Graph, origins: Origins, place: int, side: int
) -> tuple[int, ...]:
    """Find what a layer gives for images that are the network's own: of a reference.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        place: of the layer's node.
        side: which of its operands the images are.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> w, r = ("params", "w"), ("state", "reference")
        >>> traced, _ = graph.make_graph(
        ...     lambda p, x: x @ p[w] - (p[r] @ p[w]).mean(0, keepdims=True),
        ...     {w: jnp.ones((3, 2)), r: jnp.ones((4, 3))},
        ...     jnp.ones((5, 3)),
        ... )
        >>> origins = graph.find_origins(traced)
        >>> found = results_of_reference(traced, origins, 0, 0)
        >>> [traced.shapes[value].shape for value in found]
        [(4, 2)]
    """
    node = graph.nodes[place]
    weights = origins.variables[node.inputs[1 - side]]
    found = []
    for other in graph.nodes:
        if other.name != node.name or other.name not in CONTRACTIONS:
            continue
        if any(origins.of_images[value] for value in other.inputs):
            continue
        read, by = other.inputs[side], other.inputs[1 - side]
        made, like = (graph.shapes[one.outputs[0]].shape for one in (other, node))
        if made[1:] != like[1:]:
            continue
        if origins.variables[by] == weights != origins.variables[read]:
            found += other.outputs
    return tuple(found)
