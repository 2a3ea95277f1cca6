"""Processes of a study without the seconds of its imports: forks of this one.

A fork is sound because this process never computes: JAX is imported here and begins in
the child, whose signals, output and folder are its own. The kernel kills it with us.
"""

import ctypes
import importlib
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from init_study.interrupts import end_at_once

_KILLED_WITH_PARENT = 1
_LIMIT = 120.0
LIVING: set[int] = set()


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        code: its exit code; of a signal the negative number.
        out, err: what it printed.
        hung: whether it was killed because it took too long.
        seconds: that it took.
    """

    code: int
    out: str
    err: str
    hung: bool
    seconds: float

    @property
    def seen(self) -> str:
        """What to tell of it in a line."""
        last = (self.err.strip().splitlines() or [""])[-1]
        return f"exit {self.code}{', it hung' if self.hung else ''}: {last[:300]}"

    @property
    def is_traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.err

    @property
    def refusal(self) -> str:
        """The one line that a refusal says; empty if it was none of the kind."""
        errors = [x for x in self.err.splitlines() if x.startswith("error: ")]
        refused = self.code in range(64, 79) and not self.is_traceback
        return errors[0] if refused and len(errors) == 1 else ""


class Fork:
    """A process that runs."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid, self._folder, self._began = pid, folder, time.monotonic()
        self._code: int | None = None
        LIVING.add(pid)

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
                LIVING.discard(self.pid)
        return self._code

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it and all that it began."""
        if self.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                # It has not come to lead a group yet.
                os.kill(self.pid, signal.SIGKILL)

    def wait(self, limit: float = _LIMIT) -> Ended:
        """Wait for its end, and kill it after so many seconds."""
        hung = False
        while self.poll() is None:
            if not hung and time.monotonic() - self._began > limit:
                hung = True
                self.kill()
            time.sleep(0.005)
        seconds = time.monotonic() - self._began
        end = time.monotonic() + 3
        while (self._folder / "piped").exists() and time.monotonic() < end:
            if len(list(self._folder.glob("drained*"))) == 2:
                break
            time.sleep(0.005)
        # One that was killed as it began has no files.
        paths = (self._folder / name for name in ("out", "err"))
        out, err = (p.read_text(errors="replace") if p.exists() else "" for p in paths)
        shutil.rmtree(self._folder)
        assert self._code is not None
        return Ended(self._code, out, err, hung, seconds)


def fork(work: Callable[[], int | None], cwd: Path, notes: Path) -> Fork:
    """Do some work in a process of its own.

    Args:
        work: gives the exit code.
        cwd: its folder.
        notes: a new folder for what it prints.
    """
    notes.mkdir(parents=True)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _become(work, cwd, notes)
    return Fork(pid, notes)


def _become(work: Callable[[], int | None], cwd: Path, notes: Path) -> None:
    code = 70
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_KILLED_WITH_PARENT, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        for target, name in ((1, "out"), (2, "err")):
            os.dup2(
                os.open(notes / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND), target
            )
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(cwd)
        code = work() or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def print_to_a_pipe() -> None:
    """Have this process print into a pipe: limits of files are none of its."""
    folder = Path(f"/proc/self/fd/{sys.stderr.fileno()}").readlink().parent
    (folder / "piped").touch()
    files = {1: folder / "out", 2: folder / "err"}
    for target, path in files.items():
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(writer)
            with open(path, "ab", buffering=0) as file, open(reader, "rb", 0) as pipe:
                while content := pipe.read(4096):
                    file.write(content)
            path.with_name(f"drained{target}").touch()
            os._exit(0)
        os.close(reader)
        os.dup2(writer, target)
        os.close(writer)


def import_all() -> None:
    """Import here what forks need, so that they need not."""
    for word in ("run", "report", "status", "export", "claims", "plan", "show"):
        importlib.import_module(f"init_study.cli.words.{word}")
    for name in (
        "api.trained",
        "store.checkpoints",
        "store.loading",
        "report.run_page",
    ):
        importlib.import_module(f"init_study.{name}")


def launcher(words: Sequence[object], before: Callable[[], None] = lambda: None):
    """The work of a process that is called with these words.

    Args:
        words: of the command line.
        before: done first in the process, as a fault is.
    """

    def work() -> int:
        # As the program's own start does.
        end_at_once()
        from init_study.cli import main
        from init_study.cli.troubles import hide_echoes

        hide_echoes()
        before()
        return main(["launch.py", *map(str, words)])

    return work


def kill_all() -> None:
    """Kill what still runs of ours."""
    for pid in sorted(LIVING):
        for kill in (os.killpg, os.kill):
            try:
                kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass
    LIVING.clear()
