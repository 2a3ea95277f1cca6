"""How good advice is: its ranking beside that of races, with an interval.

Settings of one family are nets of one kind and no independent evidence: an interval is
by a bootstrap that draws whole families.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

_DRAWS, _LEVEL = 10_000, 0.95
# Fewer do not vary in a bootstrap as families do.
LEAST_SETTINGS, LEAST_FAMILIES = 10, 5


class Agreement(NamedTuple):
    """What a way to rank schemes came to, over settings.

    Attributes:
        settings: how many tell: those where the race found a difference.
        families: of them.
        mean: of Spearman's rank correlation with the race.
        low, high: of its 95 % interval; None of too few settings or families.
        regret: mean accuracy that its first choice loses against the best, in points.
    """

    settings: int
    families: int
    mean: float
    low: float | None
    high: float | None
    regret: float


def rank_correlation(
    one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]
) -> float:
    """Compute Spearman's rank correlation, equals having the mean of their ranks.

    Args:
        one: scores.
        other: scores of the same things.

    Returns: NaN where all scores of one side are equal, or are fewer than two.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 5.0]), np.array([0.1, 0.4, 0.2]))
        0.5
        >>> rank_correlation(np.array([1.0, 1.0]), np.array([0.1, 0.4]))
        nan
    """
    if len(one) < 2:
        return float("nan")
    first, second = (rankdata(side) - (len(side) + 1) / 2 for side in (one, other))
    size = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / size) if size else float("nan")


def regret(
    scores: Float[np.ndarray, " n"], accuracies: Float[np.ndarray, " n"]
) -> float:
    """Compute what the first choice loses against the best, as a share.

    Of several first ones it is what they lose on average.

    Args:
        scores: the greatest is chosen.
        accuracies: of the same schemes.

    Example:
        >>> regret(np.array([1.0, 0.0]), np.array([0.5, 0.75]))
        0.25
    """
    chosen = accuracies[scores == scores.max()]
    return float(accuracies.max() - chosen.mean())


def agreement(
    correlations: Float[np.ndarray, " n"],
    regrets: Float[np.ndarray, " n"],
    families: Sequence[str],
) -> Agreement:
    """Sum up correlations over settings, with an interval where there are enough.

    Args:
        correlations: of each setting; NaN where a race found no difference, which then
            does not count. A way that ranks nothing has 0 there.
        regrets: of each setting, as shares.
        families: of each setting.

    Example:
        >>> agreement(np.array([0.5, 1.0]), np.zeros(2), ["plain", "plain"])[:4]
        (2, 1, 0.75, None)
    """
    told = np.isfinite(correlations)
    names = np.array(families)[told]
    low, high = interval(correlations[told], names) or (None, None)
    return Agreement(
        settings=int(told.sum()),
        families=len(set(names)),
        mean=float(correlations[told].mean()) if told.any() else float("nan"),
        low=low,
        high=high,
        regret=100 * float(regrets[told].mean()) if told.any() else float("nan"),
    )


def interval(
    values: Float[np.ndarray, " n"], families: Sequence[str] | np.ndarray
) -> tuple[float, float] | None:
    """Compute a 95 % interval of a mean over settings, drawing whole families.

    Args:
        values: of each setting.
        families: of each setting.

    Returns: None of fewer than `LEAST_SETTINGS`, or `LEAST_FAMILIES`.

    Reference: Davison & Hinkley 1997, Bootstrap methods and their application, section
    3.8, where groups are drawn whole. Percentiles of 10,000 draws from a fixed seed.

    Example:
        >>> interval(np.ones(9), list("abcdefghi")) is None
        True
    """
    names, group = np.unique(np.asarray(families), return_inverse=True)
    if len(values) < LEAST_SETTINGS or len(names) < LEAST_FAMILIES:
        return None
    sums = np.bincount(group, weights=values)
    counts = np.bincount(group)
    generator = np.random.Generator(np.random.PCG64(0))
    drawn = generator.integers(len(names), size=(_DRAWS, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def better_than(
    one: Float[np.ndarray, " n"],
    other: Float[np.ndarray, " n"],
    families: Sequence[str],
) -> Mapping[str, float | None]:
    """Compare two ways to rank on the same settings.

    Args:
        one: correlations of each setting.
        other: of the same settings.
        families: of each setting.

    Returns: the mean `difference`, and `low` and `high` of its interval, or None.

    Example:
        >>> better_than(np.array([0.5, 1.0]), np.zeros(2), ["a", "b"])["difference"]
        0.75
    """
    told = np.isfinite(one) & np.isfinite(other)
    difference = (one - other)[told]
    low, high = interval(difference, np.array(families)[told]) or (None, None)
    mean = float(difference.mean()) if told.any() else float("nan")
    return {"difference": mean, "low": low, "high": high}
