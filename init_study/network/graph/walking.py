"""The walk behind a layer's output, block by block, as far as blocks are known.

`a` is where the walk is; each block begins there and ends at a value through which all
ways go:

    norm      b = reduce_sum a; c = mul a a; …; f = mul e rsqrt    `norms.py` proves it
    affine    g = mul a scale;  h = add a shift
    function  i = max a 0.0                          each number by itself
    move      j = slice a                            numbers in other places
    noise     k = add a m                            `m` of a random key
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from init_study.network.graph.dataflow import Graph, Origins, Path
from init_study.network.graph.elementwise import is_affine, is_elementwise, keeps_order
from init_study.network.graph.in_numpy import compute_in_numpy
from init_study.network.graph.moves import is_move, is_pool, keeps_all
from init_study.network.graph.norms import (
    Piece,
    block_of,
    changes_nothing,
    find_norm,
)
from init_study.network.graph.regions import Region
from init_study.network.graph.stochastic import KEYS

# Norms have few values on the way through which all goes; a block of more is none.
_MOST_CUTS = 12


@dataclasses.dataclass
class Known:
    """What is found once for all values of a graph.

    Attributes:
        made_by: as of `producers`.
        proofs: of norms, by what they compute.
        start: gives the numbers that parameters start from; None where nobody knows.
        kernels: parameters that are kernels of layers.
        references: what layers give for images of reference, by their outputs.
    """

    made_by: dict[int, int]
    proofs: dict[Any, Any] = dataclasses.field(default_factory=dict)
    start: Callable[[], Mapping[Path, Any]] | None = None
    kernels: frozenset[Path] = frozenset()
    references: dict[int, tuple[int, ...]] = dataclasses.field(default_factory=dict)


class Walked(NamedTuple):
    """How far the walk behind a value has come.

    Attributes:
        value: the last one.
        normalized, scale, shift: as of `Following`.
        pieces: blocks that compute functions of one number, in order.
        bent: whether one of them is more than a scaling and a shift.
        passed: all blocks, and whether each moved numbers.
    """

    value: int
    normalized: bool = False
    scale: Path | None = None
    shift: Path | None = None
    pieces: tuple[Piece, ...] = ()
    bent: bool = False
    passed: tuple[tuple[Piece, bool], ...] = ()


def step(
    graph: Graph,
    origins: Origins,
    known: Known,
    region: Region,
    features: int,
    walked: Walked,
) -> Walked | None:
    """Walk through the shortest next block that is known; None where there is none."""
    place = region.cuts.index(walked.value) + 1
    for end in region.cuts[place : place + _MOST_CUTS]:
        block = block_of(graph, region, walked.value, end)
        labels = (region.root, features, walked.passed)
        if (moved := _move(graph, origins, known, block, walked, labels)) is not None:
            return moved
        if (
            found := _function(graph, origins, known, region, block, walked)
        ) is not None:
            return found
        if walked.bent:
            continue
        if (joined := _affine(graph, origins, known, block, walked)) is not None:
            return joined
        if (norm := _norm(graph, origins, known, region, block, walked)) is not None:
            return norm
    return None


def _behind(walked: Walked, block: Piece, moves: bool, **changes: Any) -> Walked:
    """Walk through a block."""
    passed = (*walked.passed, (block, moves))
    return walked._replace(value=block.end, passed=passed, **changes)


def _move(
    graph: Graph,
    origins: Origins,
    known: Known,
    block: Piece,
    walked: Walked,
    labels: tuple[int, int, tuple[tuple[Piece, bool], ...]],
) -> Walked | None:
    """Walk through what only moves numbers, or adds noise, whose mean is 0.

    Behind an activation numbers may come in another order, but all do, and no others.
    """
    nodes = [graph.nodes[place] for place in block.places]
    if any(path[0] == KEYS for v in block.outer for path in origins.variables[v]):
        if walked.bent or not changes_nothing(graph, origins, known.made_by, block):
            return None
        return _behind(walked, block, False)
    if not all(is_move(graph, origins, node) for node in nodes):
        one = len(nodes) == 1 and not walked.bent
        if not (one and is_pool(graph, known.made_by, nodes[0], *labels)):
            return None
        return _behind(walked, block, True)
    if walked.bent and not all(keeps_all(graph, node) for node in nodes):
        return None
    pieces = walked.pieces
    if all(keeps_order(graph, node) for node in nodes):
        pieces = _longer(pieces, block, only_behind=True)
    return _behind(walked, block, True, pieces=pieces)


def _function(
    graph: Graph,
    origins: Origins,
    known: Known,
    region: Region,
    block: Piece,
    walked: Walked,
) -> Walked | None:
    """Walk through a function of one number; one with parameters is as it starts."""
    nodes = [graph.nodes[place] for place in block.places]
    if any(origins.of_images[value] for value in block.outer):
        return None
    if not all(is_elementwise(graph, n) or keeps_order(graph, n) for n in nodes):
        return None
    paths = {path for value in block.outer for path in origins.variables[value]}
    affine = all(is_affine(graph, node, region.inside) for node in nodes)
    if paths and (affine or walked.bent or known.start is None):
        return None
    if not paths.isdisjoint(known.kernels):
        return None
    pieces = _longer(walked.pieces, block)
    return _behind(walked, block, False, pieces=pieces, bent=walked.bent or not affine)


def _longer(
    pieces: tuple[Piece, ...], block: Piece, only_behind: bool = False
) -> tuple[Piece, ...]:
    """Add a block to the last piece if it begins where that ends; else as a new one."""
    if not pieces or pieces[-1].end != block.root:
        return pieces if only_behind else (*pieces, block)
    *before, last = pieces
    outer = tuple(sorted({*last.outer, *block.outer}))
    places = (*last.places, *block.places)
    return (*before, Piece(last.root, block.end, places, outer))


def _affine(
    graph: Graph, origins: Origins, known: Known, block: Piece, walked: Walked
) -> Walked | None:
    """Walk through a product with a parameter or a sum with one."""
    node = graph.nodes[block.places[-1]]
    if len(block.places) != 1 or len(block.outer) != 1:
        return None
    (other,) = block.outer
    paths = origins.variables[other]
    if node.name not in ("add", "sub", "mul", "div") or not paths:
        return None
    if not paths.isdisjoint(known.kernels) or origins.of_images[other]:
        return None
    if any(path[0] == KEYS for path in paths):
        return None
    if node.name == "div" and node.inputs[0] != block.root:
        return None
    scale, shift = walked.scale, walked.shift
    params = [path for path in paths if path[0] == "params"]
    if len(params) == 1 and _follows(graph, origins, known, other, params[0]):
        scale = params[0] if node.name == "mul" else scale
        shift = params[0] if node.name in ("add", "sub") else shift
    return _behind(walked, block, False, scale=scale, shift=shift)


def _follows(
    graph: Graph, origins: Origins, known: Known, value: int, path: Path
) -> bool:
    """Tell whether a value is 0 where a parameter is, and not where that is 1."""
    made = []
    for number in (0.0, 1.0):
        values: dict[int, Any] = {}
        for one in origins.variables[value]:
            place = graph.variables[one]
            given = np.float32(number if one == path else 1)
            values[place] = np.broadcast_to(given, graph.shapes[place].shape)
        made.append(compute_in_numpy(graph, known.made_by, value, values))
    return bool(not made[0].any() and made[1].any())


def _norm(
    graph: Graph,
    origins: Origins,
    known: Known,
    region: Region,
    block: Piece,
    walked: Walked,
) -> Walked | None:
    """Walk through a norm; what scaled and shifted before it has no effect.

    Its statistics may be those of several values together, as of parts of a layer.
    """
    nodes = [graph.nodes[place] for place in block.places]
    joined = {value for value in block.outer if origins.of_images[value]}
    if not joined <= region.others:
        return None
    other = known.references.get(block.root, ())
    if not other and all(is_elementwise(graph, node) for node in nodes):
        return None
    norm = find_norm(graph, origins, known.made_by, block, known.proofs, other)
    if norm is None:
        return None
    scale, shift = (which[0] if len(which) == 1 else None for which in norm)
    changes = {"normalized": True, "scale": scale, "shift": shift, "pieces": ()}
    return _behind(walked, block, False, **changes)
