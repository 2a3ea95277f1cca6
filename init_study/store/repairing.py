"""What is damaged in a run is taken out, so that the next start does it again.

Training is deterministic: a line that is lost comes out as it was, from a checkpoint
before it or from the beginning. Nothing is deleted: what is taken out lies beside the
folder, in WORKDIR-damaged-1, WORKDIR-damaged-2, ...
"""

import contextlib
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
    READINGS,
    RECORDS,
    RULES,
    SPECTRA,
    WAVES,
)
from init_study.store.workdir import (
    lock,
    read_manifest,
    read_study,
    write_manifest,
)
from init_study.study import Program, Study

_LINES = (LAYERS, FILTERS, SPECTRA, PREDICTIONS, READINGS, RECORDS)


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
            # Beside a folder that is mounted lies another disk.
            shutil.move(path, to)

    def place(self, path: Path, what: str = "") -> str:
        """Say where something lies in the folder."""
        inside = path.relative_to(self.folder)
        return str(inside / what) if what else str(inside)


def repair(workdir: Path) -> list[Repaired]:
    """Take out of a run, a race or an examination what is not as it was written.

    Args:
        workdir: of any of them.

    Returns: what was taken out; nothing if all is as it was written.
    Raises: UserError if the folder holds no run, if what says what was planned is
        itself damaged, or if a process runs there; then nothing is changed.
    """
    workdir = workdir.resolve()
    aside = _Aside(workdir, _beside(workdir))
    wholes = [workdir / name for name in (RACE, RULES) if (workdir / name).exists()]
    for path in wholes:
        read_document(path)
    if not wholes:
        read_study(workdir)
    parts = [workdir] if not wholes else _begun(workdir, "*/", "*/*/")
    # Fresh seeds go with the run that they are of, and waves with theirs.
    for inside in (FRESH, WAVES):
        sound = [part for part in parts if not _is_gone_or_damaged(part / MANIFEST)]
        parts += [part for one in sound for part in _begun(one, f"{inside}/*/")]
    whole = [part for part in parts if not _is_gone_or_damaged(part / MANIFEST)]
    chains = {part: _chain(part) for part in whole}
    with contextlib.ExitStack() as held:
        for part in whole:
            held.enter_context(lock(part))
        return [
            *_repair_documents(aside),
            *_repair_stages([one for one in parts if one not in whole], aside),
            *(
                one
                for part in whole
                for one in _repair_lines(part, read_study(part), chains[part], aside)
            ),
        ]


def _beside(workdir: Path) -> Path:
    number = 1
    while (beside := workdir.with_name(f"{workdir.name}-damaged-{number}")).exists():
        number += 1
    return beside


def _begun(workdir: Path, *patterns: str) -> list[Path]:
    """Find the runs in a folder that have begun."""
    folders = (path for pattern in patterns for path in workdir.glob(pattern))
    files = (MANIFEST, RECORDS)
    return sorted(
        path for path in folders if any((path / name).exists() for name in files)
    )


def _chain(workdir: Path) -> str:
    if chain := chain_of(workdir):
        return chain
    raise UserError(
        f"{workdir} was begun before its lines were chained, and what is lost in it "
        "cannot be told; run the study in a new folder: --workdir=DIR",
        ExitCode.DAMAGED,
    )


def _repair_documents(aside: _Aside) -> Iterator[Repaired]:
    for name in (DECISION, CHECKS, LEDGER):
        path = aside.folder / name
        if path.exists() and _is_gone_or_damaged(path):
            aside.take(path)
            yield Repaired(name, "was damaged; it is made anew")


def _repair_stages(parts: list[Path], aside: _Aside) -> Iterator[Repaired]:
    """Take out whole runs that do not say what they are."""
    for part in parts:
        aside.take(part)
        what = "its manifest was damaged or gone; all of it is run again"
        yield Repaired(aside.place(part), what)


def _repair_lines(
    workdir: Path, study: Study, chain: str, aside: _Aside
) -> Iterator[Repaired]:
    begins = {name: first_sum(name, chain) for name in _LINES}
    found = {name: intact_lines(workdir / name, begins[name]) for name in _LINES}
    lost = _lost_steps(workdir, study, {name: found[name][0] for name in _LINES})
    # The records last: until then what is gone elsewhere is missed.
    starts = {name: _go_back(workdir, name, step, aside) for name, step in lost.items()}
    _note_in_manifest(workdir, lost, found[RECORDS][0])
    for name, (whole, broken) in found.items():
        kept = [
            one
            for one in whole
            if one["program"] not in lost or one["step"] < lost[one["program"]]
        ]
        if (workdir / name).is_dir():
            aside.take(workdir / name)
        elif broken or len(kept) < len(whole):
            aside.take(workdir / name, copy=True)
            write_atomically(workdir / name, chained(kept, begins[name]))
        if broken:
            some = ", ".join(map(str, broken[:10])) + (", ..." if broken[10:] else "")
            said = f"lines that were not as they were written: {some}"
            yield Repaired(aside.place(workdir, name), said)
    for program in study.programs():
        if program.id in lost:
            place = aside.place(workdir, study.label(program))
            yield Repaired(place, f"runs again from step {starts[program.id]}")


def _go_back(workdir: Path, name: str, step: int, aside: _Aside) -> int:
    """Take out the checkpoints of a program that are past a step.

    Returns: the step of the last one that stays.
    """
    steps = checkpoint_steps(workdir, name)
    for one in steps:
        if one > step:
            aside.take(workdir / CHECKPOINTS / name / str(one))
    return max((one for one in steps if one <= step), default=0)


def _note_in_manifest(
    workdir: Path, lost: dict[str, int], records: list[dict[str, Any]]
) -> None:
    """Note how far the records go now; and what is run again by another computation."""
    if not lost:
        return
    manifest = read_manifest(workdir)
    reached = [manifest.get("recorded", {})]
    reached += [accepted["steps"] for accepted in manifest.get("accepted_drift", [])]
    for steps in reached:
        for name, first in lost.items():
            kept = [
                one["step"]
                for one in records
                if one["program"] == name and one["step"] < first
            ]
            if steps.get(name, -1) >= first:
                steps[name] = max(kept, default=-1)
    write_manifest(workdir, manifest)


def _lost_steps(
    workdir: Path, study: Study, whole: dict[str, list[dict[str, Any]]]
) -> dict[str, int]:
    """Find the first lost step of each program that has lost one, by its id."""
    written = {
        name: steps_by_program([SealedLine(one, None) for one in lines])
        for name, lines in whole.items()
    }
    manifest = read_manifest(workdir)

    def lost(program: Program) -> int | None:
        own = {name: steps.get(program.id, set()) for name, steps in written.items()}
        saved = checkpoint_steps(workdir, program.id)
        return lost_step(program, own, saved, manifest)

    found = {program.id: lost(program) for program in study.programs()}
    return {name: step for name, step in found.items() if step is not None}


def _is_gone_or_damaged(path: Path) -> bool:
    try:
        read_document(path)
    except (FileNotFoundError, UserError):
        return True
    return False
