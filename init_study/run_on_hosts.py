"""A run on several hosts: each has members of its own, and process 0 keeps the books.

All hosts see one folder. The members of a program are parted into waves, at least as
many as hosts, each a run in a folder of its own; the hosts take them in turn, and
process 0 puts together what they gave. Nothing is computed together: a host that is
slower, or has other devices, keeps none waiting before the programs' end.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from init_study import manifest, store
from init_study.cluster import Hosts, Stopping
from init_study.control import Control, Outcome
from init_study.drift import surroundings
from init_study.engine.devices import device_kind
from init_study.engine.tuning import check_memory
from init_study.errors import ExitCode, UserError
from init_study.execution import Execution
from init_study.plan import Plan, ProgramPlan
from init_study.run import begin_run, run_waves
from init_study.run_records import Recorders, is_done, join_waves, open_recorders

# Seconds that a folder of the network takes to show what another host wrote: NFS keeps
# what it knows of a folder for a minute.
_UNTIL_SEEN = 90.0


def run_on_hosts(
    plan: Plan, workdir: Path, command: str, control: Control, hosts: Hosts
) -> Outcome:
    """Train this host's members of a run, and return when all hosts have theirs.

    A run that was stopped goes on on any number of hosts, and on one alone.

    Args:
        plan: of `make_plan`, of the whole study.
        workdir: of the whole run, seen by all hosts; made if it is not there.
        command: how to repeat it.
        control: how the run is watched and stopped.
        hosts: that share it.

    Returns: whether all is done, and the member-steps that all hosts took.
    Raises: UserError as `run.run` does, on any host; for hosts with other code or
        another study, before the first step; if a host is lost, once all is saved.
    """
    if control.spectra:
        raise UserError(
            "--spectra is measured on one host; leave it out, or --distributed"
        )
    began = time.time()
    with contextlib.ExitStack() as held:
        # A signal that comes before there is something to save ends the waiting.
        held.enter_context(contextlib.suppress(Stopping))
        _check_alike(plan, hosts)
        books: list[Recorders] = []

        def begin() -> str:
            store.open_workdir(workdir, plan.study)
            held.enter_context(store.lock(workdir))
            resumed = (workdir / store.MANIFEST).exists()
            begun, _ = begin_run(plan, workdir, command, control, len(hosts))
            books.append(open_recorders(workdir, False, bool(plan.study.instruments)))
            return _message(workdir, begun, books[0], resumed)

        first = json.loads(hosts.from_first("beginning", begin, stops=True))
        _wait_to_see(workdir, first["holder"])
        plan = _as_begun(plan, first["runs_as"])
        # Process 0 has made sure already that all is as the manifest says.
        if hosts.place.process:
            begin_run(plan, workdir, command, control)
        left = [one for one in plan.programs if one.program.id in first["left"]]
        _check_room(plan, left, first["resumed"] or hosts.place.process > 0)
        done = _train(plan, left, workdir, command, control, hosts)
        done = done._replace(seconds=time.time() - began)

        def join() -> str:
            before = books[0].records.reached()
            for program in left if done.finished else ():
                join_waves(books[0], plan, program, workdir)
            _note(workdir, books[0], before, began, done)
            return ""

        hosts.from_first("joining", join)
        control.recorded()
        return done
    return Outcome(False, 0, time.time() - began)


def _check_room(plan: Plan, left: Sequence[ProgramPlan], asked: bool) -> None:
    """Make sure that the largest waves fit here: as they began, on another host."""
    for program in left if asked else ():
        check_memory(plan, program)


def _note(
    workdir: Path,
    books: Recorders,
    before: Mapping[str, int],
    began: float,
    done: Outcome,
) -> None:
    """Note in the manifest what all hosts did in this call."""
    reached, spent = books.records.reached(), {"waves": round(done.seconds, 2)}
    if done.member_steps or reached != before:
        manifest.add_session(
            workdir, began, done.seconds, done.member_steps, spent, reached
        )


def waves_of_host(
    programs: Sequence[ProgramPlan], host: int, hosts: int
) -> list[tuple[ProgramPlan, list[int]]]:
    """Find the waves that one host runs: of all waves each Nth, from its own place on.

    Args:
        programs: that are not done.
        host: from 0.
        hosts: how many there are.

    Returns: programs that the host has a part in, each with numbers of its waves.
    """
    every = [(one, wave) for one in programs for wave in range(one.waves)]
    mine = every[host::hosts]
    found = [(one, [w for p, w in mine if p is one]) for one in programs]
    return [(one, waves) for one, waves in found if waves]


def _train(
    plan: Plan,
    left: Sequence[ProgramPlan],
    workdir: Path,
    command: str,
    control: Control,
    hosts: Hosts,
) -> Outcome:
    """Run this host's waves; what all hosts have done."""
    taken, finished = 0, True
    mine = waves_of_host(left, hosts.place.process, len(hosts))
    if left and not mine:
        logging.warning(
            "process %d of %d has nothing to do: %d waves are left",
            hosts.place.process,
            len(hosts),
            sum(one.waves for one in left),
        )
    for program, waves in mine:
        if not finished or control.stop_requested():
            finished = False
            break
        steps, finished = run_waves(plan, program, workdir, command, control, waves)
        taken += steps
    said = hosts.gather("training", json.dumps([finished, taken]))
    each = [json.loads(text) for text in said]
    return Outcome(all(done for done, _ in each), sum(steps for _, steps in each), 0.0)


def _message(workdir: Path, plan: Plan, books: Recorders, resumed: bool) -> str:
    """Write what process 0 tells the others of a run that it has begun."""
    done = {p.program.id: is_done(books.records, p) for p in plan.programs}
    runs_as = {p.program.id: [*p.execution, p.waves] for p in plan.programs}
    return json.dumps(
        {
            "holder": store.holder_of(workdir),
            "resumed": resumed,
            "runs_as": runs_as,
            "left": [name for name, is_over in done.items() if not is_over],
        }
    )


def _as_begun(plan: Plan, runs_as: Mapping[str, Sequence[Any]]) -> Plan:
    """Give the plan the executions and waves that process 0 chose."""

    def frozen(program: ProgramPlan) -> ProgramPlan:
        *execution, waves = runs_as[program.program.id]
        return program._replace(execution=Execution(*execution), waves=waves)

    return plan._replace(programs=tuple(map(frozen, plan.programs)))


def _check_alike(plan: Plan, hosts: Hosts) -> None:
    """Make sure that all processes would compute the same.

    Raises: UserError with the first difference, in every process.
    """
    own = json.dumps(_facts(plan), sort_keys=True)
    sums = hosts.gather("sums", hashlib.sha256(own.encode()).hexdigest(), stops=True)
    if len(set(sums)) == 1:
        return
    facts = [json.loads(text) for text in hosts.gather("code", own, stops=True)]
    first, *others = facts
    for process, other in enumerate(others, 1):
        for name, value in first.items():
            if name != "device" and other.get(name) != value:
                raise UserError(
                    f"process {process} runs something else than process 0: its {name} "
                    f"is {other.get(name)}, not {value}; start the same command, of "
                    "the same code, on every host",
                    ExitCode.DAMAGED,
                )
    kinds = list(dict.fromkeys(fact["device"] for fact in facts))
    if len(kinds) > 1 and hosts.place.process == 0:
        logging.warning(
            "the hosts have %s: the last bits of a member depend on which it is run by",
            " and ".join(kinds),
        )


def _facts(plan: Plan) -> dict[str, Any]:
    here = surroundings(plan.study.to_dict())
    code = {f"code of {name}": value for name, value in here["code"].items()}
    facts = {"study": plan.study.hash, **here["versions"], **here["jax"], **code}
    return facts | {"device": device_kind()}


def _wait_to_see(workdir: Path, holder: str) -> None:
    """Make sure that this host sees the folder that process 0 holds.

    Raises: UserError if it is another one.
    """
    end = time.monotonic() + _UNTIL_SEEN
    begun = workdir / store.MANIFEST
    # A process that saw no manifest would begin a run of its own.
    while store.holder_of(workdir) != holder or not begun.exists():
        if time.monotonic() > end:
            raise UserError(
                f"--workdir={workdir} is not the folder that process 0 holds "
                f"({holder}); name one that all hosts see",
                ExitCode.NO_PLACE,
            )
        time.sleep(0.2)
