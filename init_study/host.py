"""What the host leaves to this process: its cores and its memory."""

import contextlib
import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


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
        available = _MEMINFO.read_text().split("MemAvailable:")[1]
        limits.append(int(available.split()[0]) * 1024)
    with contextlib.suppress(OSError, ValueError):
        most, used = (
            int((_GROUP / f"memory.{name}").read_text()) for name in ("max", "current")
        )
        limits.append(max(0, most - used))
    return min(limits, default=None)
