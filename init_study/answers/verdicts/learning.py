"""Does it learn: which runs failed, and what failures not seen could do to a mean.

A scheme that fails one time in twenty shows no failure in five runs three times in
four. So what few runs show of those that learned says little of the mean over all.
Here are the rates of failure that the runs do not exclude, and the chance that they
hide a mean that is no better.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from init_study.answers.significance import mcnemar_p
from init_study.answers.statistics import Share, exact_interval, stuck_at_chance

# Bounds of one side at 95 % are the ends of an interval at 90 %.
_TWO_SIDED = 0.9
# Rates of failure of the worse scheme at which the worst case is looked for: fine where
# few of thousands of runs fail, or few do not.
_NEAR_0 = np.logspace(-6, -1, 150)
_RATES = np.unique(np.concatenate([np.linspace(0, 1, 201), _NEAR_0, 1 - _NEAR_0]))


class Learning(NamedTuple):
    """How many of the runs of two schemes failed, on the same seeds.

    Attributes:
        candidate: failed runs of the candidate, and the one-sided 95 % bounds of the
            rate behind them, by Clopper and Pearson.
        scheme: of the other scheme.
        p: two-sided, that both fail alike: McNemar's exact test.
    """

    candidate: Share
    scheme: Share
    p: float


def learning_bound(
    values: Mapping[str, Float[np.ndarray, " seeds"]], chance: float
) -> float:
    """Give the accuracy below which a run has failed, whatever it did learn.

    Halfway from chance to the highest median of a scheme. A run between chance and
    there has reached a plateau far below what is common, and is no poor success: its
    kind decides about a mean by how often it occurs.

    Args:
        values: accuracies by scheme, a run that diverged as chance.
        chance: accuracy of a constant answer.

    Example:
        >>> learning_bound({"he": np.array([0.8, 0.9, 0.9])}, chance=0.1)
        0.5
    """
    highest = max(float(np.median(runs)) for runs in values.values())
    return chance + (max(highest, chance) - chance) / 2


def learned(
    values: Float[np.ndarray, " seeds"], bound: float, num_test: int, chance: float
) -> Bool[np.ndarray, " seeds"]:
    """Mark the runs that are above chance and not below the bound.

    Args:
        values: accuracies.
        bound: of `learning_bound`.
        num_test: test examples.
        chance: accuracy of a constant answer.

    Example:
        >>> learned(np.array([0.1, 0.3, 0.9]), 0.5, 100, 0.1).tolist()
        [False, False, True]
    """
    # A bound that was computed from equal values must not fail them by rounding.
    return (values >= bound - 1e-12) & (
        stuck_at_chance(values, num_test, chance) == 0.0
    )


def learning(
    candidate: Bool[np.ndarray, " seeds"], scheme: Bool[np.ndarray, " seeds"]
) -> Learning:
    """Compare how often two schemes fail.

    Args:
        candidate: whether each of its runs learned.
        scheme: of the other one, on the same seeds.

    Example:
        >>> always, never = np.ones(5, bool), np.zeros(5, bool)
        >>> round(learning(always, never).candidate.high, 2)
        0.45
    """
    n = len(candidate)
    return Learning(
        exact_interval(int((~candidate).sum()), n, _TWO_SIDED),
        exact_interval(int((~scheme).sum()), n, _TWO_SIDED),
        mcnemar_p(~candidate, ~scheme),
    )


def mean_p(
    failed: tuple[int, int],
    n: int,
    levels: tuple[float, float],
    margin: float = 0.0,
    failed_level: float = 0.0,
) -> float:
    """Find how likely such counts are if the first mean, over all runs, is no higher.

    The mean of a scheme above chance is that of its runs that learn and of those that
    failed, by their shares; failed runs of the first count as chance, those of the
    second as the best of them. Over all pairs of failure rates at which the first mean
    plus the margin is not above the second, this is the highest chance of the first
    failing so seldom and the second so often. The two fail independently, or together.

    Args:
        failed: runs of the first and of the second scheme that failed.
        n: runs of each.
        levels: mean accuracy above chance of runs that learn; for the second scheme
            the most that is not excluded.
        margin: by which the first may be behind.
        failed_level: accuracy above chance of the best failed run of the second scheme.

    Example:
        >>> round(mean_p((0, 5), 5, (0.8, 0.8)), 5)  # at rates of 1/2: 2^-10
        0.00098
        >>> round(mean_p((0, 0), 20, (0.82, 0.80)), 1)  # a failure in forty would do
        0.6
    """
    first, second = levels
    if first <= 0:
        return 1.0
    most = (1 - _RATES) * second + _RATES * failed_level
    overturning = 1 - (most - margin) / first
    seldom = special.bdtr(failed[0], n, np.clip(overturning, 0.0, 1.0))
    often = special.bdtrc(failed[1] - 1, n, _RATES) if failed[1] else 1.0
    # Above 1 there is no such rate: the first mean is higher even if all runs fail.
    return float(np.max(np.where(overturning <= 1 + 1e-12, seldom * often, 0.0)))
