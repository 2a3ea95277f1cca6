"""The runs that a folder holds: one, the stages of a race, or the studies of claims."""

from pathlib import Path

from init_study import store
from init_study.cli.invocation import Invocation, given_fields
from init_study.errors import ExitCode, UserError
from init_study.store import read_study
from init_study.store.links import refuse_links_out
from init_study.study import Study
from init_study.study.files import differing_fields


def is_race(workdir: Path) -> bool:
    """Whether the folder is a race's, of `run --until=decided`."""
    return (workdir / store.RACE).exists()


def is_examination(workdir: Path) -> bool:
    """Whether the folder is that of claims or published results."""
    return (workdir / store.RULES).exists()


def begun(workdir: Path) -> list[Path]:
    """Find the runs inside that have begun.

    Returns: their folders: the stages of a race, or the studies of an examination.
    Raises: UserError for one that has records and does not say of what.
    """
    depth = "*/*/" if is_race(workdir) else "*/"
    folders = sorted(path for path in workdir.glob(depth) if path.is_dir())
    for folder in folders:
        if (folder / store.RECORDS).exists() and not (folder / store.MANIFEST).exists():
            raise UserError(
                f"{folder / store.MANIFEST} is gone; put back a copy of it, or have "
                f"that stage run again: python launch.py repair --workdir={workdir}",
                exit_code=ExitCode.DAMAGED,
            )
    return [folder for folder in folders if (folder / store.MANIFEST).exists()]


def examined_studies(workdir: Path) -> dict[str, Study]:
    """Read the studies of an examination, begun or not, by name.

    Raises: UserError if another version wrote them.
    """
    rules = store.read_document(workdir / store.RULES)
    return {name: Study.from_dict(one) for name, one in rules["studies"].items()}


def raced_study(workdir: Path) -> Study:
    """Read the study of a race.

    Raises: UserError if another version wrote it.
    """
    return Study.from_dict(store.read_document(workdir / store.RACE)["study"])


def folder_to_read(invocation: Invocation) -> Path:
    """Choose the folder of a word that reads one.

    Raises: UserError if flags ask for another study, or for a race, than a folder that
        is named holds.
    """
    workdir, values = invocation.the_workdir(), invocation.flags
    refuse_links_out(workdir)
    if not invocation.is_given("workdir"):
        return workdir
    if invocation.is_given("until") and not is_race(workdir):
        raise UserError(
            f"--workdir={workdir} holds no race; leave out --until, or name the folder "
            "of one"
        )
    fields = [f"--study.{field}" for field in given_fields(values)]
    others = [name for name in ("study", "rule", "rest") if invocation.is_given(name)]
    asked = [*fields, *(f"--{name}" for name in others)]
    if asked:
        _check_study(workdir, invocation.the_study(), asked[0])
    return workdir


def _check_study(workdir: Path, study: Study, flag: str) -> None:
    if is_examination(workdir):
        raise UserError(
            f"--workdir={workdir} holds claims, which have studies of their own; leave "
            f"out {flag}"
        )
    there = raced_study(workdir) if is_race(workdir) else read_study(workdir)
    if there.hash != study.hash:
        raise UserError(
            f"--workdir={workdir} holds another study "
            f"({'; '.join(differing_fields(study, there))}); leave out {flag}, or name "
            "the study's own folder"
        )
