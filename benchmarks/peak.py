"""What memory a run in waves takes at its peak, and how it grows with the members.

    python -m benchmarks.peak --members=2000,4000,10000 --wave=500

Each number of members is a run of its own process: a small CNN on digits, of one scheme
and rate, a seed for each member, in waves of a given size. Prints the peak of resident
memory, the bytes of the run's records and of all training states, and the seconds. What
grows with a fixed size of waves is what is kept of those that are done: their records.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from absl import flags, logging

from benchmarks import children
from benchmarks.crews import ROOT
from benchmarks.machine import cpu_name
from benchmarks.starting import start
from init_study.control import Control
from init_study.engine.devices import num_bytes, prepare_jax
from init_study.engine.population import member_shapes
from init_study.errors import UserError
from init_study.host import usable_cores
from init_study.plan import make_plan
from init_study.run import begin_run, run
from init_study.study import Study

_MEMBERS = flags.DEFINE_list("members", ["2000", "4000", "10000"], "Members of a run.")
_WAVE = flags.DEFINE_integer("wave", 500, "Members of a wave, at most.", 1)
_STEPS = flags.DEFINE_integer("steps", 5, "Of a member, of batches of 16.", 1)
_DEPTH = flags.DEFINE_integer("depth", 2, "Of the net.", 1)
_WIDTH = flags.DEFINE_integer("width", 4, "Of the net.", 1)
_ONE = flags.DEFINE_boolean("one", False, "Run in this process, and print numbers.")
_LIMIT = 3600.0


def main(_: list[str]) -> None:
    """Print a row of the table as each run ends."""
    logging.set_verbosity(logging.WARNING)
    numbers = [int(text) for text in _MEMBERS.value]
    if _ONE.value:
        print(*run_once(numbers[0]))
        return
    print(
        f"{cpu_name()}, {usable_cores()} cores; waves of {_WAVE.value}, CNN of depth "
        f"{_DEPTH.value} and width {_WIDTH.value}, {_STEPS.value} steps\n\n"
        "| members | waves | peak, MB | records, MB | states, MB | seconds |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for members in numbers:
        print(row_of(members), flush=True)


def row_of(members: int) -> str:
    """Run in a process of its own, and make the row of the table.

    Args:
        members: of the run.

    Raises: UserError with its last line if it fails.
    """
    same = [f"--{flag.name}={flag.value}" for flag in (_WAVE, _STEPS, _DEPTH, _WIDTH)]
    words = ["-m", "benchmarks.peak", "--one", f"--members={members}", *same]
    pipe = subprocess.PIPE
    done = children.finish(
        [sys.executable, *words], _LIMIT, cwd=ROOT, stdout=pipe, stderr=pipe
    )
    if done.returncode:
        raise UserError(f"{members} members: {done.stderr.strip().splitlines()[-1]}")
    peak, records, states, seconds = map(float, done.stdout.split()[-4:])
    waves = -(-members // _WAVE.value)
    return (
        f"| {members:,} | {waves} | {peak / 1e6:,.0f} | {records / 1e6:.1f} | "
        f"{states / 1e6:.1f} | {seconds:.0f} |"
    )


def run_once(members: int) -> tuple[float, ...]:
    """Run members in waves, here.

    Args:
        members: of the run.

    Returns: bytes at the peak, of its records and of all training states; seconds.
    """
    prepare_jax(None)
    study = Study(
        schemes="he_normal",
        learning_rates=0.1,
        seeds=members,
        depth=_DEPTH.value,
        width=_WIDTH.value,
        batch_size=16,
        steps=_STEPS.value,
        evaluations=1,
    )
    plan = make_plan(study)
    with tempfile.TemporaryDirectory() as folder:
        workdir, began = Path(folder), time.monotonic()
        waves = -(-members // _WAVE.value)
        begin_run(plan, workdir, "command", Control(), at_once=waves)
        assert run(plan, workdir, "command").finished
        seconds = time.monotonic() - began
        records = sum(path.stat().st_size for path in workdir.glob("*.jsonl"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    states = members * num_bytes(member_shapes(plan.programs[0]))
    return peak, records, states, seconds


if __name__ == "__main__":
    start(main)
