"""What populations of one program have in common, whoever their members are.

The waves of a program follow one another: what is compiled and put on the devices for
the first of them serves all.
"""

from collections.abc import Callable
from typing import NamedTuple

from jax.sharding import Mesh

from init_study.engine.devices import member_mesh
from init_study.engine.feeding import Feeding, make_feeder
from init_study.engine.population import Compiled, compile_population
from init_study.engine.reader import Reader, make_reader
from init_study.plan import Plan, ProgramPlan


class Common(NamedTuple):
    """What populations of one program have in common.

    Attributes:
        mesh: of the devices that they lie on.
        compiled: their functions.
        feeder: (seeds) -> what feeds the members of these; holds the data.
        reader: of the study's instruments, if it has any.
        most: members of the largest of them.
    """

    mesh: Mesh
    compiled: Compiled
    feeder: Callable[[tuple[int, ...]], Feeding]
    reader: Reader | None
    most: int


def make_common(plan: Plan, program_plan: ProgramPlan) -> Common:
    """Make what a population needs that another one of its program can use again.

    Data are put on the devices; nothing is compiled before it is called.

    Args:
        plan: of the population with the most members and seeds.
        program_plan: of the program.
    """
    mesh = member_mesh()
    return Common(
        mesh=mesh,
        compiled=compile_population(program_plan, mesh),
        feeder=make_feeder(program_plan, mesh, plan.study.seeds),
        reader=make_reader(plan, program_plan, mesh),
        most=len(plan.members),
    )
