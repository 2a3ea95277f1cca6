"""The manifest of a run: what ran, on what, from which data."""

import datetime
import hashlib
import importlib.metadata
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import logging

from init_study import store
from init_study.engine.devices import describe_devices
from init_study.errors import UserError
from init_study.execution import Execution
from init_study.plan import Plan, ProgramPlan

_PACKAGES = (
    "init_study",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "tensorflow-datasets",
    "numpy",
    "scipy",
    "pandas",
    "dm-haiku",
    "equinox",
)
# Of these, those whose code is in the arithmetic and draws of every run.
_GIVE_BITS = ("jax", "jaxlib", "flax", "optax")
# Settings of JAX that can change the bits of a run.
_JAX_SETTINGS = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_threefry_partitionable",
)


def begin(workdir: Path, plan: Plan, command: str) -> Plan:
    """Write the manifest of a new run, or go on with the one that is there.

    Returns: the plan with the execution that the manifest has frozen: a run goes on
        with the chunk width and convolution form that it began with.

    Raises: UserError if the data have changed since the run began.
    """
    if not (workdir / store.MANIFEST).exists():
        store.write_manifest(workdir, describe(plan, command))
        return plan
    there = store.read_manifest(workdir)
    here = describe(plan, command)
    for part in ("data", "programs", "versions", "jax", "sessions"):
        if part not in there:
            raise store.other_version(workdir, f"no {part!r} in its manifest")
    _check_data(workdir, here["data"], there["data"])
    _check_networks(workdir, here["programs"], there["programs"])
    _warn_of_others(workdir, here["versions"], there["versions"])
    programs = tuple(_frozen(p, there["programs"]) for p in plan.programs)
    return plan._replace(programs=programs)


def _check_networks(workdir: Path, here: dict[str, Any], there: dict[str, Any]) -> None:
    for name, program in here.items():
        before = there.get(name, {})
        for part in ("layers", "parameters"):
            if part in before and program[part] != before[part]:
                raise UserError(
                    f"the network of {program['label']!r} has changed since {workdir} "
                    f"was begun: its {part} are {program[part]} here, {before[part]} "
                    "there; start in a new folder: --workdir=DIR"
                )


def check_drift(workdir: Path, accept: bool) -> None:
    """Refuse to go on with other versions or settings than a run was begun with.

    The stages of a race, the studies of an examination, and a run with its fresh seeds
    count as one run.

    Args:
        workdir: of a run that is not finished, begun or not.
        accept: go on all the same, with a warning, and note it in the manifest.

    Raises: UserError with what differs and the ways out.
    """
    here, known = _environment(), _known_environments(workdir)
    drifts = [drift for there in known if (drift := _differing(here, there))]
    if len(drifts) < len(known) or not known:
        return
    drift = drifts[-1]
    began = ", ".join(f"{name} {there}" for name, (there, _) in drift.items())
    now = ", ".join(f"{name} {there}" for name, (_, there) in drift.items())
    said = f"{workdir} was begun with {began}; here is {now}"
    if not accept:
        pins = [f"{n}=={there}" for n, (there, _) in drift.items() if n in _GIVE_BITS]
        cure = f"pip install {' '.join(pins)}" if pins else "set them as they were"
        raise UserError(
            f"{said}, which may give other bits. To go on as it began: {cure}; or "
            "begin in a new folder: --workdir=DIR; or mix both in one run: "
            "--accept_drift"
        )
    logging.warning("%s: its bits are those of no undisturbed run", said)
    if (workdir / store.MANIFEST).exists():
        manifest = store.read_manifest(workdir)
        manifest.setdefault("accepted_drift", []).append(here)
        store.write_manifest(workdir, manifest)


def _environment() -> dict[str, str]:
    versions = {name: str(_version(name)) for name in _GIVE_BITS}
    return versions | _settings()


def _known_environments(workdir: Path) -> list[dict[str, str]]:
    """List those that the run, or another part of the same whole, has been run in."""
    paths = [workdir / store.MANIFEST]
    if not paths[0].exists():
        wholes = [store.RACE, store.RULES]
        wholes += [store.MANIFEST] if workdir.parent.name == store.FRESH else []
        above = [
            p for p in workdir.parents[:2] if any((p / w).exists() for w in wholes)
        ]
        paths = [path for p in above for path in sorted(p.rglob(store.MANIFEST))]
    known = []
    for manifest in (store.read_manifest(path.parent) for path in paths):
        versions = {name: str(manifest["versions"].get(name)) for name in _GIVE_BITS}
        known += [versions | manifest["jax"], *manifest.get("accepted_drift", [])]
    return known


def _differing(
    here: dict[str, str], there: dict[str, str]
) -> dict[str, tuple[str, str]]:
    """Find what was otherwise there, by name; what was not noted does not count."""
    return {
        name: (there[name], here[name])
        for name in here
        if name in there and _comparable(there[name]) != _comparable(here[name])
    }


def _comparable(setting: str) -> list[str]:
    """Split XLA's flags, without the number of devices, which changes no bit."""
    flags = setting.split()
    return sorted(f for f in flags if "host_platform_device_count" not in f)


def add_session(
    workdir: Path,
    started: float,
    seconds: float,
    member_steps: int,
    spent: Mapping[str, float],
) -> None:
    """Note one stretch of work: when, how long, how much, on which devices.

    Args:
        workdir: of the run.
        started: seconds since 1970.
        seconds: that it took.
        member_steps: that were taken.
        spent: seconds of the parts of it.
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
    store.write_manifest(workdir, manifest)


def describe(plan: Plan, command: str) -> dict[str, Any]:
    """Describe a run that has not begun, as its manifest says it."""
    datasets = {p.program.data_name: p.dataset for p in plan.programs}
    what_runs = {
        "study_hash": plan.study.hash,
        "data": {name: _describe_data(data) for name, data in datasets.items()},
        "programs": {p.program.id: _describe_program(plan, p) for p in plan.programs},
    }
    canonical = json.dumps(what_runs, sort_keys=True).encode()
    return {
        "study": plan.study.to_dict(),
        "plan_hash": hashlib.sha256(canonical).hexdigest(),
        **what_runs,
        "command": command,
        "versions": {name: _version(name) for name in _PACKAGES},
        "jax": _settings(),
        "devices": describe_devices(),
        "git": _git(),
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


def _describe_program(plan: Plan, program_plan: ProgramPlan) -> dict[str, Any]:
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
    }


def _check_data(workdir: Path, here: dict[str, Any], there: dict[str, Any]) -> None:
    for name, data in here.items():
        if data["checksums"] != there[name]["checksums"]:
            raise UserError(
                f"data set {name!r} has changed since {workdir} was begun (its "
                "checksums differ); start in a new folder: --workdir=DIR"
            )


def _warn_of_others(
    workdir: Path, here: dict[str, str | None], there: dict[str, str | None]
) -> None:
    """Warn of other versions of packages that give no run its bits by themselves.

    What was not recorded when the run began does not count.
    """
    for name in (name for name in here if name not in _GIVE_BITS):
        if name in there and here[name] != there[name]:
            logging.warning(
                "%s was begun with %s %s and goes on with %s",
                workdir,
                name,
                there[name],
                here[name],
            )


def _frozen(plan: ProgramPlan, programs: dict[str, Any]) -> ProgramPlan:
    there = programs[plan.program.id]
    frozen = Execution(there["chunk_width"], there["convolution"])
    if frozen != plan.execution:
        logging.warning(
            "%s goes on as it began: %s, not %s", plan.label, frozen, plan.execution
        )
    return plan._replace(execution=frozen)


def _settings() -> dict[str, str]:
    settings = {name: str(getattr(jax.config, name)) for name in _JAX_SETTINGS}
    return settings | {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git() -> dict[str, Any]:
    """Ask git for the commit of this code and whether it was changed; else None."""

    def ask(*words: str) -> str | None:
        here = Path(__file__).parent
        try:
            answer = subprocess.run(
                ["git", *words], cwd=here, capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None

    changes = ask("--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": ask("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }
