"""Waves: members that do not run side by side, but some of them at a time.

They are parted by seeds, and by schemes where there are more waves than seeds. Waves
follow one another where memory is short, and run at once on several hosts. A member's
numbers hang on its own scheme, rate and seed, and on the chunk width, which all waves
share: how many there are changes no bit.
"""

from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

from init_study.errors import NoRoom
from init_study.plan import Plan, ProgramPlan
from init_study.study import PROGRAM_AXES, Study

Fitted = TypeVar("Fitted")


def wave_plans(plan: Plan, program_plan: ProgramPlan) -> tuple[Plan, ...]:
    """Split one program of a plan, every part a plan of its own.

    The first parts are the largest. Each has all rates of its schemes and seeds.

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
    study = plan.study
    by_seed, by_scheme = _cuts(study, program_plan.waves)
    return tuple(
        _part(plan, program_plan, slice(*seeds), slice(*schemes))
        for seeds in _bounds(len(study.seeds), by_seed)
        for schemes in _bounds(len(study.schemes), by_scheme)
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
    study = plan.study
    by_seed, by_scheme = _cuts(study, program_plan.waves)
    seeds = slice(-(-len(study.seeds) // by_seed))
    schemes = slice(-(-len(study.schemes) // by_scheme))
    return _part(plan, program_plan, seeds, schemes)


def waves_for(study: Study, least: int) -> int:
    """Find in how many waves a study can be parted: so many, or the next number above.

    At most one for each scheme and seed.

    Args:
        study: whose members are parted.
        least: as many as there shall be.

    Example:
        >>> study = Study(schemes=("zeros", "he_normal"), learning_rates=0.1, seeds=3)
        >>> [waves_for(study, least) for least in (1, 2, 3, 4, 100)]
        [1, 2, 3, 6, 6]
    """
    seeds = len(study.seeds)
    by_scheme = min(-(-least // seeds), len(study.schemes))
    return seeds * by_scheme if least > seeds else max(1, least)


def _cuts(study: Study, waves: int) -> tuple[int, int]:
    """Say in how many parts its seeds are cut, and in how many its schemes."""
    seeds = len(study.seeds)
    return (waves, 1) if waves <= seeds else (seeds, waves // seeds)


def _bounds(things: int, parts: int) -> list[tuple[int, int]]:
    """Cut a row of things into parts, the first of them one longer if need be."""
    least, more = divmod(things, parts)
    return list(pairwise(part * least + min(part, more) for part in range(parts + 1)))


def _part(plan: Plan, program_plan: ProgramPlan, seeds: slice, schemes: slice) -> Plan:
    whole, own = plan.study, plan.study.schemes[schemes]
    rates = whole.learning_rates
    study = whole.replace(
        **{axis: (getattr(program_plan.program, axis),) for axis in PROGRAM_AXES},
        fresh_seeds=0,
        seeds=whole.seeds[seeds],
        schemes=own,
        learning_rates=rates[schemes] if whole.pairing == "own" else rates,
    )
    drawn = {text: plan.schemes[text] for text in own}
    return Plan(study, study.members(), drawn, (program_plan._replace(waves=1),))


def in_fewest_waves(
    plan: Plan,
    program_plan: ProgramPlan,
    holds: Callable[[Plan, ProgramPlan, int], bool],
    fit: Callable[[Plan, ProgramPlan], Fitted],
    least: int = 1,
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
        least: how many run at once; as many waves there are, or a multiple.

    Returns: how many waves, and what `fit` says of the first.
    Raises: NoRoom if not even one scheme's members of one seed fit.
    """
    study, seeds = plan.study, len(plan.study.seeds)
    # The more seeds the less room: the first count that does not fit ends the search.
    able = bisect_left(
        range(1, seeds + 1), True, key=lambda n: not holds(plan, program_plan, n)
    )
    most = waves_for(study, seeds * len(study.schemes))
    waves = -(-seeds // max(1, able))
    while True:
        # Whoever runs at once has as many of them as the others.
        waves = waves_for(study, -(-waves // least) * least)
        here = program_plan._replace(waves=waves)
        part = largest_wave(plan, here) if waves > 1 else plan
        try:
            return waves, fit(part, program_plan)
        except NoRoom:
            if waves == most:
                raise
            waves = min(2 * waves, seeds) if waves < seeds else 2 * waves
