"""Records as TensorBoard's event files, while they are made: a run for each scheme.

    tensorboard --logdir WORKDIR/tensorboard

Tags are `PROGRAM_lr_RATE/SPLIT_METRIC`, in the letters that TensorBoard allows. The
value is the mean over the seeds that did not diverge so far; `low` and `high` are the
ends of its 95 % t interval, which the tab "Custom Scalars" draws as a band. Fresh
seeds, a run in a folder of its own, are not among them.
"""

import hashlib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from init_study.answers.statistics import t_interval
from init_study.answers.words import rate
from init_study.errors import extra
from init_study.store import RECORDS, read_lines, read_manifest
from init_study.study import Program, Study

EVENTS_FOLDER = "tensorboard"


class Scalars:
    """The event files of one run, kept up to date by `update`.

    What an earlier process has written is replaced: records are the truth, and a run
    that goes on repeats none of them.
    """

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir
        self._seen = 0
        self._writers: dict[str, Any] = {}

    def update(self) -> None:
        """Write what has come to the records since the last call."""
        lines = self._new_lines()
        if not lines:
            return
        study = Study.from_dict(read_manifest(self._workdir)["study"])
        programs = {program.id: program for program in study.programs()}
        if not self._writers:
            self._open(study)
        for line in lines:
            self._write(study, programs[line["program"]], line)
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """End the event files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _new_lines(self) -> list[dict[str, Any]]:
        lines = read_lines(self._workdir, RECORDS)
        new = lines[self._seen :]
        self._seen = len(lines)
        return new

    def _open(self, study: Study) -> None:
        # A second to import, which only those wait for who ask for it.
        with extra("tensorboard"):
            from tensorboardX import SummaryWriter

        folder = self._workdir / EVENTS_FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        self._writers = {
            scheme: SummaryWriter(str(folder / name))
            for scheme, name in _file_names(study.schemes).items()
        }
        first = next(iter(self._writers.values()))
        first.add_custom_scalars(_bands(study))

    def _write(self, study: Study, program: Program, line: dict[str, Any]) -> None:
        members = study.members()
        died = line["values"].get("train/diverged_step", [None] * len(members))
        alive = np.isnan(np.array(died, np.float64))
        for name, values in line["values"].items():
            if name == "train/diverged_step":
                continue
            numbers = np.array(values, np.float64)
            for scheme in study.schemes:
                for learning_rate in study.learning_rates:
                    ours = [
                        member.scheme == scheme
                        and member.learning_rate == learning_rate
                        for member in members
                    ]
                    own = numbers[alive & ours]
                    finite = own[np.isfinite(own)]
                    if len(finite):
                        tag = f"{_group(study, program, learning_rate)}/{_plain(name)}"
                        self._add(scheme, tag, finite, line["step"])

    def _add(self, scheme: str, tag: str, values: np.ndarray, step: int) -> None:
        writer, interval = self._writers[scheme], t_interval(values)
        writer.add_scalar(tag, interval.mean, step)
        if np.isfinite(interval.low):
            writer.add_scalar(f"{tag}/low", interval.low, step)
            writer.add_scalar(f"{tag}/high", interval.high, step)


def _group(study: Study, program: Program, learning_rate: float) -> str:
    return _plain(f"{study.label(program)} lr={rate(learning_rate)}")


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in text)


def _bands(study: Study) -> dict[str, Any]:
    """Lay out the tab with bands."""
    charts = ("validation_accuracy", "train_loss")
    return {
        group: {
            chart: [
                "Margin",
                [f"{group}/{chart}{end}" for end in ("", "/low", "/high")],
            ]
            for chart in charts
        }
        for program in study.programs()
        for learning_rate in study.learning_rates
        for group in (_group(study, program, learning_rate),)
    }


def _file_names(schemes: tuple[str, ...]) -> dict[str, str]:
    """Make each scheme a folder's name, which TensorBoard shows as that of the run."""
    names = {scheme: _readable(scheme) for scheme in schemes}
    taken = Counter(names.values())
    # Two schemes have two folders, and none has the one above.
    return {
        scheme: name
        if name == _short(name) and name.strip(".") and taken[name] == 1
        else f"{_short(name)}-{hashlib.sha256(repr(scheme).encode()).hexdigest()[:8]}"
        for scheme, name in names.items()
    }


def _readable(scheme: str) -> str:
    return "".join(c if c.isalnum() or c in "._-()=," else "_" for c in scheme)


def _short(name: str) -> str:
    return name.encode()[:200].decode("utf-8", "ignore")
