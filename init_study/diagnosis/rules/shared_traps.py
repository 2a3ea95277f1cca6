"""Copies among parameters: numbers that two of them share, by one key or one seed."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import factorial

import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.laws import as_matrix
from init_study.diagnosis.seen import Seen
from init_study.network import Path

# Two independent draws of so many numbers have one order once in 2 · 10¹³.
_PREFIX = 16


def _shared_key(seen: Seen) -> Iterator[Sign]:
    """Give the parameters that begin with the same draws, whatever their shapes."""
    for paths, equal in _drawn_alike(seen):
        if not equal:
            yield Sign(
                "warning",
                ", ".join("/".join(path) for path in paths),
                f"the first {_PREFIX} numbers of each have one order, by chance once "
                f"in {factorial(_PREFIX):.0e} (threshold: never)",
            )


def _same_numbers(seen: Seen) -> Iterator[Sign]:
    """Give the parameters that are copies of one another."""
    for paths, equal in _drawn_alike(seen):
        if equal:
            yield Sign(
                "warning",
                ", ".join("/".join(path) for path in paths),
                f"all {seen.leaves[paths[0]].size} numbers are equal (wanted: none)",
            )


def _drawn_alike(seen: Seen) -> list[tuple[list[Path], bool]]:
    """Group the parameters that one key drew, and say whether they are equal.

    A key gives the same bits for every shape, and laws that are made of them keep
    their order, whatever their scale.
    """
    layers = {layer.kernel: layer for layer in seen.set_up.network.layers}
    groups: dict[tuple, set[Path]] = {}
    for path, leaf in seen.leaves.items():
        layer, orders = layers.get(path), [leaf]
        # Schemes draw in another order than modules store.
        if layer is not None and layer.order is not None:
            orders.append(layer.plain(leaf))
        for one in orders:
            if (begin := _order_of_first(one)) is not None:
                groups.setdefault(begin, set()).add(path)
    several = {tuple(sorted(group)) for group in groups.values() if len(group) > 1}
    return [(list(paths), _all_equal(seen, paths)) for paths in sorted(several)]


def _order_of_first(leaf: np.ndarray) -> tuple[int, ...] | None:
    """Give the order of the first numbers; None where they cannot be draws."""
    begin = np.asarray(leaf).reshape(-1)[:_PREFIX].astype(np.float64)
    if len(np.unique(begin)) < _PREFIX or not np.isfinite(begin).all():
        return None
    order = np.argsort(begin)
    # A ramp is computed.
    ramp = (np.diff(order) == 1).all() or (np.diff(order) == -1).all()
    return None if ramp else tuple(order.tolist())


def _all_equal(seen: Seen, paths: Sequence[Path]) -> bool:
    one, *others = (seen.leaves[path] for path in paths)
    return all(np.array_equal(one, other) for other in others)


def _stack_copies(seen: Seen) -> Iterator[Sign]:
    """Give the stacks of kernels whose members are the same."""
    for layer in seen.set_up.network.layers:
        kernel = as_matrix(seen.leaves[layer.kernel], layer)
        if layer.parts == 1 or kernel.min() == kernel.max():
            continue
        members = np.split(kernel, layer.parts, axis=1)
        equal = [np.array_equal(a, b) for a, b in combinations(members[:32], 2)]
        if any(equal):
            yield Sign(
                "warning" if layer.stacked else "info",
                "/".join(layer.kernel),
                f"{sum(equal)} of {len(equal)} pairs of its {layer.parts} members "
                "are equal (wanted: none)",
            )


SHARED_TRAPS = (
    Trap(
        "shared-key",
        "one key drew two parameters",
        "Layers that should be independent share their numbers, and what theory says "
        "of independent layers does not hold.",
        "key, own = jax.random.split(key) for every draw; "
        "jax.config.update('jax_debug_key_reuse', True) finds where",
        "measured: with partitionable Threefry a key gives every shape one prefix",
        _shared_key,
    ),
    Trap(
        "same-numbers",
        "two parameters have the same numbers",
        "Layers that should be independent are copies: of one seed, one key or one "
        "initializer that remembers.",
        "key, own = jax.random.split(key) for every draw, or share one module where "
        "copies are meant",
        "derived: two independent draws of real numbers are never equal",
        _same_numbers,
    ),
    Trap(
        "stack-copies",
        "members of a stack have the same numbers",
        "An ensemble of equal members is one member: only their data can part them.",
        "nn.vmap(..., split_rngs={'params': True})",
        "derived: members with equal weights and inputs get equal gradients",
        _stack_copies,
    ),
)
