"""A run and its fresh seeds: what learned trains again, at the rate chosen for it.

    WORKDIR/fresh/PROGRAM/    a run of its own: the schemes that learned, fresh seeds

Runs that choose a rate flatter it, and the dead need no more seeds. So the grid may
have few, and what learned there gets many more, each scheme at its best rate alone.
Which these are stands in the manifest; a run that goes on takes what stands there.
"""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from init_study import store
from init_study.answers.choosing import rates_to_confirm, validation_chance
from init_study.answers.outcomes import final_outcomes
from init_study.cluster import Hosts, Stopping
from init_study.control import Control, Outcome
from init_study.execution import Execution
from init_study.instruments.cadence import Cadence
from init_study.manifest import begin
from init_study.plan import Plan, ProgramPlan
from init_study.run import run
from init_study.run_on_hosts import run_on_hosts
from init_study.shares import PATIENCE, WHOLE, RunShare, programs_of, run_share
from init_study.study import PROGRAM_AXES, Program, Study


def run_with_fresh_seeds(
    plan: Plan,
    workdir: Path,
    command: str,
    control: Control | None = None,
    part: RunShare | Hosts | None = None,
) -> Outcome:
    """Run a study as `run.run` does, then the fresh seeds that it asks for.

    Args:
        plan: of `make_plan`.
        workdir: made if it is not there.
        command: how to repeat the run; kept in the manifest.
        control: how the run is watched and stopped.
        part: which of its programs, or the hosts that share all; by default all, here.

    Raises: UserError as `run.run` does, as `shares.run_share` for a part, and as
        `run_on_hosts` for hosts.
    """
    control = control or Control()
    if isinstance(part, RunShare):
        done = run_share(plan, workdir, command, part, control)
    else:
        done = _run(plan, workdir, command, control, part)
    if not plan.study.fresh_seeds:
        return done
    mine = part if isinstance(part, RunShare) else WHOLE
    for program in programs_of(plan, mine):
        try:
            if not _goes_on(done, control, part):
                return done._replace(finished=False)
            rates = _chosen_rates(plan.study, program.program, workdir, part)
        except Stopping:
            return done._replace(finished=False)
        if not rates:
            continue
        fresh = _part(plan, program, workdir, rates)
        # The program was timed before its grid; more members may not fit beside it.
        is_given = control.given_execution or len(fresh.members) <= len(plan.members)
        own = control._replace(given_execution=is_given, spectra=False)
        folder = workdir / store.FRESH / program.program.id
        hosts = part if isinstance(part, Hosts) else None
        more = _run(fresh, folder, command, own, hosts)
        done = Outcome(
            more.finished,
            done.member_steps + more.member_steps,
            done.seconds + more.seconds,
        )
    return done


def _run(
    plan: Plan, workdir: Path, command: str, control: Control, hosts: Hosts | None
) -> Outcome:
    """Run, but for a run that is finished where nothing can be written.

    Raises: UserError as `run.run` and `run_on_hosts` do.
    """
    # What one host sees of a folder does not decide for the others.
    if hosts is not None:
        return run_on_hosts(plan, workdir, command, control, hosts)
    if (workdir / store.MANIFEST).exists() and not store.can_write(workdir):
        store.check_workdir(workdir, plan.study)
        steps = store.last_steps(workdir)
        programs = [one.program for one in plan.programs]
        if all(steps.get(one.id) == one.steps for one in programs):
            begin(workdir, plan, command, accept_drift=control.accept_drift)
            return Outcome(finished=True, member_steps=0, seconds=0.0)
    return run(plan, workdir, command, control)


def fresh_study(study: Study, program: Program, rates: Mapping[str, float]) -> Study:
    """Describe the fresh seeds of a program: some schemes, each at its own rate.

    Args:
        study: that asks for fresh seeds.
        program: one of its own.
        rates: by scheme.

    Example:
        >>> study = Study(schemes="zeros", learning_rates=0.1, seeds=3, fresh_seeds=2)
        >>> part = fresh_study(study, study.programs()[0], {"zeros": 0.1})
        >>> [member.name for member in part.members()]
        ['zeros/lr=0.1/3', 'zeros/lr=0.1/4']
    """
    return study.replace(
        **{axis: (getattr(program, axis),) for axis in PROGRAM_AXES},
        schemes=tuple(rates),
        learning_rates=tuple(rates.values()),
        pairing="own",
        seeds=study.fresh,
        fresh_seeds=0,
        # What is said of fresh seeds is their test accuracy.
        instruments=(),
        readings=None,
    )


def _goes_on(done: Outcome, control: Control, part: RunShare | Hosts | None) -> bool:
    """Whether another program begins: on all hosts that share the run, or on none."""
    goes_on = done.finished and not control.stop_requested()
    if isinstance(part, Hosts):
        said = part.gather("going on", "yes" if goes_on else "no", stops=True)
        return set(said) == {"yes"}
    return goes_on


def _chosen_rates(
    study: Study, program: Program, workdir: Path, part: RunShare | Hosts | None
) -> dict[str, float]:
    """Find the rates, beside whoever else is at work in the folder."""
    if isinstance(part, Hosts):

        def choose() -> str:
            return json.dumps(_rates(study, program, workdir))

        return json.loads(part.from_first("rates", choose, stops=True))
    with store.lock(workdir, wait=PATIENCE) if part else nullcontext():
        return _rates(study, program, workdir)


def _rates(study: Study, program: Program, workdir: Path) -> dict[str, float]:
    """Find the rates that the grid chose, and keep them in the manifest."""
    manifest = store.read_manifest(workdir)
    kept = manifest.setdefault("fresh", {})
    if program.id not in kept:
        data, records = manifest["data"][program.data_name], store.load(workdir)
        ours = (records["program"] == program.id) & (records["step"] == program.steps)
        outcomes = final_outcomes(records.loc[ours], study, validation_chance(data))
        kept[program.id] = rates_to_confirm(outcomes, study, data)
        store.write_manifest(workdir, manifest)
    return kept[program.id]


def _part(
    plan: Plan, program: ProgramPlan, workdir: Path, rates: Mapping[str, float]
) -> Plan:
    study = fresh_study(plan.study, program.program, rates)
    began = store.read_manifest(workdir)["programs"][program.program.id]
    own = program._replace(
        label=f"{program.label}, fresh seeds",
        execution=Execution(began["chunk_width"], began["convolution"]),
        readings=Cadence(),
    )
    schemes = {scheme: plan.schemes[scheme] for scheme in rates}
    return Plan(study, study.members(), schemes, (own,))
