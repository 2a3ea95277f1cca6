"""The run of a study: plan in, records and checkpoints out, program by program.

`run_program` trains a program whose members fit side by side; of others the waves are
runs of their own.
"""

import time
from collections.abc import Container
from pathlib import Path

from init_study import manifest, store
from init_study.control import Control, Outcome
from init_study.engine.progress import Progress, progress_of
from init_study.engine.stopwatch import Stopwatch
from init_study.engine.tuning import (
    check_memory,
    choose_executions,
    disk_bytes,
    holds,
)
from init_study.engine.waves import wave_plans
from init_study.handed import Handed, hand_on
from init_study.plan import Plan, ProgramPlan
from init_study.run_program import run_program
from init_study.run_records import (
    Recorders,
    check_spectra,
    check_waves,
    is_done,
    join_waves,
    open_recorders,
)


def run(
    plan: Plan,
    workdir: Path,
    command: str,
    control: Control | None = None,
    handed: Handed | None = None,
) -> Outcome:
    """Train what is not done yet, and keep all of it in `workdir`.

    A run that was stopped or killed goes on from its last checkpoints and comes to
    the same records, bit for bit; a finished one returns at once.

    Args:
        plan: of `make_plan`.
        workdir: made if it is not there.
        command: how to repeat the run; kept in the manifest.
        control: how the run is watched and stopped.
        handed: by other waves of the one program, where this run is a wave of it, and
            there was room for the largest.

    Raises: UserError if the folder is another study's or in use, if a program does not
        fit into memory, if it was begun under other versions, or if data, records or
        disk do not let the run go on.
    """
    control = control or Control()
    store.open_workdir(workdir, plan.study)
    with store.lock(workdir), Stopwatch() as clock:
        resumed = (workdir / store.MANIFEST).exists()
        plan, spectra = begin_run(plan, workdir, command, control, handed=handed)
        recorders = open_recorders(workdir, spectra, bool(plan.study.instruments))
        recorded = recorders.records.reached()
        started, member_steps, finished = time.time(), 0, True
        try:
            for program in plan.programs:
                if is_done(recorders.records, program):
                    continue
                finished = not control.stop_requested()
                if finished:
                    if resumed and not _has_room(plan, handed):
                        check_memory(plan, program)
                    one = plan, program, workdir, recorders, control, clock
                    in_waves = runs_in_waves(workdir, program)
                    taken, finished = (
                        _run_waves(*one, command)
                        if in_waves
                        else run_program(*one, handed)
                    )
                    member_steps += taken
                if not finished:
                    break
        finally:
            seconds = max(1e-3, time.time() - started)
            reached = recorders.records.reached()
            if member_steps or reached != recorded:
                spent = clock.spent()
                manifest.add_session(
                    workdir, started, seconds, member_steps, spent, reached
                )
    return Outcome(finished, member_steps, seconds)


def begin_run(
    plan: Plan,
    workdir: Path,
    command: str,
    control: Control,
    at_once: int = 1,
    handed: Handed | None = None,
) -> tuple[Plan, bool]:
    """Write the manifest of a run that is held, or go on with the one that is there.

    Args:
        plan: of `make_plan`.
        workdir: of the run.
        command: how to repeat it.
        control: how it is run.
        at_once: on how many hosts.
        handed: as of `run`.

    Returns: the plan as it runs here, and whether spectra are measured.
    Raises: UserError as `run` does.
    """
    spectra = control.spectra
    if (workdir / store.MANIFEST).exists():
        spectra = check_spectra(plan, workdir, spectra)
    else:
        plan = _chosen(plan, workdir, control, at_once, handed)
        check_waves(plan, spectra)
    accept = control.accept_drift
    plan = manifest.begin(
        workdir, plan, command, accept_drift=accept, spectra=spectra, handed=handed
    )
    return plan, spectra


def runs_in_waves(workdir: Path, program_plan: ProgramPlan) -> bool:
    """Whether a program runs in folders of its own: in waves, or begun as a part."""
    begun = store.wave_runs_in(workdir, program_plan.program.id)
    return program_plan.waves > 1 or bool(begun)


def _has_room(plan: Plan, handed: Handed | None) -> bool:
    """Whether a wave fits, as the largest did: its members, by what is free now.

    The data lie on the devices from the first wave on, which was sure of its room.
    """
    seeds = len(plan.study.seeds)
    return handed is not None and all(
        holds(plan, program, seeds, data_held=True) for program in plan.programs
    )


def _chosen(
    plan: Plan, workdir: Path, control: Control, at_once: int, handed: Handed | None
) -> Plan:
    """Choose how the programs of a new run are executed, if the disk has room for it.

    Raises: UserError if it has not, or a program does not fit into memory.
    """
    store.check_disk(
        workdir,
        disk_bytes(plan),
        "the two checkpoints that are kept take",
        "use fewer members, or name a folder on another disk: --workdir=DIR",
    )
    if _has_room(plan, handed):
        return plan

    def tell(program: ProgramPlan) -> None:
        control.watch(progress_of(plan, program, "choosing", 0))

    return choose_executions(plan, control.given_execution, tell, at_once)


def _run_waves(
    plan: Plan,
    program_plan: ProgramPlan,
    workdir: Path,
    recorders: Recorders,
    control: Control,
    clock: Stopwatch,
    command: str,
) -> tuple[int, bool]:
    """Run the waves of a program, and put together what they give.

    Returns: as `run_program`.
    """
    with clock.timed("waves"):
        taken, finished = run_waves(plan, program_plan, workdir, command, control)
    if finished:
        join_waves(recorders, plan, program_plan, workdir)
        control.recorded()
    return taken, finished


def run_waves(
    plan: Plan,
    program_plan: ProgramPlan,
    workdir: Path,
    command: str,
    control: Control,
    which: Container[int] | None = None,
) -> tuple[int, bool]:
    """Run waves of a program one after the other, each as a run of its own.

    Args:
        plan: of the whole run, begun; it is sure that the largest wave fits.
        program_plan: one of its programs.
        workdir: of the whole run, which need not be held.
        command: how to repeat it.
        control: how it is watched and stopped.
        which: of its waves, from 0; all by default.

    Returns: member-steps taken, and whether these waves are done.
    Raises: UserError as `run` does.
    """
    parts, taken = wave_plans(plan, program_plan), 0
    handed = hand_on(plan, program_plan)
    own = control._replace(given_execution=True, recorded=lambda: None, spectra=False)
    for wave, part in enumerate(parts):
        if which is not None and wave not in which:
            continue

        def watch(progress: Progress, wave: int = wave) -> None:
            here = progress_of(plan, program_plan, progress.doing, progress.step)
            of = f", wave {wave + 1} of {len(parts)}" if len(parts) > 1 else ""
            label, members = f"{here.label}{of}", progress.members
            control.watch(here._replace(label=label, members=members))

        folder = store.wave_folder(workdir, program_plan.program.id, wave)
        done = run(part, folder, command, own._replace(watch=watch), handed)
        taken += done.member_steps
        if not done.finished:
            return taken, False
    return taken, True
