"""The race of a study: it runs until it is decided, and seeds go where they matter.

    WORKDIR/
      race.json               the study and the protocol, written before the first run
      PROGRAM/screening/      every scheme at every rate, few seeds: a run of its own
      PROGRAM/beyond-1-0.9/   one more rate for schemes whose best was at the edge
      PROGRAM/fresh-5/        fresh seeds, each scheme at its own rate, first look
      decision.json           what was decided, with all numbers

Every stage is a study, run into its own folder, so a race that was stopped goes on
where it was: stages that are done are read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from init_study import store
from init_study.answers import Outcomes
from init_study.answers.choosing import validation_chance
from init_study.answers.statistics import stuck_at_chance
from init_study.answers.verdicts.decision import check_margin, default_margin
from init_study.answers.verdicts.heats import ByScheme, Heat, to_document
from init_study.answers.verdicts.protocol import (
    LEAST_ABOVE_CHANCE,
    Choice,
    Protocol,
    best_of,
    check_protocol,
    choose,
    confirm,
)
from init_study.errors import UserError
from init_study.race_stages import Stage, StageClock, StageStopped, TrainStage
from init_study.study import PROGRAM_AXES, Program, Study, exact
from init_study.study.limits import check_seeds


def race(
    study: Study,
    workdir: Path,
    train: TrainStage,
    protocol: Protocol | None = None,
    margin: float | None = None,
    budget: float | None = None,
    order: str = "turns",
) -> tuple[Heat, ...]:
    """Race every program of the study, from screening to its last look.

    Args:
        study: its seeds, fresh or not, are not used: screening takes the first ones,
            confirmation the next.
        workdir: made if it is not there; a race that is there goes on.
        train: runs a stage.
        protocol: its margin is a placeholder where `margin` is None.
        margin: by default what `default_margin` gives after screening.
        budget: seconds; a stage that would not fit is not begun.
        order: "turns", or "first" to decide each program before the next is begun.

    Raises: UserError if the folder is another race's, or the protocol cannot be meant.
    """
    protocol = protocol or Protocol(margin=1.0)
    check_rules(study, protocol, margin)
    store.open_race(workdir, race_document(study, protocol, margin))
    clock = StageClock(budget)
    races = [
        _heat(study, program, workdir / program.id, train, protocol, margin, clock)
        for program in study.programs()
    ]
    heats = (
        _in_turns(races)
        if order == "turns"
        else tuple(list(stages)[-1] for stages in races)
    )
    store.write_document(workdir / store.DECISION, {"programs": to_document(heats)})
    return heats


def check_rules(study: Study, protocol: Protocol, margin: float | None) -> None:
    """Refuse a race that cannot be meant.

    Args:
        study: as of `race`.
        protocol: as of `race`.
        margin: as of `race`.

    Raises: UserError for a protocol out of range, fewer than two schemes, or rates
        that are given scheme by scheme.
    """
    check_protocol(protocol._replace(margin=1.0 if margin is None else margin))
    check_seeds(max(protocol.looks), "the last of looks")
    check_seeds(protocol.screening, "screening")
    if study.pairing != "every":
        raise UserError(
            f"pairing={study.pairing} leaves a race no rate to choose; run the study "
            "plain, or with pairing=every"
        )
    if len(study.schemes) < 2:
        raise UserError(f"schemes={study.schemes}: a race takes two at least")


def race_document(
    study: Study, protocol: Protocol, margin: float | None
) -> dict[str, Any]:
    """Describe a race, as its folder keeps it.

    Args:
        study: as of `race`.
        protocol: as of `race`.
        margin: as of `race`.
    """
    document = {
        "study": study.to_dict(),
        "protocol": protocol._replace(margin=0.0)._asdict(),
        "margin": margin,
    }
    return json.loads(json.dumps(document))


def _in_turns(races: Iterable[Iterator[Heat]]) -> tuple[Heat, ...]:
    """Run a stage of every program, then the next stage of each.

    A budget that ends early favours none.
    """
    racing = dict(enumerate(races))
    heats: dict[int, Heat] = {}
    while racing:
        for place, stages in list(racing.items()):
            heat = next(stages, None)
            if heat is None:
                del racing[place]
            else:
                heats[place] = heat
    return tuple(heats[place] for place in sorted(heats))


def _heat(
    study: Study,
    program: Program,
    folder: Path,
    train: TrainStage,
    protocol: Protocol,
    margin: float | None,
    clock: StageClock,
) -> Iterator[Heat]:
    """Give what is known of a program after each of its stages."""
    alone = _only(study, program)
    stage = Stage(train, clock, folder, program)
    heat = Heat(study.label(program), 0.0, {}, None, {}, "")
    try:
        choices, data = _screen(alone, stage, protocol)
        heat = heat._replace(choices=choices, chance=data["chance"])
        yield heat
        candidate = best_of(choices)
        chance = validation_chance(data)
        if choices[candidate].mean <= chance + LEAST_ABOVE_CHANCE:
            yield heat._replace(stopped="no scheme learned anything in screening")
            return
        fixed = margin or default_margin(choices[candidate].mean, data["test"])
        try:
            check_margin(fixed, choices[candidate].mean - chance)
        except UserError as error:
            # Of one program: the others race on.
            yield heat._replace(stopped=str(error))
            return

        def draw(racing: tuple[str, ...], before: int, look: int) -> ByScheme:
            first = protocol.screening
            seeds = tuple(range(first + before, first + look))
            return _fresh(alone, stage, choices, racing, seeds, look)

        own = protocol._replace(margin=fixed)
        looks = confirm(
            study.schemes,
            candidate,
            own,
            draw,
            chance=data["chance"],
            num_test=data["test"],
        )
        for decision, values in looks:
            # Nets that all answer at random are equal, but that is no verdict.
            if _all_stuck(values, data):
                stopped = "no scheme learned anything on fresh seeds"
                yield heat._replace(decision=None, test=values, stopped=stopped)
                return
            heat = heat._replace(decision=decision, test=values)
            yield heat
    except StageStopped as stop:
        yield heat._replace(stopped=str(stop))


def _all_stuck(test: ByScheme, data: Mapping[str, Any]) -> bool:
    runs = np.concatenate(list(test.values()))
    return bool(stuck_at_chance(runs, data["test"], data["chance"]).all())


def _screen(
    study: Study, stage: Stage, protocol: Protocol
) -> tuple[dict[str, Choice], Mapping[str, Any]]:
    """Choose the rate of every scheme; grids grow where the best rate is at their edge.

    Returns: the choices, and what is known of the data.
    """
    seeds = tuple(range(protocol.screening))
    outcomes, data = stage.run("screening", study.replace(seeds=seeds))
    rates, chance = study.grid, validation_chance(data)
    rated = _rated(outcomes, data)
    screened = {
        scheme: dict(zip(rates, rated[i], strict=True))
        for i, scheme in enumerate(study.schemes)
    }
    for extension in range(1, protocol.extensions + 1):
        for rate, schemes in _beyond(screened, chance, protocol.step).items():
            part = study.replace(schemes=schemes, learning_rates=(rate,), seeds=seeds)
            outcomes, _ = stage.run(f"beyond-{extension}-{exact(rate)}", part)
            for i, scheme in enumerate(schemes):
                screened[scheme][rate] = _rated(outcomes, data)[i, 0]
    choices = {
        scheme: choose(values, chance, protocol.step)
        for scheme, values in screened.items()
    }
    return choices, data


def _rated(outcomes: Outcomes, data: Mapping[str, Any]) -> Float[np.ndarray, "..."]:
    """Rate runs by validation accuracy, those that are not above chance as chance.

    Luck shall not choose among schemes that learn nothing.
    """
    chance = validation_chance(data)
    stuck = stuck_at_chance(outcomes.validation, data["validation"], chance)
    failed = (stuck == 1) | outcomes.diverged
    return np.where(failed, chance, outcomes.validation)


def _beyond(
    screened: Mapping[str, Mapping[float, Any]], chance: float, step: float
) -> dict[float, tuple[str, ...]]:
    """List the rates beyond the grid, and the schemes that want them."""
    wanted: dict[float, tuple[str, ...]] = {}
    for scheme, values in screened.items():
        beyond = choose(values, chance, step).beyond
        if beyond is not None:
            rate = float(f"{beyond:.6g}")
            wanted[rate] = (*wanted.get(rate, ()), scheme)
    return wanted


def _fresh(
    study: Study,
    stage: Stage,
    choices: Mapping[str, Choice],
    racing: tuple[str, ...],
    seeds: tuple[int, ...],
    look: int,
) -> ByScheme:
    """Measure the test accuracy of more seeds, each scheme at its own rate."""
    rates = tuple(choices[name].rate for name in racing)
    part = study.replace(
        schemes=racing, learning_rates=rates, pairing="own", seeds=seeds
    )
    outcomes, data = stage.run(f"fresh-{look}", part)
    rated = np.where(outcomes.diverged, data["chance"], outcomes.test)
    return {
        name: rated[i, part.grid.index(rate)]
        for i, (name, rate) in enumerate(zip(racing, rates, strict=True))
    }


def _only(study: Study, program: Program) -> Study:
    return study.replace(
        **{axis: (getattr(program, axis),) for axis in PROGRAM_AXES},
        fresh_seeds=0,
    )
