"""Runs of two schemes side by side, and the tests of what they show."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from init_study.answers.verdicts.learning import learned, learning_bound, mean_p

FEWEST_FOR_VERDICT = 5


class Terms(NamedTuple):
    """What contrasts are judged by, the same for all of a look.

    Attributes:
        margin: differences below it do not matter.
        alpha: level of the look.
        chance: accuracy of a constant answer.
        num_test: test examples; one of them is the least spread that differences have.
    """

    margin: float
    alpha: float
    chance: float
    num_test: int


class PairedRuns(NamedTuple):
    """Runs of a scheme and of the candidate, by seed.

    Attributes:
        scheme, candidate: accuracies.
        learned, candidate_learned: whether each run did.
        d: differences, scheme less candidate, of the seeds in which both did.
    """

    scheme: Float[np.ndarray, " n"]
    candidate: Float[np.ndarray, " n"]
    learned: Bool[np.ndarray, " n"]
    candidate_learned: Bool[np.ndarray, " n"]
    d: Float[np.ndarray, " m"]

    def swapped(self) -> "PairedRuns":
        """Give the same two with their places changed."""
        return PairedRuns(
            self.candidate, self.scheme, self.candidate_learned, self.learned, -self.d
        )


def pair_up(
    values: Mapping[str, Float[np.ndarray, " seeds"]],
    pairs: Sequence[tuple[str, str]],
    terms: Terms,
) -> list[PairedRuns]:
    """Put the runs of two schemes side by side, the seeds that both have.

    Args:
        values: accuracies by scheme.
        pairs: (scheme, candidate).
        terms: what a run must reach to have learned.

    Example:
        >>> values = {"a": np.full(3, 0.9), "b": np.array([0.8, 0.8, 0.1])}
        >>> (pair,) = pair_up(values, [("b", "a")], Terms(0.01, 0.05, 0.1, 100))
        >>> len(pair.d)
        2
    """
    bound = learning_bound(values, terms.chance)
    well = {
        name: learned(runs, bound, terms.num_test, terms.chance)
        for name, runs in values.items()
    }
    found = []
    for one, other in pairs:
        n = min(len(values[one]), len(values[other]))
        a, b = values[one][:n], values[other][:n]
        well_a, well_b = well[one][:n], well[other][:n]
        found.append(PairedRuns(a, b, well_a, well_b, (a - b)[well_a & well_b]))
    return found


def greater_p(differences: Float[np.ndarray, " n"], least: float) -> float:
    """Find the one-sided p that differences are above 0 in the mean, by the t test.

    1 for fewer than five: they show nothing.

    Args:
        differences: paired ones.
        least: standard deviation that they have at least: no difference is known to
            less than one image of the test set, however little seeds changed.

    Example:
        >>> d = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
        >>> round(greater_p(d, least=0.01), 4)
        0.0066
    """
    d = np.asarray(differences, np.float64)
    n = len(d)
    if n < FEWEST_FOR_VERDICT:
        return 1.0
    spread = max(float(d.std(ddof=1)), least)
    return float(special.stdtr(n - 1, -d.mean() / spread * sqrt(n)))


def majority_p(differences: Float[np.ndarray, " n"]) -> float:
    """Find the one-sided p that most differences are above 0, by the sign test.

    Exact; half of the ties count as above, rounded down.

    Example:
        >>> majority_p(np.array([1.0, 2.0, 3.0, -1.0]))
        0.3125
    """
    d = np.asarray(differences)
    k = int((d > 0).sum() + (d == 0).sum() // 2)
    return float(special.bdtrc(k - 1, len(d), 0.5)) if k else 1.0


def lower_mean_p(
    pair: PairedRuns, terms: Terms, allowance: float, margin: float = 0.0
) -> float:
    """Find the p that the scheme's mean is below the candidate's plus the margin.

    Over all runs, in the worst case of failures not seen (`learning.mean_p`). The level
    of the runs that learn is bounded by a limit that fails as often as `allowance`
    says, and that is added.

    Args:
        pair: the runs.
        terms: chance, and the least spread.
        allowance: from 0 to 1.
        margin: by which the scheme may be above.

    Reference: Berger & Boos 1994, "P values maximized over a confidence set for the
    nuisance parameter", Journal of the American Statistical Association 89.

    Example:
        >>> values = {"a": np.full(5, 0.9), "b": np.full(5, 0.1)}
        >>> terms = Terms(margin=0.01, alpha=0.05, chance=0.1, num_test=100)
        >>> (pair,) = pair_up(values, [("b", "a")], terms)
        >>> lower_mean_p(pair, terms, 0.001) < 0.005
        True
    """
    n, m = len(pair.scheme), len(pair.d)
    if not pair.candidate_learned.any():
        return 1.0
    level = float(pair.candidate[pair.candidate_learned].mean()) - terms.chance
    # Of a scheme that hardly learns nobody knows how good it is where it does: it is
    # taken to be no better than the best run of the two.
    most = float(max(pair.candidate.max(), pair.scheme.max())) - terms.chance
    if m >= FEWEST_FOR_VERDICT:
        spread = max(float(pair.d.std(ddof=1)), 1 / terms.num_test)
        limit = -float(special.stdtrit(m - 1, allowance)) * spread / sqrt(m)
        highest = level + max(float(pair.d.mean()) + limit, -level)
        most = min(highest, 1 - terms.chance)
    failed = (int((~pair.candidate_learned).sum()), int((~pair.learned).sum()))
    low = pair.scheme[~pair.learned]
    failed_level = max(float(low.max()) - terms.chance, 0.0) if len(low) else 0.0
    p = mean_p(failed, n, (level, most), margin, failed_level)
    return min(p + allowance, 1.0)
