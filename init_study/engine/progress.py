"""The progress of a run, as it is told to whoever watches it."""

from typing import NamedTuple

from init_study.execution import Execution
from init_study.plan import Plan, ProgramPlan


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        place: of the program among all of the run, from 1.
        programs: how many there are.
        label: of the program.
        members: that train together.
        execution: how they run.
        doing: `choosing` an execution by timing some, `compiling`, or `training`.
        step: the last step that was taken.
        steps: of the program.
    """

    place: int
    programs: int
    label: str
    members: int
    execution: Execution
    doing: str
    step: int
    steps: int


def progress_of(
    plan: Plan, program_plan: ProgramPlan, doing: str, step: int
) -> Progress:
    """Say how far one program of a plan is."""
    ids = [one.program.id for one in plan.programs]
    return Progress(
        place=ids.index(program_plan.program.id) + 1,
        programs=len(ids),
        label=program_plan.label,
        members=len(plan.members),
        execution=program_plan.execution,
        doing=doing,
        step=step,
        steps=program_plan.program.steps,
    )
