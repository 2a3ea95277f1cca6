"""Processes of `benchmarks.accelerator`: started, waited for, paused, timed, ended."""

import hashlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import children, crews
from benchmarks.accelerator_items import PRECISIONS, VARIABLES, Item
from init_study.store.run_files import LAYERS, RECORDS

_POLL = 0.1
_STUDY = (
    "--study.dataset=digits --study.schemes=he_normal,torch,orthogonal,lecun_normal "
    "--study.learning_rates=0.05,0.2 --study.depth=4 --study.evaluations=4"
).split()


class Over(Exception):
    """Raised when no more is to be measured: the time is up, or a signal came."""


class Settings(NamedTuple):
    """What all items have in common.

    Attributes:
        members: nets to train.
        turn: seconds of a turn, about.
        turns: of each way.
        limit: seconds of an item, at most.
        steps: of the study.
        folder: for what studies write.
    """

    members: int
    turn: float
    turns: int
    limit: float
    steps: int
    folder: Path


class Clock(NamedTuple):
    """When to stop: at a moment of `time.monotonic`, or at the first signal."""

    end: float
    received: Sequence[signal.Signals]

    def left(self) -> float:
        """Find the seconds that are left."""
        return self.end - time.monotonic()

    def check(self) -> None:
        """Raise Over once there is a reason."""
        if self.received:
            raise Over(self.received[0].name)
        if self.left() <= 0:
            raise Over("the time is up")


@dataclass
class Job:
    """An item's process.

    Attributes:
        item: what it measures.
        execution: of this engine; empty for a peer.
        worker: the process.
        beside: other processes that were compiling when it began.
        began: at which moment; moved by as long as it was paused.
        about: its first answer.
        rate: member-steps per second, median of its turns.
        pauses: when it was stopped and went on, by `time.monotonic`.
    """

    item: Item
    execution: str
    worker: crews.Worker
    beside: int
    began: float = field(default_factory=time.monotonic)
    about: dict[str, Any] = field(default_factory=dict)
    rate: float = 0.0
    pauses: list[tuple[float, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Find how long it has run, pauses apart."""
        return time.monotonic() - self.began


def start(item: Item, execution: str, beside: int, settings: Settings) -> Job:
    """Start the process of an item; with an execution if it is this engine's."""
    variables = dict(VARIABLES.get(item.name.split("/")[0], {}))
    if "XLA_FLAGS" in variables:
        given = os.environ.get("XLA_FLAGS", "")
        variables["XLA_FLAGS"] = f"{given} {variables['XLA_FLAGS']}".strip()
    if item.part == "study":
        worker = _start_study(item, variables, settings)
        return Job(item, "", worker, beside)
    arguments = {
        "case": item.case,
        "ways": "ours" if execution else item.name,
        "members": settings.members,
        "seconds": settings.turn,
        "execution": execution,
    }
    if item.name in PRECISIONS:
        arguments["precision"] = item.name
    flags = [f"--{name}={value}" for name, value in arguments.items()]
    worker = crews.spawn(flags, variables, "benchmarks.held")
    return Job(item, execution, worker, beside)


def _start_study(
    item: Item, variables: dict[str, str], settings: Settings
) -> crews.Worker:
    """Run a study as a user does, in a folder and with a cache of its own."""
    folder = _folder(item, settings)
    # A compiled program that is kept would hide what compiling changes.
    own = {"XDG_CACHE_HOME": str(folder / "cache")}
    seeds = max(2, settings.members // 8)
    flags = [f"--study.seeds={seeds}", f"--study.steps={settings.steps}"]
    log = tempfile.TemporaryFile()
    process = children.begin(
        [
            *(sys.executable, str(crews.ROOT / "launch.py"), "run", *_STUDY, *flags),
            f"--workdir={folder / 'run'}",
        ],
        cwd=settings.folder,
        env={
            **os.environ,
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            **variables,
            **own,
        },
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    return crews.Worker(process, log)


def _folder(item: Item, settings: Settings) -> Path:
    return settings.folder / item.name.replace("/", "-")


def take_answers(jobs: Sequence[Job], settings: Settings, clock: Clock) -> None:
    """Wait a little for first answers, and note them in the jobs.

    A job past its limit is given the answer that it took too long.
    """
    clock.check()
    pipes = [job.worker.process.stdout for job in jobs if not job.about]
    select.select([pipe for pipe in pipes if pipe is not None], [], [], _POLL)
    for job in jobs:
        if not job.about:
            job.about = _first_answer(job, settings)


def _first_answer(job: Job, settings: Settings) -> dict[str, Any]:
    """Take what a job has answered, nothing if it is not ready."""
    if job.seconds > settings.limit:
        return {"error": f"not ready within {settings.limit:g} s"}
    if job.item.part == "study":
        code = job.worker.process.poll()
        return {} if code is None else _study_answer(job, settings, code)
    if not select.select([job.worker.process.stdout], [], [], 0)[0]:
        return {}
    try:
        about = crews.read(job.worker, 0.0)
    except EOFError as error:
        return {"error": str(error)}
    if "compile_seconds" in about:
        end = about.pop("compiled_at")
        began = end - about["compile_seconds"]
        about["compile_seconds"] -= overlap(job.pauses, began, end)
    return about


def overlap(pauses: Iterable[tuple[float, float]], began: float, end: float) -> float:
    """Find how much of the time between two moments pauses took."""
    return sum(max(0.0, min(end, b) - max(began, a)) for a, b in pauses)


def _study_answer(job: Job, settings: Settings, code: int) -> dict[str, Any]:
    """Hash what a study has recorded; no clock is read for any of it."""
    run = _folder(job.item, settings) / "run"
    digests = {
        name: hashlib.sha256((run / name).read_bytes()).hexdigest()
        for name in (RECORDS, LAYERS)
        if (run / name).exists()
    }
    found: dict[str, Any] = {"wall_seconds": job.seconds, "sha256": digests}
    if code:
        job.worker.log.seek(0)
        said = job.worker.log.read().decode(errors="replace").strip().splitlines()
        found["error"] = f"ended with {code}: {said[-1] if said else ''}"
    return found


def ask(job: Job, line: str, limit: float, clock: Clock) -> dict[str, Any]:
    """Tell a process a line, and wait for its answer.

    Raises: TimeoutError after `limit` seconds, EOFError if the process has ended,
        RuntimeError with the error that it answers, Over.
    """
    stdin, stdout = job.worker.process.stdin, job.worker.process.stdout
    assert stdin is not None
    try:
        stdin.write(f"{line}\n".encode())
    except BrokenPipeError:
        pass  # Reading says why.
    began = time.monotonic()
    while not select.select([stdout], [], [], _POLL)[0]:
        clock.check()
        if time.monotonic() - began > limit:
            raise TimeoutError(f"{line}: no answer within {limit:g} s")
    answer = crews.read(job.worker, 0.0)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer


def pause(jobs: Iterable[Job]) -> float:
    """Stop processes where they are, so that another has the machine; the moment."""
    for job in jobs:
        _send(job, signal.SIGSTOP)
    return time.monotonic()


def go_on(jobs: Iterable[Job], since: float) -> None:
    """Let paused processes go on; the time apart does not count."""
    for job in jobs:
        now = time.monotonic()
        job.pauses.append((since, now))
        job.began += now - since
        _send(job, signal.SIGCONT)


def _send(job: Job, number: signal.Signals) -> None:
    # One that has ended and was waited for has no such process any more.
    if job.worker.process.poll() is None:
        job.worker.process.send_signal(number)


def stop(jobs: Iterable[Job]) -> None:
    """End processes now, paused ones too."""
    crews.stop([job.worker for job in jobs])
