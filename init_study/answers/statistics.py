"""Means, shares and differences with intervals, for a handful of seeds.

What is not a number stays so: nothing here drops or fills in a value.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import special, stats

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
    """A share `k` of `n`, and the confidence interval of the rate behind it."""

    k: float
    n: int
    low: float
    high: float


def t_interval(
    values: Float[np.ndarray, " n"], confidence: float = CONFIDENCE
) -> Interval:
    """Find the mean and Student's t interval; no interval for fewer than 3 values.

    Args:
        values: a sample.
        confidence: of the interval, from 0 to 1.

    Example:
        >>> t_interval(np.array([1.0, 3.0]))
        Interval(mean=2.0, low=nan, high=nan, n=2)
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    std = values.std(ddof=1) if n > 1 else np.nan
    width = float(half_width(std, n, confidence))
    return Interval(mean, mean - width, mean + width, n)


def half_width(
    std: ArrayLike, n: ArrayLike, confidence: float = CONFIDENCE
) -> np.ndarray:
    """Find half of the t interval of a mean of `n` values, NaN for fewer than 3.

    Args:
        std: sample standard deviations, n - 1 in the denominator.
        n: numbers of values, of the same shape.
        confidence: of the interval, from 0 to 1.

    Example:
        >>> half_width([0.0, 1.0], [5, 2]).tolist()
        [0.0, nan]
    """
    std, n = np.broadcast_arrays(np.asarray(std, float), np.asarray(n, float))
    width = np.full(std.shape, np.nan)
    enough = n >= FEWEST_FOR_INTERVAL
    quantile = special.stdtrit(n[enough] - 1, (1 + confidence) / 2)
    width[enough] = quantile * std[enough] / np.sqrt(n[enough])
    return width


def wilson_interval(k: int, n: int, confidence: float = CONFIDENCE) -> Share:
    """Find the rate behind `k` of `n` by Wilson's score interval; NaN for n = 0.

    Reference: Wilson 1927, "Probable inference, the law of succession, and
    statistical inference", Journal of the American Statistical Association 22.

    Example:
        >>> share = wilson_interval(5, 10)
        >>> round(share.low + share.high, 9)
        1.0
    """
    if n == 0:
        return Share(0, 0, np.nan, np.nan)
    interval = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    return Share(k, n, float(interval.low), float(interval.high))


def stuck_at_chance(
    accuracy: Float[np.ndarray, "*members"], num_test: int, chance: float
) -> Float[np.ndarray, "*members"]:
    """Mark with 1 where no accuracy above `chance` is shown, else 0.

    An exact one-sided binomial test at 1 %. NaN where the accuracy is NaN.

    Args:
        accuracy: shares of `num_test` examples.
        num_test: how many examples were tested.
        chance: the accuracy of always giving the most frequent answer.

    Example:
        >>> stuck_at_chance(np.array([0.1, 0.9]), num_test=100, chance=0.1).tolist()
        [1.0, 0.0]
    """
    accuracy = np.asarray(accuracy, np.float64)
    correct = np.round(accuracy * num_test)
    p_value = np.where(
        correct > 0, special.bdtrc(np.maximum(correct - 1, 0), num_test, chance), 1.0
    )
    return np.where(np.isnan(accuracy), np.nan, p_value > _CHANCE_LEVEL)


def exact_interval(k: float, n: int, confidence: float = CONFIDENCE) -> Share:
    """Find the rate behind `k` of `n` by Clopper and Pearson.

    It covers at least as often as it says, for few values too.

    Args:
        k: a number of cases; ties may make it a half.
        n: the number of all cases.
        confidence: of the interval, from 0 to 1.

    Reference: Clopper & Pearson 1934, "The use of confidence or fiducial limits
    illustrated in the case of the binomial", Biometrika 26.

    Example:
        >>> exact_interval(0, 4).low, exact_interval(4, 4).high
        (0.0, 1.0)
    """
    tail = (1 - confidence) / 2
    low = special.betaincinv(k, n - k + 1, tail) if k > 0 else 0.0
    high = special.betaincinv(k + 1, n - k, 1 - tail) if k < n else 1.0
    return Share(k, n, float(low), float(high))


def interquartile_mean(values: Float[np.ndarray, " n"]) -> float:
    """Find the mean of the middle half of the values, a quarter cut at either end.

    Reference: Agarwal et al. 2021, as of `improvement`.

    Example:
        >>> round(interquartile_mean(np.array([0.0, 0.8, 0.9, 1.0])), 3)
        0.85
    """
    return float(stats.trim_mean(np.asarray(values, np.float64), 0.25))


def improvement(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " m"]) -> Interval:
    """Estimate the probability that a run of `a` is better than one of `b`, ties split.

    The share of all pairs of runs, whatever their seeds, and its 95 % percentile
    interval over 10,000 bootstrap samples of each, always the same; where all are
    better, or none, that of as many pairs by Clopper and Pearson. No interval for fewer
    than three runs.

    Reference: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the
    statistical precipice", NeurIPS.

    Example:
        >>> improvement(np.array([0.8, 0.9, 0.9]), np.array([0.1, 0.1, 0.1])).mean
        1.0
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    mean, fewest = float(wins.mean()), min(wins.shape)
    if fewest < FEWEST_FOR_INTERVAL:
        return Interval(mean, np.nan, np.nan, fewest)
    rng = np.random.default_rng(0)
    # How often each run is drawn is all that a sample's mean takes.
    drawn = [rng.multinomial(n, np.full(n, 1 / n), 10_000) / n for n in wins.shape]
    samples = np.einsum("sn,nm,sm->s", drawn[0], wins, drawn[1])
    low, high = np.clip(np.quantile(samples, [0.025, 0.975]), 0.0, 1.0)
    if mean in (0.0, 1.0):
        # No sample of runs that lie wholly apart shows how near they might come.
        _, _, low, high = exact_interval(mean * fewest, fewest)
    return Interval(mean, float(low), float(high), fewest)


def expected_best(
    values: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """Estimate E[the best of k draws], k = 1 to n: what tuning k times would give.

    Without bias, by all subsets of k of the values.

    Reference: Tang et al. 2020, "Showing your work doesn't always work", ACL; the
    plug-in estimator of Dodge et al. 2019 is biased low.

    Example:
        >>> expected_best(np.array([1.0, 3.0])).tolist()
        [2.0, 3.0]
    """
    ordered = np.sort(np.asarray(values, np.float64))
    n = len(ordered)
    rank = np.arange(1, n + 1)
    return np.array(
        [
            np.sum(special.comb(rank - 1, k - 1) / special.comb(n, k) * ordered)
            for k in rank
        ]
    )
