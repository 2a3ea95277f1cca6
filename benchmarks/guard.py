"""A process that waits for another one to end, and then ends what that has left.

    python benchmarks/guard.py

Each line on its input is the number of a process group: `+12` has begun, `-12` has
ended. The input ends when the process that writes it does, however it was killed.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Keep account of the groups, and kill those that are left."""
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
