"""R17: a state that is restored is the one that was saved, and so are all after it."""

import functools
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calling import tiny

from faults.kills import die
from faults.room import FAILED, LOST, PASSED, WRONG, Room, Trial, difference

_STEPS = 50
_WORDS = (
    *tiny(
        steps=str(_STEPS), evaluations="5", fresh_seeds="0", schemes="he_normal,lsuv"
    ),
    *("--study.optimizer=adam", "--study.norm=batch", "--study.augmentation=crop"),
    *("--execution=xla/1", "--checkpoint_every=0"),
)


def step_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Kill a run of 50 steps behind a checkpoint, and compare every state from there.

    What is compared, by digest: parameters, the optimizer's state, running sums, the
    step; and, as each next state depends on it, what the next batches hold.
    """
    step = 1 + number * 7 % (_STEPS - 1)
    whole = _undisturbed(room)
    cwd = room.new()
    killed = room.call(*_command(), cwd=cwd, before=_noting(cwd / "first", step))
    ended = room.call(*_command(), cwd=cwd, before=_noting(cwd / "second"))
    done = f"step {step}: {killed.code}, {ended.seen}"
    if ended.code:
        return Trial(LOST, done)
    right, first, second = (
        _read(p / n) for p, n in ((whole, "all"), (cwd, "first"), (cwd, "second"))
    )
    restored = [name for name in second if name.startswith("restored ")]
    if restored != [f"restored {step}"]:
        return Trial(FAILED, f"{done}: {restored}")
    saved = {
        name: digest for name, digest in (first | second).items() if "saved" in name
    }
    if second[restored[0]] != right[f"saved {step}"]:
        return Trial(WRONG, f"{done}: the restored state is not the one that was saved")
    wrong = [name for name in saved if saved[name] != right[name]]
    if wrong or set(saved) != {name for name in right if "saved" in name}:
        return Trial(WRONG, f"{done}: other states: {wrong[:3]}")
    differs = difference(cwd / "w", whole / "w")
    return Trial(WRONG if differs else PASSED, f"{done} {differs}")


def _command() -> tuple[str, ...]:
    return ("run", *_WORDS, "--workdir=w")


@functools.cache
def _undisturbed(room: Room) -> Path:
    cwd = room.new("steps")
    ended = room.call(*_command(), cwd=cwd, before=_noting(cwd / "all"))
    assert ended.code == 0, ended.err
    return cwd


def _read(path: Path) -> dict[str, Any]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return {name: digests for name, digests in found}


def _noting(path: Path, last: int | None = None) -> Callable[[], None]:
    """Have a run take single steps, and note each state; it dies behind the last."""

    def before() -> None:
        from init_study import run_program, store

        plain_save, plain_begin = store.Checkpoints.save, run_program._begin

        def note(name: str, state: Any) -> None:
            with open(path, "a") as file:
                file.write(json.dumps([name, _digests(state)]) + "\n")

        def save(self: Any, step: int, state: Any, *more: Any, **named: Any) -> None:
            plain_save(self, step, state, *more, **named)
            note(f"saved {step}", state)
            if step == last:
                self.wait()
                die()

        def begin(plan: Any, population: Any, *more: Any, **named: Any) -> Any:
            population, state, step = plain_begin(plan, population, *more, **named)
            if step:
                note(f"restored {step}", population.layout.fetch(state))
            return population, state, step

        store.Checkpoints.save = save
        run_program._begin = begin
        run_program.next_length = lambda *any_of: 1

    return before


def _digests(state: Any) -> dict[str, str]:
    import jax
    import numpy as np

    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path): hashlib.sha256(
            np.asarray(leaf).tobytes()
        ).hexdigest()
        for path, leaf in leaves
    }
