"""What the waves of a program hand on: what is the same for each, and made once."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from init_study.drift import surroundings
from init_study.engine.common import Common, make_common
from init_study.engine.identity import computed, draws_of
from init_study.engine.waves import largest_wave
from init_study.execution import Execution
from init_study.plan import Plan, ProgramPlan


class Handed(NamedTuple):
    """What a wave takes over instead of making it again.

    Attributes:
        common: (program) -> what its populations have in common; made at the first
            call, as a wave that is done asks for nothing.
        around: as of `surroundings`.
        computes: (plan of the wave, program) -> as of `computed`.
    """

    common: Callable[[ProgramPlan], Common]
    around: Mapping[str, Any]
    computes: Callable[[Plan, ProgramPlan], dict[str, str]]


def hand_on(plan: Plan, program_plan: ProgramPlan) -> Handed:
    """Prepare what all waves of a program have in common.

    Args:
        plan: of the whole run.
        program_plan: that runs in waves.
    """
    largest = largest_wave(plan, program_plan)
    of_all = computed(plan, program_plan)

    # A wave that began otherwise goes on so, and no other comes back to the first way.
    @functools.lru_cache(maxsize=1)
    def common_of(execution: Execution) -> Common:
        return make_common(largest, program_plan._replace(execution=execution))

    def computes(part: Plan, program: ProgramPlan) -> dict[str, str]:
        if program.execution != program_plan.execution:
            return computed(part, program)
        others = {draws_of(text) for text in plan.schemes if text not in part.schemes}
        return {name: value for name, value in of_all.items() if name not in others}

    return Handed(
        common=lambda program: common_of(program.execution),
        around=surroundings(plan.study.to_dict()),
        computes=computes,
    )
