"""Which schemes fail more often than the best one, by pairs of runs of one seed."""

import numpy as np
from jaxtyping import Bool
from scipy import stats

from init_study.answers.comparison import Comparison
from init_study.answers.statistics import CONFIDENCE, holm, stuck_at_chance


def mcnemar_p(a: Bool[np.ndarray, " n"], b: Bool[np.ndarray, " n"]) -> float:
    """Find the two-sided exact p that two schemes fail alike.

    Under that hypothesis, where only one of them fails, either does so as often.

    Args:
        a: whether each seed of a scheme failed.
        b: of another scheme, on the same seeds.

    Reference: McNemar 1947, "Note on the sampling error of the difference between
    correlated proportions or percentages", Psychometrika 12.

    Example:
        >>> round(mcnemar_p(np.array([True, True, True]), np.zeros(3, bool)), 9)
        0.25
    """
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b).pvalue)


def failing_more(comparison: Comparison) -> tuple[str, ...]:
    """Name the schemes of which more runs learn nothing than of the best.

    Each at its best rate, at 5 % by Holm's method; in the order of the rows. A run that
    diverged has failed, and so has a run that is not above chance.

    Args:
        comparison: of a program; an unfinished one has none.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> failing_more(comparison)
        ()
    """
    if comparison.best is None:
        return ()
    best, *others = (
        stuck_at_chance(np.array(row.runs), comparison.num_test, comparison.chance) == 1
        for row in comparison.rows
    )
    if not others:
        return ()
    adjusted = holm([mcnemar_p(failed, best) for failed in others])
    return tuple(
        row.scheme
        for row, failed, p in zip(comparison.rows[1:], others, adjusted, strict=True)
        if p < 1 - CONFIDENCE and failed.sum() > best.sum()
    )
