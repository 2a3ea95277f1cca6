"""The cost of one execution of a program here: a few steps of it, really taken."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from init_study.engine.devices import (
    MEMBER,
    bytes_per_device,
    num_bytes,
    padded_size,
    place_members,
)
from init_study.engine.feeding import Feeding, feeding_shapes, make_feeding
from init_study.engine.population import (
    Compiled,
    compile_population,
    empty_population,
    hyperparameters,
    member_shapes,
)
from init_study.engine.shortage import shortage
from init_study.execution import Execution
from init_study.plan import Plan, ProgramPlan
from init_study.train import Hyper, TrainState

# The problem of what failed as it ran, whose need is not known.
OUT_OF_MEMORY = "out of memory"


class Timing(NamedTuple):
    """The cost of one execution of one program, on some devices.

    Attributes:
        execution: how members ran.
        devices: on how many devices.
        compile_seconds: to the end of the first step; little where it was cached.
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
        """Find what one device holds when `members` train on all of them."""
        held = self.places(members) // self.devices * self.member_bytes
        return held + self.data_bytes + self.temporary_bytes

    def places(self, members: int) -> int:
        """Count the places in full chunks on every device; all of them are computed."""
        chunk = self.devices * self.execution.chunk_width
        return -(-members // chunk) * chunk

    def seconds_per_step(self, members: int) -> float:
        """Find the seconds of a step of all members, with what fills their chunks."""
        return self.places(members) * self.seconds_per_member_step


def foreseen(
    execution: Execution, known: Sequence[Timing], members: int, room: int | None
) -> Timing | None:
    """Foresee that an execution does not fit, from narrower ones of its form.

    A chunk takes memory in proportion to its members.

    Args:
        execution: that is not compiled yet.
        known: timings on the same devices.
        members: in all.
        room: of one device; None where nobody says.

    Returns: a timing with a problem; None where it may well fit.
    """
    narrower = [
        one
        for one in known
        if one.execution.convolution == execution.convolution
        and one.execution.chunk_width < execution.chunk_width
    ]
    if not narrower:
        return None
    last = max(narrower, key=lambda one: one.execution.chunk_width)
    times = execution.chunk_width / last.execution.chunk_width
    wider = last._replace(
        execution=execution,
        compile_seconds=0.0,
        seconds_per_member_step=float("inf"),
        temporary_bytes=int(last.temporary_bytes * times),
    )
    state_bytes = members * last.member_bytes
    problem = shortage(wider.device_bytes(members), state_bytes, room)
    # Then nobody knows how much it was; else a wider one may fill fewer places.
    if last.problem == OUT_OF_MEMORY:
        problem = f"wider than {last.execution}, which ran out of memory"
    return wider._replace(problem=problem) if problem else None


class Sample(NamedTuple):
    """A full chunk per device, ready to take steps.

    Its numbers are noise: how fast a step is does not depend on them.
    """

    compiled: Compiled
    state: TrainState
    hyper: Hyper
    feeding: Feeding
    members: int
    mesh: Mesh


def sample(plan: Plan, program_plan: ProgramPlan, mesh: Mesh) -> Sample:
    """Make the smallest population that fills every device."""
    width = program_plan.execution.chunk_width
    few = plan.members[:1] * padded_size(1, mesh, width)
    state = noise_population(program_plan, len(few))
    return Sample(
        compiled=compile_population(program_plan, mesh),
        state=place_members(state, mesh, width),
        hyper=place_members(hyperparameters(few, program_plan.program), mesh, width),
        feeding=make_feeding(program_plan, mesh, (few[0].seed,)),
        members=len(few),
        mesh=mesh,
    )


def train_shapes(plan: Plan, program_plan: ProgramPlan, mesh: Mesh) -> tuple[Any, ...]:
    """Describe what the train step of a full chunk per device is called with.

    Shapes, types and where they lie; no number is made.

    Args:
        plan: of the study.
        program_plan: with the execution.
        mesh: of `member_mesh`.
    """
    members = padded_size(1, mesh, program_plan.execution.chunk_width)
    few = plan.members[:1] * members
    shared, _ = feeding_shapes(program_plan, (few[0].seed,))
    hyper = jax.eval_shape(lambda: hyperparameters(few, program_plan.program))
    along = NamedSharding(mesh, PartitionSpec(MEMBER))
    everywhere = NamedSharding(mesh, PartitionSpec())

    def placed(leaf: Any, sharding: NamedSharding, *leading: int) -> Any:
        shape = (*leading, *leaf.shape)
        return jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=sharding)

    number = jax.ShapeDtypeStruct((), jnp.int32)
    return (
        jax.tree.map(
            lambda leaf: placed(leaf, along, members), member_shapes(program_plan)
        ),
        jax.tree.map(lambda leaf: placed(leaf, along), hyper),
        jax.tree.map(lambda leaf: placed(leaf, everywhere), shared),
        number,
        number,
    )


def noise_population(program_plan: ProgramPlan, members: int) -> TrainState:
    """Make a population of noise, host arrays `[members, ...]`, none of it diverged.

    Nothing is compiled for it.
    """
    generator = np.random.default_rng(0)

    def noise(leaf: np.ndarray) -> np.ndarray:
        if not np.issubdtype(leaf.dtype, np.floating):
            return leaf
        small = np.float32(0.05)
        drawn = generator.standard_normal(leaf.shape, np.float32)
        return np.multiply(drawn, small, out=drawn).astype(leaf.dtype, copy=False)

    state = jax.tree.map(noise, empty_population(program_plan, members))
    return state._replace(diverged_step=state.diverged_step - 1)


def time_execution(
    plan: Plan, program_plan: ProgramPlan, mesh: Mesh, seconds: float = 0.5
) -> Timing:
    """Time the program's own execution; if it needs too much memory, say so instead.

    What is held is counted from shapes before anything is compiled, and what a step
    takes besides before anything is placed.

    Args:
        plan: of the study.
        program_plan: with the execution to time.
        mesh: of `member_mesh`.
        seconds: about how long to take steps after the first two; the best counts.
    """
    # Before the sample takes some of it, which `need` counts as well.
    room, members = bytes_per_device(jax.default_backend()), len(plan.members)
    _, data_bytes = feeding_shapes(program_plan, plan.study.seeds)
    timing = Timing(
        execution=program_plan.execution,
        devices=mesh.size,
        compile_seconds=0.0,
        seconds_per_member_step=float("inf"),
        temporary_bytes=0,
        member_bytes=num_bytes(member_shapes(program_plan)),
        data_bytes=data_bytes,
    )
    state_bytes = members * timing.member_bytes
    if problem := shortage(timing.device_bytes(members), state_bytes, room):
        return timing._replace(problem=problem)
    began = time.monotonic()
    shapes = train_shapes(plan, program_plan, mesh)
    train: Any = compile_population(program_plan, mesh).train.lower(*shapes).compile()
    memory = train.memory_analysis()
    timing = timing._replace(
        compile_seconds=time.monotonic() - began,
        temporary_bytes=int(getattr(memory, "temp_size_in_bytes", 0)),
    )
    if problem := shortage(timing.device_bytes(members), state_bytes, room):
        return timing._replace(problem=problem)
    few = sample(plan, program_plan, mesh)
    shared, available = next(few.feeding.shared(0))

    def take(state: TrainState, steps: int) -> tuple[TrainState, float]:
        started = time.monotonic()
        state = train(state, few.hyper, shared, jnp.int32(0), jnp.int32(steps))
        jax.block_until_ready(state)
        return state, (time.monotonic() - started) / steps

    state, _ = take(few.state, 1)
    compile_seconds = time.monotonic() - began
    most, stop = available, time.monotonic() + seconds
    state, best = take(state, min(2, most))
    while time.monotonic() < stop:
        steps = max(1, min(most, int(0.25 * seconds / best)))
        state, per_step = take(state, steps)
        best = min(best, per_step)
    return timing._replace(
        compile_seconds=compile_seconds, seconds_per_member_step=best / few.members
    )
