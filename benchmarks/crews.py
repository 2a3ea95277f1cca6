"""Worker processes: how they start, take turns and end.

Workers wait on their input between turns, so that one way at a time has the machine.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from benchmarks import children
from benchmarks.children import Interrupted
from benchmarks.groups import Group

ROOT = Path(__file__).resolve().parents[1]
_WINDOW_PARTS = 20
# Seconds between looks at what was received, while an answer is waited for.
_LOOK = 0.2


class Settings(NamedTuple):
    """What every worker of a case is told.

    Attributes:
        case: a name in `cases.CASES`.
        members: nets to train.
        steps: per turn; 0 for as many as fit `seconds`.
        seconds: of a turn, about.
        limit: seconds for an answer, at most.
        execution: of this engine; empty for its own choice.
        received: signals, as they come: the first ends all waiting.
    """

    case: str
    members: int
    steps: int
    seconds: float
    limit: float
    execution: str = ""
    received: Sequence[Any] = ()


class Worker(NamedTuple):
    """A process of `benchmarks.worker`, and the file of what it says on stderr."""

    process: subprocess.Popen[bytes]
    log: IO[bytes]


class Turn(NamedTuple):
    """One turn of a way.

    Attributes:
        rate: member-steps (GFLOP of `matmul`) per wall second.
        cpu_seconds: of all threads and processes, per member-step (per GFLOP).
        seconds: that it took.
    """

    rate: float
    cpu_seconds: float
    seconds: float


class Crew(NamedTuple):
    """A group's processes, ready.

    Attributes:
        workers: its processes.
        steps: of one turn, by way.
        rates: member-steps per second as it was set up, by way, about.
        once: the one turn of each way that is too slow for others.
    """

    workers: list[Worker]
    steps: dict[str, int]
    rates: dict[str, float]
    once: dict[str, Turn]


def set_up(
    group: Group, settings: Settings, fastest: float = 0.0
) -> tuple[Crew | None, dict[str, str]]:
    """Start a group's processes and wait until every way of it is calibrated.

    Args:
        group: of ways.
        settings: of the case.
        fastest: member-steps per second of the fastest way that is known; one that is
            far behind takes one step and no turn.

    Returns: the crew, None if no way of it runs, and by way why one does not.
    Raises: Interrupted after a signal; no process is left then.
    """
    problems: dict[str, str] = {}
    while ways := [way for way in group.ways if way not in problems]:
        crew = Crew([], {}, {}, {})
        try:
            for _ in range(group.processes):
                crew.workers.append(_start(group, ways, settings, fastest))
            found, all_answered = _calibrated(crew, ways, settings)
        except Interrupted:
            stop(crew.workers)
            raise
        problems |= found
        if all_answered and crew.steps:
            return crew, problems
        # The one that hung is gone; the others of its group get a new process.
        stop(crew.workers)
    return None, problems


def _calibrated(
    crew: Crew, ways: Sequence[str], settings: Settings
) -> tuple[dict[str, str], bool]:
    """Read what each way says of itself into the crew.

    Returns: by way why one does not run, and whether all have answered.
    """
    problems: dict[str, str] = {}
    for way in ways:
        try:
            answers = [
                read(worker, settings.limit, settings.received)
                for worker in crew.workers
            ]
        except (TimeoutError, EOFError) as error:
            return problems | {way: str(error)}, False
        errors = [answer["error"] for answer in answers if "error" in answer]
        if errors:
            problems[way] = errors[0]
            continue
        crew.steps[way] = answers[0]["steps"]
        crew.rates[way] = sum(answer["rate"] for answer in answers)
        once = [answer["once"] for answer in answers]
        if all(once):
            crew.once[way] = _as_turn(once)
    return problems, True


def take_turn(crew: Crew, way: str, settings: Settings) -> Turn:
    """Take one turn of every process of a crew, at once.

    Several processes train over one common window of time, from a moment that all of
    them wait for.

    Raises: TimeoutError or EOFError if one does not answer, Interrupted after a signal.
    """
    line = f"go {way}"
    if len(crew.workers) > 1:
        begin = time.monotonic() + 0.1
        line += f" {begin} {begin + settings.seconds}"
    for worker in crew.workers:
        assert worker.process.stdin is not None
        worker.process.stdin.write(f"{line}\n".encode())
    answers = [
        read(worker, settings.limit, settings.received) for worker in crew.workers
    ]
    return _as_turn(answers)


def _as_turn(answers: Sequence[dict[str, float]]) -> Turn:
    """Put together what the processes did at once."""
    return Turn(
        rate=sum(answer["done"] / answer["seconds"] for answer in answers),
        cpu_seconds=sum(answer["cpu_seconds"] for answer in answers)
        / sum(answer["done"] for answer in answers),
        seconds=max(answer["seconds"] for answer in answers),
    )


def stop(workers: Sequence[Worker]) -> None:
    """End them now; those that have ended stay so."""
    for worker in workers:
        children.end(worker.process)
        for stream in (worker.process.stdin, worker.process.stdout, worker.log):
            if stream is not None:
                stream.close()


def probe(
    cases: Sequence[str], limit: float, received: Sequence[Any] = ()
) -> dict[str, Any]:
    """Find what JAX finds here, and each case's work of a member-step in GFLOP.

    In a process of its own: this one must not hold a device.

    Args:
        cases: names in `cases.CASES`.
        limit: seconds for the answer, at most.
        received: signals, as they come: the first ends all waiting.

    Raises: TimeoutError, EOFError, Interrupted as `read` does.
    """
    worker = spawn([f"--probe={','.join(cases)}"], {})
    try:
        return read(worker, limit, received)
    finally:
        stop([worker])


def _start(
    group: Group, ways: Sequence[str], settings: Settings, fastest: float
) -> Worker:
    several = group.processes > 1
    # A window is filled with short pieces of work, so that all end at about one time.
    seconds = settings.seconds / _WINDOW_PARTS if several else settings.seconds
    arguments = {
        "case": settings.case,
        "ways": ",".join(ways),
        "members": max(1, settings.members // group.processes),
        "steps": settings.steps,
        "seconds": seconds,
        "threads": group.threads,
        "execution": settings.execution,
        "fastest": fastest / group.processes,
    }
    only_torch = ways[0].startswith("torch")
    return spawn(
        [f"--{name}={value}" for name, value in arguments.items()],
        _variables_of_torch(group.threads) if only_torch else {},
    )


def _variables_of_torch(threads: int) -> dict[str, str]:
    """Say how many threads there are, and that float32 is multiplied as float32.

    Some processors would round factors to bfloat16 else, if a machine is set up so.
    """
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",
    }


def spawn(
    arguments: list[str], variables: dict[str, str], module: str = "benchmarks.worker"
) -> Worker:
    """Start a process that talks in JSON lines.

    Args:
        arguments: flags of `benchmarks.worker`.
        variables: of its environment, on top of those here.
        module: what it runs.
    """
    # JAX and PyTorch share an accelerator's memory.
    shared = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    log = tempfile.TemporaryFile()
    process = children.begin(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **shared, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        # Unbuffered: `select` must see every line that is there.
        bufsize=0,
    )
    return Worker(process, log)


def read(worker: Worker, limit: float, received: Sequence[Any] = ()) -> dict[str, Any]:
    """Read the next answer.

    Args:
        worker: that gives it.
        limit: seconds to wait.
        received: signals; the first that comes ends the waiting.

    Raises: TimeoutError after `limit` seconds, EOFError if the process has ended,
        Interrupted after a signal.
    """
    stdout = worker.process.stdout
    assert stdout is not None
    until = time.monotonic() + limit
    while not select.select([stdout], [], [], min(limit, _LOOK))[0]:
        if received:
            raise Interrupted
        if time.monotonic() >= until:
            raise TimeoutError(f"no answer within {limit:g} s")
    line = stdout.readline()
    if not line:
        code = worker.process.wait()
        worker.log.seek(0)
        said = worker.log.read().decode(errors="replace").strip().splitlines()
        raise EOFError(f"ended with {code}: {said[-1] if said else ''}")
    return json.loads(line)
