"""Which execution is fastest here: a few steps of each, really taken.

The choice is made once, before the first step; the manifest keeps it for the whole
run and every resume.
"""

import time
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.sharding import Mesh

from init_study.errors import UserError
from init_study.execution import (
    Execution,
    bytes_per_device,
    candidates,
    member_mesh,
    padded_size,
    place_members,
)
from init_study.plan import Plan, ProgramPlan
from init_study.population import (
    Compiled,
    compile_population,
    empty_population,
    held_images,
    hyperparameters,
    most_steps,
    training_images,
)
from init_study.train import Hyper, Images, TrainState

# A choice is timed where it can save more than it costs: it may well save a tenth.
_WORTH = 10
# At least: what the next candidate takes to compile is not known from a cached one.
_SECONDS_TO_TRY = 3.0
# Floating-point operations per second of all devices, a modest guess. If it is too
# high, a program runs as its default that might have run a little faster.
_MODEST_RATE = 5e10


class Timing(NamedTuple):
    """One execution of one program, on some devices.

    Attributes:
        execution: how members ran.
        devices: on how many devices.
        compile_seconds: to the end of the first step; little where it was cached, 0
            if it did not run.
        seconds_per_member_step: of all devices together; infinite if it did not run.
        temporary_bytes: of one device, for a chunk of members.
        member_bytes: of one member's training state.
        data_bytes: of one device.
        problem: why it did not run, or nothing.
    """

    execution: Execution
    devices: int
    compile_seconds: float
    seconds_per_member_step: float
    temporary_bytes: int
    member_bytes: int
    data_bytes: int
    problem: str = ""

    def device_bytes(self, members: int) -> int:
        """What one device holds when `members` train on all of them."""
        chunk = self.devices * self.execution.chunk_width
        padded = -(-members // chunk) * chunk
        held = padded // self.devices * self.member_bytes
        return held + self.data_bytes + self.temporary_bytes


class Sample(NamedTuple):
    """One full chunk per device, ready to take steps. Its numbers are noise: how fast
    a step is does not depend on them."""

    compiled: Compiled
    state: TrainState
    hyper: Hyper
    images: Images
    members: int
    mesh: Mesh


def sample(plan: Plan, program_plan: ProgramPlan, mesh: Mesh) -> Sample:
    """The smallest population that fills every device."""
    width = program_plan.execution.chunk_width
    few = plan.members[:1] * padded_size(1, mesh, width)
    generator = np.random.default_rng(0)

    def noise(leaf: np.ndarray) -> np.ndarray:
        if not np.issubdtype(leaf.dtype, np.floating):
            return leaf
        return (0.05 * generator.standard_normal(leaf.shape)).astype(leaf.dtype)

    state = jax.tree.map(noise, empty_population(program_plan, len(few)))
    state = state._replace(diverged_step=state.diverged_step - 1)
    return Sample(
        compiled=compile_population(program_plan, mesh, (few[0].seed,)),
        state=place_members(state, mesh, width),
        hyper=place_members(hyperparameters(few), mesh, width),
        images=training_images(program_plan, mesh),
        members=len(few),
        mesh=mesh,
    )


def time_execution(
    plan: Plan, program_plan: ProgramPlan, mesh: Mesh, seconds: float = 0.5
) -> Timing:
    """Time the program's own execution.

    Args:
        plan: of the study.
        program_plan: with the execution to time.
        mesh: of `member_mesh`.
        seconds: about how long to take steps after the first two; the best counts.
    """
    few = sample(plan, program_plan, mesh)
    indices = few.compiled.indices(0)
    began = time.monotonic()
    train: Any = few.compiled.train.lower(
        few.state, few.hyper, few.images, indices, jnp.int32(1)
    ).compile()

    def take(state: TrainState, steps: int) -> tuple[TrainState, float]:
        started = time.monotonic()
        state = train(state, few.hyper, few.images, indices, jnp.int32(steps))
        jax.block_until_ready(state)
        return state, (time.monotonic() - started) / steps

    state, _ = take(few.state, 1)
    compile_seconds = time.monotonic() - began
    most, stop = most_steps(program_plan), time.monotonic() + seconds
    state, best = take(state, min(2, most))
    while time.monotonic() < stop:
        steps = max(1, min(most, int(0.25 * seconds / best)))
        state, per_step = take(state, steps)
        best = min(best, per_step)
    memory = train.memory_analysis()
    held = held_images(program_plan, mesh)
    return Timing(
        execution=program_plan.execution,
        devices=mesh.size,
        compile_seconds=compile_seconds,
        seconds_per_member_step=best / few.members,
        temporary_bytes=int(getattr(memory, "temp_size_in_bytes", 0)),
        member_bytes=_bytes(few.state) // few.members,
        data_bytes=_bytes((few.images, held)),
    )


def time_candidates(plan: Plan, program_plan: ProgramPlan) -> list[Timing]:
    """Every execution that is worth trying on all devices, and the default on one.

    One that does not fit into the device's memory is a row with a problem.
    """
    program, platform = program_plan.program, jax.default_backend()
    members = len(plan.members)
    executions = candidates(program.chunk_width, platform, members)
    timings = [_try(plan, program_plan, one, member_mesh()) for one in executions]
    if jax.device_count() > 1:
        alone = member_mesh(jax.devices()[:1])
        timings.append(_try(plan, program_plan, executions[0], alone))
    return timings


def fastest(timings: list[Timing], members: int) -> Execution:
    """Of those that ran on all devices and fit; ties go to the first.

    Raises: UserError if none does.
    """
    devices = max(timing.devices for timing in timings)
    room = bytes_per_device(jax.default_backend())
    able = [
        timing
        for timing in timings
        if timing.devices == devices
        and not timing.problem
        and (room is None or timing.device_bytes(members) <= room)
    ]
    if not able:
        problems = "; ".join(
            f"{t.execution}: {t.problem or 'no room'}" for t in timings
        )
        raise UserError(f"no execution runs here: {problems}; try a smaller batch_size")
    return min(able, key=lambda timing: timing.seconds_per_member_step).execution


def choose_executions(plan: Plan, fixed: bool) -> Plan:
    """The plan with an execution for each program that fits, and is the fastest where
    finding out is worth it: where training takes many times as long as trying.

    Args:
        plan: of `make_plan`.
        fixed: keep the plan's own executions, or refuse.

    Raises: UserError if a program does not fit into the devices' memory.
    """
    chosen = [_choose(plan, one, fixed) for one in plan.programs]
    return plan._replace(programs=tuple(chosen))


def _choose(plan: Plan, program_plan: ProgramPlan, fixed: bool) -> ProgramPlan:
    members, platform = len(plan.members), jax.default_backend()
    others = candidates(program_plan.program.chunk_width, platform, members)
    if _is_small(plan, program_plan, len(others)):
        return program_plan
    timing = fitting(plan, program_plan, fixed)
    here = program_plan._replace(execution=timing.execution)
    work = timing.seconds_per_member_step * members * program_plan.program.steps
    trying = max(timing.compile_seconds, _SECONDS_TO_TRY) * len(others)
    if fixed or work < _WORTH * trying:
        return here
    timings = [timing]
    timings += [
        _try(plan, here, one, member_mesh()) for one in others if one != here.execution
    ]
    execution = fastest(timings, members)
    logging.info("%s runs as %s", program_plan.label, execution)
    return here._replace(execution=execution)


def _is_small(plan: Plan, program_plan: ProgramPlan, tries: int) -> bool:
    """Whether a program surely fits and is likely done before trying would pay.

    Without compiling it: memory for every intermediate value at once, and a modest
    guess of the devices' speed.
    """
    few = sample(plan, program_plan, member_mesh())
    shape = (1, most_steps(program_plan), program_plan.program.batch_size)
    indices = jax.ShapeDtypeStruct(shape, jnp.int32)
    lowered = few.compiled.train.lower(
        few.state, few.hyper, few.images, indices, jnp.int32(1)
    )
    cost: Any = lowered.cost_analysis() or {}
    unknown = float("inf")
    width = program_plan.execution.chunk_width
    steps = len(plan.members) * program_plan.program.steps
    seconds = cost.get("flops", unknown) / width * steps / _MODEST_RATE
    per_member = _bytes(few.state) // few.members
    held = held_images(program_plan, few.mesh)
    most_bytes = cost.get("bytes accessed", unknown) + _bytes((few.images, held))
    most_bytes += padded_size(len(plan.members), few.mesh, width) * per_member
    room = bytes_per_device(jax.default_backend())
    fits = room is None or most_bytes <= room
    return fits and seconds < _WORTH * _SECONDS_TO_TRY * tries


def fitting(plan: Plan, program_plan: ProgramPlan, fixed: bool = False) -> Timing:
    """The program's own execution if it fits, else the widest narrower one.

    Raises: UserError, with the widest that fits, if the width is fixed or none fits.
    """
    room, members = bytes_per_device(jax.default_backend()), len(plan.members)
    wanted = program_plan.execution
    fixed = fixed or program_plan.program.chunk_width is not None
    width, problem = wanted.chunk_width, ""
    while width:
        one = wanted._replace(chunk_width=width)
        timing = _try(plan, program_plan, one, member_mesh())
        need = timing.device_bytes(members)
        if not timing.problem and (room is None or need <= room):
            if width < wanted.chunk_width:
                _say_narrowed(program_plan.label, wanted, width, problem, fixed)
            return timing
        problem = timing.problem or f"it needs {need:,} of {room:,} bytes on a device"
        width //= 2
    raise UserError(
        f"{program_plan.label}: {members} members do not fit even one at a time: "
        f"{problem}; use fewer members, a smaller batch_size or more devices"
    )


def _say_narrowed(
    label: str, wanted: Execution, width: int, problem: str, fixed: bool
) -> None:
    if fixed:
        raise UserError(
            f"{label}: execution {wanted} does not fit: {problem}; the widest that "
            f"does is {wanted._replace(chunk_width=width)}"
        )
    logging.warning(
        "%s: %s does not fit (%s); goes on with chunk width %d",
        label,
        wanted,
        problem,
        width,
    )


def _try(plan: Plan, program: ProgramPlan, execution: Execution, mesh: Mesh) -> Timing:
    try:
        return time_execution(plan, program._replace(execution=execution), mesh)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return Timing(
            execution=execution,
            devices=mesh.size,
            compile_seconds=0.0,
            seconds_per_member_step=float("inf"),
            temporary_bytes=0,
            member_bytes=0,
            data_bytes=0,
            problem="out of memory",
        )


def _bytes(tree: Any) -> int:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape")]
    return sum(prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
