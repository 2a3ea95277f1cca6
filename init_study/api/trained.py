"""Trained members, read back from the checkpoints of a run."""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from init_study import store
from init_study.engine.population import empty_population
from init_study.errors import UserError, unknown
from init_study.plan import Plan, ProgramPlan
from init_study.study import Member


def read_member(
    plan: Plan, program: ProgramPlan, workdir: Path, member: Member
) -> dict[str, Any]:
    """Read what a member was when its training ended.

    Args:
        plan: of the run's study.
        program: which of its programs.
        workdir: of the run.
        member: one of the study's.

    Returns: variables as host arrays: `params`, and the state's collections.

    Raises: UserError if the run has no such member, or has not come to its end.
    """
    if member not in plan.members:
        names = [one.name for one in plan.members]
        raise unknown("member", member.name, names, f"{names[0]} to {names[-1]}")
    folder = workdir / "checkpoints" / program.program.id
    steps = program.program.steps
    restored = None
    if folder.is_dir():
        checkpoints = store.Checkpoints(folder)
        try:
            template = empty_population(program, len(plan.members))
            restored = checkpoints.restore(template, keep=True)
        finally:
            checkpoints.close()
    if restored is None or restored[0] != steps:
        there = f"step {restored[0]} of {steps}" if restored else "no whole checkpoint"
        raise UserError(
            f"{workdir} has not come to its end: {there}; go on with the command that "
            "began it"
        )
    place = plan.members.index(member)
    state = restored[1]
    params, model_state = jax.tree.map(
        lambda leaf: leaf[place], (state.params, state.model_state)
    )
    return {"params": params, **model_state}


def find_member(plan: Plan, name: str) -> Member:
    """Find the member that a name as `he_normal/lr=0.1/3` means.

    Raises: UserError for a name that no member has, with the nearest one.

    Example:
        >>> from init_study.plan import make_plan
        >>> from init_study.study import Study
        >>> study = Study(schemes="zeros", learning_rates=0.1, model="linear")
        >>> find_member(make_plan(study), "zeros/lr=0.1/3").seed
        3
    """
    members = {member.name: member for member in plan.members}
    if name not in members:
        names = list(members)
        raise unknown("member", name, names, f"{names[0]} to {names[-1]}")
    return members[name]


def save_variables(variables: dict[str, Any], target: Path) -> None:
    """Write plain variables as an Orbax checkpoint, which `StandardCheckpointer` reads.

    Args:
        variables: a tree of dicts and arrays.
        target: a folder that is not there yet.

    Raises: UserError if it is there, or cannot be written.
    """
    if target.exists():
        raise UserError(f"--to={target} exists; name a new folder")
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(target.absolute(), variables)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"--to={target} cannot be written: {reason}") from error
