"""One program of a run: drawn or restored, trained step by step, measured and saved.

The loop knows steps and files; what a step does is in `train`, how the population
lies on the devices in `engine`.
"""

import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from init_study import store
from init_study.control import Control
from init_study.engine.cutting import checkpoint_interval, next_length
from init_study.engine.feeding import Supply
from init_study.engine.orders import first_rows, most_steps
from init_study.engine.population import empty_population, initial_population
from init_study.engine.progress import progress_of
from init_study.engine.running import (
    Running,
    evaluations,
    prepare_program,
    reset_sums,
)
from init_study.engine.stopwatch import Stopwatch
from init_study.handed import Handed
from init_study.plan import Plan, ProgramPlan
from init_study.run_records import (
    Recorders,
    is_done,
    record_layers,
    record_readings,
)
from init_study.train import TrainState

# What a program does, and the step that it has reached.
_Tell = Callable[[str, int], None]


def run_program(
    plan: Plan,
    program_plan: ProgramPlan,
    workdir: Path,
    recorders: Recorders,
    control: Control,
    clock: Stopwatch,
    handed: Handed | None = None,
) -> tuple[int, bool]:
    """Train one program on, as far as it goes.

    Args:
        plan: of the run, begun.
        program_plan: one of its programs.
        workdir: of the run, held by this process.
        recorders: of its files.
        control: how it is watched and stopped.
        clock: takes what the parts of it spend.
        handed: by other waves of the program.

    Returns: member-steps taken, and whether the program is done.
    """
    program = program_plan.program
    with clock.timed("drawing"):
        common = handed.common(program_plan) if handed else None
        population = prepare_program(plan, program_plan, common)
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
