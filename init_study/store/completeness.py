"""Lines of a run, each checked, and all together beside what the run's plan asks for.

Sums find a line that was changed; that the last lines of a file are gone is found by
what stands elsewhere: the manifest notes how far the records went when a process ended,
a checkpoint is behind all records before it, and whatever else is measured after a step
is written before the records of that step.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from init_study.store.lines import (
    SealedLine,
    damaged_lines,
    first_sum,
    read_sealed,
)
from init_study.store.run_files import (
    CHECKPOINTS,
    FILTERS,
    LAYERS,
    MANIFEST,
    PREDICTIONS,
    READINGS,
    RECORDS,
    SPECTRA,
)
from init_study.store.workdir import other_version, read_manifest, read_study
from init_study.study import Program, Study


def read_lines(workdir: Path, name: str) -> list[dict[str, Any]]:
    """Read the whole lines of a run's file; a last line without its end is none.

    Args:
        workdir: of the run.
        name: of the file, as `records.jsonl`.

    Raises: UserError naming the first line that is not as it was written, or the steps
        of a program that are missing; UserError if another version wrote the file.
    """
    return [line.content for line in sealed_lines(workdir, name)]


def each_line(workdir: Path, name: str) -> Iterator[dict[str, Any]]:
    """Read the whole lines of a run's file one after the other, once all are checked.

    Of many files that are read side by side there is one line each in memory, and none
    is held open.

    Args:
        workdir: of the run.
        name: of the file, as `records.jsonl`.

    Raises: UserError as `read_lines` does, before the first line is given.
    """
    return _one_by_one(workdir / name, len(read_lines(workdir, name)))


def _one_by_one(path: Path, count: int) -> Iterator[dict[str, Any]]:
    place, last = 0, b""
    while count:
        with open(path, "rb") as file:
            file.seek(place)
            raw = file.readline()
            place = file.tell()
        # One that stands there twice, one behind the other, counts once.
        if raw != last:
            count, content = count - 1, json.loads(raw)
            content.pop("sum", None)
            yield content
        last = raw


def sealed_lines(workdir: Path, name: str) -> list[SealedLine]:
    """Read the whole lines of a run's file with their sums.

    Args:
        workdir: of the run; a folder without a manifest has no plan, and is not
            compared with it.
        name: of the file.

    Raises: UserError as `read_lines` does.
    """
    if not (workdir / MANIFEST).exists():
        return _sealed(workdir, name, None)
    manifest, study = read_manifest(workdir), read_study(workdir)
    chain = manifest.get("chain")
    # What tells of lines comes before them: another process may be writing.
    evidence = _evidence(workdir, study, name, manifest) if chain else None
    lines = _sealed(workdir, name, chain)
    _check_shapes(workdir, name, lines, study)
    if evidence is not None:
        _check_steps(workdir / name, lines, study, evidence, manifest)
    return lines


def chain_of(workdir: Path) -> str | None:
    """Find what the sums of a run's lines begin with.

    None where there is no manifest, or one from before there were chains.
    """
    there = (workdir / MANIFEST).exists()
    return read_manifest(workdir).get("chain") if there else None


def compares(workdir: Path) -> bool:
    """Whether what is measured again must be what is written.

    Not in a run that went on with another computation.
    """
    there = (workdir / MANIFEST).exists()
    return not (there and read_manifest(workdir).get("accepted_drift"))


class _Told(NamedTuple):
    """What tells which lines of a program must be there.

    Attributes:
        recorded: the steps that have records, or had when the manifest was written.
        saved: the steps that have checkpoints.
    """

    recorded: set[int]
    saved: list[int]


def lost_step(
    program: Program,
    written: Mapping[str, set[int]],
    saved: list[int],
    manifest: Mapping[str, Any],
) -> int | None:
    """Find the first step of a program whose lines must have been there, and are not.

    Args:
        program: of the run.
        written: the steps that have lines, by file.
        saved: the steps that have checkpoints.
        manifest: of the run.
    """
    evidence = _Told(written[RECORDS] | _noted(program, manifest), saved)
    lost = {
        step
        for name in written
        for step in _asked(name, program, evidence, manifest) - written[name]
    }
    return min(lost, default=None)


def stops_of(program: Program) -> tuple[int, ...]:
    """List the steps at which a program is evaluated, the untrained one first.

    Example:
        >>> stops_of(Program(steps=20, evaluations=2))
        (0, 10, 20)
    """
    return (0, *program.evaluation_steps())


def checkpoint_steps(workdir: Path, program: str) -> list[int]:
    """List the steps of a program's checkpoints, whole or not, by their folders."""
    folders = (workdir / CHECKPOINTS / program).glob("*")
    return sorted(int(path.name) for path in folders if path.name.isdecimal())


def _sealed(workdir: Path, name: str, chain: str | None) -> list[SealedLine]:
    begins = first_sum(name, chain)
    return list(read_sealed(workdir / name, begins, may_be_bare=chain is None))


def _evidence(
    workdir: Path, study: Study, name: str, manifest: Mapping[str, Any]
) -> dict[str, _Told]:
    """Collect what tells of the lines of a file, by the id of the program."""
    records = [] if name == RECORDS else _sealed(workdir, RECORDS, manifest["chain"])
    recorded = steps_by_program(records)
    return {
        program.id: _Told(
            recorded.get(program.id, set()) | _noted(program, manifest),
            checkpoint_steps(workdir, program.id),
        )
        for program in study.programs()
    }


def _noted(program: Program, manifest: Mapping[str, Any]) -> set[int]:
    """List the steps whose records were there when the manifest was written."""
    last = manifest.get("recorded", {}).get(program.id, -1)
    return {step for step in stops_of(program) if step <= last}


def _asked(
    name: str, program: Program, evidence: _Told, manifest: Mapping[str, Any]
) -> set[int]:
    """List the steps whose lines a file must have, by what else is there."""
    recorded = evidence.recorded
    if name == RECORDS:
        reached = max([*recorded, *evidence.saved], default=0)
        return {step for step in stops_of(program) if step < reached} | recorded
    if name in (LAYERS, FILTERS):
        return {0, program.steps} & recorded
    if name == READINGS:
        begun = manifest.get("programs", {}).get(program.id, {})
        return set(begun.get("readings", {}).get("steps", ())) & recorded
    return {0} & recorded if manifest.get("spectra") else set()


def _check_steps(
    path: Path,
    lines: list[SealedLine],
    study: Study,
    evidence: Mapping[str, _Told],
    manifest: Mapping[str, Any],
) -> None:
    """Make sure that no line is missing, and none is there that no plan asks for.

    Raises: UserError naming the steps.
    """
    written = steps_by_program(lines)
    for program in study.programs():
        there, told = written.get(program.id, set()), evidence[program.id]
        if path.name == RECORDS:
            told = told._replace(recorded=told.recorded | there)
        gone = sorted(_asked(path.name, program, told, manifest) - there)
        if gone:
            steps, label = ", ".join(map(str, gone)), study.label(program)
            raise damaged_lines(
                path, f"the lines of step {steps} of {label} are missing"
            )
        odd = sorted(there - set(stops_of(program)))
        if odd:
            raise other_version(
                path.parent, f"a line of step {odd[0]} of {study.label(program)}"
            )


def steps_by_program(lines: list[SealedLine]) -> dict[str, set[int]]:
    """Collect the steps that lines are of, by the id of the program.

    Example:
        >>> steps_by_program([SealedLine({"program": "3f2a", "step": 0}, None)])
        {'3f2a': {0}}
    """
    steps: dict[str, set[int]] = {}
    for line in lines:
        steps.setdefault(line.content["program"], set()).add(line.content["step"])
    return steps


def _check_shapes(
    workdir: Path, name: str, lines: list[SealedLine], study: Study
) -> None:
    """Make sure that lines are of the study's programs and members.

    Raises: UserError if another version, or another hand, wrote them.
    """
    ids = {program.id for program in study.programs()}
    count = _rows(name, study)
    for line in lines:
        if line.content["program"] not in ids:
            raise other_version(
                workdir, "records of programs its study does not have here"
            )
        for metric, values in line.content["values"].items():
            if not (isinstance(values, list) and len(values) == count):
                raise other_version(
                    workdir,
                    f"{metric} of step {line.content['step']} in {name} that is not of "
                    f"{count} rows",
                )
            if line.sum is None and not all(map(_is_number, _flat(values))):
                raise other_version(workdir, f"{metric} in {name} that is no number")


def _rows(name: str, study: Study) -> int:
    """Count what a line has a number, or an array, of."""
    if name == FILTERS:
        return sum(member.seed == study.seeds[0] for member in study.members())
    if name == SPECTRA:
        return len(study.schemes) * len(study.seeds)
    return len(study.schemes if name == PREDICTIONS else study.members())


def _flat(values: Any) -> Iterator[Any]:
    if not isinstance(values, list):
        yield values
        return
    for value in values:
        yield from _flat(value)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
