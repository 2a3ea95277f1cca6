"""Which schemes fail more often than the best one, by pairs of runs of one seed."""

import numpy as np

from init_study.answers.comparison import Comparison
from init_study.answers.significance import holm, mcnemar_p
from init_study.answers.statistics import CONFIDENCE, stuck_at_chance


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
    if comparison.first is None:
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
