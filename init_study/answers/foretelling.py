"""Whether numbers that are known before training foretell how it ends.

A number foretells if it orders schemes, or the seeds of a scheme, as their outcomes do.
Whether a great one is good or bad is learned from other schemes: for a pair of schemes
from all pairs without either, for the seeds of a scheme from those of all others. What
is left is a rank correlation out of sample: 1 where every pair is foretold, 0 where as
many are foretold as not, below where what held elsewhere does not hold here.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.answers.significance import holm
from init_study.answers.statistics import CONFIDENCE, Interval
from init_study.errors import UserError

# Of schemes: directions are learned from what is left of them.
FEWEST_SCHEMES = 5
_RESAMPLES = 1000
# Of the second number only what may be more than chance by the first: a p value that is
# adjusted for many numbers must not hang on a few draws.
_PERMUTATIONS, _FURTHER, _CLOSE = 1000, 29_000, 0.02


class Foretold(NamedTuple):
    """How well one number foretells one outcome.

    Attributes:
        name: of the number.
        schemes: rank correlation (Kendall's, out of sample) over pairs of schemes,
            each the mean of its seeds, with the 95 % interval of a bootstrap over
            schemes.
        seeds: the same over pairs of seeds of one scheme; NaN for one seed, or where
            all seeds are alike.
        p_schemes, p_seeds: of the permutation tests that the number foretells nothing,
            adjusted by Holm for all numbers.
    """

    name: str
    schemes: Interval
    seeds: Interval
    p_schemes: float
    p_seeds: float


def foretell(
    numbers: Mapping[str, Float[np.ndarray, "programs schemes seeds"]],
    outcome: Float[np.ndarray, "programs schemes seeds"],
    seed: int = 0,
) -> list[Foretold]:
    """Say of each number how well it foretells an outcome, the best first.

    Args:
        numbers: by name; what is not finite tells nothing, as in a member of zeros.
        outcome: of the same members; NaN where there is none.
        seed: of the resamples and permutations. Schemes are resampled and permuted as
            wholes, in all programs alike; seeds within each scheme and program.

    Raises: UserError for fewer than five schemes.

    Source: the pairwise form is Kendall's tau-a; leaving both members of a pair out
        is derived.

    Example:
        >>> outcome = np.arange(24.0).reshape(1, 6, 4)
        >>> (told,) = foretell({"loss": -outcome}, outcome)
        >>> told.schemes.mean, told.seeds.mean
        (1.0, 1.0)
    """
    if outcome.shape[1] < FEWEST_SCHEMES:
        raise UserError(
            f"{outcome.shape[1]} schemes are too few to say what foretells an outcome; "
            f"it takes at least {FEWEST_SCHEMES}"
        )
    if not numbers:
        return []
    stacked = np.stack(list(numbers.values()), -1).astype(np.float64)
    stacked = np.where(np.isfinite(stacked), stacked, np.nan)
    draws = np.random.default_rng(seed)
    between = _over_schemes(stacked, outcome, draws)
    within = _over_seeds(stacked, outcome, draws)
    adjusted = [holm(_filled(p)) for _, p in (between, within)]
    rows = [
        Foretold(name, between[0][i], within[0][i], adjusted[0][i], adjusted[1][i])
        for i, name in enumerate(numbers)
    ]
    return sorted(rows, key=lambda row: -np.nan_to_num(row.schemes.mean, nan=-2.0))


def _over_schemes(
    numbers: Float[np.ndarray, "programs schemes seeds names"],
    outcome: Float[np.ndarray, "programs schemes seeds"],
    draws: np.random.Generator,
) -> tuple[list[Interval], Float[np.ndarray, " names"]]:
    """Foretell the means of schemes: correlations, and p values not adjusted."""
    count = outcome.shape[1]
    x = _signs(_mean(numbers, 2))
    y = _signs(_mean(outcome, 2)[..., None])[..., 0]
    ones = np.ones(count)
    found = _pairs(x, y, ones)
    resampled = np.array([_pairs(x, y, each) for each in _resamples(count, draws)])

    def permuted(names: np.ndarray, times: int) -> np.ndarray:
        orders = (draws.permutation(count) for _ in range(times))
        some = x[..., names]
        return np.array([_pairs(some, y[:, o][:, :, o], ones) for o in orders])

    return _intervals(found, resampled, count), _p_values(found, permuted)


def _pairs(
    x: Float[np.ndarray, "programs schemes schemes names"],
    y: Float[np.ndarray, "programs schemes schemes"],
    weights: Float[np.ndarray, " schemes"],
) -> Float[np.ndarray, " names"]:
    """Correlate signs of differences, each pair by what all others without it say."""
    both = np.outer(weights, weights)
    agree = (x * y[..., None]).sum(0) * both[..., None]
    ranked = np.abs(y).sum(0) * both
    # Every pair is there twice.
    total, of_scheme = agree.sum((0, 1)), agree.sum(1)
    others = total - 2 * (of_scheme[:, None] + of_scheme[None, :] - agree)
    told = (np.sign(others) * agree).sum((0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return told / ranked.sum()


def _over_seeds(
    numbers: Float[np.ndarray, "programs schemes seeds names"],
    outcome: Float[np.ndarray, "programs schemes seeds"],
    draws: np.random.Generator,
) -> tuple[list[Interval], Float[np.ndarray, " names"]]:
    """Foretell the seeds of a scheme: correlations, and p values not adjusted."""
    x, y = _signs(numbers), _signs(outcome[..., None])[..., 0]
    ranked = np.abs(y).sum((0, 2, 3))
    count, seeds = outcome.shape[1], outcome.shape[2]
    ones = np.ones(count)
    own = (x * y[..., None]).sum((0, 2, 3))
    found = _each(own, ranked, ones)
    resampled = np.array(
        [_each(own, ranked, each) for each in _resamples(count, draws)]
    )

    def permuted(names: np.ndarray, times: int) -> np.ndarray:
        orders = (draws.permutation(seeds) for _ in range(times))
        some = x[..., names]
        agreed = (some * y[..., o, :][..., o][..., None] for o in orders)
        return np.array([_each(one.sum((0, 2, 3)), ranked, ones) for one in agreed])

    return _intervals(found, resampled, count), _p_values(found, permuted)


def _each(
    agree: Float[np.ndarray, "schemes names"],
    ranked: Float[np.ndarray, " schemes"],
    weights: Float[np.ndarray, " schemes"],
) -> Float[np.ndarray, " names"]:
    """Correlate within schemes, each by what all others say."""
    own = agree * weights[:, None]
    # A scheme that was drawn twice is no other to itself.
    others = own.sum(0) - own
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.sign(others) * own).sum(0) / (ranked * weights).sum()


def _resamples(
    count: int, draws: np.random.Generator
) -> Float[np.ndarray, "draws schemes"]:
    """Draw how often each scheme is in each resample of a bootstrap."""
    return draws.multinomial(count, np.full(count, 1 / count), _RESAMPLES) * 1.0


def _signs(
    values: Float[np.ndarray, "... members names"],
) -> Float[np.ndarray, "... members members names"]:
    """Say of each pair which is more; 0 for what is equal, or not known."""
    differences = values[..., :, None, :] - values[..., None, :, :]
    return np.nan_to_num(np.sign(differences))


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Average what is there; NaN where nothing is."""
    there = np.isfinite(values)
    total = np.where(there, values, 0.0).sum(axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / there.sum(axis)


def _intervals(
    found: Float[np.ndarray, " names"],
    resampled: Float[np.ndarray, "draws names"],
    schemes: int,
) -> list[Interval]:
    tail = 50 * (1 - CONFIDENCE)
    rows = []
    for value, column in zip(found, resampled.T, strict=True):
        own = column[np.isfinite(column)]
        if not np.isfinite(value) or not len(own):
            rows.append(Interval(np.nan, np.nan, np.nan, schemes))
            continue
        low, high = np.percentile(own, [tail, 100 - tail])
        rows.append(Interval(float(value), float(low), float(high), schemes))
    return rows


def _p_values(
    found: Float[np.ndarray, " names"],
    permuted: Callable[[np.ndarray, int], np.ndarray],
) -> Float[np.ndarray, " names"]:
    """Count permutations that come as high; the one that was found is one of them.

    Args:
        found: of each number.
        permuted: from places of numbers and a count to `[count, places]`.
    """

    def higher(names: np.ndarray, times: int) -> np.ndarray:
        return (permuted(names, times) >= found[names] - 1e-12).sum(0)

    known = np.flatnonzero(np.isfinite(found))
    p = np.full(len(found), np.nan)
    first = higher(known, _PERMUTATIONS)
    p[known] = (1 + first) / (1 + _PERMUTATIONS)
    close = p[known] < _CLOSE
    if close.any():
        more = higher(known[close], _FURTHER)
        p[known[close]] = (1 + first[close] + more) / (1 + _PERMUTATIONS + _FURTHER)
    return p


def _filled(p: Float[np.ndarray, " names"]) -> list[float]:
    return [float(one) for one in np.where(np.isfinite(p), p, 1.0)]
