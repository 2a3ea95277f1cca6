"""Lines on standard error while a run goes on, with or without a terminal."""

import contextlib
import sys
import time
from typing import Any, TextIO

from tqdm import tqdm

from init_study.engine.progress import Progress
from init_study.printable import printable

# A log shall be readable after a night.
_SECONDS_BETWEEN_LINES = 10.0


class ProgressLines:
    """A watcher that says what a run does, how far it is and how long it will take yet.

        1 of 2, depth=4: 40 members × 200 steps as winograd/1, compiling
        1 of 2, depth=4: compiled in 7.2 s
        1 of 2, depth=4: step 120 of 200, 4,800 of 8,000 member-steps, 190/s, 17 s left
        1 of 2, depth=4: trained in 49 s

    A terminal shows a bar in place of the lines between. A run goes on when nobody is
    left to read: the terminal closed, or the program behind a pipe ended.
    """

    def __init__(self, stage: str = "", out: TextIO | None = None) -> None:
        """Begin to watch one run.

        Args:
            stage: what the run is for, in front of every line.
            out: where lines go; standard error by default.
        """
        self._out = out or sys.stderr
        self._stage = f"{stage}, " if stage else ""
        self._began = self._compiled = self._said = time.monotonic()
        self._first = 0
        self._compiling = False
        self._bar: Any = None

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, *_: object) -> None:
        self._close_bar()

    def __call__(self, now: Progress) -> None:
        """Say what is new, if it is time to."""
        with contextlib.suppress(OSError):
            self._tell(now)

    def _tell(self, now: Progress) -> None:
        if now.doing == "choosing":
            self._say(now, f"timing ways to run {now.members} members")
        elif now.doing == "compiling":
            self._began, self._first = time.monotonic(), now.step
            self._compiling = True
            self._say(now, f"{_size(now)} as {now.execution}, compiling")
        elif self._compiling:
            self._compiling, self._first = False, now.step
            self._compiled = time.monotonic()
            self._say(now, f"compiled in {duration(self._compiled - self._began)}")
        else:
            self._show_step(now)
        if now.doing == "training" and now.step == now.steps:
            self._close_bar()
            self._say(now, f"trained in {duration(time.monotonic() - self._began)}")

    def _show_step(self, now: Progress) -> None:
        if self._out.isatty():
            self._move_bar(now)
        elif time.monotonic() - self._said >= _SECONDS_BETWEEN_LINES:
            self._say(now, self._pace(now))

    def _pace(self, now: Progress) -> str:
        seconds = time.monotonic() - self._compiled
        rate = (now.step - self._first) / max(seconds, 1e-9)
        left = (now.steps - now.step) / max(rate, 1e-9)
        return (
            f"step {now.step} of {now.steps}, {now.members * now.step:,} of "
            f"{now.members * now.steps:,} member-steps, {now.members * rate:,.0f}/s, "
            f"{duration(left)} left"
        )

    def _move_bar(self, now: Progress) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=now.members * now.steps,
                initial=now.members * self._first,
                desc=printable(now.label),
                unit=" member-steps",
                unit_scale=True,
                file=self._out,
            )
        self._bar.update(now.members * now.step - self._bar.n)

    def _close_bar(self) -> None:
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.close()
            self._bar = None

    def _say(self, now: Progress, what: str) -> None:
        self._said = time.monotonic()
        place = f"{now.place} of {now.programs}, {now.label}"
        line = printable(f"{self._stage}{place}: {what}")
        print(line, file=self._out, flush=True)


def _size(now: Progress) -> str:
    size = f"{now.members:,} members × {now.steps:,} steps"
    return f"{size} from step {now.step:,}" if now.step else size


def duration(seconds: float) -> str:
    """Write a time as it is read: `0.4 s`, `12 s`, `3 min`, `1 h 20 min`.

    Example:
        >>> duration(0.42), duration(12), duration(4800)
        ('0.4 s', '12 s', '1 h 20 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
