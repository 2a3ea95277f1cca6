"""A lock between processes that would make the same data at once."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from absl import logging

from init_study.host import hold_file

_LOOKS, _BETWEEN = 20, 0.01


@contextlib.contextmanager
def hold_lock(path: Path, what: str) -> Iterator[None]:
    """Keep other processes from making the same thing; wait while one does.

    The system lets go when the process ends, however it ends. Whoever waited finds what
    the other one made, so it looks again once the lock is its own.

    Args:
        path: of the lock, in a folder that is there; the file stays.
        what: is being made, for whoever waits.

    Example:
        >>> with hold_lock(Path(".mnist.lock"), "data set 'mnist'"):
        ...     made = True
    """
    with open(path, "a+") as file:
        try:
            hold_file(file)
        except BlockingIOError:
            holder = _holder(file)
            logging.warning("%s is being prepared by %s: waiting", what, holder)
            hold_file(file, wait=True)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _holder(file: TextIO) -> str:
    """Read who holds a lock; who has only just taken it writes that in a moment."""
    for _ in range(_LOOKS):
        file.seek(0)
        if holder := file.read().strip():
            return holder
        time.sleep(_BETWEEN)
    return "another process"
