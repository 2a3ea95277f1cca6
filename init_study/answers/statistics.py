"""Means, shares and differences with intervals, for a handful of seeds.

What is not a number stays so: nothing here drops or fills in a value.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import comb

CONFIDENCE = 0.95
# A t interval of two values is so wide that it says nothing.
FEWEST_FOR_INTERVAL = 3
# Of the test whether a network does better than a constant answer.
_CHANCE_LEVEL = 0.01
# So many differences have 2^14 ways of signs.
_MOST_EXACT = 14


class Interval(NamedTuple):
    """A mean of `n` values and its confidence interval; NaN where there is none."""

    mean: float
    low: float
    high: float
    n: int


class Share(NamedTuple):
    """`k` of `n`, and the confidence interval of the rate behind it."""

    k: float
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


def exact_interval(k: float, n: int, confidence: float = CONFIDENCE) -> Share:
    """The rate behind `k` of `n` by Clopper and Pearson, where ties may make k a half.

    It covers at least as often as it says, for few values too.
    """
    tail = (1 - confidence) / 2
    low = stats.beta.ppf(tail, k, n - k + 1) if k > 0 else 0.0
    high = stats.beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0
    return Share(k, n, float(low), float(high))


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """p values of several tests, adjusted so that the chance of any false rejection
    stays below the level.

    Reference: Holm 1979, "A simple sequentially rejective multiple test procedure",
    Scandinavian Journal of Statistics 6.
    """
    order = np.argsort(p)
    factors = np.arange(len(order), 0, -1)
    raised = np.maximum.accumulate(np.asarray(p, np.float64)[order] * factors)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(raised, 1.0)
    return tuple(adjusted.tolist())


def sign_flip_p(differences: Float[np.ndarray, " n"]) -> float:
    """Two-sided p of a mean of differences, if each could as well have the other sign.

    All 2^n signs for up to 14 differences, else 2^14 random ones, always the same.
    """
    d = np.asarray(differences, np.float64)
    sums = np.abs(_signs(len(d)) @ d)
    # Sums of the same numbers in another order are equal but for rounding.
    return float(np.mean(sums >= np.abs(d.sum()) * (1 - 1e-12)))


@lru_cache(maxsize=4)
def _signs(n: int) -> Float[np.ndarray, "flips n"]:
    if n <= _MOST_EXACT:
        return 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (2**_MOST_EXACT, n))
    # As they are: one way that is possible in any case.
    signs[0] = 1.0
    return signs


def expected_best(
    values: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """E[the best of k draws], k = 1 to n, without bias: what tuning k times would give.

    Reference: Tang et al. 2020, "Showing your work doesn't always work", ACL; the
    plug-in estimator of Dodge et al. 2019 is biased low.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    n = len(ordered)
    rank = np.arange(1, n + 1)
    return np.array(
        [np.sum(comb(rank - 1, k - 1) / comb(n, k) * ordered) for k in rank]
    )
