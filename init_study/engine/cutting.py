"""How work is cut into calls to the devices, each of about a second.

Long enough to keep the devices busy, short enough to stop soon after a signal. How work
is cut changes no bit of what it comes to.
"""

import time
from collections.abc import Callable, Iterator

_SECONDS_PER_CALL = 1.0


def next_length(length: int, seconds: float) -> int:
    """Choose a length that takes about a second, at most four times as long as before.

    The first call also compiles. One that took longer than planned, because the machine
    has got other work, is followed by a shorter one.

    Args:
        length: of the call before.
        seconds: that it took.

    Example:
        >>> next_length(8, 0.5), next_length(8, 0.001), next_length(8, 10.0)
        (16, 32, 1)
    """
    wanted = int(length * _SECONDS_PER_CALL / max(seconds, 1e-6))
    return max(1, min(wanted, 4 * length))


def cut(
    start: int, stop: int, batch: int, stop_requested: Callable[[], bool]
) -> Iterator[tuple[int, int]]:
    """Cut a range of examples into calls of whole batches, by what the last one took.

    Args:
        start: the first example.
        stop: behind the last one.
        batch: examples that are taken at once.
        stop_requested: asked before each call; if true, no more come.

    Example:
        >>> list(cut(5, 30, 10, lambda: False))
        [(5, 15), (15, 30)]
    """
    length = 1
    while start < stop and not stop_requested():
        began, end = time.monotonic(), min(start + length * batch, stop)
        yield start, end
        length = next_length(length, time.monotonic() - began)
        start = end
