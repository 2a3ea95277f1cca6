"""Zeros: those that are meant, and those that no step of training would ever move."""

from collections.abc import Iterator

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.seen import Seen
from init_study.network import Path


def _never_moves(seen: Seen) -> Iterator[Sign]:
    """Give the kernels and scales that get no gradient, at the start or later."""
    for path in _kernels_and_scales(seen):
        if seen.wakes[path] is None and path not in seen.unused:
            zero = not seen.leaves[path].any()
            yield Sign(
                "error",
                "/".join(path),
                "no gradient at the start nor after any small step (wanted: some); "
                f"{'all' if zero else 'not all'} of its numbers are zero",
            )


def _starts_at_zero(seen: Seen) -> Iterator[Sign]:
    """Give what is zero, most often by design, and moves all the same."""
    for path in _kernels_and_scales(seen):
        step = seen.wakes[path]
        if not seen.leaves[path].any() and step is not None:
            behind = sum(bool(later) for later in seen.wakes.values())
            when = "at once" if step == 0 else f"after {step} small steps"
            yield Sign(
                "info",
                "/".join(path),
                f"all zero; it has a gradient {when}, and {behind} parameters have "
                "none before a first step",
            )


def _unused(seen: Seen) -> Iterator[Sign]:
    for path in sorted(seen.unused):
        yield Sign("warning", "/".join(path), "no number of the result depends on it")


def _kernels_and_scales(seen: Seen) -> list[Path]:
    network = seen.set_up.network
    kernels = [layer.kernel for layer in network.layers]
    scales = [scale for branch in network.branches for scale in branch.scales]
    return list(dict.fromkeys([*kernels, *scales]))


ZERO_TRAPS = (
    Trap(
        "never-moves",
        "a weight gets no gradient, now or later",
        "No step moves it: zeros in series, or units that are dead on every image, "
        "keep every gradient away.",
        "one zero on a path may stay, not two in a row: scheme='zero_head', or "
        "'zero_branch' for residual nets",
        "derived: y = a b has no gradient in a nor b where both are zero",
        _never_moves,
    ),
    Trap(
        "starts-at-zero",
        "a weight is zero, and moves",
        "Zeros in the head, at the end of a branch or in its scale make the start "
        "gentle by design; what stands before them moves one step later.",
        "none is needed; warm the learning rate up",
        "Goyal et al. 2017, arXiv:1706.02677; Zhang et al. 2019, arXiv:1901.09321",
        _starts_at_zero,
    ),
    Trap(
        "unused-parameter",
        "a parameter is not used",
        "It is never trained; most often a part of the model is not called, or its "
        "result is thrown away.",
        "use what it computes, or take it out of the model",
        "derived: what nothing depends on has no gradient",
        _unused,
    ),
)
