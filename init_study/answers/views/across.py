"""Schemes over several programs: other data, nets or depths.

A claim would generalize over programs, so a test takes at least five of them;
with fewer there are means and ranks, and no claim.
"""

from collections.abc import Sequence
from math import inf, sqrt
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from init_study.answers.comparison import Comparison
from init_study.answers.statistics import CONFIDENCE, Interval
from init_study.errors import UserError

FEWEST_PROGRAMS = 5
_RESAMPLES = 2000


class Across(NamedTuple):
    """The schemes of a study over several programs, in the order of `schemes`.

    Attributes:
        schemes: names, the best interquartile mean first.
        iqm: interquartile mean of test accuracy over programs and seeds, with the 95 %
            interval of a bootstrap over seeds: whole columns, so that runs of one seed
            stay together.
        ranks: mean rank over programs, 1 the best; equal schemes share theirs.
        p: of Friedman's test in Iman and Davenport's form, that all ranks are alike;
            None for fewer than five programs or three schemes.
        critical_difference: by which mean ranks must differ (Nemenyi, 5 %); None as p.
        programs, seeds: how many.
    """

    schemes: tuple[str, ...]
    iqm: tuple[Interval, ...]
    ranks: tuple[float, ...]
    p: float | None
    critical_difference: float | None
    programs: int
    seeds: int


def across(comparisons: Sequence[Comparison]) -> Across:
    """Compare schemes over the finished programs of one study.

    Args:
        comparisons: of the programs, as of `compare`.

    Raises: UserError for fewer than two programs, or for one that is not finished.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> both = across(compare_runs(*made_up_run(depth=(2, 4))))
        >>> both.schemes, both.ranks, both.p
        (('he_normal', 'zeros'), (1.0, 2.0), None)
    """
    if len(comparisons) < 2:
        raise UserError("one program: there is nothing to compare across")
    for comparison in comparisons:
        if not comparison.rows:
            raise UserError(f"{comparison.label} is not finished")
    names = [row.scheme for row in comparisons[0].rows]
    by_name = [{row.scheme: row.judged for row in c.rows} for c in comparisons]
    cube = np.array([[runs[name] for runs in by_name] for name in names])
    iqm = [_iqm(own) for own in cube]
    ranks = stats.rankdata(-np.round(cube.mean(2), 12), axis=0).mean(1)
    p, difference = _friedman(cube.mean(2))
    order = sorted(range(len(names)), key=lambda i: -iqm[i].mean)
    return Across(
        schemes=tuple(names[i] for i in order),
        iqm=tuple(iqm[i] for i in order),
        ranks=tuple(float(ranks[i]) for i in order),
        p=p,
        critical_difference=difference,
        programs=cube.shape[1],
        seeds=cube.shape[2],
    )


def _iqm(runs: Float[np.ndarray, "programs seeds"]) -> Interval:
    """Average the middle half of all runs.

    Reference: Agarwal et al. 2021, arXiv:2108.13264, but resampling seeds as blocks.
    """
    seeds = runs.shape[1]
    mean = float(stats.trim_mean(runs.ravel(), 0.25))
    if seeds < 3:
        return Interval(mean, np.nan, np.nan, runs.size)
    columns = np.random.default_rng(0).integers(seeds, size=(_RESAMPLES, seeds))
    resampled = runs[:, columns].transpose(1, 0, 2).reshape(_RESAMPLES, -1)
    means = stats.trim_mean(resampled, 0.25, axis=1)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(mean, float(low), float(high), runs.size)


def _friedman(
    means: Float[np.ndarray, "schemes programs"],
) -> tuple[float | None, float | None]:
    """Test whether all schemes rank alike, and find Nemenyi's critical difference.

    Reference: Demšar 2006, "Statistical comparisons of classifiers over multiple data
    sets", Journal of Machine Learning Research 7.
    """
    k, n = means.shape
    if n < FEWEST_PROGRAMS or k < 3:
        return None, None
    rounded = np.round(means, 12)
    if (rounded == rounded[0]).all():
        return 1.0, None
    result: Any = stats.friedmanchisquare(*rounded)
    chi2 = float(result.statistic)
    left = n * (k - 1) - chi2
    f = (n - 1) * chi2 / left if left > 0 else inf
    p = float(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))
    # The table's q is the studentized range over √2.
    q = stats.studentized_range.ppf(CONFIDENCE, k, inf) / sqrt(2)
    return p, float(q * sqrt(k * (k + 1) / (6 * n)))
