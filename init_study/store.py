"""What a run keeps on disk, and nothing else touches these files.

    workdir/
      manifest.json        what ran, on what, from which data; replaced atomically
      records.jsonl        one line per program and step; appended, never rewritten
      checkpoints/ID/      Orbax checkpoints of one program's population
      .lock                held while a process runs here

A line of `records.jsonl` holds one number per member and metric:

    {"program": "3f2a...", "step": 20, "values": {"validation/accuracy": [0.1, ...]}}

`load` turns the lines into a table with one *record* (member, split, step, metric,
value) a row.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from init_study.errors import UserError
from init_study.study import Member, Program, Study, differing_fields

MANIFEST = "manifest.json"
RECORDS = "records.jsonl"
_LOCK = ".lock"

Values = Mapping[str, np.ndarray]


def open_workdir(workdir: Path, study: Study) -> None:
    """Make the folder, or make sure that it belongs to this very study.

    Raises: UserError if it is a file, cannot be written, holds another study (naming
    the fields that differ), or holds files that are not a study's.
    """
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is a file; name a folder")
    if (workdir / MANIFEST).exists():
        there = Study.from_dict(read_manifest(workdir)["study"])
        if there.hash != study.hash:
            fields = "; ".join(differing_fields(study, there))
            raise UserError(
                f"--workdir={workdir} holds another study ({fields}); "
                "name another folder, or none for one of the study's own"
            )
    elif workdir.is_dir() and any(p.name != _LOCK for p in workdir.iterdir()):
        raise UserError(
            f"--workdir={workdir} holds other files and no {MANIFEST}; "
            "name an empty or a new folder"
        )
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--workdir={workdir}: {error.strerror}") from None
    if not os.access(workdir, os.W_OK | os.X_OK):
        raise UserError(f"--workdir={workdir} cannot be written to; name another folder")


@contextlib.contextmanager
def lock(workdir: Path) -> Iterator[None]:
    """Hold the folder for this process. The system lets go when the process ends,
    however it ends.

    Raises: UserError naming the process that holds it.
    """
    with open(workdir / _LOCK, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UserError(
                f"--workdir={workdir} is in use by {holder}; "
                "wait for it, stop it, or name another folder"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def write_manifest(workdir: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest in one step: a reader sees the old or the new one."""
    write_atomically(workdir / MANIFEST, json.dumps(manifest, indent=1) + "\n")


def read_manifest(workdir: Path) -> dict[str, Any]:
    """Raises: UserError if the folder holds no run."""
    try:
        return json.loads((workdir / MANIFEST).read_text())
    except FileNotFoundError:
        raise UserError(f"{workdir} holds no run: it has no {MANIFEST}") from None


def write_atomically(path: Path, text: str) -> None:
    """Write beside, flush to the disk, then rename over."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


class Recorder:
    """Appends records; a line is on the disk when `append` returns.

    A run that starts again from a checkpoint meets steps that are written already.
    They are compared, not written twice: training is deterministic, and a difference
    means that something outside the study has changed.
    """

    def __init__(self, workdir: Path) -> None:
        self._path = workdir / RECORDS
        _drop_torn_line(self._path)
        self._written = {
            (line["program"], line["step"]): line["values"]
            for line in _read_lines(self._path)
        }

    def has(self, program: Program, step: int) -> bool:
        """Whether the records of this step are on the disk."""
        return (program.id, step) in self._written

    def append(self, program: Program, step: int, values: Values) -> None:
        """Write one number per member and metric: `values` maps
        `split/metric` to an array of shape [members].

        Raises: UserError if other numbers are written for this step already.
        """
        plain = {name: _plain(array) for name, array in values.items()}
        key = (program.id, step)
        if key in self._written:
            if self._written[key] != plain:
                raise UserError(
                    f"{self._path}: step {step} of program {program.id} came out "
                    "differently from what is written there; packages, devices or "
                    "XLA flags have changed. Start in a new folder: --workdir=DIR"
                )
            return
        line = {"program": program.id, "step": step, "values": plain}
        with open(self._path, "a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._written[key] = plain


def load(workdir: str | os.PathLike[str]) -> pd.DataFrame:
    """All records of a run as a table, one record a row.

    Columns: the id of the program and its axes (`program`, `dataset`, `model`,
    `depth`, ...), `scheme`, `learning_rate`, `seed`, `member`, `split` (train,
    validation, test), `step`, `metric` (loss, accuracy; `diverged_step` on the last
    step: the step at which training stopped being finite, else NaN), `value`.

    Raises: UserError if the folder holds no run.
    """
    folder = Path(workdir)
    study = Study.from_dict(read_manifest(folder)["study"])
    programs = {program.id: program for program in study.programs()}
    members = _member_columns(study.members())
    tables = [
        _line_table(line, programs[line["program"]], members)
        for line in _read_lines(folder / RECORDS)
    ]
    if not tables:
        raise UserError(f"{folder} holds no records yet; run the study first")
    return pd.concat(tables, ignore_index=True)


def _member_columns(members: tuple[Member, ...]) -> dict[str, Any]:
    columns: dict[str, Any] = {
        field.name: [getattr(m, field.name) for m in members]
        for field in dataclasses.fields(Member)
    }
    return columns | {"member": [member.name for member in members]}


def _line_table(
    line: Mapping[str, Any], program: Program, members: Mapping[str, Any]
) -> pd.DataFrame:
    tables = []
    for name, values in line["values"].items():
        split, metric = name.split("/")
        tables.append(
            pd.DataFrame(
                {"program": line["program"]}
                | dataclasses.asdict(program)
                | members
                | {"split": split, "step": line["step"], "metric": metric}
                | {"value": [float(value) for value in values]}
            )
        )
    return pd.concat(tables, ignore_index=True)


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines; a last line without its end was never a record."""
    if not path.exists():
        return
    with open(path) as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _drop_torn_line(path: Path) -> None:
    """Cut off what a killed process left of its last line."""
    if not path.exists():
        return
    with open(path, "rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _plain(array: np.ndarray) -> list[Any]:
    """JSON numbers: the shortest that give the same float32 back; NaN and infinities,
    which JSON does not have, as text."""
    numbers = [float(str(value)) for value in np.asarray(array)]
    return [n if np.isfinite(n) else str(n) for n in numbers]
