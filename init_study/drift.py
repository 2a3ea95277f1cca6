"""What a run was begun with, beside what is here: versions, settings, computations.

A run that goes on with anything else would mix two computations in one record. It is
refused, or goes on with a mark for good.
"""

import importlib.metadata
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import logging

from init_study import store
from init_study.code_sums import code_sums
from init_study.errors import ExitCode, UserError

PACKAGES = (
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
GIVE_BITS = ("jax", "jaxlib", "flax", "optax")
# Settings of JAX that can change the bits of a run.
_JAX_SETTINGS = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_threefry_partitionable",
)

# Values by name; what is not noted of a run does not count.
_Noted = dict[str, str]


def surroundings(study: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what a run is begun with, as its manifest keeps it.

    Args:
        study: of `Study.to_dict`; files that it names are looked at.

    Example:
        >>> list(surroundings({}))
        ['versions', 'jax', 'code', 'git']
    """
    settings = {name: str(getattr(jax.config, name)) for name in _JAX_SETTINGS}
    return {
        "versions": {name: _version(name) for name in PACKAGES},
        "jax": settings | {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "")},
        "code": code_sums(study),
        "git": _git(),
    }


def check_drift(
    workdir: Path, here: Mapping[str, Any], accept: bool, finished: bool
) -> list[dict[str, Any]]:
    """Refuse to go on with anything else than a run was begun with.

    The stages of a race, the studies of an examination, and a run with its fresh seeds
    count as one run. A finished run is read under other versions, too; but it is not
    the answer of another computation under the same ones.

    Args:
        workdir: of a run, begun or not.
        here: the manifest that would be written here.
        accept: go on all the same, with a warning.
        finished: whether nothing is left to train.

    Returns: what the manifest is to note for good, if anything: what is otherwise from
        here on, and in `steps` how far each program was until then.

    Raises: UserError with what differs and the ways out.
    """
    manifests, now = _known_manifests(workdir), _noted(here)
    known = [noted for one in manifests for noted in _all_noted(one)]
    drift = _differing(now, known)
    if not drift:
        return []
    said = f"{workdir} was begun with {_in_words(drift, here, manifests[-1])}"
    if finished and any(name in _environment(here) for name in drift):
        logging.warning("%s; its answer is of what it was begun with", said)
        return []
    if not accept:
        ways_out = _ways_out(drift, here, manifests[-1], finished)
        raise UserError(f"{said}. {ways_out}", ExitCode.DAMAGED)
    logging.warning("%s: its bits are those of no undisturbed run", said)
    if finished:
        return []
    accepted = {name: value for name, (_, value) in drift.items()}
    return [{**accepted, "steps": store.last_steps(workdir)}]


def _known_manifests(workdir: Path) -> list[dict[str, Any]]:
    """Read that of the run, or those of other parts of the same whole."""
    paths = [workdir / store.MANIFEST]
    if not paths[0].exists():
        wholes = [store.RACE, store.RULES]
        is_part = workdir.parent.name in (store.FRESH, store.WAVES)
        wholes += [store.MANIFEST] if is_part else []
        above = [
            p for p in workdir.parents[:2] if any((p / w).exists() for w in wholes)
        ]
        paths = [path for p in above for path in _manifests_below(p)]
    found = [store.read_manifest(path.parent) for path in paths]
    # What an earlier version left says too little to be compared.
    return [one for one in found if {"versions", "jax", "programs"} <= set(one)]


def _manifests_below(folder: Path) -> list[Path]:
    """Find the manifests of all parts, whatever other processes do in the folder."""
    found = []
    for place, folders, files in os.walk(folder):
        # Where checkpoints come and go, and no manifest is.
        folders[:] = [name for name in folders if name != store.CHECKPOINTS]
        found += [Path(place) / store.MANIFEST] if store.MANIFEST in files else []
    return sorted(found)


def _all_noted(manifest: Mapping[str, Any]) -> list[_Noted]:
    """List what a run was begun with, and what it went on with since."""
    return [_noted(manifest), *manifest.get("accepted_drift", [])]


def _environment(manifest: Mapping[str, Any]) -> _Noted:
    versions = {name: str(manifest["versions"].get(name)) for name in GIVE_BITS}
    return versions | manifest["jax"]


def _noted(manifest: Mapping[str, Any]) -> _Noted:
    computed = {
        _key(name, program, part): checksum
        for name, program in manifest["programs"].items()
        for part, checksum in program.get("computes", {}).items()
    }
    return _environment(manifest) | computed


def _key(name: str, program: Mapping[str, Any], part: str) -> str:
    """Name a part of a program; what convolves, with the form that it does it in.

    Stages of one race may run in different forms.
    """
    form = program["convolution"] if part in ("training", "evaluation") else ""
    return f"{part} of {name} {form}".strip()


def _differing(here: _Noted, known: list[_Noted]) -> dict[str, tuple[str, str]]:
    """Find what was otherwise there and never as it is here, by name."""
    drift = {}
    for name, value in here.items():
        there = [one[name] for one in known if name in one]
        if there and _comparable(value) not in map(_comparable, there):
            drift[name] = there[-1], value
    return drift


def _comparable(setting: str) -> list[str]:
    """Split XLA's flags, without the number of devices, which changes no bit."""
    flags = setting.split()
    return sorted(f for f in flags if "host_platform_device_count" not in f)


def _in_words(
    drift: Mapping[str, tuple[str, str]],
    here: Mapping[str, Any],
    there: Mapping[str, Any],
) -> str:
    """Say what differs: versions and settings by value, computations by their cause."""
    named = {name: drift[name] for name in _environment(here) if name in drift}
    texts = []
    if named:
        began = ", ".join(f"{name} {there}" for name, (there, _) in named.items())
        now = ", ".join(f"{name} {here}" for name, (_, here) in named.items())
        texts.append(f"{began}; here is {now}")
    if len(named) < len(drift):
        programs = here["programs"]
        parts = {
            f"{part} ({programs[name]['label']})" if len(programs) > 1 else part
            for name, program in programs.items()
            for part in program.get("computes", {})
            if _key(name, program, part) in drift
        }
        cause = "" if named else f": {_cause(here, there)}"
        texts.append(f"another computation of {', '.join(sorted(parts))}{cause}")
    return ", and ".join(texts)


def _cause(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """Name what has changed since, where that is known."""
    before = _changed_versions(here, there)
    named = [f"the code of {name}" for name in _changed_code(here, there)] + [
        f"{name} {was}, here {here['versions'][name]}" for name, was in before.items()
    ]
    return f"{', '.join(named) or 'something that its code imports'} has changed since"


def _changed_code(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    was, code = there.get("code", {}), here["code"]
    return [name for name in code if was.get(name, code[name]) != code[name]]


def _changed_versions(
    here: Mapping[str, Any], there: Mapping[str, Any]
) -> dict[str, str | None]:
    """List the versions that packages had, of those that have another one now."""
    return {
        name: there["versions"][name]
        for name, value in here["versions"].items()
        if there["versions"].get(name, value) != value
    }


def _ways_out(
    drift: Mapping[str, tuple[str, str]],
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    finished: bool,
) -> str:
    packages = {n: was for n, (was, _) in drift.items() if n in GIVE_BITS}
    settings = [n for n in drift if n in _JAX_SETTINGS or n == "XLA_FLAGS"]
    if not packages and not settings and not _changed_code(here, there):
        packages = _changed_versions(here, there)
    # Its own versions are those of its code, and what was not there has none.
    pins = [f"{n}=={v}" for n, v in packages.items() if v and n != "init_study"]
    cure = f"pip install {' '.join(pins)}" if pins else "put its code back"
    cure = "set them as they were" if settings and not pins else cure
    mixed = "read its answer all the same" if finished else "mix both in one run"
    return (
        f"That may give other bits. To go on as it began: {cure}; or begin in a new "
        f"folder: --workdir=DIR; or {mixed}: --accept_drift"
    )


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

    # A lock that a killed process leaves would stop the user's own git.
    quiet = ("--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    changes = ask(*quiet)
    return {
        "commit": ask("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }
