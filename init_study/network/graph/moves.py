"""Moves: what gives some of the numbers that it reads, in other places.

Crops, pads, rolls, flips, splits, concatenations and lookups at fixed places are such;
so is a max-pool, for which of its numbers it gives is decided by all, but each is one.

    b = slice a; c = concatenate b a; d = pad c 0.0; e = reduce_window_max d
"""

from typing import Any

import numpy as np

from init_study.network.graph.dataflow import Graph, Node, Origins
from init_study.network.graph.elementwise import MOVES, only_casts, only_moves
from init_study.network.graph.in_numpy import compute_in_numpy
from init_study.network.graph.norms import Piece

_CHOOSE = (*MOVES, "slice", "rev", "concatenate", "stack", "pad", "split", "copy")
_LOOK_UP = ("gather", "dynamic_slice")
_POOLS = ("reduce_max", "reduce_window_max")


def is_move(graph: Graph, origins: Origins, node: Node) -> bool:
    """Tell whether each number that a node gives is one that it reads.

    Where lookups look must be known from constants alone.

    Example:
        >>> from init_study.network import graph
        >>> images = np.ones((2, 3), np.float32)
        >>> traced, _ = graph.make_graph(lambda p, x: x[:, 1:] * 2.0, {}, images)
        >>> origins = graph.find_origins(traced)
        >>> [is_move(traced, origins, node) for node in traced.nodes]
        [True, False]
    """
    if node.name in _LOOK_UP:
        where = node.inputs[1:]
        return not any(origins.of_images[v] or origins.variables[v] for v in where)
    return node.name in _CHOOSE or only_casts(graph, node) or only_moves(graph, node)


def keeps_all(graph: Graph, node: Node) -> bool:
    """Tell whether a move gives each number that it reads once."""
    return only_casts(graph, node) or only_moves(graph, node)


def is_pool(
    graph: Graph,
    made_by: dict[int, int],
    node: Node,
    root: int,
    features: int,
    passed: tuple[tuple[Piece, bool], ...],
) -> bool:
    """Tell whether a node gives the greatest of several places, each feature by itself.

    The greatest of several features is a maxout, which is no function of one of them.

    Args:
        graph: the graph.
        made_by: as of `producers`.
        node: of it.
        root: the value at which the walk to this node begins.
        features: its axis of features.
        passed: the blocks on the way, and whether each moved numbers.
    """
    if node.name not in _POOLS:
        return False
    labels = _labels(graph, made_by, root, features, passed)
    axes = node.equation.params.get("axes")
    if axes is None:
        sizes = node.equation.params["window_dimensions"]
        axes = [axis for axis, size in enumerate(sizes) if size > 1]
    return all((labels == labels.take([0], axis)).all() for axis in axes)


def _labels(
    graph: Graph,
    made_by: dict[int, int],
    root: int,
    features: int,
    passed: tuple[tuple[Piece, bool], ...],
) -> Any:
    """Follow the number of each feature along a walk; what comes in beside is -1."""
    shape = graph.shapes[root].shape
    alone = [1] * len(shape)
    alone[features] = shape[features]
    numbers = np.arange(shape[features], dtype=np.float32).reshape(alone)
    labels = np.broadcast_to(numbers, shape)
    for block, moves in passed:
        if not moves:
            labels = labels.reshape(graph.shapes[block.end].shape)
            continue
        values: dict[int, Any] = {block.root: labels}
        for value in block.outer:
            if value not in graph.constants:
                values[value] = np.full(graph.shapes[value].shape, -1, np.float32)
        labels = compute_in_numpy(graph, made_by, block.end, values)
    return labels
