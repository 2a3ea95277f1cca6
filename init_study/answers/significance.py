"""P values of paired runs, exact where they can be, and adjusted for several."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import special, stats

# All sign flips of 14 differences, and as many random ones of more.
_RESAMPLES = 2**14


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Adjust the p values of several tests by Holm's method.

    The chance of any false rejection then stays below the level.

    Reference: Holm 1979, "A simple sequentially rejective multiple test procedure",
    Scandinavian Journal of Statistics 6.

    Example:
        >>> holm([0.5, 0.125])
        (0.5, 0.25)
    """
    order = np.argsort(p)
    factors = np.arange(len(order), 0, -1)
    raised = np.maximum.accumulate(np.asarray(p, np.float64)[order] * factors)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(raised, 1.0)
    return tuple(adjusted.tolist())


def hochberg(p: Sequence[float]) -> tuple[float, ...]:
    """Adjust the p values of several tests by Hochberg's method.

    The chance of any false rejection stays below the level where the tests depend on
    one another as comparisons with one and the same sample do; of all pairs of several
    samples that is known by simulation alone (`simulation`).

    Reference: Hochberg 1988, "A sharper Bonferroni procedure for multiple tests of
    significance", Biometrika 75; Sarkar 1998, Annals of Statistics 26.

    Example:
        >>> hochberg([0.03, 0.04, 0.5])
        (0.08, 0.08, 0.5)
        >>> hochberg([0.03, 0.04])
        (0.04, 0.04)
    """
    order = np.argsort(p)[::-1]
    raised = np.asarray(p, np.float64)[order] * np.arange(1, len(order) + 1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.minimum.accumulate(raised), 1.0)
    return tuple(adjusted.tolist())


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
    # The law is symmetric, so both tails are alike.
    fewer = special.bdtr(min(only_a, only_b), only_a + only_b, 0.5)
    return float(min(2 * fewer, 1.0))


def sign_flip_p(differences: Float[np.ndarray, " n"]) -> float:
    """Give the p value of a mean of differences, if each might have the other sign.

    Two-sided: the share of all sign flips whose sum is as far from zero as the one
    observed, or farther. All 2^n of them for up to 14 differences, else 2^14 random
    ones, always the same.

    Args:
        differences: paired ones, in any unit.

    Example:
        >>> sign_flip_p(np.array([1.0, 2.0, 3.0]))
        0.25
    """
    d = np.asarray(differences, np.float64)
    if len(d) < 2:
        # One sign is as far from zero as the other.
        return 1.0
    # Sums of the same numbers in another order differ in the last bits, and are to tie.
    scaled = d / (np.abs(d).max() or 1.0)
    tested = stats.permutation_test(
        (scaled,),
        lambda flipped, axis: np.round(np.abs(flipped.sum(axis)), 12),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        n_resamples=_RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return float(tested.pvalue)
