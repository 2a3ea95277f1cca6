"""How many more seeds a verdict would take, about."""

from math import ceil, isfinite
from typing import NamedTuple

from scipy import special

from init_study.answers.verdicts.learning import mean_p
from init_study.answers.verdicts.paired_runs import (
    FEWEST_FOR_VERDICT,
    PairedRuns,
    Terms,
)

_POWER = 0.8
# More seeds than anybody runs: no number is given above it.
_MOST_SEEDS = 100_000


class More(NamedTuple):
    """Seeds besides these that a verdict would take, about; None for out of reach.

    Attributes:
        difference: if the true difference is the one that was seen.
        equality: if there is none.
    """

    difference: int | None
    equality: int | None


def seeds_needed(
    spread: float, effect: float, tails: tuple[float, float]
) -> int | None:
    """Estimate how many pairs show an effect, by the normal approximation.

    With the correction for t of half a squared quantile; None for more than 100,000.

    Args:
        spread: standard deviation of the differences.
        effect: to be shown.
        tails: probabilities of missing it, and of seeing it where there is none.

    Reference: Guenther 1981, "Sample size formulas for normal theory t tests", The
    American Statistician 35.

    Example:
        >>> seeds_needed(spread=0.05, effect=0.05, tails=(0.2, 0.05 / 3 / 2))
        14
    """
    if effect == 0 or not isfinite(spread / effect):
        return None
    miss, false = (float(special.ndtri(1 - tail)) for tail in tails)
    needed = ((miss + false) * spread / effect) ** 2 + false**2 / 2
    return None if needed > _MOST_SEEDS else max(FEWEST_FOR_VERDICT, ceil(needed))


def more_seeds(pair: PairedRuns, terms: Terms) -> More:
    """Estimate what would do, from the seeds in which both learn or from failures.

    Each with probability 0.8.

    Args:
        pair: the runs so far.
        terms: margin and level.

    Example:
        >>> import numpy as np
        >>> from init_study.answers.verdicts.paired_runs import pair_up
        >>> values = {"a": np.array([0.8, 0.9, 0.85]), "b": np.array([0.9, 0.82, 0.8])}
        >>> terms = Terms(margin=0.05, alpha=0.05, chance=0.1, num_test=100)
        >>> more_seeds(pair_up(values, [("b", "a")], terms)[0], terms).equality
        31
    """
    n, d = len(pair.scheme), pair.d
    by_failures = _seeds_by_failures(pair, terms)
    if len(d) < FEWEST_FOR_VERDICT - 2:
        return More(by_failures, None)
    spread = max(float(d.std(ddof=1)), 1 / terms.num_test)
    # Seeds in which one fails show nothing of the typical run.
    share = len(d) / n
    tails = (
        (1 - _POWER, terms.alpha / 2, float(d.mean())),
        # Equality takes both of its tests, so each may miss half as often.
        ((1 - _POWER) / 2, terms.alpha, terms.margin),
    )
    typical, equality = (
        k and max(ceil(k / share) - n, 1)
        for a, b, effect in tails
        for k in [seeds_needed(spread, effect, (a, b))]
    )
    sooner = [k for k in (typical, by_failures) if k is not None]
    return More(min(sooner, default=None), equality)


def _seeds_by_failures(pair: PairedRuns, terms: Terms) -> int | None:
    """Find how many more show that one fails more often, at the shares seen."""
    n = len(pair.scheme)
    failed = sorted(int((~x).sum()) for x in (pair.learned, pair.candidate_learned))
    if failed[0] == failed[1]:
        return None
    for more in range(n, 20 * n):
        few, many = (round(k * more / n) for k in failed)
        if 2 * mean_p((few, many), more, (1.0, 1.0)) < terms.alpha:
            return max(more - n, FEWEST_FOR_VERDICT - n, 1)
    return None
