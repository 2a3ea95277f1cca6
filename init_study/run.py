"""Runs a study: plan in, records and checkpoints out. All side effects of a run.

The loop knows steps and files; what a step does is in `train`, how the population
lies on the devices in `execution`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.sharding import Mesh
from tqdm import tqdm

from init_study import manifest, store
from init_study.execution import fetch_members, member_mesh, place_members
from init_study.plan import Plan, ProgramPlan
from init_study.population import (
    Compiled,
    Held,
    compile_population,
    empty_population,
    held_images,
    hyperparameters,
    initial_population,
    most_steps,
    training_images,
)
from init_study.spectra import eigenvalues
from init_study.train import Hyper, Images, TrainState
from init_study.tuning import check_memory, choose_executions

# Long enough to keep the devices busy, short enough to stop soon after Ctrl-C.
_SECONDS_PER_CALL = 1.0


class Outcome(NamedTuple):
    """Of `run`.

    Attributes:
        finished: whether every program is done.
        member_steps: taken in this call.
        seconds: of training, evaluation and compilation in this call.
    """

    finished: bool
    member_steps: int
    seconds: float


class Control(NamedTuple):
    """How a run is watched and stopped.

    Changes no result; but a fixed execution may not be the one that would have been
    taken, and two executions differ in the last bits.

    Attributes:
        progress: whether to show a bar per program, where there is a terminal.
        checkpoint_every: seconds between two checkpoints, at least: what a `kill -9`
            can lose.
        stop_requested: asked after every call to the devices, about once a second;
            if true, a checkpoint is written and the run returns unfinished.
        fixed_execution: refuse an execution that does not fit, and try no other.
        recorded: called whenever records have come.
        spectra: measure spectra before the first step, too.
    """

    progress: bool = True
    checkpoint_every: float = 30.0
    stop_requested: Callable[[], bool] = lambda: False
    fixed_execution: bool = False
    recorded: Callable[[], None] = lambda: None
    spectra: bool = False


class _Recorders(NamedTuple):
    records: store.Recorder
    layers: store.Recorder
    spectra: store.Recorder | None


class _Population(NamedTuple):
    """One program's population on the devices, and what its loop needs; `distinct` are
    the places of members that differ before the first step."""

    plan: ProgramPlan
    members: int
    distinct: list[int]
    mesh: Mesh
    compiled: Compiled
    hyper: Hyper
    train_images: Images
    held: Held


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
        fit into memory, or if data, records or disk do not let the run go on.
    """
    control = control or Control()
    store.open_workdir(workdir, plan.study)
    with store.lock(workdir):
        recorder = store.Recorder(workdir)
        layers = store.Recorder(workdir, store.LAYERS)
        spectra = store.Recorder(workdir, store.SPECTRA) if control.spectra else None
        resumed = (workdir / store.MANIFEST).exists()
        if not resumed:
            plan = choose_executions(plan, control.fixed_execution)
        plan = manifest.begin(workdir, plan, command)
        started, member_steps, finished = time.time(), 0, True
        try:
            for program in plan.programs:
                if is_done(recorder, program):
                    continue
                finished = not control.stop_requested()
                if finished:
                    if resumed:
                        check_memory(plan, program)
                    taken, finished = _run_program(
                        plan,
                        program,
                        workdir,
                        _Recorders(recorder, layers, spectra),
                        control,
                    )
                    member_steps += taken
                if not finished:
                    break
        finally:
            seconds = time.time() - started
            if member_steps:
                manifest.add_session(workdir, started, seconds, member_steps)
    return Outcome(finished, member_steps, seconds)


def is_done(recorder: store.Recorder, plan: ProgramPlan) -> bool:
    """The last records are written after everything else."""
    return recorder.has(plan.program, plan.program.steps)


def _run_program(
    plan: Plan,
    program_plan: ProgramPlan,
    workdir: Path,
    recorders: _Recorders,
    control: Control,
) -> tuple[int, bool]:
    """Returns member-steps taken and whether the program is done."""
    program = program_plan.program
    population = _prepare(plan, program_plan)
    checkpoints = store.Checkpoints(workdir / "checkpoints" / program.id)
    try:
        state, first_step = _begin(plan, population, checkpoints)
        bar = tqdm(
            total=population.members * program.steps,
            initial=population.members * first_step,
            desc=program_plan.label,
            unit=" member-steps",
            unit_scale=True,
            disable=None if control.progress else True,
        )
        with bar:
            step = _train_on(
                population, state, first_step, recorders, checkpoints, bar, control
            )
    finally:
        checkpoints.close()
    return population.members * (step - first_step), step == program.steps


def _prepare(plan: Plan, program_plan: ProgramPlan) -> _Population:
    mesh = member_mesh()
    width = program_plan.execution.chunk_width
    return _Population(
        plan=program_plan,
        members=len(plan.members),
        distinct=[
            place
            for place, member in enumerate(plan.members)
            if member.learning_rate == plan.study.learning_rates[0]
        ],
        mesh=mesh,
        compiled=compile_population(program_plan, mesh, plan.study.seeds),
        hyper=place_members(
            hyperparameters(plan.members, program_plan.program), mesh, width
        ),
        train_images=training_images(program_plan, mesh),
        held=held_images(program_plan, mesh),
    )


def _begin(
    plan: Plan, population: _Population, checkpoints: store.Checkpoints
) -> tuple[TrainState, int]:
    """The state of the newest whole checkpoint, or the untrained one."""
    program_plan = population.plan
    width = program_plan.execution.chunk_width
    restored = checkpoints.restore(empty_population(program_plan, population.members))
    if restored:
        step, state = restored
        logging.info("%s goes on from step %d", program_plan.label, step)
        return place_members(state, population.mesh, width), step
    first_steps = population.compiled.indices(0)[:, 0]
    state = initial_population(program_plan, plan.schemes, plan.members, first_steps)
    return place_members(state, population.mesh, width), 0


def _train_on(
    population: _Population,
    state: TrainState,
    step: int,
    recorders: _Recorders,
    checkpoints: store.Checkpoints,
    bar: Any,
    control: Control,
) -> int:
    """The loop: record where an evaluation is due, save where a checkpoint is due,
    take steps up to the next evaluation. Returns the step that was reached."""
    program = population.plan.program
    stops = (0, *program.evaluation_steps())
    length, saved_at = 1, time.monotonic()
    while True:
        last = step == program.steps
        stop = control.stop_requested() and not last
        if last or stop or time.monotonic() - saved_at > control.checkpoint_every:
            checkpoints.save(step, fetch_members(state, population.members))
            saved_at = time.monotonic()
        if last:
            checkpoints.wait()
        if step == 0 or last:
            measured = _measure_layers(population, state)
            recorders.layers.append(program, step, measured)
        if step == 0 and recorders.spectra is not None:
            recorders.spectra.append(program, step, _measure_spectra(population, state))
        if step in stops:
            recorders.records.append(program, step, _measure(population, state, step))
            control.recorded()
            state = _reset_sums(state)
        if last or stop:
            return step
        next_stop = min(s for s in stops if s > step)
        length = min(length, next_stop - step)
        began = time.monotonic()
        state = _take_steps(population, state, step, length)
        step += length
        bar.update(population.members * length)
        length = _next_length(length, time.monotonic() - began, population.plan)


def _take_steps(
    population: _Population, state: TrainState, step: int, length: int
) -> TrainState:
    compiled = population.compiled
    indices = compiled.indices(step)
    state = compiled.train(
        state, population.hyper, population.train_images, indices, jnp.int32(length)
    )
    return jax.block_until_ready(state)


def _next_length(length: int, seconds: float, plan: ProgramPlan) -> int:
    """Steps that take about a second, at most four times as many as before: the first
    call also compiles. How a run is cut into calls changes no bit of it."""
    wanted = int(length * _SECONDS_PER_CALL / max(seconds, 1e-6))
    return max(1, min(wanted, 4 * length, most_steps(plan)))


def _measure(
    population: _Population, state: TrainState, step: int
) -> dict[str, np.ndarray]:
    """The records of one evaluation, host arrays `[members]`; all of them leave the
    devices together."""
    last = step == population.plan.program.steps
    held, compiled = population.held, population.compiled
    measured = {}
    for split in ("validation", "test") if last else ("validation",):
        bounds = (jnp.int32(bound) for bound in held.bounds(split))
        measured[split] = compiled.evaluate(state, held.images, *bounds)
    small = state._replace(params=(), model_state=(), opt_state=())
    host, measured = fetch_members((small, measured), population.members)
    values = {
        f"{split}/{metric}": value
        for split, metrics in measured.items()
        for metric, value in metrics.items()
    }
    if step:
        stops = (0, *population.plan.program.evaluation_steps())
        steps = np.float32(step - max(s for s in stops if s < step))
        values["train/loss"] = host.loss_sum / steps
        values["train/accuracy"] = host.correct_sum / steps
    if last:
        diverged = host.diverged_step.astype(np.float32)
        values["train/diverged_step"] = np.where(diverged < 0, np.nan, diverged)
    return values


def _measure_layers(
    population: _Population, state: TrainState
) -> dict[str, np.ndarray]:
    """Of every layer, host arrays `[members, layers]`."""
    first_steps = population.compiled.indices(0)[:, 0]
    measured = population.compiled.measure(
        (state, population.hyper), population.train_images, first_steps
    )
    return fetch_members(measured, population.members)


def _measure_spectra(
    population: _Population, state: TrainState
) -> dict[str, np.ndarray]:
    """Of every scheme and seed, host arrays `[schemes × seeds, ...]`: before the first
    step members that differ in their rate alone are the same."""
    places, width = population.distinct, population.plan.execution.chunk_width
    members = fetch_members((state, population.hyper), population.members)
    chosen = jax.tree.map(lambda leaf: leaf[places], members)
    first_steps = population.compiled.indices(0)[:, 0]
    measured = population.compiled.spectra(
        place_members(chosen, population.mesh, width),
        population.train_images,
        first_steps,
    )
    return eigenvalues(fetch_members(measured, len(places)))


def _reset_sums(state: TrainState) -> TrainState:
    return state._replace(
        loss_sum=jnp.zeros_like(state.loss_sum),
        correct_sum=jnp.zeros_like(state.correct_sum),
    )
