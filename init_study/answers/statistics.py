"""Means, shares and differences with intervals, for a handful of seeds.

What is not a number stays so: nothing here drops or fills in a value.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95
# A t interval of two values is so wide that it says nothing.
FEWEST_FOR_INTERVAL = 3
# Of the test whether a network does better than a constant answer.
_CHANCE_LEVEL = 0.01


class Interval(NamedTuple):
    """A mean of `n` values and its confidence interval; NaN where there is none."""

    mean: float
    low: float
    high: float
    n: int


class Share(NamedTuple):
    """`k` of `n`, and the confidence interval of the rate behind it."""

    k: int
    n: int
    low: float
    high: float


def t_interval(
    values: Float[np.ndarray, " n"], confidence: float = CONFIDENCE
) -> Interval:
    """The mean and Student's t interval; no interval for fewer than 3 values."""
    values = np.asarray(values, np.float64)
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    std = values.std(ddof=1) if n > 1 else np.nan
    width = float(half_width(std, n, confidence))
    return Interval(mean, mean - width, mean + width, n)


def half_width(
    std: ArrayLike, n: ArrayLike, confidence: float = CONFIDENCE
) -> np.ndarray:
    """Half of the t interval of a mean of `n` values, NaN for fewer than 3.

    Args:
        std: sample standard deviations, n - 1 in the denominator.
        n: numbers of values, of the same shape.
    """
    std, n = np.broadcast_arrays(np.asarray(std, float), np.asarray(n, float))
    width = np.full(std.shape, np.nan)
    enough = n >= FEWEST_FOR_INTERVAL
    quantile = stats.t.ppf((1 + confidence) / 2, n[enough] - 1)
    width[enough] = quantile * std[enough] / np.sqrt(n[enough])
    return width


def paired_interval(
    a: Float[np.ndarray, " n"],
    b: Float[np.ndarray, " n"],
    confidence: float = CONFIDENCE,
) -> Interval:
    """The mean of `a - b` and its t interval; the i-th of both share a seed."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"pairs need equal shapes, not {a.shape} and {b.shape}")
    return t_interval(a - b, confidence)


def wilson_interval(k: int, n: int, confidence: float = CONFIDENCE) -> Share:
    """The rate behind `k` of `n`; NaN for n = 0.

    Reference: Wilson 1927, "Probable inference, the law of succession, and
    statistical inference", Journal of the American Statistical Association 22.
    """
    if n == 0:
        return Share(0, 0, np.nan, np.nan)
    interval = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    return Share(k, n, float(interval.low), float(interval.high))


def stuck_at_chance(
    accuracy: Float[np.ndarray, "*members"], num_test: int, chance: float
) -> Float[np.ndarray, "*members"]:
    """1 where `num_test` examples do not show an accuracy above `chance`, else 0.

    An exact one-sided binomial test at 1 %. NaN where the accuracy is NaN.

    Args:
        accuracy: shares of `num_test` examples.
        chance: the accuracy of always giving the most frequent answer.
    """
    accuracy = np.asarray(accuracy, np.float64)
    correct = np.round(accuracy * num_test)
    p_value = stats.binom.sf(correct - 1, num_test, chance)
    return np.where(np.isnan(accuracy), np.nan, p_value > _CHANCE_LEVEL)
