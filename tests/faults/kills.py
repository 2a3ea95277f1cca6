"""R1: `kill -9` at any moment, and in every write in turn."""

import builtins
import functools
import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from faults.room import SMALL, WITH_FRESH, Room, Trial, gone_on

_CALLS = ("replace", "rename", "fsync", "mkdir", "unlink", "truncate")
MOMENTS = ("before", "amid", "after")


class Writes:
    """Counts what a process does to the disk in its folder, and kills it at one.

    Args:
        at: the number of the write that it dies at; None for none.
        when: before, amid (half of the bytes are written) or after.
        note: takes a line of where each write is; no file by default.
        among: what the place of a write has in it that counts; all do by default.
    """

    def __init__(
        self, at: int | None, when: str, note: Path | None = None, among: str = ""
    ) -> None:
        self.at, self.when, self.seen = at, when, 0
        self.inside, self.among = str(Path.cwd() / "w"), re.compile(among)
        self.note = open(note, "a") if note else None

    def __call__(
        self,
        place: str,
        act: Callable[..., Any],
        half: Callable[[], Any] | None = None,
    ) -> Any:
        """Do one write, or die at it."""
        if not self.among.search(place):
            return act()
        number, self.seen = self.seen, self.seen + 1
        if self.note:
            print(place, file=self.note, flush=True)
        if number == self.at and self.when != "after":
            if self.when == "amid" and half:
                half()
            die()
        try:
            return act()
        finally:
            # Also after one that fails, as the removal of what is moved already.
            if number == self.at:
                die()

    def place(self, path: Any) -> str | None:
        """Where in the run a path, or an open file, is; None if it is not of it."""
        try:
            if isinstance(path, int):
                path = os.readlink(f"/proc/self/fd/{path}")
            whole = os.path.abspath(os.fspath(path))
        except (TypeError, OSError):
            return None
        return (
            whole.removeprefix(self.inside) if whole.startswith(self.inside) else None
        )


def die() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class _File:
    """A file whose writes are counted."""

    def __init__(self, file: Any, place: str, writes: Writes) -> None:
        self._file, self._place, self._writes = file, place, writes

    def write(self, content: Any) -> Any:
        def half() -> None:
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        return self._writes(self._place, lambda: self._file.write(content), half)

    def __enter__(self) -> "_File":
        self._file.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._file.__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self._file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def watch_writes(
    at: int | None = None,
    when: str = "before",
    note: Path | None = None,
    among: str = "",
) -> None:
    """Count the writes of this process from here on; it dies at one of them.

    TensorStore's own, which Python does not see, are not among them. Arguments are
    those of `Writes`.
    """
    writes = Writes(at, when, note, among)
    plain_open = builtins.open

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        found = plain_open(file, mode, *args, **kwargs)
        place = writes.place(file) if set(mode) & set("wax+") else None
        return found if place is None else _File(found, place, writes)

    builtins.open = opened
    for name in _CALLS:
        plain = getattr(os, name)

        def counted(path: Any, *args: Any, _plain: Any = plain, **kwargs: Any) -> Any:
            act = functools.partial(_plain, path, *args, **kwargs)
            place = writes.place(path)
            return act() if place is None else writes(place, act)

        setattr(os, name, counted)


def aimed(
    room: Room,
    words: tuple[str, ...],
    cwd: Path,
    at: int,
    when: str,
    among: str = "",
) -> str:
    """Kill a run at one of its writes, as `Writes` has it, and say how it ended."""
    ended = room.call(
        *("run", *words, "--workdir=w"),
        cwd=cwd,
        before=lambda: watch_writes(at, when, among=among),
    )
    return f"{when} write {at}{among and f' of {among}'}: {ended.code}"


def anywhere(room: Room, words: tuple[str, ...], cwd: Path, seconds: float) -> str:
    """Kill a run after so many seconds, and say how it ended."""
    process = room.begin("run", *words, "--workdir=w", cwd=cwd)
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    return f"after {seconds:.3f} s: {process.wait().code}"


def growing(room: Room, words: tuple[str, ...], cwd: Path, files: int) -> str:
    """Kill as soon as there are so many files: amid those that TensorStore writes."""
    process = room.begin("run", *words, "--workdir=w", cwd=cwd)
    while process.poll() is None:
        if file_count(cwd / "w") >= files:
            break
    process.kill()
    return f"at file {files}: {process.wait().code}"


def file_count(folder: Path) -> int:
    """Count the files in a folder, and in those in it."""
    return sum(len(files) for _, _, files in os.walk(folder))


class Measured(NamedTuple):
    """What an undisturbed run takes.

    Attributes:
        seconds: in all.
        places: of its writes, in their order.
        files: that it leaves.
    """

    seconds: float
    places: tuple[str, ...]
    files: int

    @property
    def writes(self) -> int:
        return len(self.places)

    def among(self, pattern: str) -> int:
        """Count the writes whose place has something in it."""
        return sum(bool(re.search(pattern, place)) for place in self.places)


@functools.cache
def measured(room: Room, words: tuple[str, ...]) -> Measured:
    """Measure the undisturbed run."""
    files = file_count(room.undisturbed(words) / "w")
    cwd = room.new("counted")
    note = cwd / "places"
    ended = room.call(
        *("run", *words, "--workdir=w"),
        cwd=cwd,
        before=lambda: watch_writes(note=note),
    )
    assert ended.code == 0, ended.err
    return Measured(ended.seconds, tuple(note.read_text().splitlines()), files)


def kill_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Kill a run once or more, and go on.

    Every second time at a write, each in turn: before it, amid it or after it. Else as
    the files of a checkpoint come, or at any moment. Then perhaps again, anywhere.
    """
    words = WITH_FRESH if number % 4 == 3 else SMALL
    whole = measured(room, words)
    cwd, done, kinds = room.new(), [], []
    first = ("write", "moment", "write", "file")[number % 4]
    more = rng.choices(("write", "file", "moment"), k=rng.choice((0, 0, 1, 2)))
    for turn, kind in enumerate([first, *more]):
        if kind == "write":
            n = whole.writes
            at = rng.randrange(n) if turn else number // 2 * 37 % n
            when = rng.choice(MOMENTS)
            done.append(aimed(room, words, cwd, at, when))
        elif kind == "file":
            done.append(growing(room, words, cwd, rng.randint(1, whole.files)))
        else:
            done.append(anywhere(room, words, cwd, rng.uniform(0, whole.seconds)))
        if done[-1].endswith(" -9"):
            place = "at any moment" if kind == "moment" else "inside a write"
            kinds.append(f"kills {place}")
    return gone_on(room, words, cwd, ", ".join(done), *kinds)
