"""An estimate of what a program would cost, from a few steps really taken."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp

from init_study.engine.devices import member_mesh, place_members
from init_study.engine.feeding import make_feeding
from init_study.engine.orders import make_orders
from init_study.engine.timing import sample
from init_study.engine.tuning import fitting, holds
from init_study.engine.waves import in_fewest_waves, largest_wave
from init_study.execution import Execution
from init_study.plan import Plan, ProgramPlan, image_bytes
from init_study.train import no_sums

# At least: blocks take their time where pictures are decoded.
_SECONDS_OF_READING = 0.5


class Estimate(NamedTuple):
    """The cost of one program on the devices at hand.

    Attributes:
        execution: what fits.
        waves: in how many parts the members run, one after the other.
        compile_seconds: to the end of the first step and evaluation, cold or cached.
        member_steps_per_second: of all devices together.
        seconds: for the whole program.
        bytes_per_member: of its training state.
        device_bytes: on each device: members, data, and what a chunk needs besides.
        disk_bytes: of the two checkpoints that are kept.
        images_per_second: that the feed reads, when the devices do nothing; None for a
            set that lies on them.
        reading_share: time to read the batches of a step beside that to train on them:
            below 1 the devices need not wait, and on CPU both want the same cores.
        prepared_bytes: of the images on the disk.
    """

    execution: Execution
    waves: int
    compile_seconds: float
    member_steps_per_second: float
    seconds: float
    bytes_per_member: int
    device_bytes: int
    disk_bytes: int
    images_per_second: float | None
    reading_share: float
    prepared_bytes: int


def estimate(plan: Plan, program_plan: ProgramPlan) -> Estimate:
    """Train and evaluate one full chunk per device a little, and scale up.

    Raises: UserError if the program does not fit into the devices' memory.
    """
    waves, timing = in_fewest_waves(plan, program_plan, holds, fitting)
    largest = largest_wave(plan, program_plan._replace(waves=waves))
    program, members = program_plan.program, len(plan.members)
    program_plan = program_plan._replace(execution=timing.execution)
    first, again = _time_evaluation(plan, program_plan)
    evaluations = _evaluations(program_plan)
    training = members * program.steps * timing.seconds_per_member_step
    reading = training * program_plan.readings.share
    compiling = timing.compile_seconds + first - again
    read = (
        None if program_plan.feed == "resident" else _time_reading(plan, program_plan)
    )
    a_step = members * timing.seconds_per_member_step
    wanted = make_orders(program_plan, plan.study.seeds)[0].streams * program.batch_size
    return Estimate(
        execution=timing.execution,
        waves=waves,
        compile_seconds=compiling,
        member_steps_per_second=1 / timing.seconds_per_member_step,
        seconds=compiling + training + evaluations * members * again + reading,
        bytes_per_member=timing.member_bytes,
        device_bytes=timing.device_bytes(len(largest.members)),
        disk_bytes=2 * members * timing.member_bytes,
        images_per_second=read,
        reading_share=wanted / read / a_step if read else 0.0,
        prepared_bytes=0
        if program_plan.feed == "decoded"
        else image_bytes(program_plan.dataset),
    )


def _evaluations(plan: ProgramPlan) -> float:
    """Count passes over the validation part, that over the test part in its measure."""
    validation, test = (
        len(part.labels) for part in (plan.dataset.validation, plan.dataset.test)
    )
    # Before the first step, too.
    return len(plan.program.evaluation_steps()) + 1 + test / validation


def _time_reading(plan: Plan, program_plan: ProgramPlan) -> float | None:
    """Read steps ahead for a while, and say how many images a second come."""
    if program_plan.feed == "resident":
        return None
    feeding = make_feeding(program_plan, member_mesh(), plan.study.seeds)
    steps, began = 0, time.monotonic()
    for shared, count in feeding.shared(0):
        jax.block_until_ready(shared)
        steps += count
        if time.monotonic() - began > _SECONDS_OF_READING:
            break
    images = steps * _images_per_step(plan, program_plan)
    return images / (time.monotonic() - began)


def _images_per_step(plan: Plan, program_plan: ProgramPlan) -> int:
    streams = make_orders(program_plan, plan.study.seeds)[0].streams
    return streams * program_plan.program.batch_size


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
