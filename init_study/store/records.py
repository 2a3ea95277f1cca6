"""Records: numbers per member, split, step and metric, or per layer as well.

They are appended, never rewritten.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from init_study.errors import ExitCode, UserError
from init_study.store.completeness import chain_of, compares, read_lines, sealed_lines
from init_study.store.lines import append_line, drop_torn_line, first_sum
from init_study.store.run_files import CHECKPOINTS, FRESH, MANIFEST, RECORDS, WAVES
from init_study.study import Program

Metrics = Mapping[str, np.ndarray]


class Recorder:
    """A file that records are appended to; a line is on the disk when `append` returns.

    A run that starts again from a checkpoint meets steps that are written already.
    They are compared, not written twice: training is deterministic, and a difference
    means that something outside the study has changed. Where that was accepted, what
    is written stays.

    Example:
        >>> recorder = Recorder(Path("."))
        >>> recorder.append(Program(), 0, {"validation/loss": np.array([2.0, 4.0])})
        >>> recorder.has(Program(), 0), recorder.has(Program(), 20)
        (True, False)
    """

    def __init__(self, workdir: Path, name: str = RECORDS) -> None:
        self._path = workdir / name
        drop_torn_line(self._path)
        self._sum: str | None = first_sum(name, chain_of(workdir))
        self._compares = compares(workdir)
        # Digests: what thousands of members gave would be kept a second time.
        self._written: dict[tuple[str, int], bytes] = {}
        for line in sealed_lines(workdir, name):
            key = line.content["program"], line.content["step"]
            self._written[key] = _digest(line.content["values"])
            self._sum = line.sum

    def has(self, program: Program, step: int) -> bool:
        """Say whether the records of this step are on the disk."""
        return (program.id, step) in self._written

    def reached(self) -> dict[str, int]:
        """Find the last step with records, by program id."""
        steps: dict[str, int] = {}
        for name, step in self._written:
            steps[name] = max(step, steps.get(name, step))
        return steps

    def append(self, program: Program, step: int, values: Metrics) -> None:
        """Write one number per member and metric.

        Args:
            program: that they are of.
            step: after which they were measured.
            values: `split/metric` to an array `[members]`; in the file of layers,
                `metric` to `[members, layers]`.

        Raises: UserError if other numbers are written for this step already.
        """
        plain = {name: _plain(array) for name, array in values.items()}
        key = (program.id, step)
        if key in self._written:
            if self._compares and self._written[key] != _digest(plain):
                raise UserError(
                    f"{self._path}: step {step} of program {program.id} came out "
                    "differently from what is written there; packages, devices or "
                    "XLA flags have changed. Start in a new folder: --workdir=DIR",
                    ExitCode.DAMAGED,
                )
            return
        line = {"program": program.id, "step": step, "values": plain}
        self._sum = append_line(self._path, line, self._sum)
        self._written[key] = _digest(plain)


def last_steps(workdir: Path) -> dict[str, int]:
    """Find the last step with records, by program id. Reads only."""
    steps: dict[str, int] = {}
    for line in read_lines(workdir, RECORDS):
        name, step = line["program"], line["step"]
        steps[name] = max(step, steps.get(name, step))
    return steps


def fresh_runs_in(workdir: Path) -> dict[str, Path]:
    """Find the folders of fresh seeds that have records, by program id.

    Args:
        workdir: of a run.

    Example:
        >>> fresh_runs_in(Path("."))
        {}
    """
    folders = sorted(path for path in workdir.glob(f"{FRESH}/*/") if _has_begun(path))
    return {folder.name: folder for folder in folders}


def wave_runs_in(workdir: Path, program: str) -> list[Path]:
    """Find the folders of a program's waves that have begun, in their order.

    Args:
        workdir: of a run.
        program: its id.

    Example:
        >>> wave_runs_in(Path("."), "3f2a")
        []
    """
    folders = sorted((workdir / WAVES).glob(f"{program}-*/"))
    return [folder for folder in folders if (folder / MANIFEST).exists()]


def wave_folder(workdir: Path, program: str, wave: int) -> Path:
    """Name the folder of a wave.

    Args:
        workdir: of the run.
        program: its id.
        wave: which one, from 0.

    Example:
        >>> wave_folder(Path("runs"), "3f2a", 7).as_posix()
        'runs/waves/3f2a-0007'
    """
    return workdir / WAVES / f"{program}-{wave:04d}"


def _has_begun(folder: Path) -> bool:
    """Whether a run has records, or is past some: those that are gone are missed."""
    records = folder / RECORDS
    return bool(
        (records.exists() and b"\n" in records.read_bytes())
        or any(folder.glob(f"{CHECKPOINTS}/*/[1-9]*"))
    )


def _digest(values: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()


def _plain(array: np.ndarray) -> list[Any]:
    """Turn an array into JSON numbers: the shortest that give the same float32 back.

    NaN and infinities, which JSON does not have, are text.
    """
    if np.ndim(array) > 1:
        return [_plain(row) for row in array]
    numbers = [float(str(value)) for value in np.asarray(array)]
    return [n if np.isfinite(n) else str(n) for n in numbers]
