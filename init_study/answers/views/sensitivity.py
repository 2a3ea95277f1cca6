"""Sensitivity of a scheme to its learning rate."""

from typing import NamedTuple

import numpy as np

from init_study.answers.comparison import Row
from init_study.answers.statistics import expected_best


class Sensitivity(NamedTuple):
    """How much one scheme needs its rate tuned, by validation accuracy.

    A diverged run counts as chance.

    Attributes:
        low, high: ends of the unbroken range of rates around the best whose means are
            within the margin of its mean.
        margin: of accuracy.
        expected_best: mean of the best of k = 1, 2, ... different rates of the grid,
            drawn at random: what k tries would give. The first is tuning not at all.
    """

    low: float
    high: float
    margin: float
    expected_best: tuple[float, ...]

    @property
    def factor(self) -> float:
        """Ratio of the highest to the lowest rate that will do; 1 for a single one."""
        return self.high / self.low


def sensitivity(row: Row, margin: float) -> Sensitivity:
    """Measure how much a scheme needs its rate tuned, over the grid of a study.

    Args:
        row: of a comparison.
        margin: of accuracy, positive.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> found = sensitivity(comparison.rows[0], margin=0.01)
        >>> found.low, found.high, found.factor
        (0.1, 0.1, 1.0)
    """
    means = np.array([at_rate.validation.mean for at_rate in row.rates])
    rates = [at_rate.learning_rate for at_rate in row.rates]
    best = rates.index(row.best.learning_rate)
    will_do = means >= means[best] - margin
    low = high = best
    while low > 0 and will_do[low - 1]:
        low -= 1
    while high < len(rates) - 1 and will_do[high + 1]:
        high += 1
    expected = tuple(expected_best(means).tolist())
    return Sensitivity(rates[low], rates[high], margin, expected)
