"""How a download goes: a bar on a terminal, a line every ten seconds elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from absl import logging
from tqdm import tqdm

# Seconds between two lines, and after which a rate is known.
_EVERY = 10.0
# A download that takes so many seconds more is long.
LONG = 300.0
_WAY_OUT = (
    "a nearer copy helps: python launch.py data --dataset=NAME "
    "--mirror=ADDRESS-OR-FOLDER; what has come is kept when this is stopped"
)


class TooSlow(Exception):
    """Error for a place that is so slow that another one is tried first."""


class Pace(NamedTuple):
    """How fast a file comes, and what is left of it.

    Attributes:
        come: bytes in this try.
        seconds: that they took.
        left: bytes that are missing.
    """

    come: int
    seconds: float
    left: int

    @property
    def seconds_left(self) -> float:
        """How long the rest takes at this rate."""
        return self.left * self.seconds / max(self.come, 1)

    def __str__(self) -> str:
        """Write rate and time."""
        return (
            f"{describe_rate(self.come, self.seconds)}, "
            f"{describe_time(self.seconds_left)} left"
        )


@contextlib.contextmanager
def shown_download(
    name: str, host: str, size: int, start: int, *, may_leave: bool
) -> Iterator[Callable[[int], None]]:
    """Give a function that shows how many bytes of a file are there.

    Args:
        name: of the file.
        host: where it comes from.
        size: of all of it, in bytes.
        start: bytes that are there already.
        may_leave: whether there is another place to try; then the function raises
            TooSlow where the rest would take long.

    Example:
        >>> with shown_download("a.gz", "here", 9, 0, may_leave=False) as show:
        ...     show(9)
    """
    is_seen = sys.stderr.isatty()
    began = told = time.monotonic()
    first = start

    def show(here: int) -> None:
        nonlocal first, told
        # What the server begins anew counts anew.
        first = min(first, here)
        bar.n = here
        bar.update(0)
        now = time.monotonic()
        if now - told < _EVERY:
            return
        pace = Pace(here - first, now - began, size - here)
        if pace.seconds_left > LONG and may_leave:
            raise TooSlow(str(pace))
        if pace.seconds_left > LONG and told == began:
            logging.warning("%s from %s: %s; %s", name, host, pace, _WAY_OUT)
        if not is_seen:
            megabytes = f"{here / 1e6:.1f} of {size / 1e6:.1f} MB"
            print(f"{name}: {megabytes}, {pace}", file=sys.stderr, flush=True)
        told = now

    with tqdm(
        total=size,
        initial=start,
        desc=name,
        unit="B",
        unit_scale=True,
        file=sys.stderr,
        leave=False,
        disable=not is_seen,
    ) as bar:
        yield show


def describe_rate(count: int, seconds: float) -> str:
    """Say how fast bytes come.

    Example:
        >>> describe_rate(700_000, 10.0)
        '70 kB/s'
    """
    rate = count / seconds / 1e3
    return f"{rate:.0f} kB/s" if rate < 1000 else f"{rate / 1e3:.1f} MB/s"


def describe_time(seconds: float) -> str:
    """Say how long something takes, in the unit that fits.

    Example:
        >>> [describe_time(s) for s in (59, 240, 7200)]
        ['59 s', '4 min', '2.0 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
