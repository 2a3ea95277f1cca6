"""The choice of an execution for a program: one that fits, the fastest where that pays.

The choice is made once, before the first step; the manifest keeps it for the whole
run and every resume.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from absl import logging
from jax.sharding import Mesh

from init_study.engine.devices import (
    bytes_per_device,
    member_mesh,
    num_bytes,
    padded_size,
)
from init_study.engine.feeding import feeding_shapes
from init_study.engine.population import compile_population, member_shapes
from init_study.engine.shortage import shortage
from init_study.engine.timing import (
    OUT_OF_MEMORY,
    Timing,
    foreseen,
    time_execution,
    train_shapes,
)
from init_study.engine.waves import in_fewest_waves, largest_wave
from init_study.errors import NoRoom, UserError
from init_study.execution import Execution, candidates, every_candidate
from init_study.plan import Plan, ProgramPlan

# A choice is timed where it can save more than it costs: it may well save a tenth.
_WORTH = 10
# At least: what the next candidate takes to compile is not known from a cached one.
_SECONDS_TO_TRY = 3.0
# Floating-point operations per second of all devices, a modest guess. If it is too
# high, a program runs as its default that might have run a little faster.
_MODEST_RATE = 5e10
# The default stays unless another saves as much: less is within what timing is off.
_CLEARLY = 0.1


def time_candidates(plan: Plan, program_plan: ProgramPlan) -> list[Timing]:
    """Time every execution that might be the fastest, and the default on one device.

    What does not fit into the device's memory is a row with a problem, and nothing
    wider of its form is tried.
    """
    executions = _candidates(plan, program_plan, every_candidate)
    room = bytes_per_device(jax.default_backend())
    timings: list[Timing] = []
    for one in executions:
        known = foreseen(one, timings, len(plan.members), room)
        timings.append(known or _try(plan, program_plan, one, member_mesh()))
    if jax.local_device_count() > 1:
        alone = member_mesh(jax.local_devices()[:1])
        timings.append(_try(plan, program_plan, executions[0], alone))
    return timings


def _candidates(
    plan: Plan,
    program_plan: ProgramPlan,
    listed: Callable[..., tuple[Execution, ...]] = candidates,
) -> tuple[Execution, ...]:
    members_per_device = -(-len(plan.members) // jax.local_device_count())
    return listed(
        program_plan.program.chunk_width, jax.default_backend(), members_per_device
    )


def fastest(timings: list[Timing], members: int) -> Execution:
    """Choose the first execution that is not clearly slower than another.

    Of those that ran on all devices and fit.

    Args:
        timings: of the executions, the default first.
        members: in all.

    Raises: UserError if none does.
    """
    devices = max(timing.devices for timing in timings)
    able = [one for one in timings if one.devices == devices and not one.problem]
    if not able:
        problems = "; ".join(f"{one.execution}: {one.problem}" for one in timings)
        raise UserError(f"no execution runs here: {problems}; try a smaller batch_size")
    best = min(timing.seconds_per_step(members) for timing in able)
    enough = best / (1 - _CLEARLY)
    return next(t for t in able if t.seconds_per_step(members) <= enough).execution


def choose_executions(
    plan: Plan,
    given: bool,
    tell: Callable[[ProgramPlan], None] = lambda program: None,
    at_once: int = 1,
) -> Plan:
    """Choose an execution that fits for each program, the fastest where that pays.

    Finding out pays where training takes many times as long as trying.

    Args:
        plan: of `make_plan`.
        given: keep the plan's own executions, or refuse.
        tell: called with each program before executions of it are timed.
        at_once: on how many hosts its members are to be.

    Returns: the plan with the executions.

    Raises: UserError if a program does not fit into the devices' memory.
    """

    def fit(part: Plan, program: ProgramPlan) -> ProgramPlan:
        return _choose(part, program, given, tell)

    chosen = (in_fewest_waves(plan, one, holds, fit, at_once) for one in plan.programs)
    programs = tuple(one._replace(waves=waves) for waves, one in chosen)
    return plan._replace(programs=programs)


def disk_bytes(plan: Plan) -> int:
    """Count what the two checkpoints that are kept of each program take, at most.

    Args:
        plan: of `make_plan`.
    """
    members = [num_bytes(member_shapes(program)) for program in plan.programs]
    return 2 * len(plan.members) * sum(members)


def check_memory(plan: Plan, program_plan: ProgramPlan) -> None:
    """Make sure that a program which began elsewhere fits here as it is.

    Raises: UserError, with the widest execution that fits.
    """
    part = largest_wave(plan, program_plan)
    if not _surely_fits(part, program_plan, _cost(part, program_plan)):
        fitting(part, program_plan, given=True)


def _choose(
    plan: Plan,
    program_plan: ProgramPlan,
    given: bool,
    tell: Callable[[ProgramPlan], None],
) -> ProgramPlan:
    others, cost = _candidates(plan, program_plan), _cost(plan, program_plan)
    steps = program_plan.program.steps
    guess = cost.flops * len(plan.members) * steps / _MODEST_RATE
    is_short = guess < _WORTH * _SECONDS_TO_TRY * len(others)
    if (given or is_short) and _surely_fits(plan, program_plan, cost):
        return program_plan
    tell(program_plan)
    timing = fitting(plan, program_plan, given)
    here = program_plan._replace(execution=timing.execution)
    work = timing.seconds_per_step(len(plan.members)) * steps
    trying = max(timing.compile_seconds, _SECONDS_TO_TRY) * len(others)
    if given or work < _WORTH * trying:
        return here
    timings = [timing]
    timings += [
        _try(plan, here, one, member_mesh()) for one in others if one != here.execution
    ]
    execution = fastest(timings, len(plan.members))
    logging.info("%s runs as %s", program_plan.label, execution)
    return here._replace(execution=execution)


class _Cost(NamedTuple):
    """The cost of a program that is not compiled; infinite where XLA does not say.

    Attributes:
        flops: of one member's step.
        bytes_accessed: of a chunk's step: every intermediate value at once, and more.
        member_bytes: of one member's training state.
        data_bytes: of one device.
    """

    flops: float
    bytes_accessed: float
    member_bytes: int
    data_bytes: int


def _cost(plan: Plan, program_plan: ProgramPlan) -> _Cost:
    """Count the cost, without a number on a device.

    The count takes a loop for one turn of it, so it is made of XLA's own convolutions,
    which have none, as patches have none; and those take more room.
    """
    mesh, execution = member_mesh(), program_plan.execution
    form = "patches" if execution.convolution == "patches" else "xla"
    plain = program_plan._replace(execution=execution._replace(convolution=form))
    _, data_bytes = feeding_shapes(program_plan, plan.study.seeds)
    shapes = train_shapes(plan, plain, mesh)
    lowered = compile_population(plain, mesh).train.lower(*shapes)
    counted: Any = lowered.cost_analysis() or {}
    unknown = float("inf")
    return _Cost(
        flops=counted.get("flops", unknown) / execution.chunk_width,
        bytes_accessed=counted.get("bytes accessed", unknown),
        member_bytes=num_bytes(member_shapes(program_plan)),
        data_bytes=data_bytes,
    )


def holds(
    plan: Plan, program_plan: ProgramPlan, seeds: int, data_held: bool = False
) -> bool:
    """Whether there is room for members alone, without what a step takes besides.

    Args:
        plan: of the study.
        program_plan: one of its programs.
        seeds: of how many of its seeds the members are.
        data_held: whether the data lie on the devices already, and need no room.
    """
    width, member = program_plan.execution.chunk_width, member_shapes(program_plan)
    members = len(plan.members) // len(plan.study.seeds) * seeds
    member_bytes = num_bytes(member)
    _, data_bytes = feeding_shapes(program_plan, plan.study.seeds[:seeds])
    held = padded_size(members, member_mesh(), width) // jax.local_device_count()
    room = bytes_per_device(jax.default_backend())
    needed = held * member_bytes + (0 if data_held else data_bytes)
    return not shortage(needed, members * member_bytes, room)


def _surely_fits(plan: Plan, program_plan: ProgramPlan, cost: _Cost) -> bool:
    width = program_plan.execution.chunk_width
    places = padded_size(len(plan.members), member_mesh(), width)
    held = places // jax.local_device_count() * cost.member_bytes
    room = bytes_per_device(jax.default_backend())
    state_bytes = len(plan.members) * cost.member_bytes
    # An infinite cost is that of a program of which XLA says nothing.
    step_bytes = min(cost.bytes_accessed, 2**62)
    needed = held + cost.data_bytes + int(step_bytes)
    return not shortage(needed, state_bytes, room)


def fitting(plan: Plan, program_plan: ProgramPlan, given: bool = False) -> Timing:
    """Time the program's own execution if it fits, else the widest narrower one.

    Raises: UserError, with the widest that fits, if the width is given or none fits.
    """
    wanted = program_plan.execution
    given = given or program_plan.program.chunk_width is not None
    width, problem = wanted.chunk_width, ""
    while width:
        one = wanted._replace(chunk_width=width)
        timing = _try(plan, program_plan, one, member_mesh())
        if not timing.problem:
            if width < wanted.chunk_width:
                _say_narrowed(program_plan.label, wanted, width, problem, given)
            return timing
        problem = timing.problem
        width //= 2
    raise NoRoom(
        f"{program_plan.label}: {len(plan.members)} members do not fit even one at a "
        f"time: {problem}; use fewer members, a smaller batch_size, more evaluations "
        "or more devices"
    )


def _say_narrowed(
    label: str, wanted: Execution, width: int, problem: str, given: bool
) -> None:
    if given:
        raise NoRoom(
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
            problem=OUT_OF_MEMORY,
        )
