"""Two schemes on the same seeds: does each learn, and which does better where both do.

Three kinds of statement, each with its own test, and none stands for another:

- how often runs fail (`learning`);
- which scheme does better in the *typical* run, that is in most seeds in which both
  learn: paired t tests, and a majority of signs beside them, since a mean says nothing
  of most runs where a few are late;
- which has the higher mean over *all* runs: claimed only where the failures that the
  seeds do not exclude would not overturn it.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.answers.significance import hochberg, sign_flip_p
from init_study.answers.statistics import Interval, Share, exact_interval, half_width
from init_study.answers.verdicts.learning import Learning, learning
from init_study.answers.verdicts.more_seeds import More, more_seeds
from init_study.answers.verdicts.paired_runs import (
    FEWEST_FOR_VERDICT,
    PairedRuns,
    Terms,
    greater_p,
    lower_mean_p,
    majority_p,
)

# Of the majority of signs that a statement on the typical run takes.
_MAJORITY = 0.05


class Kind(StrEnum):
    """What is said of a table, or of a scheme beside the candidate.

    `TYPICALLY` is said of the typical run, where both learn; a kind without it of the
    mean over all runs, failed ones among them.
    """

    BEST = "BEST"
    TYPICALLY_BEST = "TYPICALLY BEST"
    SET = "SET"
    EQUIVALENT = "EQUIVALENT"
    TYPICALLY_EQUAL = "TYPICALLY EQUAL"
    WORSE = "WORSE"
    TYPICALLY_WORSE = "TYPICALLY WORSE"
    BETTER = "BETTER"
    TYPICALLY_BETTER = "TYPICALLY BETTER"
    UNDECIDED = "UNDECIDED"


class Contrast(NamedTuple):
    """A scheme beside the candidate.

    Attributes:
        scheme: its name.
        kind: of the statement that is made, UNDECIDED if there is none.
        learning: how often both fail.
        effect: mean difference to the candidate over the seeds in which both learn,
            with its interval at 1 − alpha; `n` is their number.
        all_runs: mean difference over all seeds, with no interval.
        p: two-sided, that there is no difference where both learn: paired t test.
        p_equivalent: that it is not within the margin, by two one-sided t tests.
        p_mean: two-sided, that the means over all runs are equal, in the worst case of
            failures not seen. These three are adjusted by Hochberg's method.
        sign_flip_p: two-sided, exact or by random flips, not adjusted: what is left of
            `p` without normality; NaN where it was not counted.
        wins: seeds in which it beats the candidate, ties split, and the interval of
            the probability behind them.
        correlation: of the two over the seeds in which both learn: what pairing gains.
        twin: whether every run has the same accuracy as the candidate's.
        more: None if there is a verdict.
    """

    scheme: str
    kind: Kind
    learning: Learning
    effect: Interval
    all_runs: float
    p: float
    p_equivalent: float
    p_mean: float
    sign_flip_p: float
    wins: Share
    correlation: float
    twin: bool
    more: More | None


def contrasts(
    names: Sequence[str],
    pairs: Sequence[PairedRuns],
    terms: Terms,
    sign_flips: bool = True,
) -> tuple[Contrast, ...]:
    """Say of every pair what its seeds show, all statements of a kind together.

    Args:
        names: of the schemes.
        pairs: of `pair_up`.
        terms: margin and level.
        sign_flips: whether to count sign flips, which no statement rests on.

    Example:
        >>> from init_study.answers.verdicts.paired_runs import pair_up
        >>> values = {"a": np.full(5, 0.9), "b": np.full(5, 0.1)}
        >>> terms = Terms(margin=0.01, alpha=0.05, chance=0.1, num_test=100)
        >>> (b,) = contrasts(["b"], pair_up(values, [("b", "a")], terms), terms)
        >>> b.kind.value
        'WORSE'
    """
    margin, least = terms.margin, 1 / terms.num_test
    # What a mean may differ by with so small a chance costs each a twentieth of alpha.
    allowance = terms.alpha / (40 * len(pairs))
    typical = [_differ_p(p.d, least) for p in pairs]
    within = [
        max(greater_p(p.d + margin, least), greater_p(margin - p.d, least))
        for p in pairs
    ]
    below = [lower_mean_p(p, terms, allowance) for p in pairs]
    above = [lower_mean_p(p.swapped(), terms, allowance) for p in pairs]
    same = [
        max(
            lower_mean_p(p, terms, allowance, margin),
            lower_mean_p(p.swapped(), terms, allowance, margin),
        )
        if margin
        else 1.0
        for p in pairs
    ]
    mean = [
        min(2 * min(low, high), 1.0) for low, high in zip(below, above, strict=True)
    ]
    is_lower = [low < high for low, high in zip(below, above, strict=True)]
    adjusted = map(hochberg, (typical, within, mean, same))
    rows = zip(names, pairs, *adjusted, is_lower, strict=True)
    return tuple(
        _contrast(name, pair, _Ps(*p), terms, sign_flips) for name, pair, *p in rows
    )


class _Ps(NamedTuple):
    """Adjusted p of one pair: no difference, not within the margin; then of means.

    And whether it is the scheme's mean, of the two, that is the lower.
    """

    typical: float
    within: float
    mean: float
    same: float
    is_lower: bool


def _differ_p(d: Float[np.ndarray, " n"], least: float) -> float:
    return min(2 * greater_p(d, least), 2 * greater_p(-d, least), 1.0)


def _contrast(
    name: str, pair: PairedRuns, p: _Ps, terms: Terms, sign_flips: bool
) -> Contrast:
    a, b, d = pair.scheme, pair.candidate, pair.d
    kind = _kind(pair, p, terms)
    varies = len(d) > 1 and min(np.ptp(a), np.ptp(b)) > 0
    both = pair.learned & pair.candidate_learned
    with np.errstate(invalid="ignore"):
        correlation = np.corrcoef(a[both], b[both])[0, 1] if varies else np.nan
    return Contrast(
        scheme=name,
        kind=kind,
        learning=learning(pair.candidate_learned, pair.learned),
        effect=effect_interval(d, terms),
        all_runs=float(np.mean(a - b)),
        p=p.typical,
        p_equivalent=p.within,
        p_mean=p.mean,
        sign_flip_p=sign_flip_p(d) if sign_flips else float("nan"),
        wins=exact_interval(float(np.sum(a > b) + 0.5 * np.sum(a == b)), len(a)),
        correlation=float(correlation),
        twin=bool((a == b).all()),
        more=more_seeds(pair, terms) if kind is Kind.UNDECIDED else None,
    )


def effect_interval(d: Float[np.ndarray, " m"], terms: Terms) -> Interval:
    """Give the mean of differences and its t interval at 1 − alpha.

    Its spread is no less than one test image, and no accuracies differ by more than 1.

    Args:
        d: paired differences.
        terms: level, and test images.

    Example:
        >>> terms = Terms(margin=0.01, alpha=0.05, chance=0.1, num_test=100)
        >>> effect_interval(np.zeros(5), terms).high > 0.01
        True
    """
    if not len(d):
        return Interval(np.nan, np.nan, np.nan, 0)
    spread = max(float(d.std(ddof=1)), 1 / terms.num_test) if len(d) > 1 else np.nan
    width = float(half_width(spread, len(d), 1 - terms.alpha))
    mean = float(d.mean())
    low, high = (float(np.clip(end, -1, 1)) for end in (mean - width, mean + width))
    return Interval(mean, low, high, len(d))


def _kind(pair: PairedRuns, p: _Ps, terms: Terms) -> Kind:
    d, margin, alpha = pair.d, terms.margin, terms.alpha
    if len(pair.scheme) < FEWEST_FOR_VERDICT:
        return Kind.UNDECIDED
    if p.same < alpha:
        return Kind.EQUIVALENT
    if p.mean < alpha:
        return Kind.WORSE if p.is_lower else Kind.BETTER
    # A difference that is seen, and too small to matter, is no difference.
    if p.within < alpha and _most(d + margin) and _most(margin - d):
        return Kind.TYPICALLY_EQUAL
    if p.typical < alpha and _most(-d):
        return Kind.TYPICALLY_WORSE
    if p.typical < alpha and _most(d):
        return Kind.TYPICALLY_BETTER
    return Kind.UNDECIDED


def _most(d: Float[np.ndarray, " m"]) -> bool:
    return majority_p(d) < _MAJORITY
