"""What the host leaves to this process: cores, memory, a place for caches, locks."""

import contextlib
import os
import time
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # On Windows.
    fcntl: Any = None

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
# The byte of a file that is locked on Windows: far behind what is written there.
_LOCKED_BYTE, _BETWEEN = 2**30, 0.1


def usable_cores() -> int:
    """Count the cores that this process may use, where the system tells.

    Example:
        >>> usable_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_bytes() -> int | None:
    """Find how many bytes of memory this process may still take.

    What the kernel would free for it counts, as copies of files do; the limit of the
    control group it is in binds as well.

    Returns: None where nobody says.

    Example:
        >>> (available_bytes() or 1) >= 0
        True
    """
    limits = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        available = _MEMINFO.read_text("utf-8").split("MemAvailable:")[1]
        limits.append(int(available.split()[0]) * 1024)
    with contextlib.suppress(OSError, ValueError):
        most, used = (
            int((_GROUP / f"memory.{name}").read_text("utf-8"))
            for name in ("max", "current")
        )
        limits.append(max(0, most - used + min(used, _copies_of_files())))
    return min(limits, default=None)


def _copies_of_files() -> int:
    """Count the bytes of the control group that the kernel would free for others."""
    with contextlib.suppress(OSError, ValueError, LookupError):
        lines = (_GROUP / "memory.stat").read_text("utf-8").splitlines()
        told = dict(line.split() for line in lines)
        return int(told["inactive_file"]) + int(told["active_file"])
    return 0


def cache_home() -> Path:
    """Find where this user keeps what can be made again: `~/.cache/init_study`.

    `XDG_CACHE_HOME` says another place. A user without a home, as in a container, keeps
    it in the folder that they are in.

    Example:
        >>> cache_home().name
        'init_study'
    """
    chosen = os.environ.get("XDG_CACHE_HOME")
    user = os.path.expanduser("~")
    base = chosen or (os.path.join(user, ".cache") if user != "~" else ".cache")
    return Path(os.path.expanduser(base)) / "init_study"


def hold_file(file: IO[Any], *, wait: bool = False) -> None:
    """Lock an open file for this process.

    The system lets go when the process ends, however it ends.

    Args:
        file: open for writing.
        wait: until another process lets go of it.

    Raises: BlockingIOError if another process holds it, and is not waited for.

    Example:
        >>> with open("lock", "a+") as file:
        ...     hold_file(file)
    """
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return
    import msvcrt

    windows: Any = msvcrt
    while True:
        file.seek(_LOCKED_BYTE)
        try:
            windows.locking(file.fileno(), windows.LK_NBLCK, 1)
        except OSError as error:
            if not wait:
                raise BlockingIOError(*error.args) from error
            time.sleep(_BETWEEN)
        else:
            file.seek(0)
            return
