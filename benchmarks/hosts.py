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
from statistics import median

from absl import flags

from benchmarks.cases import BATCH_SIZE
from benchmarks.host_runs import CASES, Shared, steps_for, turn
from benchmarks.machine import cpu_name
from benchmarks.starting import check_file, keep, start
from init_study.errors import UserError, unknown
from init_study.host import usable_cores

_CASES = flags.DEFINE_list("cases", ["tiny", "small"], f"Of {', '.join(CASES)}.")
_HOSTS = flags.DEFINE_integer("hosts", 2, "Processes that share a run.", 2)
_MEMBERS = flags.DEFINE_integer("members", 16, "Of a run: seeds.", 2)
_SECONDS = flags.DEFINE_float("seconds", 40.0, "Of a run on one core, about.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns that are timed.", 1)
_JSON = flags.DEFINE_string("json", None, "File for all figures.")


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
        shared = Shared(case, _MEMBERS.value, _HOSTS.value)
        shared = shared._replace(steps=steps_for(shared, _SECONDS.value))
        found[case] = [turn(shared) for _ in range(_REPEATS.value)]
        keep(_JSON.value, found)
        columns = [
            _spread([one[name] for one in found[case]])
            for name in ("rate", "hosts", "apart", "command")
        ]
        print(f"| {case} | {shared.steps} | {' | '.join(columns)} |", flush=True)


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


def _spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    start(main)
