"""What it costs to run members in waves, beside the same members side by side.

    python -m benchmarks.waves --waves=4 --repeats=3

The same study of digits runs in one wave and in several, turn by turn in one process,
now the one and now the other first, each in a folder of its own from its plan to its
last record. The first turn, which warms up, is not counted, and no compiled program is
kept between runs. Prints the seconds of both and what each wave costs, the difference
by the number of waves: of the clock; of the processor, which other work on the machine
moves less; and of the clock outside of steps, which their speed does not move.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from absl import flags, logging

from benchmarks.machine import cpu_name
from benchmarks.sessions import training_seconds
from benchmarks.starting import start
from init_study.control import Control
from init_study.engine.devices import prepare_jax
from init_study.host import usable_cores
from init_study.plan import Plan, make_plan
from init_study.run import begin_run, run
from init_study.study import Study

_WAVES = flags.DEFINE_integer("waves", 4, "Waves of the run that has several.", 2)
_SEEDS = flags.DEFINE_integer("seeds", 16, "Each with nine members.", 2)
_STEPS = flags.DEFINE_integer("steps", 20, "Of a member, of batches of 16.", 1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns that are timed.", 1)
_NAMES = ("of the clock", "of the processor", "outside of steps")


def main(_: list[str]) -> None:
    """Print a line of each turn, and what comes out."""
    logging.set_verbosity(logging.WARNING)
    prepare_jax(None)
    study = Study(
        schemes=("he_normal", "zeros", "glorot_uniform"),
        learning_rates=(0.01, 0.1, 0.3),
        seeds=_SEEDS.value,
        depth=2,
        width=8,
        batch_size=16,
        steps=_STEPS.value,
        evaluations=2,
    )
    plan = make_plan(study)
    found: list[list[Taken]] = []
    print(f"{cpu_name()}, {usable_cores()} cores; {len(study.members())} members")
    for turn in range(_REPEATS.value + 1):
        # A machine that grows slower or faster meanwhile moves neither way alone.
        order = (1, _WAVES.value)[:: 1 if turn % 2 else -1]
        taken = {waves: run_seconds(plan, waves) for waves in order}
        both = [taken[waves] for waves in (1, _WAVES.value)]
        found += [both] if turn else []
        print(f"turn {turn}: " + " beside ".join(map(_text, both)), flush=True)
    for place, name in enumerate(_NAMES):
        costs = [(parted[place] - one[place]) / _WAVES.value for one, parted in found]
        print(
            f"a wave costs {median(costs):.2f} s {name} ({min(costs):.2f} to "
            f"{max(costs):.2f}), of {median(one[place] for one, _ in found):.1f} s "
            f"that one takes with all; n = {len(costs)}"
        )


class Taken(NamedTuple):
    """Seconds of a run: of the clock, of the processor, of the clock less steps."""

    clock: float
    processor: float
    outside: float


def _text(taken: Taken) -> str:
    return (
        f"{taken.clock:.2f} s (processor {taken.processor:.2f}, outside of steps "
        f"{taken.outside:.2f})"
    )


def run_seconds(plan: Plan, waves: int) -> Taken:
    """Run a plan in a new folder, and give the seconds that it took.

    Args:
        plan: of a study with one program.
        waves: at least so many.
    """
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder)
        began, spent = time.perf_counter(), time.process_time()
        begin_run(plan, workdir, "command", Control(), at_once=waves)
        assert run(plan, workdir, "command").finished
        clock, processor = time.perf_counter() - began, time.process_time() - spent
        return Taken(clock, processor, clock - sum(training_seconds(workdir)))


if __name__ == "__main__":
    start(main)
