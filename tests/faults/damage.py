"""R5 and R6: damaged checkpoints, records and documents are found, or do not matter."""

import random
from collections.abc import Sequence
from pathlib import Path

from faults.damages import damage, damage_folder
from faults.forks import Ended
from faults.room import FAILED, LOST, PASSED, WRONG, Room, Trial, difference
from faults.subjects import (
    OTHER,
    Subject,
    answer_of,
    copied,
    prepared,
    right_answer,
    subject,
)

PARTS = (0.3, 0.55, 0.8)
_LIMIT = 60.0


def checkpoint_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Damage a checkpoint, and go on, or export a member of it."""
    stopped = number % 3 != 2
    kind, part = rng.choice(("run", "small")), rng.choice(PARTS)
    one = subject(room, kind, part if stopped else 0.0)
    cwd = copied(room, one)
    workdir, other = cwd / "w", room.undisturbed(OTHER) / "w"
    steps = sorted(p for p in workdir.rglob("checkpoints/*/*") if p.is_dir())
    files = [p for step in steps for p in sorted(step.rglob("*")) if p.is_file()]
    done: str | None = None
    hurt: list[Path] = []
    if number % 7 == 0:
        # What a killed process had begun to save has no number.
        whole = [step for step in steps if step.name.isdecimal()]
        done = damage_folder(rng.choice(whole), workdir, other, rng)
    while not done:
        path = rng.choice(files)
        peers = [p for p in files if p.name == path.name or p.parent == path.parent]
        done = damage(path, workdir, other, peers, rng)
        hurt = [path]
    words = one.words if stopped else one.asked[-1]
    return _asked(room, one, cwd, [words], done, hurt)


def record_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Damage any other file of a run, race or examination, and ask for its answer."""
    kind = ("run", "run", "race", "examination", "run")[number % 5]
    part = rng.choice(PARTS) if number % 5 == 4 else 0
    one = subject(room, kind, part)
    cwd = copied(room, one)
    workdir, other = cwd / "w", room.undisturbed(OTHER) / "w"
    files = [
        p for p in workdir.rglob("*") if p.is_file() and "checkpoints" not in p.parts
    ]
    done = None
    while not done:
        path = rng.choice(sorted(files))
        done = damage(path, workdir, other, sorted(files), rng)
    hurt = [p for p in files if str(p.relative_to(workdir)) in done]
    asked = [*one.asked]
    words = [one.words] if part else rng.sample(asked, 2)
    return _asked(room, one, cwd, words, done, hurt)


def _asked(
    room: Room,
    one: Subject,
    cwd: Path,
    asked: Sequence[tuple[str, ...]],
    done: str,
    hurt: Sequence[Path],
) -> Trial:
    """Ask, and judge: refused in a line, or right."""
    kinds: list[str] = []
    for words in asked:
        before = kept(cwd, hurt)
        ended = room.call(*words, cwd=cwd, before=prepared(words), limit=_LIMIT)
        told = f"{one.cwd.name}, {done}; {words[0]}: {ended.seen}"
        if ended.code == 0:
            if wrong := _wrong(room, one, cwd, words, ended, hurt):
                return Trial(WRONG, f"{told} {wrong}", tuple(kinds))
            kinds.append("answered right")
            continue
        right = right_answer(room, one, words) if words != one.words else (0, "")
        if ended.code == right[0] and not ended.is_traceback:
            continue
        if not ended.refusal:
            return Trial(FAILED, told, tuple(kinds))
        if before != (now := kept(cwd, hurt)):
            gone = [name for name in before if before[name] != now.get(name)]
            return Trial(LOST, f"{told}, and {gone} changed", tuple(kinds))
        kinds.append("refused")
        if not names_damage(ended.refusal, cwd, hurt):
            return Trial(FAILED, f"{told}: which names no file", tuple(kinds))
    return Trial(PASSED, done, tuple(kinds))


def _wrong(
    room: Room,
    one: Subject,
    cwd: Path,
    words: tuple[str, ...],
    ended: Ended,
    hurt: Sequence[Path],
) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if words == one.words and one.cwd != one.end:
        differs = difference(cwd / "w", one.end / "w", twice=True)
        return differs and f"{differs} differs"
    code, answer = right_answer(room, one, words)
    if (code, answer) == (0, answer_of(ended, words, cwd)):
        return ""
    gone = [path for path in hurt if not path.exists()]
    if gone and all(
        f"{path.relative_to(cwd)} is not there" in ended.err for path in gone
    ):
        # A kill leaves that, too: it is answered, and said.
        return ""
    return f"answers otherwise ({code} where nothing is damaged)"


def kept(cwd: Path, hurt: Sequence[Path]) -> dict[str, bytes]:
    """The numbers and documents that nothing happened to."""
    files = [p for p in (cwd / "w").rglob("*.json*") if p.is_file() and p not in hurt]
    return {str(p): p.read_bytes() for p in files if "checkpoints" not in p.parts}


def names_damage(line: str, cwd: Path, hurt: Sequence[Path]) -> bool:
    """Whether a line names what was damaged, or the folder of the run."""
    names = [str(p.relative_to(cwd)) for p in hurt]
    return (
        any(name in line for name in names)
        or " w/" in f" {line}"
        or f"{cwd / 'w'}/" in line
        or "=w" in line
        or " w " in line
    )
