"""A run of a benchmark's net on one core, and on several that share it."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import children
from benchmarks.cases import BATCH_SIZE
from benchmarks.crews import ROOT
from benchmarks.sessions import training_seconds
from init_study.errors import UserError
from init_study.store import RECORDS

# What the launcher is told to train nets of `benchmarks.cases`, on digits of a size.
CASES = {
    "tiny": ("--study.depth=4", "--study.width=16"),
    "small": ("--study.model=benchmarks.models:Small", "--study.image_size=28"),
    "lenet": ("--study.model=lenet", "--study.image_size=28"),
}
WAYS = ("one", "hosts", "apart")
_FIRST_STEPS = 8
_LIMIT = 3600.0


class Shared(NamedTuple):
    """What is run.

    Attributes:
        case: by name.
        members: seeds of it.
        hosts: processes that share them, each with a core.
        steps: of a member.
    """

    case: str
    members: int
    hosts: int
    steps: int = _FIRST_STEPS


class Taken(NamedTuple):
    """What a run took.

    Attributes:
        training: seconds in steps, of the host with the most.
        command: seconds from the start of the first process to the end of the last.
        records: all that it recorded.
    """

    training: float
    command: float
    records: bytes


def steps_for(shared: Shared, seconds: float) -> int:
    """Find how many steps one core takes in some seconds, from two short runs.

    What a run needs at first is the same in both.

    Args:
        shared: what is run, of few steps.
        seconds: of training.
    """
    for way in WAYS:
        run(way, shared)
    longer = shared._replace(steps=4 * _FIRST_STEPS)
    few, more = (run("one", one).training for one in (shared, longer))
    each = max((more - few) / (3 * _FIRST_STEPS), 1e-4)
    return max(_FIRST_STEPS, round(seconds / each))


def turn(shared: Shared) -> dict[str, float]:
    """Run a case on one core and on several.

    Args:
        shared: what is run.

    Returns: member-steps per second of one; how many times as fast others train, and
        hosts end.

    Raises: UserError if hosts have other records than one.
    """
    taken = {way: run(way, shared) for way in WAYS}
    one, hosts, apart = (taken[way] for way in WAYS)
    if one.records != hosts.records:
        case, count = shared.case, shared.hosts
        raise UserError(f"{case}: {count} hosts recorded what one does not")
    return {
        "rate": shared.steps * shared.members / one.training,
        "hosts": one.training / hosts.training,
        "apart": one.training / apart.training,
        "command": one.command / hosts.command,
    }


def run(way: str, shared: Shared) -> Taken:
    """Run a case on one core or on several, each with a process.

    Args:
        way: "one", "hosts", which share it, or "apart".
        shared: what is run.

    Raises: UserError with the last line of a process that fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name), time.perf_counter()
        cores = sorted(os.sched_getaffinity(0))
        commands = _commands(way, shared)
        processes = []
        try:
            for place, (core, words) in enumerate(zip(cores, commands, strict=False)):
                processes.append(_begin(words, core, folder, place))
            codes = [one.wait(_LIMIT) for one in processes]
        finally:
            for one in processes:
                children.end(one)
        seconds = time.perf_counter() - began
        for place, code in enumerate(codes):
            if code:
                said = (folder / f"{place}.txt").read_text().strip().splitlines()
                last = said[-1] if said else f"exit code {code}"
                raise UserError(f"{shared.case}: {last}")
        runs = sorted(folder.glob("run*"))
        training = max(part for one in runs for part in training_seconds(one))
        return Taken(training, seconds, (runs[0] / RECORDS).read_bytes())


def _commands(way: str, shared: Shared) -> list[list[str]]:
    """Make the words of each process, which begins in a folder of its own."""
    seeds, hosts = [f"{seed}," for seed in range(shared.members)], shared.hosts
    if way == "one":
        return [[*_words(shared, seeds), "--workdir=run"]]
    if way == "apart":
        return [
            [*_words(shared, seeds[place::hosts]), f"--workdir=run{place}"]
            for place in range(hosts)
        ]
    port = _free_port()
    return [
        [
            *(*_words(shared, seeds), "--workdir=run", "--distributed"),
            *(f"--coordinator=localhost:{port}", f"--processes={hosts}"),
            f"--process={place}",
        ]
        for place in range(hosts)
    ]


def _words(shared: Shared, seeds: list[str]) -> list[str]:
    study = (
        *("schemes=he_normal", "learning_rates=0.01", f"seeds={''.join(seeds)}"),
        *(f"batch_size={BATCH_SIZE}", f"steps={shared.steps}", "evaluations=1"),
    )
    own = [f"--study.{field}" for field in study]
    return [sys.executable, str(ROOT / "launch.py"), "run", *own, *CASES[shared.case]]


def _begin(
    words: list[str], core: int, folder: Path, place: int
) -> subprocess.Popen[bytes]:
    """Start a process that has one core: it has those of the one that starts it."""
    before = os.sched_getaffinity(0)
    found = os.pathsep.join([str(ROOT), *sys.path])
    os.sched_setaffinity(0, {core})
    try:
        with (folder / f"{place}.txt").open("wb") as log:
            return children.begin(
                words,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": found},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
    finally:
        os.sched_setaffinity(0, before)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]
