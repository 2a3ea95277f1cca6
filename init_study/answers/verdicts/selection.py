"""The set of the best, from runs that nothing was known of before: all pairs at once.

Where the scheme that came first is named by the same runs, it looks better than it is:
of eleven equal schemes some are "behind" the first in half of all studies. Here every
scheme is compared with every other, and what is said holds for all pairs together.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.answers.statistics import Interval, stuck_at_chance
from init_study.answers.verdicts.contrasts import Kind, contrasts, effect_interval
from init_study.answers.verdicts.learning import learned, learning_bound
from init_study.answers.verdicts.paired_runs import PairedRuns, Terms, pair_up

# Half of 5 %: what the same runs choose and judge is wrong more often than tests say,
# and by simulation less often than 5 % then.
_CHOSEN_ALPHA = 0.025
_ALPHA = 0.05


class Standing(NamedTuple):
    """A scheme beside the one that came first.

    Attributes:
        scheme: its name.
        failed: how many of its runs did not learn, of `runs`.
        plateaus: how many of these are above chance, and far below what is common.
        runs: how many there are.
        behind: schemes that are shown to do better; none for one that may be the best.
        worse: those of them that are shown to over all runs, and not in the typical one
            alone.
        difference: to the first where both learn, mean with an interval that holds
            together with those of all other pairs; None for the first itself.
        twin: an earlier scheme whose runs have the same accuracies, every one.
    """

    scheme: str
    failed: int
    plateaus: int
    runs: int
    behind: tuple[str, ...]
    worse: tuple[str, ...]
    difference: Interval | None
    twin: str | None

    @property
    def never(self) -> bool:
        """Whether no run learned."""
        return self.failed == self.runs


class Selection(NamedTuple):
    """Which schemes may be the best, and how each stands.

    Attributes:
        best: schemes that none is shown to be better than; of those that learned,
            and of twins the first alone.
        standings: of all schemes, in the order given; the first is the one that the
            differences are to.
    """

    best: tuple[str, ...]
    standings: tuple[Standing, ...]

    def is_best(self, scheme: str, *, over_all_runs: bool = False) -> bool:
        """Tell whether every other scheme but its twins is shown to be behind one.

        Example:
            >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
            >>> select(runs, chance=0.1, num_test=100).is_best("he")
            True
        """
        rivals = [s for s in self.standings if scheme not in (s.scheme, s.twin)]
        shown = (s.worse if over_all_runs else s.behind for s in rivals)
        return bool(rivals) and all(scheme in names for names in shown)


def select(
    values: Mapping[str, Float[np.ndarray, " seeds"]],
    chance: float,
    num_test: int,
    chosen: Mapping[str, Float[np.ndarray, " seeds"]] | None = None,
) -> Selection:
    """Find which schemes may be the best, at 95 % for all pairs together.

    A scheme is behind another if it is worse over all runs, or in the typical run,
    where both learn (`contrasts`). Fewer than five seeds show nothing.

    Runs that chose their rates are no sample: at the rate that all of them chose they
    are too good, some schemes' more than others', and each at the rate that the others
    chose they depend on one another, and scatter more than they seem to. So what is
    said takes that both show it.

    Args:
        values: accuracies by scheme, all of the same seeds in one order; a run that
            diverged as chance.
        chance: accuracy of a constant answer.
        num_test: test examples.
        chosen: the same at the rate that all seeds chose, where `values` are at the
            rates that the others chose; None for runs that chose nothing.

    Example:
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> found = select(runs, chance=0.1, num_test=100)
        >>> found.best, found.standings[1].behind
        (('he',), ('he',))
    """
    names = list(values)
    # No difference is too small to matter: with no margin nothing is called equal.
    alpha = _ALPHA if chosen is None else _CHOSEN_ALPHA
    terms = Terms(margin=0.0, alpha=alpha, chance=chance, num_test=num_test)
    bound = learning_bound(values, chance)
    all_pairs = [(a, b) for b, a in combinations(names, 2)]
    runs = dict(zip(all_pairs, pair_up(values, all_pairs, terms), strict=True))
    # Of two that never learned, no runs could show that either is behind.
    open_pairs = {
        names: pair
        for names, pair in runs.items()
        if pair.learned.any() or pair.candidate_learned.any()
    }
    shown = _behind(open_pairs, terms)
    if chosen is not None:
        again = pair_up(chosen, list(open_pairs), terms)
        second = _behind(dict(zip(open_pairs, again, strict=True)), terms)
        shown = shown[0] & second[0], shown[1] & second[1]
    narrow = terms._replace(alpha=alpha / max(len(open_pairs), 1))
    standings = []
    for name in names:
        pair = runs.get((name, names[0]))
        difference = pair and effect_interval(pair.d, narrow)
        standings.append(_standing(name, values, terms, bound, difference, shown))
    best = tuple(
        s.scheme for s in standings if not (s.behind or s.never or s.twin is not None)
    )
    return Selection(best, tuple(standings))


def not_confirmed(scheme: str, runs: int) -> Standing:
    """Say of a scheme, which had no fresh seeds, that no run of it learned.

    Example:
        >>> not_confirmed("zeros", 3).never
        True
    """
    return Standing(scheme, runs, 0, runs, (), (), None, None)


def _standing(
    name: str,
    values: Mapping[str, Float[np.ndarray, " seeds"]],
    terms: Terms,
    bound: float,
    difference: Interval | None,
    shown: "tuple[_Shown, _Shown]",
) -> Standing:
    runs, names = values[name], list(values)
    well = learned(runs, bound, terms.num_test, terms.chance)
    above_chance = stuck_at_chance(runs, terms.num_test, terms.chance) == 0
    twins = [b for b in names[: names.index(name)] if np.array_equal(runs, values[b])]
    behind, worse = (
        tuple(other for other in names if (name, other) in pairs) for pairs in shown
    )
    return Standing(
        name,
        int((~well).sum()),
        int((~well & above_chance).sum()),
        len(well),
        behind,
        worse,
        difference,
        twins[0] if twins else None,
    )


_Shown = set[tuple[str, str]]


def _behind(
    pairs: Mapping[tuple[str, str], PairedRuns], terms: Terms
) -> tuple[_Shown, _Shown]:
    """List (scheme, other) where the other does better, and where over all runs."""
    behind: _Shown = set()
    worse: _Shown = set()
    if not pairs:
        return behind, worse
    found = contrasts([one for one, _ in pairs], list(pairs.values()), terms, False)
    for (one, other), c in zip(pairs, found, strict=True):
        if c.kind in (Kind.WORSE, Kind.TYPICALLY_WORSE):
            behind.add((one, other))
        elif c.kind in (Kind.BETTER, Kind.TYPICALLY_BETTER):
            behind.add((other, one))
        if c.kind is Kind.WORSE:
            worse.add((one, other))
        elif c.kind is Kind.BETTER:
            worse.add((other, one))
    return behind, worse
