"""The run of a study: plan in, records and checkpoints out. All side effects of a run.

The loop knows steps and files; what a step does is in `train`, how the population
lies on the devices in `engine`.
"""

import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from init_study import manifest, store
from init_study.control import Control, Outcome
from init_study.engine.cutting import checkpoint_interval, next_length
from init_study.engine.feeding import Supply
from init_study.engine.orders import first_rows, most_steps
from init_study.engine.population import empty_population, initial_population
from init_study.engine.progress import Progress, progress_of
from init_study.engine.running import (
    Running,
    evaluations,
    prepare_program,
    reset_sums,
)
from init_study.engine.stopwatch import Stopwatch
from init_study.engine.tuning import check_memory, choose_executions, disk_bytes
from init_study.engine.waves import wave_plans
from init_study.plan import Plan, ProgramPlan
from init_study.run_records import (
    Recorders,
    check_spectra,
    check_waves,
    is_done,
    join_waves,
    open_recorders,
    record_layers,
    record_readings,
)
from init_study.train import TrainState

# What a program does, and the step that it has reached.
_Tell = Callable[[str, int], None]


def run(
    plan: Plan, workdir: Path, command: str, control: Control | None = None
) -> Outcome:
    """Train what is not done yet, and keep all of it in `workdir`.

    A run that was stopped or killed goes on from its last checkpoints and comes to
    the same records, bit for bit; a finished one returns at once.

    Args:
        plan: of `make_plan`.
        workdir: made if it is not there.
        command: how to repeat the run; kept in the manifest.
        control: how the run is watched and stopped.

    Raises: UserError if the folder is another study's or in use, if a program does not
        fit into memory, if it was begun under other versions, or if data, records or
        disk do not let the run go on.
    """
    control = control or Control()
    store.open_workdir(workdir, plan.study)
    with store.lock(workdir), Stopwatch() as clock:
        resumed = (workdir / store.MANIFEST).exists()
        spectra = control.spectra
        if resumed:
            spectra = check_spectra(plan, workdir, spectra)
        else:
            plan = _chosen(plan, workdir, control)
            check_waves(plan, spectra)
        accept = control.accept_drift
        plan = manifest.begin(
            workdir, plan, command, accept_drift=accept, spectra=spectra
        )
        recorders = open_recorders(workdir, spectra, bool(plan.study.instruments))
        recorded = recorders.records.reached()
        started, member_steps, finished = time.time(), 0, True
        try:
            for program in plan.programs:
                if is_done(recorders.records, program):
                    continue
                finished = not control.stop_requested()
                if finished:
                    if resumed:
                        check_memory(plan, program)
                    one = plan, program, workdir, recorders, control, clock
                    in_waves = program.waves > 1
                    taken, finished = (
                        _run_waves(*one, command) if in_waves else _run_program(*one)
                    )
                    member_steps += taken
                if not finished:
                    break
        finally:
            seconds = max(1e-3, time.time() - started)
            reached = recorders.records.reached()
            if member_steps or reached != recorded:
                spent = clock.spent()
                manifest.add_session(
                    workdir, started, seconds, member_steps, spent, reached
                )
    return Outcome(finished, member_steps, seconds)


def _chosen(plan: Plan, workdir: Path, control: Control) -> Plan:
    """Choose how the programs of a new run are executed, if the disk has room for it.

    Raises: UserError if it has not, or a program does not fit into memory.
    """
    store.check_disk(
        workdir,
        disk_bytes(plan),
        "the two checkpoints that are kept take",
        "use fewer members, or name a folder on another disk: --workdir=DIR",
    )

    def tell(program: ProgramPlan) -> None:
        control.watch(progress_of(plan, program, "choosing", 0))

    return choose_executions(plan, control.given_execution, tell)


def _run_waves(
    plan: Plan,
    program_plan: ProgramPlan,
    workdir: Path,
    recorders: Recorders,
    control: Control,
    clock: Stopwatch,
    command: str,
) -> tuple[int, bool]:
    """Run the waves of a program one after the other, each as a run of its own.

    What they give is put together when the last one is done.

    Returns: as `_run_program`.
    """
    parts, taken, folders = wave_plans(plan, program_plan), 0, []
    own = control._replace(given_execution=True, recorded=lambda: None, spectra=False)
    for wave, part in enumerate(parts):

        def watch(progress: Progress, wave: int = wave) -> None:
            here = progress_of(plan, program_plan, progress.doing, progress.step)
            label = f"{here.label}, wave {wave + 1} of {len(parts)}"
            control.watch(here._replace(label=label, members=progress.members))

        folders.append(store.wave_folder(workdir, program_plan.program.id, wave))
        with clock.timed("waves"):
            done = run(part, folders[-1], command, own._replace(watch=watch))
        taken += done.member_steps
        if not done.finished:
            return taken, False
    join_waves(recorders, plan, program_plan, folders)
    control.recorded()
    return taken, True


def _run_program(
    plan: Plan,
    program_plan: ProgramPlan,
    workdir: Path,
    recorders: Recorders,
    control: Control,
    clock: Stopwatch,
) -> tuple[int, bool]:
    """Train one program on, as far as it goes.

    Returns: member-steps taken, and whether the program is done.
    """
    program = program_plan.program
    with clock.timed("drawing"):
        population = prepare_program(plan, program_plan)
    folder = workdir / store.CHECKPOINTS / program.id
    about = {"program": program.id, "study": plan.study.hash}
    checkpoints = store.Checkpoints(folder, about)

    def tell(doing: str, step: int) -> None:
        control.watch(progress_of(plan, program_plan, doing, step))

    try:
        with clock.timed("drawing"):
            population, state, first_step = _begin(plan, population, checkpoints, tell)
        step = _train_on(
            population, state, first_step, recorders, checkpoints, tell, control, clock
        )
    finally:
        checkpoints.close()
    done = is_done(recorders.records, program_plan)
    return population.members * (step - first_step), done


def _begin(
    plan: Plan, population: Running, checkpoints: store.Checkpoints, tell: _Tell
) -> tuple[Running, TrainState, int]:
    """Restore the state of the newest whole checkpoint, or draw the untrained one.

    Returns: the population that knows its start, if its instruments ask for it; the
        state; its step.
    """
    program_plan, reader = population.plan, population.reader
    restored = checkpoints.restore(empty_population(program_plan, population.members))
    step, state = restored or (0, None)
    tell("compiling", step)
    compares = reader if reader and reader.from_start else None
    if state is None or compares:
        first_steps = first_rows(program_plan, plan.study.seeds)
        untrained = initial_population(
            program_plan, plan.schemes, plan.members, first_steps
        )
        if compares:
            start = population.layout.place(untrained.params)
            population = population._replace(reader=compares._replace(start=start))
        state = state or untrained
    return population, population.layout.place(state), step


def _train_on(
    population: Running,
    state: TrainState,
    step: int,
    recorders: Recorders,
    checkpoints: store.Checkpoints,
    tell: _Tell,
    control: Control,
    clock: Stopwatch,
) -> int:
    """Take steps and keep what they give, until the last one or a stop.

    Record where an evaluation is due, save where a checkpoint is due, take steps up to
    the next evaluation.

    Returns: the step that was reached.
    """
    program = population.plan.program
    stops = store.stops_of(program)
    supply = Supply(population.feeding, step)
    length, saved_at, saving = 1, time.monotonic(), 0.0
    while True:
        last = step == program.steps
        stop = control.stop_requested()
        began = time.monotonic()
        interval = checkpoint_interval(control.checkpoint_every, saving)
        if last or stop or began - saved_at > interval:
            with clock.timed("saving"):
                checkpoints.save(step, population.layout.fetch(state))
                if last:
                    checkpoints.wait()
            saved_at = time.monotonic()
            saving = saved_at - began
        if stop:
            # What is due at this step is measured by whoever goes on.
            return step
        if step == 0 or last:
            with clock.timed("measuring"):
                record_layers(recorders, population, state, step)
        if recorders.readings and step in population.plan.readings.steps:
            with clock.timed("reading"):
                record_readings(recorders.readings, population, state, step)
        if step in stops:
            with clock.timed("evaluating"):
                values = evaluations(population, state, step, control.stop_requested)
            if values is None:
                continue
            recorders.records.append(program, step, values)
            control.recorded()
            state = reset_sums(state)
        if last:
            return step
        next_stop = min(s for s in stops if s > step)
        length = min(length, next_stop - step, most_steps(population.plan))
        began = time.monotonic()
        with clock.timed("training"):
            state, length = _take_steps(population, state, supply, length)
        step += length
        tell("training", step)
        length = next_length(length, time.monotonic() - began)


def _take_steps(
    population: Running, state: TrainState, supply: Supply, most: int
) -> tuple[TrainState, int]:
    """Take as many steps as there are examples for, and say how many."""
    shared, first, count = supply.take(most)
    places = jnp.int32(first), jnp.int32(count)
    chunks = population.layout.chunks
    state = population.compiled.train(
        state, population.hyper, shared, *places, chunks=chunks
    )
    return jax.block_until_ready(state), count
