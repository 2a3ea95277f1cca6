"""Runs, races and examinations that are damaged, and what is asked of them."""

import functools
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from calling import tiny

from faults.forks import Ended
from faults.kills import measured, watch_writes
from faults.room import OFTEN, RACE, SMALL, WITH_FRESH, Room

OTHER = tuple(w.replace("0.1,0.3", "0.1,0.4") for w in WITH_FRESH)
MEMBER = "he_normal/lr=0.1/1"
_CLAIMS = ("claims", "--workdir=w", *OFTEN)


class Subject(NamedTuple):
    """Something that a folder holds.

    Attributes:
        cwd: holds the folder `w`.
        end: a whole one, of the same command; itself if it is whole.
        words: how to go on.
        asked: words that read it.
    """

    cwd: Path
    end: Path
    words: tuple[str, ...]
    asked: tuple[tuple[str, ...], ...]


_READ = (
    ("report", "--workdir=w", "--json"),
    ("status", "--workdir=w", "--json"),
    ("export", "--workdir=w", "--to=records.csv"),
)


@functools.cache
def subject(room: Room, kind: str, part: float = 0.0) -> Subject:
    """Make one, once.

    Args:
        room: where.
        kind: run, small, race or examination.
        part: where it is killed, of its writes; 0 for none that is whole.
    """
    words = {"run": WITH_FRESH, "small": SMALL, "race": RACE}.get(kind)
    if words is None:
        cwd = _examination(room)
        return Subject(cwd, cwd, _CLAIMS, (*_READ, _CLAIMS))
    whole, command = room.undisturbed(words), ("run", *words, "--workdir=w")
    if not part:
        asked = (*_READ, (*command, "--json"))
        return Subject(
            whole,
            whole,
            command,
            (*asked, member_words(MEMBER)) if kind != "race" else asked,
        )
    cwd = room.new("stopped")
    at = int(part * measured(room, words).writes)
    room.call(*command, cwd=cwd, before=lambda: watch_writes(at, "before"))
    return Subject(cwd, whole, command, _READ[1:])


def _examination(room: Room) -> Path:
    cwd = room.new("examination")
    ended = room.call(*_CLAIMS, cwd=cwd, before=claim_little)
    assert ended.code == 0, ended.err
    return cwd


def claim_little() -> None:
    """Have `claims` examine two claims that take a second."""
    from init_study.answers.claims.claim import Claim, above
    from init_study.answers.claims.combinations import Check, Difference
    from init_study.answers.claims.evidence import runs
    from init_study.answers.claims.quantities import Accuracy
    from init_study.cli.words import claims
    from init_study.study import Study, parse_field

    flags = dict(flag.removeprefix("--study.").split("=") for flag in tiny(seeds="6"))
    fields = {name: parse_field(name, text) for name, text in flags.items()}
    study = Study(name="first", fresh_seeds=0, **fields)
    he, zeros = (Accuracy(runs("first", scheme)) for scheme in study.schemes)
    little = SimpleNamespace(
        CLAIMS=(
            Claim(1, "1", "", "One.", "", (above(Difference(he, zeros), 0.5),)),
            Claim(2, "1", "", "Two.", "", (above(Check("three", "three"), 2.5),)),
        ),
        CHECKS={"three": lambda: [3.0]},
        TITLE="Little",
        studies=lambda quick: {"first": study},
    )
    claims.shipped = SimpleNamespace(experiment=lambda name: little)


def prepared(words: tuple[str, ...]) -> Callable[[], None]:
    """What is done in a process before it answers."""
    if words[0] == "claims":
        return claim_little
    return _digest_members if words[-1] == member_words(MEMBER)[-1] else lambda: None


def member_words(name: str) -> tuple[str, ...]:
    """The words that export a member, as a digest of its numbers."""
    return ("export", "--workdir=w", f"--member={name}", "--to=member")


def _digest_members() -> None:
    """Have an exported member be a digest, which can be compared."""
    import jax
    import numpy as np

    from init_study.api import trained

    def digest(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    def save(variables: Any, target: Path) -> None:
        leaves = jax.tree_util.tree_leaves_with_path(variables)
        content = {
            jax.tree_util.keystr(path): hashlib.sha256(
                np.asarray(x).tobytes()
            ).hexdigest()
            for path, x in leaves
        }
        target.write_text(json.dumps(content))

    trained.save_variables = save


def answer_of(ended: Ended, words: tuple[str, ...], cwd: Path) -> str:
    """What a process answered: its document, or the file that it wrote."""
    if words[0] == "export":
        name = words[-1].removeprefix("--to=")
        return (cwd / name).read_text() if (cwd / name).exists() else "nothing"
    return ended.out


@functools.cache
def right_answer(room: Room, one: Subject, words: tuple[str, ...]) -> tuple[int, str]:
    """The exit code and the answer where nothing is damaged."""
    cwd = copied(room, one)
    ended = room.call(*words, cwd=cwd, before=prepared(words))
    return ended.code, answer_of(ended, words, cwd)


def copied(room: Room, one: Subject) -> Path:
    """A copy of it that may be damaged."""
    cwd = room.new()
    shutil.copytree(one.cwd / "w", cwd / "w", symlinks=True)
    return cwd
