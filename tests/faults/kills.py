"""R1: `kill -9` at any moment, and in every write in turn."""

import builtins
import functools
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faults.room import SMALL, WITH_FRESH, Room, Trial, gone_on

_CALLS = ("replace", "rename", "fsync", "mkdir", "unlink", "truncate")


class Writes:
    """Counts what a process does to the disk in its folder, and kills it at one.

    Args:
        at: the number of the write that it dies at; None for none.
        when: before, amid (half of the bytes are written) or after.
    """

    def __init__(self, at: int | None, when: str, count: Path | None = None) -> None:
        self.at, self.when, self.count, self.seen = at, when, count, 0
        self.inside = str(Path.cwd() / "w")

    def __call__(self, act: Callable[..., Any], half: Callable[[], Any] | None = None):
        """Do one write, or die at it."""
        number, self.seen = self.seen, self.seen + 1
        if self.count:
            self.count.write_bytes(b"." * self.seen)
        if number == self.at and self.when != "after":
            if self.when == "amid" and half:
                half()
            die()
        result = act()
        if number == self.at:
            die()
        return result

    def is_inside(self, path: Any) -> bool:
        """Whether a path, or an open file, is of the run."""
        try:
            if isinstance(path, int):
                path = os.readlink(f"/proc/self/fd/{path}")
            return os.path.abspath(os.fspath(path)).startswith(self.inside)
        except (TypeError, OSError):
            return False


def die() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class _File:
    """A file whose writes are counted."""

    def __init__(self, file: Any, writes: Writes) -> None:
        self._file, self._writes = file, writes

    def write(self, content: Any) -> Any:
        def half() -> None:
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        return self._writes(lambda: self._file.write(content), half)

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
    at: int | None = None, when: str = "before", count: Path | None = None
) -> None:
    """Count the writes of this process from here on; it dies at one of them.

    TensorStore's own, which Python does not see, are not among them.
    """
    writes = Writes(at, when, count)
    plain_open = builtins.open

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        found = plain_open(file, mode, *args, **kwargs)
        is_write = set(mode) & set("wax+") and writes.is_inside(file)
        return _File(found, writes) if is_write else found

    builtins.open = opened
    for name in _CALLS:
        plain = getattr(os, name)

        def counted(path: Any, *args: Any, _plain: Any = plain, **kwargs: Any) -> Any:
            act = functools.partial(_plain, path, *args, **kwargs)
            return writes(act) if writes.is_inside(path) else act()

        setattr(os, name, counted)


def _aimed(room: Room, words: tuple[str, ...], cwd: Path, at: int, when: str) -> str:
    ended = room.call(
        *("run", *words, "--workdir=w"), cwd=cwd, before=lambda: watch_writes(at, when)
    )
    return f"{when} write {at}: {ended.code}"


def _anywhere(room: Room, words: tuple[str, ...], cwd: Path, seconds: float) -> str:
    process = room.begin("run", *words, "--workdir=w", cwd=cwd)
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    return f"after {seconds:.3f} s: {process.wait().code}"


def _growing(room: Room, words: tuple[str, ...], cwd: Path, files: int) -> str:
    """Kill as soon as there are so many files: amid those that TensorStore writes."""
    process = room.begin("run", *words, "--workdir=w", cwd=cwd)
    while process.poll() is None:
        if _file_count(cwd / "w") >= files:
            break
    process.kill()
    return f"at file {files}: {process.wait().code}"


def _file_count(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


@functools.cache
def measured(room: Room, words: tuple[str, ...]) -> tuple[float, int, int]:
    """Seconds, writes and files of the undisturbed run."""
    files = _file_count(room.undisturbed(words) / "w")
    cwd = room.new("counted")
    count = cwd / "count"
    ended = room.call(
        *("run", *words, "--workdir=w"),
        cwd=cwd,
        before=lambda: watch_writes(None, "", count),
    )
    assert ended.code == 0, ended.err
    return ended.seconds, len(count.read_bytes()), files


def kill_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Kill a run once or more, and go on.

    Every second time at a write, each in turn: before it, amid it or after it. Else as
    the files of a checkpoint come, or at any moment. Then perhaps again, anywhere.
    """
    words = WITH_FRESH if number % 4 == 3 else SMALL
    seconds, writes, files = measured(room, words)
    cwd, done, kinds = room.new(), [], []
    first = ("write", "moment", "write", "file")[number % 4]
    more = rng.choices(("write", "file", "moment"), k=rng.choice((0, 0, 1, 2)))
    for turn, kind in enumerate([first, *more]):
        if kind == "write":
            at = rng.randrange(writes) if turn else number // 2 * 37 % writes
            when = rng.choice(("before", "amid", "after"))
            done.append(_aimed(room, words, cwd, at, when))
        elif kind == "file":
            done.append(_growing(room, words, cwd, rng.randint(1, files)))
        else:
            done.append(_anywhere(room, words, cwd, rng.uniform(0, seconds)))
        if done[-1].endswith(" -9"):
            place = "at any moment" if kind == "moment" else "inside a write"
            kinds.append(f"kills {place}")
    return gone_on(room, words, cwd, ", ".join(done), *kinds)
