"""What is damaged in a run is taken out, so that the next start does it again.

Training is deterministic: a line that is lost comes out as it was, from a checkpoint
before it or from the beginning. Nothing is deleted: what is taken out lies beside the
folder, in WORKDIR-damaged-1, WORKDIR-damaged-2, ...
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from init_study.errors import ExitCode, UserError
from init_study.store.completeness import (
    chain_of,
    checkpoint_steps,
    lost_step,
    steps_by_program,
)
from init_study.store.documents import read_document, write_atomically
from init_study.store.lines import SealedLine, chained, first_sum, intact_lines
from init_study.store.run_files import (
    CHECKPOINTS,
    CHECKS,
    DECISION,
    FILTERS,
    FRESH,
    LAYERS,
    LEDGER,
    MANIFEST,
    PREDICTIONS,
    RACE,
    RECORDS,
    RULES,
    SPECTRA,
)
from init_study.store.workdir import lock, read_study
from init_study.study import Program, Study

# Records last: until then what is gone elsewhere is missed.
_LINES = (LAYERS, FILTERS, SPECTRA, PREDICTIONS, RECORDS)


class Repaired(NamedTuple):
    """What was taken out of a folder.

    Attributes:
        place: the file, program or run.
        what: was wrong with it, or is done again.
    """

    place: str
    what: str


class _Aside(NamedTuple):
    """Where what is taken out of a folder lies, as it lay there.

    Attributes:
        folder: that is repaired.
        beside: the other one.
    """

    folder: Path
    beside: Path

    def take(self, path: Path, *, copy: bool = False) -> None:
        """Move a file or folder there, or copy a file."""
        to = self.beside / path.relative_to(self.folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copy2(path, to)
        else:
            path.rename(to)


def repair(workdir: Path) -> list[Repaired]:
    """Take out of a run, a race or an examination what is not as it was written.

    Args:
        workdir: of any of them.

    Returns: what was taken out; nothing if all is as it was written.
    Raises: UserError if the folder holds no run, or if what says what was planned is
        itself damaged.
    """
    workdir = workdir.absolute()
    aside = _Aside(workdir, _beside(workdir))
    wholes = [workdir / name for name in (RACE, RULES) if (workdir / name).exists()]
    if not wholes:
        return list(_repair_run(workdir, aside))
    for path in wholes:
        read_document(path)
    found = []
    for name in (DECISION, CHECKS, LEDGER):
        if _is_damaged(workdir / name):
            aside.take(workdir / name)
            found.append(Repaired(name, "was damaged; it is made anew"))
    for path in sorted([*workdir.glob("*/"), *workdir.glob("*/*/")]):
        if (path / MANIFEST).exists() or (path / RECORDS).exists():
            found += _repair_part(path, aside)
    return found


def _beside(workdir: Path) -> Path:
    number = 1
    while (beside := workdir.with_name(f"{workdir.name}-damaged-{number}")).exists():
        number += 1
    return beside


def _repair_part(folder: Path, aside: _Aside) -> Iterator[Repaired]:
    """Repair a run inside a folder; one that does not say what it is goes whole."""
    place = folder.relative_to(aside.folder)
    if not (folder / MANIFEST).exists() or _is_damaged(folder / MANIFEST):
        aside.take(folder)
        said = "its manifest was damaged or gone; all of it is run again"
        yield Repaired(str(place), said)
        return
    for one in _repair_run(folder, aside):
        yield one._replace(place=str(place / one.place))


def _repair_run(workdir: Path, aside: _Aside) -> Iterator[Repaired]:
    study, chain = read_study(workdir), chain_of(workdir)
    if chain is None:
        raise UserError(
            f"{workdir} was begun before its lines were chained, and what is lost in "
            "it cannot be told; run the study in a new folder: --workdir=DIR",
            ExitCode.DAMAGED,
        )
    with lock(workdir):
        yield from _repair_lines(workdir, study, chain, aside)
    for path in sorted(workdir.glob(f"{FRESH}/*/")):
        yield from _repair_part(path, aside)


def _repair_lines(
    workdir: Path, study: Study, chain: str, aside: _Aside
) -> Iterator[Repaired]:
    begins = {name: first_sum(name, chain) for name in _LINES}
    found = {name: intact_lines(workdir / name, begins[name]) for name in _LINES}
    lost = _lost_steps(workdir, study, {name: found[name][0] for name in _LINES})
    for name, (whole, broken) in found.items():
        kept = [
            one
            for one in whole
            if one["program"] not in lost or one["step"] < lost[one["program"]]
        ]
        if broken or len(kept) < len(whole):
            aside.take(workdir / name, copy=True)
            write_atomically(workdir / name, chained(kept, begins[name]))
        if broken:
            some = ", ".join(map(str, broken[:10])) + (", ..." if broken[10:] else "")
            yield Repaired(name, f"lines that were not as they were written: {some}")
    for program in study.programs():
        if program.id in lost:
            step = _go_back(workdir, program.id, lost[program.id], aside)
            yield Repaired(study.label(program), f"runs again from step {step}")


def _go_back(workdir: Path, name: str, step: int, aside: _Aside) -> int:
    """Take out the checkpoints of a program that are past a step.

    Returns: the step of the last one that stays.
    """
    steps = checkpoint_steps(workdir, name)
    for one in steps:
        if one > step:
            aside.take(workdir / CHECKPOINTS / name / str(one))
    return max((one for one in steps if one <= step), default=0)


def _lost_steps(
    workdir: Path, study: Study, whole: dict[str, list[dict[str, Any]]]
) -> dict[str, int]:
    """Find the first lost step of each program that has lost one, by its id."""
    written = {
        name: steps_by_program([SealedLine(one, None) for one in lines])
        for name, lines in whole.items()
    }

    def lost(program: Program) -> int | None:
        own = {name: steps.get(program.id, set()) for name, steps in written.items()}
        return lost_step(workdir, program, own)

    found = {program.id: lost(program) for program in study.programs()}
    return {name: step for name, step in found.items() if step is not None}


def _is_damaged(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        read_document(path)
    except UserError:
        return True
    return False
