"""The order of things in an honest comparison: screen, choose, confirm, decide.

A scheme's learning rate and the candidate are chosen on screening seeds and validation
data; what is said rests on fresh seeds alone, at looks that were planned and that share
alpha. Schemes that cannot be the best any more get no further seeds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.answers.verdicts.contrasts import Contrast, Kind
from init_study.answers.verdicts.decision import Decision, decide_on_terms
from init_study.answers.verdicts.paired_runs import FEWEST_FOR_VERDICT, Terms
from init_study.errors import UserError, check_count, check_number

# Means of numbers that are all chance may differ from it in the last bits.
LEAST_ABOVE_CHANCE = 1e-9


class Protocol(NamedTuple):
    """The plan of a race, fixed before the first run.

    Attributes:
        margin: differences below it do not matter.
        alpha: of the whole study, shared by the looks.
        screening: seeds of every scheme at every rate, used for choices only.
        looks: numbers of fresh seeds at which the race looks at its results, rising.
        extensions: times that the grid of rates grows where the best lies at its edge.
        step: factor between the rates that it grows by.

    Example:
        >>> Protocol(margin=0.005).looks
        (5, 10, 20)
    """

    margin: float
    alpha: float = 0.05
    screening: int = 3
    looks: tuple[int, ...] = (5, 10, 20)
    extensions: int = 2
    step: float = 3.0


class Choice(NamedTuple):
    """The learning rate that screening chose for one scheme.

    Attributes:
        rate: of the highest mean.
        mean: there, on validation data; too high by having been chosen.
        beyond: a rate to be tried as well, where the best is at the edge of the grid.
    """

    rate: float
    mean: float
    beyond: float | None


def check_protocol(protocol: Protocol) -> None:
    """Refuse a protocol that cannot be meant.

    Raises: UserError for numbers out of range or looks that do not rise.

    Example:
        >>> check_protocol(Protocol(margin=0.005))
    """
    check_number("margin", protocol.margin, above=0)
    check_number("alpha", protocol.alpha, above=0, most=0.5)
    check_count("screening", protocol.screening)
    check_number("step", protocol.step, above=1)
    rising = all(
        a < b for a, b in zip((0, *protocol.looks), protocol.looks, strict=False)
    )
    if not protocol.looks or not rising or protocol.looks[0] < FEWEST_FOR_VERDICT:
        raise UserError(
            f"looks={protocol.looks} are not rising numbers of seeds from "
            f"{FEWEST_FOR_VERDICT} on, as (5, 10, 20)"
        )


def choose(
    screened: Mapping[float, Float[np.ndarray, " seeds"]],
    chance: float,
    step: float,
) -> Choice:
    """Choose the rate of the highest mean, the smaller one of equals.

    Args:
        screened: by rate; a run that diverged, or learned nothing, as chance.
        chance: a scheme that nowhere does better is not tried beyond the edge.
        step: factor to the next rate.

    Example:
        >>> screened = {0.1: np.array([0.5, 0.7]), 0.2: np.array([0.8, 1.0])}
        >>> choose(screened, chance=0.1, step=2.0)
        Choice(rate=0.2, mean=0.9, beyond=0.4)
    """
    rates = sorted(screened)
    means = [round(float(np.mean(screened[rate])), 12) for rate in rates]
    best = int(np.argmax(means))
    beyond = None
    if means[best] > chance + LEAST_ABOVE_CHANCE and len(rates) > 1:
        if best == 0:
            beyond = rates[0] / step
        elif best == len(rates) - 1:
            beyond = rates[-1] * step
    return Choice(rates[best], means[best], beyond)


class Look(NamedTuple):
    """What a look has shown.

    Attributes:
        decision: of all schemes.
        values: of all fresh seeds so far, by scheme.
    """

    decision: Decision
    values: dict[str, Float[np.ndarray, " seeds"]]


def confirm(
    schemes: Sequence[str],
    candidate: str,
    protocol: Protocol,
    draw: Callable[[tuple[str, ...], int, int], Mapping[str, Any]],
    sign_flips: bool = True,
    chance: float = 0.0,
    num_test: int = 1000,
) -> Iterator[Look]:
    """Take look by look, until nothing is left to be decided.

    Args:
        schemes: all of them.
        candidate: of screening.
        protocol: the margin, the level and the looks.
        draw: (schemes, before, look) to the values of fresh seeds `before` to `look`.
        sign_flips: whether to count sign flips, which no verdict rests on.
        chance: test accuracy of a constant answer.
        num_test: test examples.

    Example:
        >>> good = np.linspace(0.9, 0.92, 20)
        >>> fresh = {"he": good, "zeros": np.full(20, 0.1)}
        >>> def draw(racing, before, look):
        ...     return {name: fresh[name][before:look] for name in racing}
        >>> looks = list(confirm(["he", "zeros"], "he", Protocol(margin=0.01), draw))
        >>> [(look.decision.kind.value, look.decision.n) for look in looks]
        [('BEST', 5)]
    """
    alpha = protocol.alpha / len(protocol.looks)
    terms = Terms(protocol.margin, alpha, chance, num_test)
    values = {name: np.empty(0) for name in schemes}
    racing, before = tuple(schemes), 0
    settled: list[Contrast] = []
    for look in protocol.looks:
        fresh = draw(racing, before, look)
        for name in racing:
            values[name] = np.concatenate([values[name], fresh[name]])
        decision = decide_on_terms(values, candidate, terms, settled, sign_flips)
        yield Look(decision, dict(values))
        racing, before = still_racing(decision), look
        # Who is out stays out: seeds would no longer be in pairs.
        settled = [c for c in decision.contrasts if c.scheme not in racing]
        if not racing:
            return


def still_racing(decision: Decision) -> tuple[str, ...]:
    """List the candidate and the rivals about which more seeds could say something.

    Nothing if all is decided. A rival that is worse than the candidate or equal to it,
    be it only where both learn, gets no more seeds: a few more would not show how
    seldom either fails.

    Example:
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> still_racing(decide_on_terms(runs, "he", Terms(0.01, 0.05, 0.1, 1000)))
        ()
    """
    unsettled = (Kind.UNDECIDED, Kind.BETTER, Kind.TYPICALLY_BETTER)
    open_rivals = [c.scheme for c in decision.contrasts if c.kind in unsettled]
    return (decision.candidate, *open_rivals) if open_rivals else ()


def best_of(choices: Mapping[str, Choice]) -> str:
    """Name the candidate: the scheme of the highest mean at its own rate.

    The first of equals.

    Example:
        >>> best_of({"he": Choice(0.1, 0.9, None), "zeros": Choice(0.1, 0.1, None)})
        'he'
    """
    return max(choices, key=lambda name: choices[name].mean)
