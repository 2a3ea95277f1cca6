"""The processes that benchmarks start: none outlives the one that started it.

Each leads a group, which is killed with all that it has started itself. Where this
process is killed and can do nothing any more, a guard does it.
"""

import atexit
import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

_GUARD = Path(__file__).with_name("guard.py")
# Seconds between looks at what was received, while a process is waited for.
_LOOK = 0.2


class Interrupted(Exception):
    """A signal came while a process was waited for."""


def begin(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process in a group of its own.

    Ctrl-C in a terminal is for the one that waits; it ends this one.

    Args:
        command: with its arguments.
        **options: of `subprocess.Popen`.
    """
    tell = _guard()
    process = subprocess.Popen(command, process_group=0, **options)
    _say(tell, f"+{process.pid}")
    return process


def end(process: subprocess.Popen[Any]) -> None:
    """End a process now, with what it has started; one that has ended stays so."""
    # The number of one that was not waited for is nobody else's.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
    _say(_guard(), f"-{process.pid}")


def finish(
    command: Sequence[str],
    limit: float | None = None,
    received: Sequence[Any] = (),
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Start a process and wait until it ends.

    Args:
        command: with its arguments.
        limit: seconds that it may take.
        received: signals, as they come: the first ends the process.
        **options: of `subprocess.Popen`.

    Raises: Interrupted after a signal; subprocess.TimeoutExpired.
    """
    began = time.monotonic()
    process = begin(command, stdin=subprocess.DEVNULL, text=True, **options)
    try:
        while True:
            try:
                out, err = process.communicate(timeout=_LOOK)
            except subprocess.TimeoutExpired:
                if received:
                    raise Interrupted from None
                if limit is not None and time.monotonic() - began > limit:
                    raise
            else:
                return subprocess.CompletedProcess(
                    command, process.returncode, out, err
                )
    finally:
        end(process)


@functools.cache
def _guard() -> IO[str]:
    """Start the guard, and give what it reads."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_GUARD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        # What a terminal sends to all of its processes is not for this one.
        start_new_session=True,
    )
    assert process.stdin is not None
    atexit.register(_dismiss, process)
    return process.stdin


def _dismiss(guard: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        guard.communicate()


def _say(guard: IO[str], line: str) -> None:
    # Somebody may have ended the guard, which costs no figure.
    with contextlib.suppress(OSError):
        print(line, file=guard, flush=True)
