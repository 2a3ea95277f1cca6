"""How work is cut: into calls to the devices, and into stretches between checkpoints.

Calls take about a second: long enough to keep the devices busy, short enough to stop
soon after a signal. How work is cut changes no bit of what it comes to.
"""

import time
from collections.abc import Callable, Iterator

_SECONDS_PER_CALL = 1.0
# Less than this is not worth a checkpoint, however cheap.
_SECONDS_TO_LOSE = 30.0
# Of the time between two checkpoints, what saving one may take.
_SAVING_SHARE = 0.03


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


def checkpoint_interval(asked: float | None, saving: float) -> float:
    """Choose the seconds between two checkpoints: as asked, or by what one costs.

    Args:
        asked: by the user; None for 30 seconds, or more where saving takes so long that
            it would cost more than 3 % of the time.
        saving: seconds that the last one kept the run from its work.

    Example:
        >>> checkpoint_interval(None, 0.1), checkpoint_interval(None, 3.0)
        (30.0, 100.0)
        >>> checkpoint_interval(5.0, 3.0)
        5.0
    """
    return max(_SECONDS_TO_LOSE, saving / _SAVING_SHARE) if asked is None else asked


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
