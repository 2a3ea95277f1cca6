"""Norms, proved on numbers: a block is one if it takes the scale of its input away.

A block of a region is computed twice, at random inputs x and at 16·x, its parameters at
ones and zeros. It is a norm if both give the same, of mean square 1. So batch, layer,
group, instance and RMS norms are norms, whatever they are written with. Not so are a
softmax and centering, which keep a scale, and x / max and x / ‖x‖, which leave another
mean square than 1. Statistics of a reference batch follow x (`references.py`).
"""

import itertools
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from init_study.network.graph.dataflow import Graph, Origins, Path
from init_study.network.graph.in_numpy import compute_in_numpy
from init_study.network.graph.references import KeptNumbers, kept_numbers
from init_study.network.graph.regions import Region, root_of_square
from init_study.network.graph.signatures import needed_of, signature_of
from init_study.network.graph.stochastic import KEYS

# Large beside what norms add to a variance, which is 1e-3 at most.
_SCALE = 16.0
# Mean squares are one up to this: random inputs have theirs by chance.
_CLOSE = 0.1
# So are what a norm gives at both scales, but for numbers that are alike by chance,
# beside whose variance what it adds is not small.
_ALIKE = 0.001
# A block of more parameters is no norm that anybody has written.
_MOST_PARAMETERS = 3


class Norm(NamedTuple):
    """A block that is a norm.

    Attributes:
        scales, shifts: those of its parameters that multiply all of what it gives, and
            that add to it.
    """

    scales: tuple[Path, ...]
    shifts: tuple[Path, ...]


class Piece(NamedTuple):
    """A part of a region, with one way in and one way out.

    Attributes:
        root: the value that comes in.
        end: the value that goes out.
        places: of its nodes, in order.
        outer: the other values that they read.
    """

    root: int
    end: int
    places: tuple[int, ...]
    outer: tuple[int, ...]


def block_of(graph: Graph, region: Region, root: int, end: int) -> Piece:
    """Find the nodes between two values through which all ways of a region go.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: (x + 1.0) * 2.0, {}, 3.0)
        >>> origins, users = graph.find_origins(traced), traced.users()
        >>> region = graph.find_region(traced, origins, users, traced.images)
        >>> block_of(traced, region, region.cuts[1], region.cuts[2]).places
        (1,)
    """
    wanted, places = {end}, []
    for place in reversed(region.places):
        node = graph.nodes[place]
        if not wanted.isdisjoint(node.outputs) and root not in node.outputs:
            places.append(place)
            wanted.update(v for v in node.inputs if v != root)
    places.reverse()
    made = {value for place in places for value in graph.nodes[place].outputs}
    read = {value for place in places for value in graph.nodes[place].inputs}
    return Piece(root, end, tuple(places), tuple(sorted(read - made - {root})))


def find_norm(
    graph: Graph,
    origins: Origins,
    made_by: dict[int, int],
    block: Piece,
    proofs: dict[Any, Any],
    references: Collection[int] = (),
) -> Norm | None:
    """Compute a block, and tell whether it is a norm.

    Args:
        graph: of a network's call.
        origins: what its values come from.
        made_by: as of `producers`.
        block: of it.
        proofs: of blocks that were computed before; new ones come in.
        references: what the root is for other images, whose statistics count.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.network import graph
        >>> def rms(p, x):
        ...     return x * p["params", "g"] / jnp.sqrt((x * x).mean(1, keepdims=True))
        >>> variables = {("params", "g"): jnp.ones((4, 8))}
        >>> traced, _ = graph.make_graph(rms, variables, jnp.ones((4, 8)))
        >>> origins, users = graph.find_origins(traced), traced.users()
        >>> region = graph.find_region(traced, origins, users, traced.images)
        >>> block = block_of(traced, region, traced.images, traced.outputs[0])
        >>> find_norm(traced, origins, graph.producers(traced), block, {}).scales
        (('params', 'g'),)
    """
    given = (*references, *_joined(graph, origins, made_by, block))
    places, read = needed_of(graph, made_by, block.root, block.end, given)
    path_of = {value: path for path, value in graph.variables.items()}
    paths = [path_of[value] for value in read if value in path_of]
    params = [path for path in paths if path[0] == "params"]
    if len(params) > _MOST_PARAMETERS:
        return None
    kept = [path for path in paths if path[0] not in ("params", KEYS)]
    key = signature_of(graph, places, read, block.root)
    if key not in proofs:
        other = tuple(sorted(references))
        proofs[key] = _proved(graph, origins, made_by, block, params, kept, other)
    found = proofs[key]
    if found is None:
        return None
    scales, shifts = (tuple(params[place] for place in which) for which in found)
    return Norm(scales, shifts)


def _proved(
    graph: Graph,
    origins: Origins,
    made_by: dict[int, int],
    block: Piece,
    params: list[Path],
    kept: list[Path],
    references: tuple[int, ...],
) -> tuple[list[int], list[int]] | None:
    """Compute a block; if it is a norm, say which parameters scale and shift."""
    ways = kept_numbers(kept)
    for way, numbers in itertools.product(
        ways, itertools.product((1.0, 0.0), repeat=len(params))
    ):

        def at(
            scale: float,
            numbers: tuple[float, ...],
            way: KeptNumbers = way,
            beside: float | None = None,
        ) -> Any:
            given = {**dict(zip(params, numbers, strict=True)), **way(_SCALE * scale)}
            scales = (scale, scale if beside is None else beside)
            return _compute(graph, origins, made_by, block, scales, given, references)

        given = at(1.0, numbers)
        # Most blocks that are none fail here, at half the price.
        if abs(float(np.mean(np.square(given))) - 1) > _CLOSE:
            continue
        # A shift of 1 alone has this mean square, too.
        if float(np.var(given)) < 1 / 2:
            continue
        if not float(np.mean(np.square(given - at(_SCALE, numbers)))) < _ALIKE:
            continue
        # Of what is joined with others some part of the scale must be its own.
        alone = np.mean(np.square(at(_SCALE, numbers, beside=1.0)))
        if float(alone) > _SCALE**2 / 2:
            continue
        scales, shifts = [], []
        for place in range(len(params)):
            off, on = (
                at(1.0, (*numbers[:place], number, *numbers[place + 1 :]))
                for number in (0.0, 1.0)
            )
            if not off.any() and on.any():
                scales.append(place)
            elif np.allclose(on - off, 1.0, atol=1e-3):
                shifts.append(place)
        return scales, shifts
    return None


def changes_nothing(
    graph: Graph, origins: Origins, made_by: dict[int, int], block: Piece
) -> bool:
    """Tell whether a block with random numbers gives what it reads at their mean, 0.

    Example:
        >>> import jax
        >>> from init_study.network import graph
        >>> def noisy(variables, x):
        ...     return x + jax.random.normal(variables[KEYS, "noise"], x.shape)
        >>> variables = {(KEYS, "noise"): jax.random.key(0)}
        >>> images = np.ones((2, 3), np.float32)
        >>> traced, _ = graph.make_graph(noisy, variables, images)
        >>> origins, users = graph.find_origins(traced), traced.users()
        >>> region = graph.find_region(traced, origins, users, traced.images)
        >>> block = block_of(traced, region, traced.images, traced.outputs[0])
        >>> changes_nothing(traced, origins, graph.producers(traced), block)
        True
    """
    made = _compute(graph, origins, made_by, block, (1.0, 1.0), {})
    given = _numbers(graph, block.root, 1.0)
    return made.shape == given.shape and np.array_equal(made, given)


def _compute(
    graph: Graph,
    origins: Origins,
    made_by: dict[int, int],
    block: Piece,
    scales: tuple[float, float],
    given: Mapping[Path, float],
    references: tuple[int, ...] = (),
) -> Any:
    """Compute what a block gives for random inputs of a scale, and others of theirs.

    Variables are what is given, others ones; what is random is 0.
    """
    scale, beside = scales
    numbers = _numbers(graph, block.root, scale)
    values: dict[int, Any] = {block.root: numbers}
    for value in references:
        # The same images over and over have the same statistics.
        images = np.arange(graph.shapes[value].shape[0]) % len(numbers)
        values[value] = numbers[images].reshape(graph.shapes[value].shape)
    for path, value in graph.variables.items():
        if path[0] != KEYS:
            shape = graph.shapes[value].shape
            values[value] = np.broadcast_to(np.float32(given.get(path, 1)), shape)
    for value in _joined(graph, origins, made_by, block):
        values[value] = _numbers(graph, value, beside)
    for value in block.outer:
        if any(path[0] == KEYS for path in origins.variables[value]):
            values[value] = np.zeros(graph.shapes[value].shape, np.float32)
    return compute_in_numpy(graph, made_by, block.end, values)


def _joined(
    graph: Graph, origins: Origins, made_by: Mapping[int, int], block: Piece
) -> list[int]:
    """List the values of the images that a block reads; of a square what it is of."""
    found = {root_of_square(graph, made_by, value) for value in block.outer}
    return sorted(v for v in found if origins.of_images[v] and v != block.root)


def _numbers(graph: Graph, value: int, scale: float) -> Any:
    """Draw a value's numbers; always the same, but for the scale."""
    draws = np.random.default_rng(value)
    shape = graph.shapes[value].shape
    # In double precision: a variance as a difference of two squares loses digits.
    return _SCALE * scale * draws.standard_normal(shape)
