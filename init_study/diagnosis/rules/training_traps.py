"""First steps: whether the optimizer moves a net too far, too little, or by chance."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.seen import Seen

# A step at four over the curvature, the most that may still settle in a flatter place,
# takes a parabola to (1 − 4)² times its height.
_CATAPULT = 9.0
# A rise or a fall of less is rounding of a mean in float32.
_ROUNDING = 1e-5
_NO_DROP, _NO_MOVE, _TIMES = 1e-4, 1e-6, 1000
# At which a step is tried, besides the rate that is asked about.
_RATES = tuple(10.0**power for power in range(-4, 2))
# As long as the weights themselves: nothing is left of the draw. A tenth turns them by
# six degrees.
_AS_LONG, _LONG = 1.0, 0.1
# A kernel of a hundredth of LeCun's variance is small on purpose, and grows out of it.
_SMALL_KERNEL = 0.01
_HALF = 0.5
# Equal in every digit of float32 but the last ones.
_LAST_DIGITS = 1e-5


def _too_large(seen: Seen) -> Iterator[Sign]:
    before, after = _losses(seen)
    if before is None or after is None or not np.isfinite(before):
        return
    training = seen.set_up.training
    place = f"learning rate {training.learning_rate:g}"
    said = f"the loss goes from {before:.3g} to {after:.3g} in one step"
    if not np.isfinite(after):
        sign = Sign("error", place, f"{said} (wanted: a finite one)")
    elif after > _CATAPULT * before:
        sign = Sign(
            "warning", place, f"{said} (threshold: {_CATAPULT:g} times as high)"
        )
    elif after > before * (1 + _ROUNDING):
        sign = Sign("info", place, f"{said} (threshold: no rise)")
    else:
        return
    yield sign._replace(cure=_smaller_rate(seen, before))


def _smaller_rate(seen: Seen, before: float) -> str:
    """Name the largest smaller rate at which a plain step lowers the loss."""
    training = seen.set_up.training
    smaller = [one for one in _RATES if one < (training.learning_rate or 0.0)]
    falls = (one for one in reversed(smaller) if seen.step_down(one) < before)
    rate = next(falls, None) if training.optimizer in (None, "sgd") else None
    return "" if rate is None else f"--study.learning_rates={rate:g}"


def _too_small(seen: Seen) -> Iterator[Sign]:
    """Give a rate that does next to nothing where a far larger one lowers the loss."""
    before, after = _losses(seen)
    rate = seen.set_up.training.learning_rate
    if before is None or after is None or seen.update is None or not rate:
        return
    peak = rate * _rise(seen)
    moved, size = (
        np.sqrt(sum(float(np.sum(np.square(x, dtype=np.float64))) for x in of.values()))
        for of in (seen.update, seen.leaves)
    )
    ratio = _rise(seen) * moved / size if size else np.inf
    drop = (before - after) / before if before else 0.0
    if not (0 <= drop < _NO_DROP and 0 < ratio < _NO_MOVE):
        return
    larger = (one for one in _RATES if one >= _TIMES * peak)
    lower = (one for one in larger if before - seen.step_down(one) > _NO_DROP * before)
    for one in islice(lower, 1):
        yield Sign(
            "warning",
            f"learning rate {rate:g}",
            f"the first step lowers the loss by {drop:.1e} of itself (threshold: "
            f"{_NO_DROP:g}) and moves weights by {ratio:.1e} of themselves (threshold: "
            f"{_NO_MOVE:g}); at {one:g} it goes from {before:.3g} to "
            f"{seen.step_down(one):.3g}",
            f"--study.learning_rates={one:g}",
        )


def _long_step(seen: Seen) -> Iterator[Sign]:
    """Give kernels whose first step is long beside them, where they are not small."""
    if seen.update is None:
        return
    for layer in seen.set_up.network.layers:
        kernel = seen.leaves[layer.kernel].astype(np.float64)
        update = seen.update[layer.kernel].astype(np.float64)
        square = float(np.mean(kernel**2))
        if layer.fan_in * square < _SMALL_KERNEL or not np.isfinite(update).all():
            continue
        ratio = float(np.sqrt(np.mean(update**2) / square))
        if ratio > _LONG:
            yield Sign(
                "warning" if ratio > _AS_LONG else "info",
                layer.name,
                f"the first step is {ratio:.2g} times as long as the kernel "
                f"(threshold: {_LONG:g}; a warning: {_AS_LONG:g})",
            )


def _lost(seen: Seen) -> Iterator[Sign]:
    """Give kernels whose update is rounded away, at the peak of the rate."""
    if seen.update is None:
        return
    for layer in seen.set_up.network.layers:
        kernel, update = seen.leaves[layer.kernel], seen.update[layer.kernel]
        wanted = (update.astype(np.float32) * _rise(seen)).astype(kernel.dtype)
        moves = update != 0
        if not np.isfinite(wanted.astype(np.float32)).all() or not moves.any():
            continue
        share = float(np.mean((kernel - wanted == kernel)[moves]))
        if share > _HALF:
            # A branch that begins small by design has a small gradient, which grows.
            yield Sign(
                "warning" if layer.branch is None else "info",
                layer.name,
                f"{share:.0%} of its numbers stay as they are, in {kernel.dtype} "
                f"(threshold: {_HALF:.0%})",
            )


def _momentum(seen: Seen) -> Iterator[Sign]:
    """Judge momentum: its reach beside the edge of a plain step, and beside the run."""
    training = seen.set_up.training
    rate, momentum, steps = training.learning_rate, training.momentum, training.steps
    if not momentum or not 0 < momentum < 1:
        return
    memory = 1 / (1 - momentum)
    if steps is not None and memory > steps:
        yield Sign(
            "info",
            f"momentum {momentum:g}",
            f"it remembers some {memory:.0f} steps, and there are {steps} (threshold: "
            "as many)",
        )
    before, after = _losses(seen)
    if before is None or after is None or not rate or training.optimizer != "sgd":
        return
    within = [one for one in _RATES if rate < one <= memory * rate * 1.001]
    if within and after <= before:
        far = seen.step_down(max(within))
        if not far <= _CATAPULT * before:
            yield Sign(
                "info",
                f"momentum {momentum:g}",
                f"steady gradients move it as {memory:.3g} times the rate; one step of "
                f"{max(within):g} takes the loss from {before:.3g} to {far:.3g} "
                f"(threshold: {_CATAPULT:g} times as high)",
            )


def _no_warmup(seen: Seen) -> Iterator[Sign]:
    training = seen.set_up.training
    if training.warmup != 0:
        return
    before, after = _losses(seen)
    rises = before is not None and after is not None and after > before
    zero = [
        layer.name
        for layer in seen.set_up.network.layers
        if seen.wakes[layer.kernel] is not None and not seen.leaves[layer.kernel].any()
    ]
    if zero or rises:
        why = f"{zero[0]} starts at zero" if zero else "the first step raises the loss"
        yield Sign("info", "schedule", f"0 steps of warm-up (wanted: some), and {why}")


def _not_again(seen: Seen) -> Iterator[Sign]:
    if not seen.again:
        sizes = [abs(one).max() for one in seen.slopes.values() if one.size]
        kernels = "are to" if seen.steady else "of a GPU need not, unless asked,"
        yield Sign(
            "warning" if seen.steady else "info",
            "device",
            "the same pass twice gives other bits in its loss, results or gradients; "
            f"kernels {kernels} give the same (largest gradient "
            f"{float(np.max(sizes)):.2g})",
        )


def _rise(seen: Seen) -> int:
    """Give how many times the first rate the peak of the schedule is."""
    return (seen.set_up.training.warmup or 0) + 1


def _losses(seen: Seen) -> tuple[float | None, float | None]:
    """Give the loss before and after the first step, as far as labels judge it."""
    rate = seen.set_up.training.learning_rate
    if not seen.judged or rate is None or seen.after is None:
        return None, None
    after = seen.after.loss if seen.own_step is None else seen.own_step
    return float(seen.first.loss), float(after)


TRAINING_TRAPS = (
    Trap(
        "rate-too-large",
        "the first step raises the loss",
        "The step goes beyond the far side of the valley. Nets may come back from a "
        "rise, flatter; from a far larger one they do not.",
        "a smaller learning rate, or schedule='cosine', which warms up",
        "Lewkowycz et al. 2020, arXiv:2003.02218",
        _too_large,
    ),
    Trap(
        "rate-too-small",
        "the first step does next to nothing",
        "The run will end near its start, and says nothing of what a start is good "
        "for.",
        "a learning rate a thousand times as large",
        "measured: the loss after one step at each power of ten",
        _too_small,
    ),
    Trap(
        "long-first-step",
        "the first step is long beside the weights",
        "What was drawn is lost in it: schemes that are compared differ by less than "
        "one step.",
        "a smaller learning rate, or schedule='cosine', which warms up",
        "derived: Adam moves each number by the rate, a kernel of std s by rate / s",
        _long_step,
    ),
    Trap(
        "update-rounded-away",
        "weights stay as they are, as their type has too few digits",
        "An update of less than half a last digit is lost, however often it comes.",
        "keep parameters in float32: nn.Dense(..., dtype='bfloat16', "
        "param_dtype='float32')",
        "derived: w − u = w where u is below half a digit of w",
        _lost,
    ),
    Trap(
        "momentum-reach",
        "momentum reaches further than the run or the loss bears",
        "Steps add up to 1 / (1 − momentum) times the rate once gradients agree.",
        "a smaller learning rate, or momentum: --study.momentum=0.9",
        "derived: Σ momentum^k = 1 / (1 − momentum)",
        _momentum,
    ),
    Trap(
        "no-warm-up",
        "the rate is at its peak from the first step on",
        "A head of zeros passes no gradient at first, and a start that is steep is "
        "thrown out of its place.",
        "--study.schedule=cosine --study.warmup=0.1",
        "Goyal et al. 2017, arXiv:1706.02677, section 2.2",
        _no_warmup,
    ),
    Trap(
        "not-repeatable",
        "the same pass gives other bits a second time",
        "Runs of one seed part from each other; a difference between starts may be "
        "that alone.",
        "--deterministic, which sets XLA_FLAGS=--xla_gpu_deterministic_ops=true; and "
        "draws by JAX's keys alone",
        "measured: the pass at the start, twice",
        _not_again,
    ),
)
