"""Parts of a run: processes that share a folder, each with some of its programs.

No process speaks to another. A program runs in a folder of its own, as waves do, and
the run's own folder is held only while its manifest is begun and while what a program
gave is put into its records. So any number of processes, on machines that see one
folder, share a study; whoever comes last finds all of it.
"""

import time
from pathlib import Path
from typing import NamedTuple

from absl import logging

from init_study import manifest, store
from init_study.control import Control, Outcome
from init_study.engine.tuning import check_memory
from init_study.errors import UserError
from init_study.plan import Plan, ProgramPlan
from init_study.run import begin_run, run_waves
from init_study.run_records import join_waves, open_recorders

# Seconds that a process waits for another to let go of the folder: whoever begins a
# run may time executions first.
PATIENCE = 600.0


class RunShare(NamedTuple):
    """A part of the programs of a run.

    Attributes:
        place: from 1.
        of: how many parts there are.
    """

    place: int
    of: int


WHOLE = RunShare(1, 1)


def parse_share(text: str) -> RunShare:
    """Read a part, as `3/8`.

    Raises: UserError for what is no part.

    Example:
        >>> parse_share("3/8")
        RunShare(place=3, of=8)
    """
    place, _, of = text.partition("/")
    if not all(one.isascii() and one.isdecimal() for one in (place, of)):
        raise UserError(f"--part={text} is no part; write K/N, as --part=1/8")
    part = RunShare(int(place), int(of))
    if not 1 <= part.place <= part.of:
        raise UserError(
            f"--part={text}: there are parts 1/{max(part.of, 1)} to "
            f"{max(part.of, 1)}/{max(part.of, 1)}"
        )
    return part


def programs_of(plan: Plan, part: RunShare) -> tuple[ProgramPlan, ...]:
    """List the programs of a part: each Nth, from its place on.

    Args:
        plan: of the whole study.
        part: of it.
    """
    return plan.programs[part.place - 1 :: part.of]


def run_share(
    plan: Plan, workdir: Path, command: str, part: RunShare, control: Control
) -> Outcome:
    """Train what a part has left, beside other parts in the same folder.

    Args:
        plan: of `make_plan`, of the whole study.
        workdir: of the whole run; made if it is not there.
        command: how to repeat it.
        part: which programs.
        control: how the run is watched and stopped.

    Returns: whether the programs of the part are done, and what was taken.
    Raises: UserError as `run.run` does; also for spectra, and if the folder, or the
        program's own, is another process's for long.
    """
    if control.spectra:
        raise UserError(
            "--spectra is measured by a run of the whole study; leave it out, or --part"
        )
    began, taken = time.time(), 0
    store.open_workdir(workdir, plan.study)
    with store.lock(workdir, wait=PATIENCE):
        resumed = (workdir / store.MANIFEST).exists()
        plan, _ = begin_run(plan, workdir, command, control)
    if not programs_of(plan, part):
        logging.warning(
            "part %d of %d has none of the %d programs: there are as many parts at "
            "most as programs",
            *(*part, len(plan.programs)),
        )
    for program in programs_of(plan, part):
        started = time.time()
        one = program.program
        if store.last_steps(workdir).get(one.id) == one.steps:
            continue
        if control.stop_requested():
            return Outcome(False, taken, time.time() - began)
        if resumed:
            check_memory(plan, program)
        steps, finished = run_waves(plan, program, workdir, command, control)
        taken += steps
        if not finished:
            return Outcome(False, taken, time.time() - began)
        with store.lock(workdir, wait=PATIENCE):
            recorders = open_recorders(workdir, False, bool(plan.study.instruments))
            join_waves(recorders, plan, program, workdir)
            seconds, reached = time.time() - started, recorders.records.reached()
            spent = {"waves": round(seconds, 2)}
            manifest.add_session(workdir, started, seconds, steps, spent, reached)
        control.recorded()
    return Outcome(True, taken, time.time() - began)
