"""Verdicts on schemes from fresh, paired seeds: which is best, which are its equals.

A difference that could not be shown is never called equality: equality is shown,
within a margin that was fixed beforehand, or it is not decided. Statements of one kind
hold together at level alpha: differences from the candidate, and equivalences to it,
are adjusted by Holm's method; planned looks share alpha.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from init_study.answers.statistics import (
    FEWEST_FOR_INTERVAL,
    Interval,
    Share,
    exact_interval,
    holm,
    paired_interval,
    sign_flip_p,
)
from init_study.errors import UserError, check_number

FEWEST_FOR_VERDICT = 5
_POWER = 0.8


class Kind(StrEnum):
    """What is said of a table, or of a scheme beside the candidate."""

    BEST = "BEST"
    SET = "SET"
    EQUIVALENT = "EQUIVALENT"
    WORSE = "WORSE"
    BETTER = "BETTER"
    UNDECIDED = "UNDECIDED"


class Contrast(NamedTuple):
    """A scheme beside the candidate.

    Attributes:
        scheme: its name.
        kind: EQUIVALENT, WORSE, BETTER or UNDECIDED.
        effect: mean difference to the candidate, paired by seed, with its interval at
            1 − alpha.
        p: two-sided, of the paired t test, adjusted by Holm's method.
        p_equivalent: that it is within the margin, by two one-sided paired t tests,
            adjusted as well.
        sign_flip_p: two-sided, exact or by random flips, not adjusted: what is left
            without normality; NaN where it was not counted.
        wins: seeds in which it beats the candidate, ties split, and the interval of
            the probability behind them.
        correlation: of the two over seeds: what pairing gains.
        more: seeds that a verdict would take besides these, about; None if there is
            a verdict.
    """

    scheme: str
    kind: Kind
    effect: Interval
    p: float
    p_equivalent: float
    sign_flip_p: float
    wins: Share
    correlation: float
    more: int | None


class Decision(NamedTuple):
    """What a table of schemes shows.

    Attributes:
        kind: BEST if every rival is worse than the candidate; EQUIVALENT if every one
            is equal to it; SET if some are not among the best; else UNDECIDED.
        candidate: the scheme that was best before these seeds were run.
        best_set: what is not worse than the candidate, and the candidate unless one is
            better: holds the best scheme with confidence 1 − alpha.
        contrasts: of every rival, in the order given.
        margin: differences below it do not matter.
        alpha: of this look.
        n: seeds of the candidate.
        more: seeds that the hardest rival left would take besides these, about; None
            if nothing is undecided.
    """

    kind: Kind
    candidate: str
    best_set: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    margin: float
    alpha: float
    n: int
    more: int | None


def decide(
    values: Mapping[str, Float[np.ndarray, " seeds"]],
    candidate: str,
    margin: float,
    alpha: float = 0.05,
    settled: Sequence[Contrast] = (),
    sign_flips: bool = True,
) -> Decision:
    """Decide what fresh seeds say of schemes.

    Args:
        values: by scheme, of seeds in one order, higher is better; a scheme that was
            dropped has fewer of them. A run that diverged has a value too: chance.
        candidate: chosen on other seeds; chosen on these it would look too good.
        margin: positive, fixed beforehand.
        alpha: level of this look.
        settled: what earlier looks have shown of schemes that got no more seeds; it
            stands.
        sign_flips: whether to count sign flips, which no verdict rests on.

    Raises: UserError for fewer than two schemes or than 3 seeds, values that are not
        finite, a margin or level out of range.

    Example:
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decision = decide(runs, "he", margin=0.01)
        >>> decision.kind.value, decision.best_set
        ('BEST', ('he',))
    """
    check_number("margin", margin, above=0)
    check_number("alpha", alpha, above=0, most=0.5)
    arrays = {name: np.asarray(v, np.float64) for name, v in values.items()}
    _check(arrays, candidate)
    rivals = [name for name in arrays if name != candidate]
    pairs = [_paired(arrays[name], arrays[candidate]) for name in rivals]
    differ = [2 * min(greater_p(a, b), greater_p(b, a), 0.5) for a, b in pairs]
    within = [max(greater_p(a + margin, b), greater_p(b + margin, a)) for a, b in pairs]
    p_differ, p_within = holm(differ), holm(within)
    stands = {contrast.scheme: contrast for contrast in settled}
    contrasts = tuple(
        stands.get(name) or _contrast(name, a, b, (p, q), margin, alpha, sign_flips)
        for name, (a, b), p, q in zip(rivals, pairs, p_differ, p_within, strict=True)
    )
    best_set = _best_set(candidate, contrasts)
    left = [c.more for c in contrasts if c.more is not None]
    return Decision(
        kind=_kind(contrasts, best_set, len(arrays)),
        candidate=candidate,
        best_set=best_set,
        contrasts=contrasts,
        margin=margin,
        alpha=alpha,
        n=len(arrays[candidate]),
        more=max(left) if left else None,
    )


def greater_p(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Find the one-sided p that `a` is greater than `b`, by the paired t test.

    Without any spread in the differences t has no law; then it is the sign test's
    smallest, 2^−n, or 1 for differences that are not positive.

    Example:
        >>> greater_p(np.array([2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0]))
        0.125
    """
    d = np.asarray(a, np.float64) - b
    spread, mean, n = d.std(ddof=1), d.mean(), len(d)
    if spread <= 1e-12 * max(1.0, np.abs(d).max()):
        return 0.5**n if mean > 0 else 1.0
    return float(stats.t.sf(mean / spread * sqrt(n), n - 1))


def seeds_needed(
    a: Float[np.ndarray, " n"],
    b: Float[np.ndarray, " n"],
    margin: float,
    alpha: float,
) -> int:
    """Estimate how many seeds show a difference of the margin with probability 0.8.

    By the normal approximation, from the spread of `a - b`; five at least.

    Example:
        >>> same = np.array([0.9, 0.8, 0.7])
        >>> seeds_needed(same, same, margin=0.01, alpha=0.05)
        5
    """
    spread = float(np.std(np.asarray(a) - b, ddof=1))
    quantiles = stats.norm.ppf(1 - alpha) + stats.norm.ppf(_POWER)
    return max(FEWEST_FOR_VERDICT, ceil((quantiles * spread / margin) ** 2))


def default_margin(accuracy: float, num_test: int) -> float:
    """Give the difference in accuracy that does not matter, where none is asked for.

    Half a point, or half the standard error of one test accuracy if that is more.

    Args:
        accuracy: of the candidate, from 0 to 1.
        num_test: test examples.

    Example:
        >>> default_margin(0.5, num_test=100), default_margin(0.5, num_test=1_000_000)
        (0.025, 0.005)
    """
    return max(0.005, 0.5 * sqrt(accuracy * (1 - accuracy) / num_test))


def _contrast(
    name: str,
    a: Float[np.ndarray, " n"],
    b: Float[np.ndarray, " n"],
    adjusted: tuple[float, float],
    margin: float,
    alpha: float,
    sign_flips: bool,
) -> Contrast:
    p_differ, p_within = adjusted
    kind = Kind.UNDECIDED
    if len(a) >= FEWEST_FOR_VERDICT:
        # A difference that is seen, and too small to matter, is no difference.
        if p_within < alpha:
            kind = Kind.EQUIVALENT
        elif p_differ < alpha:
            kind = Kind.WORSE if np.mean(a - b) < 0 else Kind.BETTER
    more = None
    if kind is Kind.UNDECIDED:
        more = max(1, seeds_needed(a, b, margin, alpha) - len(a))
    constant = min(np.std(a), np.std(b)) == 0
    return Contrast(
        scheme=name,
        kind=kind,
        effect=paired_interval(a, b, 1 - alpha),
        p=p_differ,
        p_equivalent=p_within,
        sign_flip_p=sign_flip_p(a - b) if sign_flips else float("nan"),
        wins=exact_interval(float(np.sum(a > b) + 0.5 * np.sum(a == b)), len(a)),
        correlation=float("nan") if constant else float(np.corrcoef(a, b)[0, 1]),
        more=more,
    )


def _best_set(candidate: str, contrasts: Sequence[Contrast]) -> tuple[str, ...]:
    """List the schemes that are not worse than the best.

    The best scheme is missing only if it was falsely called worse than the candidate,
    or, being the candidate, falsely beaten.
    """
    kept = tuple(c.scheme for c in contrasts if c.kind is not Kind.WORSE)
    beaten = any(c.kind is Kind.BETTER for c in contrasts)
    return kept if beaten else (candidate, *kept)


def _kind(
    contrasts: Sequence[Contrast],
    best_set: tuple[str, ...],
    schemes: int,
) -> Kind:
    kinds = {contrast.kind for contrast in contrasts}
    if kinds == {Kind.EQUIVALENT}:
        return Kind.EQUIVALENT
    if kinds == {Kind.WORSE}:
        return Kind.BEST
    return Kind.SET if len(best_set) < schemes else Kind.UNDECIDED


def _paired(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    """Keep the seeds that both have run."""
    n = min(len(a), len(b))
    return a[:n], b[:n]


def _check(arrays: Mapping[str, np.ndarray], candidate: str) -> None:
    if candidate not in arrays:
        raise UserError(f"the candidate {candidate!r} is none of {', '.join(arrays)}")
    if len(arrays) < 2:
        raise UserError(f"{candidate} alone: a comparison takes two schemes")
    for name, own in arrays.items():
        if len(own) < FEWEST_FOR_INTERVAL:
            raise UserError(
                f"{name} has {len(own)} seeds; an interval takes "
                f"{FEWEST_FOR_INTERVAL}, a verdict {FEWEST_FOR_VERDICT}"
            )
        if not np.isfinite(own).all():
            raise UserError(f"{name} has values that are not finite")
