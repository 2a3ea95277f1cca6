"""Whether advice held: what a race of the first choice against the field says of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from init_study.answers.verdicts.contrasts import Kind
from init_study.answers.verdicts.heats import Heat

HELD, DID_NOT, UNDECIDED = "held", "did not hold", "undecided"


class Verified(NamedTuple):
    """What a race says of advice.

    Attributes:
        program: its label.
        outcome: `held` if the race ended with the first choice among its best,
            `did not hold` if it is worse than the race's candidate, else `undecided`.
        text: a line with the figures.
    """

    program: str
    outcome: str
    text: str


def verify(advised: str, heat: Heat) -> Verified:
    """Judge advice by a race of all candidates.

    What is worse by screening alone is worse beyond doubt where it learned nothing;
    else screening, of few seeds, decides nothing.

    Args:
        advised: the first choice.
        heat: of the race.
    """
    decision, label = heat.decision, heat.label
    if decision is None:
        seen = heat.choices.get(advised)
        why = heat.stopped or "there was no look at fresh seeds"
        screened = ""
        if seen is not None:
            best = max(heat.choices.values(), key=lambda one: one.mean)
            screened = (
                f"; in screening {advised} had {100 * seen.mean:.1f} %, the best "
                f"{100 * best.mean:.1f} %"
            )
        return Verified(
            label, UNDECIDED, f"{label}: undecided: {' '.join(why.split())}{screened}"
        )
    seeds = heat.test.get(advised)
    mean = float("nan") if seeds is None else 100 * float(np.mean(seeds))
    # The candidate is none of the best if a rival was better on the fresh seeds.
    rivals = [name for name in decision.best_set if name != advised]
    rivals = rivals or [name for name in heat.test if name != advised]
    means = {name: 100 * float(np.mean(heat.test[name])) for name in rivals}
    best = max(means, key=lambda name: means[name], default="")
    beside = f", {best} {means[best]:.1f} %" if best else ""
    figures = (
        f"{advised} {mean:.1f} %{beside}, {decision.n} fresh seeds, margin "
        f"{100 * decision.margin:.1f} points"
    )
    if advised not in decision.best_set:
        return Verified(label, DID_NOT, f"{label}: the advice did not hold: {figures}")
    if decision.kind is Kind.UNDECIDED:
        return Verified(label, UNDECIDED, f"{label}: undecided: {figures}")
    others = [name for name in decision.best_set if name != advised]
    rest = f"; not told apart from {', '.join(others)}" if others else ""
    return Verified(label, HELD, f"{label}: the advice held: {figures}{rest}")


def verified_lines(advised: Sequence[str], heats: Sequence[Heat]) -> list[Verified]:
    """Judge the advice on every program.

    Args:
        advised: the first choice of each program.
        heats: of the same programs.
    """
    return [verify(name, heat) for name, heat in zip(advised, heats, strict=True)]
