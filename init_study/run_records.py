"""The files of a run that grow as it goes, and what is measured at its two ends."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from init_study import store
from init_study.engine.reader import read_instruments
from init_study.engine.running import (
    Running,
    first_filters,
    layer_numbers,
    predicted_numbers,
    spectrum_numbers,
)
from init_study.engine.waves import wave_plans
from init_study.errors import UserError
from init_study.plan import Plan, ProgramPlan
from init_study.study import Member
from init_study.train import TrainState


class Recorders(NamedTuple):
    """The files that a run writes records into.

    Attributes:
        records: of every evaluation.
        layers: of every layer, before the first step and after the last.
        filters: of the first layer, then too.
        spectra: before the first step; None where none were asked for.
        predictions: of signals, then too.
        readings: of the study's instruments, if it has any.
    """

    records: store.Recorder
    layers: store.Recorder
    filters: store.Recorder
    spectra: store.Recorder | None
    predictions: store.Recorder | None
    readings: store.Recorder | None


def open_recorders(workdir: Path, spectra: bool, readings: bool) -> Recorders:
    """Open the files of a run, or make them.

    Args:
        workdir: of the run.
        spectra: whether spectra and predictions are asked for.
        readings: whether the study has instruments.

    Raises: UserError for a file that is no record.
    """

    def of(name: str) -> store.Recorder:
        return store.Recorder(workdir, name)

    return Recorders(
        records=of(store.RECORDS),
        layers=of(store.LAYERS),
        filters=of(store.FILTERS),
        spectra=of(store.SPECTRA) if spectra else None,
        predictions=of(store.PREDICTIONS) if spectra else None,
        readings=of(store.READINGS) if readings else None,
    )


def is_done(recorder: store.Recorder, plan: ProgramPlan) -> bool:
    """Say whether a program is done: its last records are written after all else.

    Args:
        recorder: of the records.
        plan: of the program.
    """
    return recorder.has(plan.program, plan.program.steps)


def check_spectra(plan: Plan, workdir: Path, wanted: bool) -> bool:
    """Refuse to measure spectra where the time for them is past.

    Args:
        plan: of the study.
        workdir: of a run that has begun.
        wanted: whether they are asked for now.

    Returns: whether they are measured: now, or because the run began so.
    Raises: UserError naming the program and the ways out.
    """
    begun = store.read_manifest(workdir)
    if begun.get("spectra", (workdir / store.SPECTRA).exists()):
        return True
    steps = store.last_steps(workdir)
    for program in plan.programs if wanted else ():
        saved = store.checkpoint_steps(workdir, program.program.id)
        if program.program.id in steps or any(saved):
            raise UserError(
                f"--spectra measures before the first step, and {program.label} in "
                f"--workdir={workdir} is past it; leave out --spectra, or start in a "
                "new folder"
            )
    return wanted


def check_waves(plan: Plan, spectra: bool) -> None:
    """Refuse to predict from all seeds of a scheme where they run in waves.

    Args:
        plan: with the waves of each program.
        spectra: whether spectra and predictions are asked for.

    Raises: UserError naming the program and the ways out.
    """
    for program in plan.programs if spectra else ():
        if program.waves > 1:
            raise UserError(
                f"--spectra predicts from all seeds of a scheme at once, and "
                f"{program.label} runs in {program.waves} waves, as its members do not "
                "fit into memory together; leave out --spectra, or use fewer members"
            )


def join_waves(
    recorders: Recorders, plan: Plan, program_plan: ProgramPlan, workdir: Path
) -> None:
    """Write what the waves of a program gave as if its members had run together.

    Lines that are written already, by a process that was killed here, are compared.

    Args:
        recorders: of the whole run.
        plan: of the whole run.
        program_plan: that ran in waves.
        workdir: of the whole run; each wave is done.

    Raises: UserError for a line of a wave that is not as it was written.
    """
    program, parts = program_plan.program, wave_plans(plan, program_plan)
    folders = [store.wave_folder(workdir, program.id, w) for w in range(len(parts))]
    everyone = _places(plan.members, [part.members for part in parts])
    of_first = _places(*_of_first_seed(plan, parts))
    # The last records are what tells that a program is done.
    in_order = (
        (store.LAYERS, recorders.layers, everyone),
        (store.FILTERS, recorders.filters, of_first),
        (store.READINGS, recorders.readings, everyone),
        (store.RECORDS, recorders.records, everyone),
    )
    for name, recorder, places in in_order:
        if recorder is None:
            continue
        for lines in zip(*(store.each_line(f, name) for f in folders), strict=True):
            given = [line["values"] for line in lines]
            values = {
                metric: np.array([given[wave][metric][row] for wave, row in places])
                for metric in given[0]
            }
            recorder.append(program, lines[0]["step"], values)


def _places(
    members: Sequence[Member], of_waves: Sequence[Sequence[Member]]
) -> list[tuple[int, int]]:
    """Find in which wave, and in which row of what it gave, each member is."""
    rows = {
        member: (wave, row)
        for wave, own in enumerate(of_waves)
        for row, member in enumerate(own)
    }
    return [rows[member] for member in members]


def _of_first_seed(
    plan: Plan, parts: Sequence[Plan]
) -> tuple[list[Member], list[list[Member]]]:
    """List the members of the first seed: of the whole, and of each wave its own."""

    def of(one: Plan) -> list[Member]:
        return [m for m in one.members if m.seed == one.study.seeds[0]]

    return of(plan), [of(part) for part in parts]


def record_layers(
    recorders: Recorders, population: Running, state: TrainState, step: int
) -> None:
    """Measure what is measured before the first step and after the last.

    Args:
        recorders: that take it.
        population: that runs.
        state: of its members.
        step: 0, or the last.
    """
    program = population.plan.program
    recorders.layers.append(program, step, layer_numbers(population, state))
    recorders.filters.append(program, step, first_filters(population, state))
    if step == 0 and recorders.spectra is not None:
        recorders.spectra.append(program, step, spectrum_numbers(population, state))
    if step == 0 and recorders.predictions is not None:
        foreseen = predicted_numbers(population, state)
        recorders.predictions.append(program, step, foreseen)


def record_readings(
    recorder: store.Recorder, population: Running, state: TrainState, step: int
) -> None:
    """Read the instruments of a study.

    Args:
        recorder: that takes what they give.
        population: that runs.
        state: of its members.
        step: that it has reached.
    """
    program = population.plan.program
    assert population.reader is not None, "there is something to read"
    reader, layout = population.reader, population.layout
    if step:
        recorder.append(program, step, read_instruments(reader, layout, state))
        return
    # Members that differ in their rate alone are the same now.
    few = layout._replace(members=len(population.distinct))
    kept = state.params, state.model_state, reader.start
    own = [
        few.place(jax.tree.map(lambda leaf: leaf[population.distinct], one))
        for one in layout.fetch(kept)
    ]
    state = state._replace(params=own[0], model_state=own[1])
    found = read_instruments(reader._replace(start=own[2]), few, state)
    everyone = {name: values[population.same_start] for name, values in found.items()}
    recorder.append(program, step, everyone)
