"""Copies within a layer: units that stay alike for ever, and those that part."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from init_study.activations import linear, name_activation
from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.law_families import IDENTITY, ORTHOGONAL
from init_study.diagnosis.laws import KERNEL, as_matrix
from init_study.diagnosis.seen import Seen
from init_study.network import Layer, Path

# Gradients of copies differ by rounding alone; those of units that are told apart, by
# as much as what tells them apart.
_ROUNDED = 1e-4
# Filters of a random kernel have a mean cosine of 0, those of U(0, a), which have a
# common mean, of 3/4; at 0.9 a tenth of each square is its own.
_ALIKE = 0.9
_SURE = 6.0
# Rank is counted up to this, by projections on random directions.
_MOST_RANK = 64
_LOW_RANK = 0.5


def _stay_copies(seen: Seen) -> Iterator[Sign]:
    """Give the hidden layers with units that no gradient tells apart."""
    for layer, first, slopes in _copied(seen):
        alike = _same_gradients(first, slopes)
        if alike is None or not slopes.any():
            continue
        counts = np.bincount(alike)
        distinct, units = int((counts > 0).sum()), len(alike)
        if distinct < units:
            yield Sign(
                "error" if distinct == 1 else "warning",
                layer.name,
                f"{distinct} of {units} units differ (wanted: {units}); the largest "
                f"group of copies has {counts.max()}, with equal gradients as well",
            )


def _part_at_once(seen: Seen) -> Iterator[Sign]:
    """Give the layers whose copies the first step tells apart."""
    for layer, first, slopes in _copied(seen):
        alike = _same_gradients(first, slopes)
        if not seen.leaves[layer.kernel].any() or alike is None:
            continue
        if slopes.any() and len(np.unique(alike)) == len(alike):
            yield Sign(
                "info",
                layer.name,
                f"{len(np.unique(first))} of {len(first)} filters differ; what reads "
                "them gives copies unequal gradients",
            )


def _copied(seen: Seen) -> Iterator[tuple[Layer, np.ndarray, np.ndarray]]:
    """Give hidden layers with units of equal incoming weights, and their gradients.

    Units of the result are told apart by labels: they are no copies.
    """
    classes = seen.first.result.shape[-1]
    for layer in seen.set_up.network.layers:
        ends = layer.output_shape[-1] == classes and _is_linear(layer)
        if ends or layer.groups > 1 or layer.uses > 1:
            continue
        incoming, slopes = (
            np.concatenate(list(_incoming(layer, leaves)))
            for leaves in (seen.leaves, seen.woken)
        )
        first = first_copies(incoming)
        if (first != np.arange(len(first))).any():
            yield layer, first, slopes


def _is_linear(layer: Layer) -> bool:
    """Tell whether its units may be those of the result."""
    follows = layer.activation
    if follows is None or follows is linear:
        return not layer.normalized
    return not layer.normalized and name_activation(follows) == "linear"


def _incoming(
    layer: Layer, leaves: dict[Path, np.ndarray]
) -> Iterator[Float[np.ndarray, "n units"]]:
    """Give all that belongs to each unit before its activation, units last."""
    kernel = as_matrix(leaves[layer.kernel], layer)
    yield kernel
    for path in (layer.bias, layer.scale, layer.shift):
        if path is not None and leaves[path].size == kernel.shape[1]:
            yield leaves[path].reshape(1, -1).astype(kernel.dtype)


def first_copies(columns: Float[np.ndarray, "n units"]) -> Int[np.ndarray, " units"]:
    """Find for every column the first one that it equals, in all numbers.

    On the host, and as `instruments.symmetry` counts them, by hashes of 64 bits.

    Args:
        columns: one for every unit.

    Example:
        >>> first_copies(np.array([[1.0, 1.0, 2.0, 1.0]])).tolist()
        [0, 0, 2, 0]
    """
    # Minus zero is zero.
    bits = (np.ascontiguousarray(columns, np.float64) + 0.0).view(np.uint64)
    factors = np.random.default_rng(0).integers(0, 2**64, len(bits), np.uint64)
    # A difference in high bits would stay there: mixed, it is in all of them.
    mixed = (bits ^ (bits >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(32)
    hashes = (mixed * (factors | np.uint64(1))[:, None]).sum(0, dtype=np.uint64)
    _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
    return first[group]


def _same_gradients(
    first: Int[np.ndarray, " units"], slopes: Float[np.ndarray, "n units"]
) -> Int[np.ndarray, " units"] | None:
    """Split groups of copies by their gradients; None where one is not finite."""
    if not np.isfinite(slopes).all():
        return None
    size = np.sqrt((slopes.astype(np.float64) ** 2).sum(0).max())
    alike = first.copy()
    for group in np.unique(first):
        members = np.flatnonzero(first == group)
        # Along the order of one number equal columns are side by side.
        random = np.random.default_rng(1).normal(size=len(slopes))
        members = members[np.argsort(random @ slopes[:, members], kind="stable")]
        steps = np.diff(slopes[:, members].astype(np.float64), axis=1)
        new = np.sqrt((steps**2).sum(0)) > _ROUNDED * size
        starts = np.concatenate([[0], np.cumsum(new)])
        for start in range(starts[-1] + 1):
            same = members[starts == start]
            # What has no gradient yet may be told apart by the first that it gets.
            if not slopes[:, same].any():
                alike[same] = same
                continue
            alike[same] = same.min()
    return alike


def _low_rank(seen: Seen) -> Iterator[Sign]:
    """Give the kernels that reach few directions."""
    structured = {law.path for law in seen.laws if law.family in (IDENTITY, ORTHOGONAL)}
    for layer in seen.set_up.network.layers:
        whole = as_matrix(seen.leaves[layer.kernel], layer)
        # Copies are another trap's.
        kernel = whole[:, np.unique(first_copies(whole))]
        least = min(*kernel.shape, _MOST_RANK)
        if layer.groups > 1 or least < 4 or not kernel.any():
            continue
        rank = _rank(kernel)
        # Taps that are all zero, as in delta-orthogonal kernels, are meant.
        rows = int(kernel.any(1).sum())
        if rank < _LOW_RANK * least:
            meant = layer.kernel in structured or rank >= _LOW_RANK * min(rows, least)
            yield Sign(
                "info" if meant else "warning",
                "/".join(layer.kernel),
                f"rank {rank} (wanted: at least {_LOW_RANK:g} · {least}; independent "
                "numbers have the full rank)",
            )


def _rank(kernel: Float[np.ndarray, "n units"]) -> int:
    """Count a kernel's rank, up to `_MOST_RANK`."""
    generator = np.random.default_rng(0)
    small = kernel
    if kernel.shape[0] > _MOST_RANK:
        random = generator.normal(size=(_MOST_RANK, kernel.shape[0]))
        small = random.astype(kernel.dtype) @ small
    if kernel.shape[1] > _MOST_RANK:
        random = generator.normal(size=(kernel.shape[1], _MOST_RANK))
        small = small @ random.astype(kernel.dtype)
    if not np.isfinite(small).all():
        return _MOST_RANK
    values = np.linalg.svd(small.astype(np.float64), compute_uv=False)
    rounding = np.finfo(np.float32).eps * max(kernel.shape)
    return int((values > rounding * values[0]).sum())


def _filters_alike(seen: Seen) -> Iterator[Sign]:
    """Give the kernels whose filters point into nearly one direction."""
    kernels = [law.path for law in seen.laws if law.role == KERNEL]
    layers = {layer.kernel: layer for layer in seen.set_up.network.layers}
    for path in kernels:
        matrix = as_matrix(seen.leaves[path], layers[path]).astype(np.float64)
        lengths = np.linalg.norm(matrix, axis=0)
        units = matrix[:, lengths > 0] / lengths[lengths > 0]
        rows, count = units.shape
        if count < 3 or (first_copies(matrix) == 0).all():
            continue
        mean = (np.sum(units.sum(1) ** 2) - count) / (count * (count - 1))
        # Each cosine of two random directions has variance 1 / rows.
        errors = mean * np.sqrt(rows * count * (count - 1) / 2)
        if mean > _ALIKE and errors > _SURE:
            yield Sign(
                "warning",
                "/".join(path),
                f"two of its filters have a mean cosine of {mean:.2f} (threshold "
                f"{_ALIKE}; {errors:.0f} standard errors from 0)",
            )


COPY_TRAPS = (
    Trap(
        "stay-copies",
        "hidden units are copies, and stay copies",
        "Units with equal weights before and behind them get equal gradients: no step "
        "tells them apart, and each group is worth one unit.",
        'scheme="he_normal" for these kernels, or "noisy" to part the copies',
        "derived: a swap of two such units changes no parameter; measured: zeros in "
        "every layer train the last bias alone",
        _stay_copies,
    ),
    Trap(
        "part-at-once",
        "filters are copies that the first step tells apart",
        "They begin as one filter, and the weights behind them give each another "
        "gradient.",
        "none is needed",
        "derived: unequal outgoing weights give unequal gradients",
        _part_at_once,
    ),
    Trap(
        "low-rank",
        "a kernel reaches few directions",
        "What it reads is cut to a few numbers, whatever its width.",
        'scheme="orthogonal" or "he_normal"',
        "derived: a matrix of independent continuous numbers has full rank",
        _low_rank,
    ),
    Trap(
        "filters-alike",
        "filters of a layer are nearly one",
        "They all see the same thing, and a step has to part them before they learn.",
        'scheme="he_normal": a law without a mean',
        "derived: two random directions in n dimensions have a cosine of 0 ± 1/√n",
        _filters_alike,
    ),
)
