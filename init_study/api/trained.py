"""Trained members, read back from the checkpoints of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from init_study import store
from init_study.errors import ExitCode, UserError, unknown
from init_study.study import Member, Program, Study


def read_member(
    study: Study, program: Program, workdir: Path, member: Member
) -> dict[str, Any]:
    """Read what a member was when its training ended.

    Neither its module nor its data are needed.

    Args:
        study: of the run.
        program: one of the study's.
        workdir: of the run.
        member: one of the study's.

    Returns: variables as host arrays: `params`, and the state's collections.

    Raises: UserError if the run has not come to its end.
    """
    for wave in store.wave_runs_in(workdir, program.id):
        part = store.read_study(wave)
        if member in part.members():
            return read_member(part, program, wave, member)
    folder = workdir / store.CHECKPOINTS / program.id
    if not folder.is_dir():
        raise UserError(
            f"{workdir} has no checkpoints of {study.label(program)}; go on with the "
            "command that began it"
        )
    about = {"program": program.id, "study": study.hash}
    checkpoints = store.Checkpoints(folder, about, only_read=True)
    try:
        state = checkpoints.read(program.steps, ("params", "model_state"))
    finally:
        checkpoints.close()
    place = study.members().index(member)
    found = jax.tree.map(lambda leaf: leaf[place], state)
    return {"params": found["params"], **found["model_state"]}


def find_member(studies: Sequence[Study], name: str) -> Member:
    """Find the member that a name as `he_normal/lr=0.1/3` means.

    Raises: UserError for a name that no member has, with the nearest one.

    Example:
        >>> from init_study.study import Study
        >>> study = Study(schemes="zeros", learning_rates=0.1, model="linear")
        >>> find_member([study], "zeros/lr=0.1/3").seed
        3
    """
    members = {member.name: member for one in studies for member in one.members()}
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
        raise UserError(
            f"--to={target} exists; name a new folder", exit_code=ExitCode.NO_PLACE
        )
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(target.absolute(), variables)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"--to={target} cannot be written: {reason}", exit_code=ExitCode.IO
        ) from error
