"""An estimate of what a program would cost, from a few steps really taken."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp

from init_study.engine.devices import member_mesh, place_members
from init_study.engine.timing import sample
from init_study.engine.tuning import fitting
from init_study.execution import Execution
from init_study.plan import Plan, ProgramPlan
from init_study.train import no_sums


class Estimate(NamedTuple):
    """The cost of one program on the devices at hand.

    Attributes:
        execution: what fits.
        compile_seconds: to the end of the first step and evaluation, cold or cached.
        member_steps_per_second: of all devices together.
        seconds: for the whole program.
        bytes_per_member: of its training state.
        device_bytes: on each device: members, data, and what a chunk needs besides.
        disk_bytes: of the two checkpoints that are kept.
    """

    execution: Execution
    compile_seconds: float
    member_steps_per_second: float
    seconds: float
    bytes_per_member: int
    device_bytes: int
    disk_bytes: int


def estimate(plan: Plan, program_plan: ProgramPlan) -> Estimate:
    """Train and evaluate one full chunk per device a little, and scale up.

    Raises: UserError if the program does not fit into the devices' memory.
    """
    timing = fitting(plan, program_plan)
    program, members = program_plan.program, len(plan.members)
    program_plan = program_plan._replace(execution=timing.execution)
    first, again = _time_evaluation(plan, program_plan)
    evaluations = len(program.evaluation_steps()) + 2
    training = members * program.steps * timing.seconds_per_member_step
    compiling = timing.compile_seconds + first - again
    return Estimate(
        execution=timing.execution,
        compile_seconds=compiling,
        member_steps_per_second=1 / timing.seconds_per_member_step,
        seconds=compiling + training + evaluations * members * again,
        bytes_per_member=timing.member_bytes,
        device_bytes=timing.device_bytes(members),
        disk_bytes=2 * members * timing.member_bytes,
    )


def _time_evaluation(plan: Plan, program_plan: ProgramPlan) -> tuple[float, float]:
    """Time the validation part, at first and then; seconds per member."""
    few = sample(plan, program_plan, member_mesh())
    width = program_plan.execution.chunk_width
    sums = place_members(no_sums(few.members), few.mesh, width)
    seconds = []
    for _ in range(2):
        started = time.monotonic()
        found = sums
        for data, *bounds in few.feeding.held("validation"):
            member = few.state, found
            found = few.compiled.evaluate(member, data, *map(jnp.int32, bounds))
        jax.block_until_ready(found)
        seconds.append((time.monotonic() - started) / few.members)
    return seconds[0], seconds[1]
