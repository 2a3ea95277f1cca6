"""Where faults are done: folders, the undisturbed runs, and what is compared."""

import copy
import functools
import itertools
import json
import os
import random
import re
import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from calling import tiny

from faults.forks import Ended, Fork, fork, launcher
from init_study.store import MANIFEST

PASSED, LOST, WRONG, FAILED, SKIPPED = (
    "passed",
    "lost",
    "silently wrong",
    "not passed",
    "skipped",
)
OFTEN = ("--checkpoint_every=0", "--execution=xla/1")
SMALL = (*tiny(fresh_seeds="0", evaluations="3"), *OFTEN)
WITH_FRESH = (
    *tiny(fresh_seeds="2", evaluations="3", instruments="logits", readings="2"),
    *OFTEN,
)
RACE = (
    *tiny(steps="20", width="4", seeds=None, schemes="he_normal,torch"),
    *("--until=decided", "--looks=5", *OFTEN),
)
_LEFT = re.compile(r"\..+\.\d+|.*orbax-checkpoint-tmp.*")


class Trial(NamedTuple):
    """What came of one fault.

    Attributes:
        verdict: one of the words above.
        seen: what was done, and what was seen.
        kinds: of the fault, to be counted.
    """

    verdict: str
    seen: str = ""
    kinds: tuple[str, ...] = ()


Trials = Callable[["Room", Sequence[int], int], Iterator[tuple[int, Trial]]]


class Room:
    """A folder for all that the program makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names = itertools.count()
        self._always: Callable[[], None] = lambda: None
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")

    def where(self, always: Callable[[], None]) -> "Room":
        """The same folder, where every process first does something.

        Its undisturbed runs are its own.
        """
        other = copy.copy(self)
        other._always = always
        return other

    def new(self, name: str = "trial") -> Path:
        """Make an empty folder."""
        path = self.folder / f"{name}{next(self._names)}"
        path.mkdir()
        return path

    def fork(self, work: Callable[[], int | None], cwd: Path) -> Fork:
        """Begin some work in a process of its own."""
        return fork(work, cwd, self.folder / f"notes{next(self._names)}")

    def begin(
        self, *words: object, cwd: Path, before: Callable[[], None] = lambda: None
    ) -> Fork:
        """Begin what the words say."""

        def prepare() -> None:
            self._always()
            before()

        return self.fork(launcher(words, prepare), cwd)

    def call(
        self,
        *words: object,
        cwd: Path,
        before: Callable[[], None] = lambda: None,
        limit: float = 120.0,
    ) -> Ended:
        """Do what the words say."""
        return self.begin(*words, cwd=cwd, before=before).wait(limit)

    @functools.cache  # noqa: B019
    def undisturbed(self, words: tuple[str, ...]) -> Path:
        """A folder with a finished run `w` that nothing happened to."""
        cwd = self.new("undisturbed")
        ended = self.call("run", *words, "--workdir=w", cwd=cwd)
        assert ended.code == 0, ended.err
        return cwd


def each(trial: Callable[["Room", random.Random, int], Trial], clean: bool = True):
    """Trials that depend on nothing but the seed and their number.

    Args:
        trial: one of them.
        clean: whether the folders that it made are removed.
    """

    def trials(
        room: Room, numbers: Sequence[int], seed: int
    ) -> Iterator[tuple[int, Trial]]:
        for number in numbers:
            rng = random.Random(f"{trial.__module__} {trial.__name__} {seed} {number}")
            try:
                done = trial(room, rng, number)
            except Exception:
                done = Trial(FAILED, traceback.format_exc(limit=-3))
            if clean:
                for path in room.folder.glob("trial*"):
                    shutil.rmtree(path, ignore_errors=True)
            yield number, done

    return trials


def data_of(workdir: Path) -> dict[str, bytes]:
    """All numbers of a run, by file."""
    files = sorted(workdir.rglob("*.jsonl"))
    return {str(path.relative_to(workdir)): path.read_bytes() for path in files}


def difference(workdir: Path, other: Path, twice: bool = False) -> str:
    """The first file in which two runs differ; empty if there is none.

    Args:
        workdir: of the one run.
        other: of the other.
        twice: whether a line may stand there twice.
    """
    here, there = data_of(workdir), data_of(other)
    if twice:
        here, there = ({n: _once(c) for n, c in part.items()} for part in (here, there))
    if set(here) != set(there):
        return f"files {sorted(set(here) ^ set(there))}"
    return next((name for name in here if here[name] != there[name]), "") or (
        "" if _plans_of(workdir) == _plans_of(other) else "a manifest"
    )


def _plans_of(workdir: Path) -> list[list[object]]:
    """What the manifests of a run say that is the same whenever it runs."""
    found = map(json.loads, (p.read_text() for p in sorted(workdir.rglob(MANIFEST))))
    parts = ("study", "programs", "data", "fresh")
    return [[one.get(part) for part in parts] for one in found]


def _once(content: bytes) -> bytes:
    return b"".join(dict.fromkeys(content.splitlines(keepends=True)))


def leftovers(workdir: Path) -> list[str]:
    """What a process that was killed left behind, and nothing reads."""
    found = workdir.rglob("*")
    return [str(p) for p in found if _LEFT.fullmatch(p.name)]


def judged(
    ended: Ended,
    workdir: Path,
    undisturbed: Path,
    done: str = "",
    kinds: tuple[str, ...] = (),
) -> Trial:
    """Judge the end of a run to which something was done.

    Args:
        ended: how the last call ended.
        workdir: of the run.
        undisturbed: the run it shall be like.
        done: the fault, in words.
        kinds: as of `Trial`.
    """
    if ended.code != 0:
        return Trial(LOST, f"{done}; then {ended.seen}", kinds)
    if differs := difference(workdir, undisturbed):
        return Trial(WRONG, f"{done}; then {differs} differs", kinds)
    if left := leftovers(workdir):
        return Trial(FAILED, f"{done}; left {left}", kinds)
    return Trial(PASSED, done, kinds)


def gone_on(
    room: Room, words: tuple[str, ...], cwd: Path, done: str, *kinds: str
) -> Trial:
    """Give the same command once more, and judge what comes of it."""
    ended = room.call("run", *words, "--workdir=w", cwd=cwd)
    return judged(ended, cwd / "w", room.undisturbed(words) / "w", done, kinds)
