"""The manifest of a run: what ran, on what, from which data."""

import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import logging

from init_study import store
from init_study.drift import GIVE_BITS, check_drift, surroundings
from init_study.engine.devices import describe_devices, gives_same_bits
from init_study.engine.identity import computed
from init_study.errors import ExitCode, UserError
from init_study.execution import Execution
from init_study.handed import Handed
from init_study.instruments.table import find_instruments
from init_study.plan import Plan, ProgramPlan


def begin(
    workdir: Path,
    plan: Plan,
    command: str,
    *,
    accept_drift: bool = False,
    spectra: bool = False,
    handed: Handed | None = None,
) -> Plan:
    """Write the manifest of a new run, or go on with the one that is there.

    Args:
        workdir: of the run.
        plan: of what is to run.
        command: how to repeat the run.
        accept_drift: as of `check_drift`.
        spectra: whether they are measured; once asked for, they are.
        handed: by other waves, where the run is one.

    Returns: the plan with the execution that the manifest has frozen: a run goes on
        with the chunk width and convolution form that it began with.

    Raises: UserError if the data or the networks have changed since the run began, and
        as `check_drift`.
    """
    begun = (workdir / store.MANIFEST).exists()
    there = _read(workdir) if begun else {}
    if begun:
        programs = tuple(_frozen(p, there["programs"]) for p in plan.programs)
        plan = plan._replace(programs=programs)
    here: dict[str, Any] = {
        **describe(plan, command, handed),
        "spectra": spectra,
    }
    if not begun:
        accepted = check_drift(workdir, here, accept_drift, finished=False)
        store.write_manifest(workdir, here | {"accepted_drift": accepted})
        return plan
    _check_data(workdir, here["data"], there["data"])
    _check_networks(workdir, here["programs"], there["programs"])
    steps = store.last_steps(workdir)
    finished = all(steps.get(p.program.id) == p.program.steps for p in plan.programs)
    accepted = check_drift(workdir, here, accept_drift, finished)
    _warn_of_others(workdir, here["versions"], there["versions"])
    if not finished:
        _warn_of_other_devices(workdir, here["devices"], there)
    if accepted or (spectra and not there.get("spectra")):
        accepted = there.get("accepted_drift", []) + accepted
        noted = {"accepted_drift": accepted, "spectra": spectra}
        store.write_manifest(workdir, there | noted)
    return plan


def _read(workdir: Path) -> dict[str, Any]:
    manifest = store.read_manifest(workdir)
    for part in ("data", "programs", "versions", "jax", "sessions"):
        if part not in manifest:
            raise store.other_version(workdir, f"no {part!r} in its manifest")
    return manifest


def _check_networks(workdir: Path, here: dict[str, Any], there: dict[str, Any]) -> None:
    for name, program in here.items():
        before = there.get(name, {})
        for part in ("layers", "parameters"):
            if part in before and program[part] != before[part]:
                raise UserError(
                    f"the network of {program['label']!r} has changed since {workdir} "
                    f"was begun: its {part} are {program[part]} here, {before[part]} "
                    "there; start in a new folder: --workdir=DIR",
                    ExitCode.DAMAGED,
                )


def add_session(
    workdir: Path,
    started: float,
    seconds: float,
    member_steps: int,
    spent: Mapping[str, float],
    recorded: Mapping[str, int],
) -> None:
    """Note one stretch of work: when, how long, how much, on which devices.

    Args:
        workdir: of the run.
        started: seconds since 1970.
        seconds: that it took.
        member_steps: that were taken.
        spent: seconds of the parts of it.
        recorded: the last step with records, by the id of the program; if the lines of
            it are gone later, they are missed.
    """
    manifest = store.read_manifest(workdir)
    began = datetime.datetime.fromtimestamp(started, datetime.UTC)
    session = {
        "started": began.isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "spent": dict(spent),
        "member_steps": member_steps,
        "member_steps_per_second": round(member_steps / seconds, 1),
        "devices": describe_devices(),
    }
    manifest["sessions"].append(session)
    manifest["recorded"] = dict(recorded)
    store.write_manifest(workdir, manifest)


def describe(plan: Plan, command: str, handed: Handed | None = None) -> dict[str, Any]:
    """Describe a run that has not begun, as its manifest says it.

    Args:
        plan: of the run.
        command: how to repeat it.
        handed: what is known of it from other waves, where it is one.
    """
    study = plan.study.to_dict()
    datasets = {p.program.data_name: p.dataset for p in plan.programs}
    what_runs = {
        "study_hash": plan.study.hash,
        "data": {name: _describe_data(data) for name, data in datasets.items()},
        "programs": {
            p.program.id: _describe_program(plan, p, handed) for p in plan.programs
        },
    }
    canonical = json.dumps(what_runs, sort_keys=True).encode()
    return {
        "study": study,
        "plan_hash": hashlib.sha256(canonical).hexdigest(),
        **what_runs,
        **_describe_instruments(plan),
        "chain": plan.study.hash,
        "command": command,
        **(handed.around if handed else surroundings(study)),
        "devices": describe_devices(),
        "repeats_bits": gives_same_bits(),
        "sessions": [],
    }


def _describe_data(dataset: Any) -> dict[str, Any]:
    parts = ("train", "validation", "test")
    sizes = {part: len(getattr(dataset, part).labels) for part in parts}
    return sizes | {
        "num_classes": dataset.num_classes,
        "chance": dataset.chance,
        "validation_chance": dataset.validation_chance,
        "checksums": dataset.checksums,
    }


def _describe_program(
    plan: Plan, program_plan: ProgramPlan, handed: Handed | None
) -> dict[str, Any]:
    costs = {
        text: scheme.cost(program_plan.network)._asdict()
        for text, scheme in plan.schemes.items()
    }
    return {
        "label": program_plan.label,
        "members": len(plan.members),
        "parameters": program_plan.network.num_parameters,
        "layers": [layer.name for layer in program_plan.network.layers],
        "passes": {text: cost for text, cost in costs.items() if any(cost.values())},
        **program_plan.execution._asdict(),
        **_describe_readings(program_plan),
        **({"waves": program_plan.waves} if program_plan.waves > 1 else {}),
        "computes": (handed.computes if handed else computed)(plan, program_plan),
    }


def _describe_readings(program_plan: ProgramPlan) -> dict[str, Any]:
    found = program_plan.readings
    return {"readings": found._asdict()} if found.steps else {}


def _describe_instruments(plan: Plan) -> dict[str, Any]:
    """Say what the numbers of the readings are, for whoever reads the run alone."""
    chosen = find_instruments(plan.study.instruments)
    said = {
        name: {"what": one.what, "units": one.units, "raw": list(one.raw)}
        for name, one in chosen.items()
    }
    return {"instruments": said} if said else {}


def _check_data(workdir: Path, here: dict[str, Any], there: dict[str, Any]) -> None:
    for name, data in here.items():
        if data["checksums"] != there[name]["checksums"]:
            raise UserError(
                f"data set {name!r} has changed since {workdir} was begun (its "
                "checksums differ); start in a new folder: --workdir=DIR",
                ExitCode.DAMAGED,
            )


def _warn_of_others(
    workdir: Path, here: dict[str, str | None], there: dict[str, str | None]
) -> None:
    """Warn of other versions of packages that give no run its bits by themselves.

    What was not recorded when the run began does not count.
    """
    for name in (name for name in here if name not in GIVE_BITS):
        if name in there and here[name] != there[name]:
            logging.warning(
                "%s was begun with %s %s and goes on with %s",
                workdir,
                name,
                there[name],
                here[name],
            )


def _warn_of_other_devices(
    workdir: Path, here: list[str], there: dict[str, Any]
) -> None:
    """Warn of a kind of device that is new to the run; how many does not count."""
    known = [*there.get("devices", []), *_later_devices(there)]
    kinds = {_kind(device) for device in known}
    new = [device for device in here if _kind(device) not in kinds]
    if kinds and new:
        logging.warning(
            "%s was begun on %s and goes on with %s: its last bits may be those of no "
            "run on one kind of device alone",
            workdir,
            ", ".join(known[: len(there["devices"])]),
            ", ".join(new),
        )


def _later_devices(there: dict[str, Any]) -> list[str]:
    return [d for session in there["sessions"] for d in session.get("devices", [])]


def _kind(device: str) -> str:
    return device.partition(" × ")[2]


def _frozen(plan: ProgramPlan, programs: dict[str, Any]) -> ProgramPlan:
    there = programs[plan.program.id]
    frozen = Execution(there["chunk_width"], there["convolution"])
    if frozen != plan.execution:
        logging.warning(
            "%s goes on as it began: %s, not %s", plan.label, frozen, plan.execution
        )
    return plan._replace(execution=frozen, waves=there.get("waves", 1))
