"""What is gained by hosts that share a run, tried with processes of one core each.

    python -m benchmarks.hosts --cases=tiny,small --seconds=40 --repeats=3

The same study is run by one process on one core, by `--hosts` processes on a core
each that share it as `--distributed` has it, and by as many that know nothing of one
another, each with its part of the seeds: what the machine can give. They take turns; a
turn before the first fills the folder of compiled programs and says how many steps take
`--seconds` on one core. Prints as a Markdown table, median (least to greatest):
member-steps per second of training on one core; and how many times that hosts train,
processes apart train, and hosts are done with the whole command. The slowest counts.
Records of hosts that are not those of one to the byte end it.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from absl import flags

from benchmarks import children
from benchmarks.cases import BATCH_SIZE
from benchmarks.crews import ROOT
from benchmarks.machine import cpu_name
from benchmarks.sessions import training_seconds
from benchmarks.starting import check_file, keep, start
from init_study.errors import UserError, unknown
from init_study.host import usable_cores
from init_study.store import RECORDS

# What the launcher is told to train nets of `benchmarks.cases`, on digits of a size.
CASES = {
    "tiny": ("--study.depth=4", "--study.width=16"),
    "small": ("--study.model=benchmarks.models:Small", "--study.image_size=28"),
    "lenet": ("--study.model=lenet", "--study.image_size=28"),
}
_CASES = flags.DEFINE_list("cases", ["tiny", "small"], f"Of {', '.join(CASES)}.")
_HOSTS = flags.DEFINE_integer("hosts", 2, "Processes that share a run.", 2)
_MEMBERS = flags.DEFINE_integer("members", 16, "Of a run: seeds.", 2)
_SECONDS = flags.DEFINE_float("seconds", 40.0, "Of a run on one core, about.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns that are timed.", 1)
_JSON = flags.DEFINE_string("json", None, "File for all figures.")
_FIRST_STEPS = 8
_WAYS = ("one", "hosts", "apart")
_LIMIT = 3600.0


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


def main(_: list[str]) -> None:
    """Print a row as each case ends."""
    check_file(_JSON.value)
    check(_CASES.value, _HOSTS.value)
    found: dict[str, list[dict[str, float]]] = {}
    print(
        f"{cpu_name()}, {usable_cores()} cores; {_HOSTS.value} processes of one core, "
        f"{_MEMBERS.value} members, batch {BATCH_SIZE}\n\n"
        "| case | steps | member-steps/s, one | hosts | apart | whole command |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for case in _CASES.value:
        steps = steps_for(case, _SECONDS.value)
        found[case] = [turn(case, steps) for _ in range(_REPEATS.value)]
        keep(_JSON.value, found)
        columns = [
            _spread([one[name] for one in found[case]])
            for name in ("rate", "hosts", "apart", "command")
        ]
        print(f"| {case} | {steps} | {' | '.join(columns)} |", flush=True)


def check(cases: list[str], hosts: int) -> None:
    """Refuse what cannot be measured here.

    Args:
        cases: by name.
        hosts: each with a core of its own.

    Raises: UserError naming the nearest case; or what is missing.
    """
    for case in cases:
        if case not in CASES:
            raise unknown("case", case, CASES, ", ".join(CASES))
    if not hasattr(os, "sched_setaffinity"):
        raise UserError("processes cannot be kept to a core here; measure on Linux")
    if hosts > usable_cores():
        raise UserError(
            f"--hosts={hosts}: {usable_cores()} cores can be used; give at most so many"
        )
    if hosts > _MEMBERS.value:
        raise UserError(f"--members={_MEMBERS.value}: give one for each host at least")


def steps_for(case: str, seconds: float) -> int:
    """Find how many steps one core takes in some seconds, from two short runs.

    What a run needs at first is the same in both.

    Args:
        case: by name.
        seconds: of training.
    """
    for way in _WAYS:
        run(way, case, _FIRST_STEPS)
    few, more = (run("one", case, n * _FIRST_STEPS).training for n in (1, 4))
    each = max((more - few) / (3 * _FIRST_STEPS), 1e-4)
    return max(_FIRST_STEPS, round(seconds / each))


def turn(case: str, steps: int) -> dict[str, float]:
    """Run a case on one core and on several.

    Args:
        case: by name.
        steps: of a member.

    Returns: member-steps per second of one; how many times as fast others train, and
        hosts end.

    Raises: UserError if hosts have other records than one.
    """
    taken = {way: run(way, case, steps) for way in _WAYS}
    one, hosts, apart = (taken[way] for way in _WAYS)
    if one.records != hosts.records:
        raise UserError(f"{case}: {_HOSTS.value} hosts recorded what one does not")
    return {
        "rate": steps * _MEMBERS.value / one.training,
        "hosts": one.training / hosts.training,
        "apart": one.training / apart.training,
        "command": one.command / hosts.command,
    }


def run(way: str, case: str, steps: int) -> Taken:
    """Run a case on one core or on several, each with a process.

    Args:
        way: "one", "hosts", which share it, or "apart".
        case: by name.
        steps: of a member.

    Raises: UserError with the last line of a process that fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name), time.perf_counter()
        cores = sorted(os.sched_getaffinity(0))
        commands = _commands(way, case, steps)
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
                raise UserError(f"{case}: {said[-1] if said else f'exit code {code}'}")
        runs = sorted(folder.glob("run*"))
        training = max(part for one in runs for part in training_seconds(one))
        return Taken(training, seconds, (runs[0] / RECORDS).read_bytes())


def _commands(way: str, case: str, steps: int) -> list[list[str]]:
    """Make the words of each process, which begins in a folder of its own."""
    seeds, hosts = [f"{seed}," for seed in range(_MEMBERS.value)], _HOSTS.value
    if way == "one":
        return [[*_words(case, steps, seeds), "--workdir=run"]]
    if way == "apart":
        return [
            [*_words(case, steps, seeds[place::hosts]), f"--workdir=run{place}"]
            for place in range(hosts)
        ]
    port = _free_port()
    return [
        [
            *(*_words(case, steps, seeds), "--workdir=run", "--distributed"),
            *(f"--coordinator=localhost:{port}", f"--processes={hosts}"),
            f"--process={place}",
        ]
        for place in range(hosts)
    ]


def _words(case: str, steps: int, seeds: list[str]) -> list[str]:
    study = (
        *("schemes=he_normal", "learning_rates=0.01", f"seeds={''.join(seeds)}"),
        *(f"batch_size={BATCH_SIZE}", f"steps={steps}", "evaluations=1"),
    )
    own = [f"--study.{field}" for field in study]
    return [sys.executable, str(ROOT / "launch.py"), "run", *own, *CASES[case]]


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


def _spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    start(main)
