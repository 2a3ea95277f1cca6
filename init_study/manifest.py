"""What ran, on what, from which data: the part of a run that is not numbers."""

import datetime
import hashlib
import importlib.metadata
import json
import os
import subprocess
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
)
# Settings of JAX that can change the bits of a run.
_JAX_SETTINGS = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_threefry_partitionable",
)


def begin(workdir: Path, plan: Plan, command: str) -> Plan:
    """Write the manifest of a new run, or go on with the one that is there.

    Returns the plan with the execution that the manifest has frozen: a run goes on
    with the chunk width and convolution form that it began with.

    Raises: UserError if the data have changed since the run began.
    """
    if not (workdir / store.MANIFEST).exists():
        store.write_manifest(workdir, describe(plan, command))
        return plan
    there = store.read_manifest(workdir)
    here = describe(plan, command)
    _check_data(workdir, here["data"], there["data"])
    _warn_of_drift(workdir, here, there)
    programs = tuple(_frozen(p, there["programs"]) for p in plan.programs)
    return plan._replace(programs=programs)


def add_session(
    workdir: Path, started: float, seconds: float, member_steps: int
) -> None:
    """Note one stretch of work: when, how long, how much, on which devices."""
    manifest = store.read_manifest(workdir)
    began = datetime.datetime.fromtimestamp(started, datetime.UTC)
    session = {
        "started": began.isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "member_steps": member_steps,
        "member_steps_per_second": round(member_steps / seconds, 1),
        "devices": describe_devices(),
    }
    manifest["sessions"].append(session)
    store.write_manifest(workdir, manifest)


def describe(plan: Plan, command: str) -> dict[str, Any]:
    """The manifest of a run that has not begun."""
    datasets = {p.dataset.name: p.dataset for p in plan.programs}
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
        "jax": {name: str(getattr(jax.config, name)) for name in _JAX_SETTINGS}
        | {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "")},
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


def _warn_of_drift(workdir: Path, here: dict[str, Any], there: dict[str, Any]) -> None:
    for part in ("versions", "jax"):
        for name, value in here[part].items():
            before = there[part].get(name)
            if value != before:
                logging.warning(
                    "%s was begun with %s %s and goes on with %s: its last bits may "
                    "differ from an undisturbed run's",
                    workdir,
                    name,
                    before,
                    value,
                )


def _frozen(plan: ProgramPlan, programs: dict[str, Any]) -> ProgramPlan:
    there = programs[plan.program.id]
    frozen = Execution(there["chunk_width"], there["convolution"])
    if frozen != plan.execution:
        logging.warning(
            "%s goes on as it began: %s, not %s", plan.label, frozen, plan.execution
        )
    return plan._replace(execution=frozen)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git() -> dict[str, Any]:
    """Commit of this code and whether it was changed; None where git cannot say."""

    def ask(*words: str) -> str | None:
        here = Path(__file__).parent
        try:
            answer = subprocess.run(
                ["git", *words], cwd=here, capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None

    changes = ask("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": ask("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }
