"""Ctrl-C and SIGTERM: the first asks a run to save and stop, the second ends it."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Any

# What a shell expects of Ctrl-C, and sysexits' "temporary failure, try again".
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}


@contextlib.contextmanager
def noted_signals() -> Iterator[list[signal.Signals]]:
    """Give a list that the first Ctrl-C or SIGTERM fills; the second ends the process.

    Signals do what they did before once the block is left.

    Example:
        >>> with noted_signals() as received:
        ...     signal.raise_signal(signal.SIGINT)
        >>> [number.name for number in received]
        ['SIGINT']
    """
    received: list[signal.Signals] = []

    def note(number: int, _: Any) -> None:
        received.append(signal.Signals(number))
        signal.signal(number, signal.SIG_DFL)
        print("\nsaving; once more to stop at once", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, note) for number in EXIT_CODES}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
