"""Numbers themselves: means, tails, types, and what rounding takes away."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.law_families import IDENTITY, some_of
from init_study.diagnosis.laws import BIAS, KERNEL, LeafLaw, as_matrix, law_in_words
from init_study.diagnosis.rules.copy_traps import first_copies
from init_study.diagnosis.seen import Seen
from init_study.network import Layer

# One net in a million has such a sign by chance, over all of its kernels.
_CHANCE = 1e-6
# The common part of a filter's inputs goes into every unit alike: half as large as what
# is each unit's own, it is a fifth of their mean square.
_SHIFT = 0.5
# Outliers: a thousandth of the numbers that hold a quarter of the sum of squares.
_FEW, _SHARE = 1e-3, 0.25
# A draw in 8 bits has no more than 128 values; a cast one has several times as many as
# this share of what a cast draw would have.
_DISTINCT = 1 / 3
_LEAST_COUNT = 512
# The least normal number of float16.
_FLOAT16 = 2.0**-14


def _one_sided(seen: Seen) -> Iterator[Sign]:
    """Give the kernels whose mean is not zero, by filters or by inputs."""
    kernels = list(_drawn_kernels(seen))
    for layer, law, numbers in kernels:
        p, fan = _no_mean(numbers), numbers.shape[0]
        if law.std == 0 or p > _CHANCE / len(kernels):
            continue
        shift = abs(law.mean) * sqrt(fan) / law.std
        if shift > _SHIFT:
            yield Sign(
                "warning",
                "/".join(layer.kernel),
                f"mean {law.mean:.3g} beside std {law.std:.3g}: inputs of 1 shift "
                f"every unit by {shift:.2g} deviations (threshold {_SHIFT}), "
                f"p = {p:.0e} by chance",
            )


def _drawn_kernels(
    seen: Seen,
) -> Iterator[tuple[Layer, LeafLaw, Float[np.ndarray, "n units"]]]:
    """Give the kernels that are none of the constant or structured ones."""
    layers = {layer.kernel: layer for layer in seen.set_up.network.layers}
    for law in seen.laws:
        layer = layers.get(law.path)
        if layer is None or law.role != KERNEL or law.std == 0:
            continue
        if law.family != IDENTITY and np.isfinite(law.square):
            yield layer, law, as_matrix(seen.leaves[law.path], layer)


def _no_mean(numbers: Float[np.ndarray, "n units"]) -> float:
    """Compute how likely such a mean is of a law without one.

    Numbers of one filter may be tied, as pixels are; filters are drawn each for
    itself. Where there are few of them p is large.
    """
    by_filter = numbers.mean(0, dtype=np.float64)
    if by_filter.size < 3 or np.ptp(by_filter) == 0:
        return 1.0
    tested: Any = stats.ttest_1samp(by_filter, 0.0)
    return float(tested[1])


def _outliers(seen: Seen) -> Iterator[Sign]:
    """Give the kernels in which few numbers outweigh all others."""
    kernels = list(_drawn_kernels(seen))
    for layer, _, numbers in kernels:
        squares = numbers[numbers != 0].astype(np.float64) ** 2
        few = max(1, int(_FEW * squares.size))
        if squares.size < 32:
            continue
        squares = np.partition(squares, (-few, -1))
        rest = float(squares[:-few].mean())
        share = float(squares[-few:].sum() / squares.sum())
        # So far out is none of so many normal numbers.
        far = stats.norm.isf(_CHANCE / len(kernels) / squares.size / 2)
        if share > _SHARE and squares[-1] > far**2 * rest > 0:
            yield Sign(
                "warning",
                "/".join(layer.kernel),
                f"{few} of {squares.size} numbers hold {share:.0%} of the sum of "
                f"squares (threshold {_SHARE:.0%}); the largest is "
                f"{sqrt(squares[-1] / rest):.0f} deviations of the others (normal ones "
                f"stay below {far:.1f})",
            )


def _coarse_draws(seen: Seen) -> Iterator[Sign]:
    """Give the kernels with fewer values than a draw in single precision has."""
    for layer, law, numbers in _drawn_kernels(seen):
        # Copies of a filter repeat its values.
        own = numbers[:, np.unique(first_copies(numbers))]
        drawn = some_of(own[own != 0])
        found = len(np.unique(drawn))
        # Signs and ternary laws have few values by design.
        if drawn.size < _LEAST_COUNT or found < 16:
            continue
        wanted = _cast_values(drawn, seen.leaves[law.path].dtype)
        if found < _DISTINCT * wanted:
            bias = law.mean / law.std * sqrt(numbers.shape[0])
            yield Sign(
                "warning",
                "/".join(layer.kernel),
                f"{found} values in {drawn.size} numbers (a draw in float32, cast, has "
                f"{wanted}; threshold a third); mean · √fan_in / std is {bias:.2g}",
            )


def _cast_values(numbers: Float[np.ndarray, " n"], dtype: np.dtype) -> int:
    """Count the values that as many normal draws have after a cast."""
    size = np.sqrt(np.mean(numbers**2))
    draws = np.random.default_rng(0).normal(scale=size, size=numbers.size)
    return len(np.unique(draws.astype(np.float32).astype(dtype)))


def _underflows(seen: Seen) -> Iterator[Sign]:
    """Give the half-precision parameters that are too small for their type."""
    for law in seen.laws:
        leaf = seen.leaves[law.path]
        if leaf.dtype == np.float16 and 0 < law.square < _FLOAT16**2:
            yield Sign(
                "warning",
                "/".join(law.path),
                f"std {law.std:.2g} in float16, whose least normal number is "
                f"{_FLOAT16:.2g} (threshold); {1 - law.nonzero / leaf.size:.0%} are "
                "zero",
            )


def _low_precision(seen: Seen) -> Iterator[Sign]:
    """Say that parameters are kept in 16 bits."""
    types = {path: leaf.dtype for path, leaf in seen.leaves.items()}
    for dtype in (jnp.dtype(jnp.float16), jnp.dtype(jnp.bfloat16)):
        paths = [path for path, found in types.items() if found == dtype]
        if paths:
            eps = float(jnp.finfo(dtype).eps)
            yield Sign(
                "info",
                "parameters",
                f"{len(paths)} of {len(types)} are {dtype}: a step below "
                f"{eps / 2:.2g} of a weight changes nothing (float32: 6e-08)",
            )


def _random_biases(seen: Seen) -> Iterator[Sign]:
    """Give the variance of random biases beside the signal's mean square."""
    shares = [
        (law, float(seen.first.layers.signal[index]))
        for index, layer in enumerate(seen.set_up.network.layers)
        for law in seen.laws
        if law.path == layer.bias and law.role == BIAS and law.std > 0
        # What is made of the batch, as the log of its classes' shares, is no draw.
        if ", then " not in law.said
    ]
    for law, signal in shares:
        if law.square > 0.01 * signal > 0:
            yield Sign(
                "info",
                "/".join(law.path),
                f"σ_b² is {law.square:.2g}, {law.square / signal:.0%} of the signal's "
                f"mean square q = {signal:.2g} (threshold 1 %); {law_in_words(law)}",
            )


def _lost_in_rounding(seen: Seen) -> Iterator[Sign]:
    """Give the biases that a signal's own rounding swallows."""
    for index, layer in enumerate(seen.set_up.network.layers):
        signal = float(seen.first.layers.signal[index])
        bias = None if layer.bias is None else seen.leaves[layer.bias]
        if bias is None or not bias.any() or not np.isfinite(signal):
            continue
        largest = float(abs(bias.astype(np.float64)).max())
        least = float(jnp.finfo(bias.dtype).eps) / 2 * sqrt(signal)
        if largest < least:
            yield Sign(
                "warning",
                "/".join(layer.bias or ()),
                f"its largest number is {largest:.2g}; beside a signal of "
                f"{sqrt(signal):.2g} {bias.dtype} rounds all below {least:.2g} away",
            )


NUMBER_TRAPS = (
    Trap(
        "one-sided",
        "a kernel's mean is not zero",
        "All units of the layer get the mean of their inputs, and follow it together; "
        "with many inputs it outweighs what is each unit's own.",
        "init_study.initializers.uniform(scale) is symmetric; "
        "jax.nn.initializers.uniform draws from [0, scale)",
        "derived: inputs of mean 1 give n · mean, beside √n · std",
        _one_sided,
    ),
    Trap(
        "outliers",
        "a few weights outweigh all others",
        "The layer is what these few make of it; their gradients differ by as much.",
        'scheme="he_truncated", or a bound of a few standard deviations',
        "derived: the greatest of n normal numbers is near √(2 log n)",
        _outliers,
    ),
    Trap(
        "coarse-draws",
        "weights were drawn in 16 bits",
        "Such draws have few values and a mean that is not zero, which a wide layer "
        "adds up.",
        "draw in float32 and cast: init_study.initializers.he_normal() does",
        "measured: jax.random.normal in bfloat16 has 128 values and a mean of "
        "−0.012 σ, a shift of 0.7 σ at a fan_in of 4608",
        _coarse_draws,
    ),
    Trap(
        "float16-underflow",
        "weights are too small for float16",
        "Below its normal numbers float16 has few digits, and none below 6e-8.",
        "keep parameters in float32 and compute in float16: param_dtype=jnp.float32",
        "derived: the format of float16",
        _underflows,
    ),
    Trap(
        "low-precision",
        "parameters are kept in 16 bits",
        "Steps that are small beside a weight are rounded away.",
        "param_dtype=jnp.float32 with dtype=jnp.bfloat16",
        "derived: half the distance of two neighbouring numbers",
        _low_precision,
    ),
    Trap(
        "random-biases",
        "biases are random",
        "They add the same to every image; where a signal shrinks from layer to layer, "
        "it is they that are left.",
        'scheme="he_normal" has zero biases',
        "derived: q is σ_w² E[φ²] + σ_b²",
        _random_biases,
    ),
    Trap(
        "lost-in-rounding",
        "biases are lost in rounding",
        "Added to the signal they change none of its digits, whatever theory says.",
        "larger biases, or none",
        "derived: half the distance of two neighbouring numbers",
        _lost_in_rounding,
    ),
)
