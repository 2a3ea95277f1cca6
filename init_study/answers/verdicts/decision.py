"""Verdicts on schemes from fresh, paired seeds: which is best, which are its equals.

A difference that could not be shown is never called equality: equality is shown,
within a margin that was fixed beforehand, or it is not decided. What holds where both
learn is not said of all runs: that takes seeds enough to exclude the failures that
would overturn it. Statements of one kind hold together at level alpha, and planned
looks share alpha.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.answers.statistics import FEWEST_FOR_INTERVAL, Share, exact_interval
from init_study.answers.verdicts.contrasts import Contrast, Kind, contrasts
from init_study.answers.verdicts.learning import learned, learning_bound
from init_study.answers.verdicts.more_seeds import More
from init_study.answers.verdicts.paired_runs import FEWEST_FOR_VERDICT, Terms, pair_up
from init_study.errors import UserError, check_count, check_number

# Kinds that leave a scheme out of the best, by which of the two is behind.
_BEHIND = (Kind.WORSE, Kind.TYPICALLY_WORSE)
_AHEAD = (Kind.BETTER, Kind.TYPICALLY_BETTER)
_EQUAL = (Kind.EQUIVALENT, Kind.TYPICALLY_EQUAL)


class Decision(NamedTuple):
    """What a table of schemes shows.

    Attributes:
        kind: BEST if every rival is worse than the candidate; EQUIVALENT if every one
            is equal to it; either TYPICALLY if some are so only in the typical run,
            where both learn; SET if some are not among the best; else UNDECIDED.
        candidate: the scheme that was best before these seeds were run.
        best_set: what is not worse than the candidate, and the candidate unless one is
            better: holds the best scheme with confidence 1 − alpha; if some are worse
            or better only typically, the one that is typically the best.
        contrasts: of every rival, in the order given.
        margin: differences below it do not matter.
        alpha: of this look.
        chance: accuracy of a constant answer.
        num_test: test examples that all this is about.
        n: seeds of the candidate.
        failed: runs of the candidate, with the 95 % bounds of the rate behind them.
        idle: schemes whose seeds change nothing: all their runs have one accuracy.
        more: seeds that the hardest rival left would take; None if nothing is open.
    """

    kind: Kind
    candidate: str
    best_set: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    margin: float
    alpha: float
    chance: float
    num_test: int
    n: int
    failed: Share
    idle: tuple[str, ...]
    more: More | None


def decide(
    values: Mapping[str, Float[np.ndarray, " seeds"]],
    candidate: str,
    margin: float,
    alpha: float = 0.05,
    settled: Sequence[Contrast] = (),
    sign_flips: bool = True,
    *,
    chance: float,
    num_test: int,
) -> Decision:
    """Decide what fresh seeds say of schemes.

    Args:
        values: accuracies by scheme, of seeds in one order; a scheme that an earlier
            look has settled has fewer. A run that diverged has a value too: chance.
        candidate: chosen on other seeds; chosen on these it would look too good.
        margin: positive, fixed beforehand.
        alpha: level of this look.
        settled: what earlier looks have shown of schemes that got no more seeds; it
            stands.
        sign_flips: whether to count sign flips, which no verdict rests on.
        chance: accuracy of a constant answer.
        num_test: test examples.

    Raises: UserError for fewer than two schemes or than 3 seeds, seeds that are not in
        pairs, values that are not shares, a margin or level out of range.

    Example:
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decision = decide(runs, "he", margin=0.01, chance=0.1, num_test=1000)
        >>> decision.kind.value, decision.best_set
        ('BEST', ('he',))
    """
    check_number("margin", margin, above=0)
    check_number("alpha", alpha, above=0, most=0.5)
    check_count("num_test", num_test)
    arrays = {name: np.asarray(v, np.float64) for name, v in values.items()}
    _check(arrays, candidate, tuple(c.scheme for c in settled))
    check_margin(margin, 2 * (learning_bound(arrays, chance) - chance))
    terms = Terms(margin, alpha, chance, num_test)
    return decide_on_terms(arrays, candidate, terms, settled, sign_flips)


def decide_on_terms(
    values: Mapping[str, Float[np.ndarray, " seeds"]],
    candidate: str,
    terms: Terms,
    settled: Sequence[Contrast] = (),
    sign_flips: bool = True,
) -> Decision:
    """Decide as `decide` does, on terms that were fixed before these seeds were run.

    Args:
        values: as of `decide`.
        candidate: as of `decide`.
        terms: margin, level, chance and test images.
        settled: as of `decide`.
        sign_flips: as of `decide`.

    Raises: UserError for values that are not shares, or seeds that are not in pairs.

    Example:
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decide_on_terms(runs, "he", Terms(0.01, 0.05, 0.1, 1000)).kind.value
        'BEST'
    """
    margin, alpha, chance, num_test = terms
    stands = {contrast.scheme: contrast for contrast in settled}
    arrays = dict(values)
    _check(arrays, candidate, tuple(stands))
    rivals = [name for name in arrays if name != candidate]
    pairs = pair_up(arrays, [(name, candidate) for name in rivals], terms)
    judged = contrasts(rivals, pairs, terms, sign_flips)
    found = tuple(stands.get(contrast.scheme, contrast) for contrast in judged)
    best_set = _best_set(candidate, found)
    own = arrays[candidate]
    failed = ~learned(own, learning_bound(arrays, chance), num_test, chance)
    return Decision(
        kind=_kind(found, best_set),
        candidate=candidate,
        best_set=best_set,
        contrasts=found,
        margin=margin,
        alpha=alpha,
        chance=chance,
        num_test=num_test,
        n=len(own),
        failed=exact_interval(int(failed.sum()), len(own), 0.9),
        idle=tuple(name for name, runs in arrays.items() if np.ptp(runs) == 0),
        more=_most_seeds(found),
    )


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


def check_margin(margin: float, gap: float) -> None:
    """Refuse a margin within which whatever is learned is as good as chance.

    Args:
        margin: differences below it do not matter.
        gap: of the best accuracy above chance; with none there is nothing to refuse.

    Raises: UserError for a margin that is not below the gap.

    Example:
        >>> check_margin(0.01, gap=0.8)
    """
    if 0 < gap <= margin:
        raise UserError(
            f"a margin of {100 * margin:.3g} points is not below the {100 * gap:.1f} "
            "by which the best scheme is above chance: all would be equal; ask for less"
        )


def _best_set(candidate: str, found: Sequence[Contrast]) -> tuple[str, ...]:
    """List the schemes that are not worse than the best.

    The best scheme is missing only if it was falsely called worse than the candidate,
    or, being the candidate, falsely beaten.
    """
    kept = tuple(c.scheme for c in found if c.kind not in _BEHIND)
    beaten = any(c.kind in _AHEAD for c in found)
    return kept if beaten else (candidate, *kept)


def _kind(found: Sequence[Contrast], best_set: tuple[str, ...]) -> Kind:
    kinds = {contrast.kind for contrast in found}
    for whole, typical, said in (
        (Kind.EQUIVALENT, Kind.TYPICALLY_EQUAL, _EQUAL),
        (Kind.BEST, Kind.TYPICALLY_BEST, _BEHIND),
    ):
        if kinds <= set(said):
            return whole if kinds == {said[0]} else typical
    return Kind.SET if len(best_set) <= len(found) else Kind.UNDECIDED


def _most_seeds(found: Sequence[Contrast]) -> More | None:
    """Give what the hardest rival takes; None where one is out of reach."""
    left = [c.more for c in found if c.more is not None]
    if not left:
        return None
    return More(
        *(
            None if any(k is None for k in kind) else max(k for k in kind if k)
            for kind in zip(*left, strict=True)
        )
    )


def _check(
    arrays: Mapping[str, np.ndarray], candidate: str, settled: tuple[str, ...]
) -> None:
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
            raise UserError(
                f"{name} has values that are not finite; a run that diverged counts "
                "as chance"
            )
        wrong = own[(own < 0) | (own > 1)]
        if len(wrong):
            raise UserError(
                f"{name} has the value {wrong[0]:g}; values are accuracies, shares "
                "from 0 to 1: divide per cent by 100"
            )
        if len(own) != len(arrays[candidate]) and name not in settled:
            raise UserError(
                f"{name} has {len(own)} seeds, {candidate} {len(arrays[candidate])}; "
                "runs go in pairs of one seed: give the seeds that both have"
            )
