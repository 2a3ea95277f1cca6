"""What is computed between two values, as a name: what has one is proved once."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from init_study.network.graph.dataflow import Graph

# Constants up to this size are compared number by number.
_SMALL = 256


def needed_of(
    graph: Graph,
    made_by: Mapping[int, int],
    root: int,
    end: int,
    references: Collection[int] = (),
) -> tuple[list[int], list[int]]:
    """List the nodes between two values, parameters' included, and what they read.

    Args:
        graph: of a network's call.
        made_by: as of `producers`.
        root: the first value.
        end: the last one.
        references: values that count as given, whatever they are made of.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: (x + 1.0) * 2.0, {}, 3.0)
        >>> made_by, (end,) = graph.producers(traced), traced.outputs
        >>> needed_of(traced, made_by, traced.images, end)[0]
        [0, 1]
    """
    places, read, open_values = set(), set(), [end]
    while open_values:
        value = open_values.pop()
        if value in read or value == root:
            continue
        read.add(value)
        if value in made_by and value not in references:
            places.add(made_by[value])
            open_values += graph.nodes[made_by[value]].inputs
    return sorted(places), sorted(read)


def signature_of(
    graph: Graph, places: list[int], read: list[int], root: int
) -> tuple[Any, ...]:
    """Name all that decides what nodes compute, so that it is computed once.

    Args:
        graph: of a network's call.
        places: of the nodes.
        read: the values that they read or give.
        root: the one that they are a function of.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: (x + 1.0) + 1.0, {}, 3.0)
        >>> made_by, first = graph.producers(traced), traced.nodes[0].outputs[0]
        >>> one, two = (
        ...     signature_of(traced, *needed_of(traced, made_by, *ends), ends[0])
        ...     for ends in ((traced.images, first), (first, traced.outputs[0]))
        ... )
        >>> one == two
        True
    """
    known = {root: 0}
    said: list[Any] = [graph.shapes[root].shape]
    kinds = {value: path[0] for path, value in graph.variables.items()}
    made = {value for place in places for value in graph.nodes[place].outputs}
    for value in (value for value in read if value not in made):
        known[value] = len(known)
        constant = graph.constants.get(value)
        small = constant is not None and graph.size(value) <= _SMALL
        number = np.asarray(constant).tobytes() if small else None
        # What is large, or of the images, is like nothing else.
        alike = small or value in kinds
        what = kinds.get(value) if alike else value
        said.append((graph.shapes[value].shape, what, number))
    for place in places:
        node = graph.nodes[place]
        for value in node.outputs:
            known[value] = len(known)
        params = tuple(f"{k}={v}" for k, v in node.equation.params.items())
        shapes = tuple(graph.shapes[value].shape for value in node.outputs)
        said.append((node.name, tuple(known[v] for v in node.inputs), shapes, params))
    return tuple(said)
