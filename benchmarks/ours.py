"""The way to train the members with this engine."""

import dataclasses
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from benchmarks.cases import BATCH_SIZE, Case, case_dataset, learning_rates
from benchmarks.ways_jax import MOMENTUM, Way
from init_study.engine.devices import (
    member_mesh,
    num_bytes,
    place_members,
    prepare_jax,
)
from init_study.engine.feeding import Feeding, make_feeding
from init_study.engine.population import (
    Compiled,
    compile_population,
    hyperparameters,
)
from init_study.engine.timing import noise_population
from init_study.execution import default_execution, parse_execution
from init_study.network import trace
from init_study.plan import ProgramPlan
from init_study.study import Member, Program
from init_study.train import Hyper, TrainState

_MOST_STEPS = 512


class Population(NamedTuple):
    """A population as a run has it, beginning as noise.

    Attributes:
        plan: of its program.
        members: how many.
        mesh: of the devices.
        feeding: its data, placed.
        start: its state, placed.
        hyper: its hyper-parameters, placed.
        compiled: its programs, each compiled at its first call.
    """

    plan: ProgramPlan
    members: int
    mesh: Mesh
    feeding: Feeding
    start: TrainState
    hyper: Hyper
    compiled: Compiled


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


def ours(
    case: Case, members: int, execution: str = "", precision: str | None = None
) -> Way:
    """Train the population as a run does, on all devices.

    As `execution`, `FORM/WIDTH`, or as a run of unknown speed would.
    """
    return prepare_ours(case, members, execution, precision).way


def prepare_ours(
    case: Case, members: int, execution: str = "", precision: str | None = None
) -> Prepared:
    """Compile the population's train step; seeds have orders of their own.

    Its numbers begin as noise: how fast a step is does not depend on them.
    """
    began = time.monotonic()
    population = place_population(case, members, execution, precision=precision)
    placed = time.monotonic() - began
    train = compile_train(population)
    compile_seconds = time.monotonic() - began - placed
    memory = train.memory_analysis()
    arguments = int(getattr(memory, "argument_size_in_bytes", 0))
    temporary = int(getattr(memory, "temp_size_in_bytes", 0))
    kept = num_bytes(population.start) // population.mesh.size
    return Prepared(
        way_of(population, train),
        compile_seconds,
        arguments,
        temporary,
        arguments + temporary + kept,
    )


def place_population(
    case: Case,
    members: int,
    execution: str = "",
    batch_size: int = BATCH_SIZE,
    precision: str | None = None,
) -> Population:
    """Put a population of noise on all devices; nothing of it is compiled yet."""
    prepare_jax(None)
    plan = _plan(case, members, execution, batch_size)
    program = dataclasses.replace(plan.program, precision=precision)
    plan = plan._replace(program=program)
    group = tuple(
        Member(scheme="he_normal", learning_rate=float(rate), seed=seed)
        for seed, rate in enumerate(learning_rates(members))
    )
    mesh, width = member_mesh(), plan.execution.chunk_width
    return Population(
        plan=plan,
        members=members,
        mesh=mesh,
        feeding=make_feeding(plan, mesh, tuple(member.seed for member in group)),
        start=place_members(noise_population(plan, members), mesh, width),
        hyper=place_members(hyperparameters(group, plan.program), mesh, width),
        compiled=compile_population(plan, mesh),
    )


def compile_train(population: Population) -> Any:
    """Compile the train step."""
    shared, _ = next(population.feeding.shared(0))
    first = jnp.int32(0)
    lowered = population.compiled.train.lower(
        population.start, population.hyper, shared, first, first
    )
    return lowered.compile()


def way_of(population: Population, train: Any) -> Way:
    """Make what takes steps, each time from the same start."""
    shared, _ = next(population.feeding.shared(0))
    first = jnp.int32(0)

    def way(steps: int) -> float:
        state = jax.tree.map(_copy, population.start)
        for done in range(0, steps, _MOST_STEPS):
            count = jnp.int32(min(steps - done, _MOST_STEPS))
            state = train(state, population.hyper, shared, first, count)
        jax.block_until_ready(state)
        return population.members * steps

    return way


def _copy(leaf: jax.Array) -> jax.Array:
    """Copy on the device; what is compiled takes its arguments placed as they were."""
    return jax.device_put(jnp.copy(leaf), leaf.sharding)


def _plan(case: Case, members: int, execution: str, batch_size: int) -> ProgramPlan:
    default = default_execution(None, jax.default_backend(), members)
    dataset = case_dataset(case)
    program = Program(
        dataset=dataset.name,
        model=case.name,
        batch_size=batch_size,
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
