"""What a program would cost, from a few steps really taken."""

import time
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from init_study.execution import member_mesh, padded_size, place_members
from init_study.plan import Plan, ProgramPlan
from init_study.population import (
    compile_population,
    held_images,
    hyperparameters,
    initial_population,
    training_images,
)

_TIMED_STEPS = 3


class Estimate(NamedTuple):
    """Of one program on the devices at hand.

    Attributes:
        compile_seconds: to the end of the first step and evaluation, cold or cached.
        member_steps_per_second: of all devices together.
        seconds: for the whole program.
        bytes_per_member: of its training state.
        device_bytes: on each device: members, data, and what the program needs besides.
        disk_bytes: of the two checkpoints that are kept.
    """

    compile_seconds: float
    member_steps_per_second: float
    seconds: float
    bytes_per_member: int
    device_bytes: int
    disk_bytes: int


def estimate(plan: Plan, program_plan: ProgramPlan) -> Estimate:
    """Train one full chunk per device for a few steps and scale up."""
    program, width = program_plan.program, program_plan.execution.chunk_width
    mesh = member_mesh()
    few = (plan.members[:1]) * padded_size(1, mesh, width)
    first_scheme = {few[0].scheme: plan.schemes[few[0].scheme]}
    compiled = compile_population(program_plan, mesh, (few[0].seed,))
    first_steps = compiled.indices(0)[:, 0]
    state = initial_population(program_plan, first_scheme, few, first_steps)
    state = place_members(state, mesh, width)
    hyper = place_members(hyperparameters(few), mesh, width)
    images, held = training_images(program_plan, mesh), held_images(program_plan, mesh)
    bytes_per_member = _bytes(state) // len(few)

    started = time.monotonic()
    train = compiled.train.lower(
        state, hyper, images, compiled.indices(0), jnp.int32(1)
    ).compile()
    state = train(state, hyper, images, compiled.indices(0), jnp.int32(1))
    bounds = [jnp.int32(bound) for bound in held.bounds("validation")]
    jax.block_until_ready(compiled.evaluate(state, held.images, *bounds))
    compile_seconds = time.monotonic() - started

    started = time.monotonic()
    steps = min(_TIMED_STEPS, program.steps)
    state = train(state, hyper, images, compiled.indices(0), jnp.int32(steps))
    jax.block_until_ready(state)
    rate = len(few) * steps / (time.monotonic() - started)

    started = time.monotonic()
    jax.block_until_ready(compiled.evaluate(state, held.images, *bounds))
    evaluation = (time.monotonic() - started) / len(few) * len(plan.members)
    evaluations = len(program.evaluation_steps()) + 2

    memory: Any = train.memory_analysis()
    padded = padded_size(len(plan.members), mesh, width)
    data_bytes = _bytes((images, held))
    return Estimate(
        compile_seconds=compile_seconds,
        member_steps_per_second=rate,
        seconds=compile_seconds
        + len(plan.members) * program.steps / rate
        + evaluations * evaluation,
        bytes_per_member=bytes_per_member,
        device_bytes=padded // mesh.size * bytes_per_member
        + data_bytes
        + int(getattr(memory, "temp_size_in_bytes", 0)),
        disk_bytes=2 * len(plan.members) * bytes_per_member,
    )


def _bytes(tree: Any) -> int:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape")]
    return sum(prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
