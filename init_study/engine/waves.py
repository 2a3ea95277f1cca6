"""Waves: members that do not fit side by side are run some seeds at a time.

A member's numbers hang on its own scheme, rate and seed, and on the chunk width, which
all waves share: how many there are changes no bit.
"""

from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

from init_study.errors import NoRoom
from init_study.plan import Plan, ProgramPlan
from init_study.study import PROGRAM_AXES

Fitted = TypeVar("Fitted")


def wave_plans(plan: Plan, program_plan: ProgramPlan) -> tuple[Plan, ...]:
    """Split one program of a plan by seeds, every part a plan of its own.

    The first parts are the largest. Each has all schemes and rates of its seeds.

    Args:
        plan: of the study.
        program_plan: one of its programs, which says in how many waves it runs.

    Example:
        >>> from init_study.plan import make_plan
        >>> from init_study.study import Study
        >>> study = Study(schemes="zeros", learning_rates=0.1, model="linear", seeds=5)
        >>> plan = make_plan(study)
        >>> parts = wave_plans(plan, plan.programs[0]._replace(waves=2))
        >>> [part.study.seeds for part in parts]
        [(0, 1, 2), (3, 4)]
    """
    seeds, waves = plan.study.seeds, program_plan.waves
    least, more = divmod(len(seeds), waves)
    ends = [wave * least + min(wave, more) for wave in range(waves + 1)]
    return tuple(
        _of_seeds(plan, program_plan, seeds[start:end]) for start, end in pairwise(ends)
    )


def largest_wave(plan: Plan, program_plan: ProgramPlan) -> Plan:
    """Give the first of the parts that `wave_plans` gives, and make no other.

    Args:
        plan: of the study.
        program_plan: one of its programs, which says in how many waves it runs.

    Example:
        >>> from init_study.plan import make_plan
        >>> from init_study.study import Study
        >>> study = Study(schemes="zeros", learning_rates=0.1, model="linear", seeds=5)
        >>> plan = make_plan(study)
        >>> largest_wave(plan, plan.programs[0]._replace(waves=2)).study.seeds
        (0, 1, 2)
    """
    seeds = plan.study.seeds
    return _of_seeds(plan, program_plan, seeds[: -(-len(seeds) // program_plan.waves)])


def _of_seeds(plan: Plan, program_plan: ProgramPlan, seeds: tuple[int, ...]) -> Plan:
    study = plan.study.replace(
        **{axis: (getattr(program_plan.program, axis),) for axis in PROGRAM_AXES},
        fresh_seeds=0,
        seeds=seeds,
    )
    own = program_plan._replace(waves=1)
    return Plan(study, study.members(), plan.schemes, (own,))


def in_fewest_waves(
    plan: Plan,
    program_plan: ProgramPlan,
    holds: Callable[[Plan, ProgramPlan, int], bool],
    fit: Callable[[Plan, ProgramPlan], Fitted],
) -> tuple[int, Fitted]:
    """Find waves of which the first, the largest, fits into memory: the fewest.

    The fewest that have room for their members; should what a step takes besides have
    none, twice as many, and so on.

    Args:
        plan: of the study.
        program_plan: one of its programs.
        holds: whether there is room for the members of so many seeds alone.
        fit: says how the program runs with the members of a plan, and raises NoRoom
            where it does not.

    Returns: how many waves, and what `fit` says of the first.
    Raises: NoRoom if not even the members of one seed fit.
    """
    most = len(plan.study.seeds)
    # The more seeds the less room: the first count that does not fit ends the search.
    able = bisect_left(
        range(1, most + 1), True, key=lambda n: not holds(plan, program_plan, n)
    )
    waves = -(-most // max(1, able))
    while True:
        here = program_plan._replace(waves=waves)
        part = largest_wave(plan, here) if waves > 1 else plan
        try:
            return waves, fit(part, program_plan)
        except NoRoom:
            if waves == most:
                raise
            waves = min(most, 2 * waves)
