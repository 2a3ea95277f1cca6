"""R10, R18 and R19: what changed between two calls, another place, another setting."""

import json
import os
import random
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from calling import ROOT, finish, tiny

from faults.kills import watch_writes
from faults.room import (
    FAILED,
    OFTEN,
    PASSED,
    SKIPPED,
    SMALL,
    WRONG,
    Room,
    Trial,
    data_of,
    difference,
    gone_on,
    judged,
)
from init_study import store

_MODULE = """import flax.linen as nn


class Own(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(2, (3, 3))(x))
        return nn.Dense(self.num_classes)(x.mean((1, 2)))
"""
_OWN = (
    *tiny(fresh_seeds="0", evaluations="3", depth="default", width="default"),
    *("--study.model=own_net:Own", *OFTEN),
)
_SET = (*SMALL, "--study.dataset=arrays:own.npz", "--study.image_size=8")


def _no_fault(cwd: Path) -> None:
    """For a change that is in the words of the command."""


def _other_code(cwd: Path) -> None:
    (cwd / "own_net.py").write_text(_MODULE.replace("relu", "tanh"))


def _other_data(cwd: Path) -> None:
    _write_set(cwd, 1)


def _write_set(cwd: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (200, 8, 8), np.uint8)
    np.savez(cwd / "own.npz", images=images, labels=np.arange(200) % 4)


def _other_jax(cwd: Path) -> None:
    manifest = store.read_manifest(cwd / "w")
    manifest["versions"]["jax"] = "0.9.9"
    store.write_manifest(cwd / "w", manifest)


def _flags() -> None:
    os.environ["XLA_FLAGS"] = "--xla_cpu_enable_fast_math=true"


def _precision() -> None:
    import jax

    jax.config.update("jax_default_matmul_precision", "bfloat16")


# The command, what is done to its folder or process meanwhile, and what is named.
CHANGES: dict[str, tuple[tuple[str, ...], Callable[..., None], str]] = {
    "code of the user's module": (_OWN, _other_code, "cnn|own|program|network"),
    "data": (_SET, _other_data, "own.npz"),
    "version of JAX": (SMALL, _other_jax, "jax"),
    "flags of XLA": (SMALL, _flags, "XLA_FLAGS"),
    "precision": (SMALL, _precision, "precision"),
    "seeds": (SMALL, _no_fault, "seeds"),
    "rates": (SMALL, _no_fault, "learning_rates"),
    "width": (SMALL, _no_fault, "width"),
}
_FLAGS = {
    "seeds": "--study.seeds=4",
    "rates": "--study.learning_rates=0.1,0.4",
    "width": "--study.width=3",
}
_ACCEPTED = ("code of the user's module", "version of JAX", "flags of XLA")


def drift_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Change something under a run that was killed, and go on: refused, by name."""
    names = list(CHANGES)
    name = names[number % len(names)]
    words, change, named = CHANGES[name]
    cwd = room.new()
    (cwd / "own_net.py").write_text(_MODULE)
    _write_set(cwd, 0)
    command = ("run", *words, "--workdir=w")
    room.call(*command, cwd=cwd, before=lambda: watch_writes(30, "after"))
    if not (cwd / "w" / store.MANIFEST).exists():
        return Trial(FAILED, "it was killed before it began")
    in_process = change in (_flags, _precision)
    if not in_process:
        change(cwd)
    before = change if in_process else lambda: None
    changed = [*words, *([_FLAGS[name]] if name in _FLAGS else [])]
    kept = data_of(cwd / "w")
    ended = room.call("run", *changed, "--workdir=w", cwd=cwd, before=before)
    done = f"other {name}: {ended.seen}"
    if not ended.code:
        return Trial(WRONG, f"{done}: it went on")
    if not ended.refusal or not any(n in ended.refusal for n in named.split("|")):
        return Trial(FAILED, done)
    if kept != data_of(cwd / "w"):
        return Trial(FAILED, f"{done}: it wrote all the same")
    if name not in _ACCEPTED:
        return Trial(PASSED, done)
    words_of = ("run", *changed, "--accept_drift", "--workdir=w")
    accepted = room.call(*words_of, cwd=cwd, before=before)
    marked = "accepted_drift" in store.read_manifest(cwd / "w")
    verdict = PASSED if not accepted.code and marked else FAILED
    return Trial(verdict, f"{done}; accepted: {accepted.seen}, marked: {marked}")


def again_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Repeat a run from its manifest, elsewhere; every tenth in a fresh environment."""
    whole = room.undisturbed(SMALL) / "w"
    manifest, cwd = store.read_manifest(whole), room.new("trial elsewhere")
    if number % 10 == 1:
        return _fresh(room, cwd, whole)
    if number % 2:
        words = shlex.split(manifest["command"])[2:]
        ended = room.call(*words, cwd=cwd)
        return judged(ended, cwd / "w", whole, "its command, elsewhere")
    (cwd / "again.json").write_text(json.dumps(manifest["study"]))
    ended = room.call("run", "--study=again.json", *OFTEN, "--workdir=w", cwd=cwd)
    return judged(ended, cwd / "w", whole, "its study, elsewhere")


def _fresh(room: Room, cwd: Path, whole: Path) -> Trial:
    place = cwd / "venv"
    finish([sys.executable, "-m", "venv", place])
    python = place / "bin" / "python"
    wanted = [f"{ROOT}[data,report]", "-c", ROOT / "constraints.txt"]
    pip = [python, "-m", "pip", "install", "-q", *wanted]
    if (installed := finish(pip, limit=500, check=False)).returncode:
        return Trial(SKIPPED, f"no fresh environment: {installed.stderr[-200:]}")
    said = finish(
        [python, "-m", "init_study", "run", *SMALL, "--workdir=w"], check=False, cwd=cwd
    )
    if said.returncode:
        return Trial(FAILED, f"a fresh environment: {said.stderr[-400:]}")
    differs = difference(cwd / "w", whole)
    return Trial(WRONG if differs else PASSED, f"a fresh environment {differs}")


SETTINGS: dict[str, dict[str, str | None]] = {
    "TZ": {"TZ": "Pacific/Kiritimati"},
    "a German locale": {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
    "a Turkish locale": {"LC_ALL": "tr_TR.UTF-8"},
    "the C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "no git": {"PATH": "/nowhere"},
    "no HOME": {"HOME": None},
    "another hash seed": {"PYTHONHASHSEED": "1"},
    "a random hash seed": {"PYTHONHASHSEED": "random"},
    "no assertions": {"PYTHONOPTIMIZE": "2"},
    "a narrow terminal": {"COLUMNS": "20", "TERM": "dumb"},
    "one thread": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
}
_CLOCKS = ("a clock that goes back", "a clock that jumps", "a clock that stands")


def setting_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Run under another setting of the system: the same bits."""
    names = [*SETTINGS, *_CLOCKS]
    name = names[number % len(names)]
    cwd, words = room.new(), ("run", *SMALL, "--workdir=w")
    if name in _CLOCKS:
        ended = room.call(*words, cwd=cwd, before=lambda: _turn_clock(name))
        # Orbax takes the time of day for its patience: a save may give up, in a line.
        if ended.code == 74 and "the clock was set meanwhile" in ended.refusal:
            return gone_on(room, SMALL, cwd, name, "given up and gone on")
        return judged(ended, cwd / "w", room.undisturbed(SMALL) / "w", name)
    changed = {**os.environ, **SETTINGS[name]}
    env = {key: value for key, value in changed.items() if value is not None}
    # The program that starts it is found by the PATH that is given here.
    start = ["env", f"PATH={env.pop('PATH')}", sys.executable, ROOT / "launch.py"]
    env["PATH"] = os.environ["PATH"]
    said = finish([*start, *words], check=False, cwd=cwd, env=env)
    if said.returncode:
        return Trial(FAILED, f"{name}: {said.stderr[-400:]}")
    differs = difference(cwd / "w", room.undisturbed(SMALL) / "w")
    return Trial(WRONG if differs else PASSED, f"{name} {differs}")


def _turn_clock(name: str) -> None:
    real, began, calls = time.time, time.time(), [0]

    def told() -> float:
        calls[0] += 1
        if name.endswith("back"):
            return 2 * began - real()
        jump = 86_400.0 * 365 * (-1) ** calls[0] if name.endswith("jumps") else 0.0
        return began + jump

    time.time = told
