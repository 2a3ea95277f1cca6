"""The way to train the members with this engine."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.cases import BATCH_SIZE, Case, case_dataset, learning_rates
from benchmarks.ways_jax import MOMENTUM, Way
from init_study.engine.devices import (
    member_mesh,
    num_bytes,
    place_members,
    prepare_jax,
)
from init_study.engine.feeding import make_feeding
from init_study.engine.population import compile_population, hyperparameters
from init_study.engine.timing import noise_population
from init_study.execution import default_execution, parse_execution
from init_study.network import trace
from init_study.plan import ProgramPlan
from init_study.study import Member, Program

_MOST_STEPS = 512


class Prepared(NamedTuple):
    """This engine, compiled and not yet run.

    Attributes:
        way: takes steps.
        compile_seconds: to trace and compile the train step.
        argument_bytes: of the compiled program on a device: population, data, orders.
        temporary_bytes: that it takes besides, of a chunk.
        need: bytes on a device: of both, and of the population that turns begin with.
    """

    way: Way
    compile_seconds: float
    argument_bytes: int
    temporary_bytes: int
    need: int


def ours(case: Case, members: int, execution: str = "") -> Way:
    """Train the population as a run does, on all devices.

    As `execution`, `FORM/WIDTH`, or as a run of unknown speed would.
    """
    return prepare_ours(case, members, execution).way


def prepare_ours(case: Case, members: int, execution: str = "") -> Prepared:
    """Compile the population's train step; seeds have orders of their own.

    Its numbers begin as noise: how fast a step is does not depend on them.
    """
    prepare_jax(None)
    plan = _plan(case, members, execution)
    group = tuple(
        Member(scheme="he_normal", learning_rate=float(rate), seed=seed)
        for seed, rate in enumerate(learning_rates(members))
    )
    mesh, width = member_mesh(), plan.execution.chunk_width
    feeding = make_feeding(plan, mesh, tuple(member.seed for member in group))
    shared, _ = next(feeding.shared(0))
    start = place_members(noise_population(plan, members), mesh, width)
    hyper = place_members(hyperparameters(group, plan.program), mesh, width)
    first, began = jnp.int32(0), time.monotonic()
    lowered = compile_population(plan, mesh).train.lower(
        start, hyper, shared, first, first
    )
    train: Any = lowered.compile()
    compile_seconds, memory = time.monotonic() - began, train.memory_analysis()

    def way(steps: int) -> float:
        state = jax.tree.map(_copy, start)
        for done in range(0, steps, _MOST_STEPS):
            count = jnp.int32(min(steps - done, _MOST_STEPS))
            state = train(state, hyper, shared, first, count)
        jax.block_until_ready(state)
        return members * steps

    arguments = int(getattr(memory, "argument_size_in_bytes", 0))
    temporary = int(getattr(memory, "temp_size_in_bytes", 0))
    kept = num_bytes(start) // mesh.size
    return Prepared(
        way, compile_seconds, arguments, temporary, arguments + temporary + kept
    )


def _copy(leaf: jax.Array) -> jax.Array:
    """Copy on the device; what is compiled takes its arguments placed as they were."""
    return jax.device_put(jnp.copy(leaf), leaf.sharding)


def _plan(case: Case, members: int, execution: str) -> ProgramPlan:
    default = default_execution(None, jax.default_backend(), members)
    dataset = case_dataset(case)
    program = Program(
        dataset=dataset.name,
        model=case.name,
        batch_size=BATCH_SIZE,
        steps=_MOST_STEPS,
        evaluations=1,
        momentum=MOMENTUM,
    )
    return ProgramPlan(
        program=program,
        label=case.name,
        network=trace(case.module, case.image_shape, dataset.num_classes),
        dataset=dataset,
        execution=parse_execution(execution) if execution else default,
    )
