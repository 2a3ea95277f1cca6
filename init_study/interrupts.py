"""Ctrl-C and SIGTERM: the first asks a run to save and stop, the second does not."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

# What a shell expects of Ctrl-C, and sysexits' "temporary failure, try again".
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}


@contextlib.contextmanager
def noted_signals(*, ends: bool = True) -> Iterator[list[signal.Signals]]:
    """Give a list that the first Ctrl-C or SIGTERM fills.

    Signals do what they did before once the block is left. Outside of the main thread,
    where Python takes no signals, the list stays empty.

    Args:
        ends: whether the second signal ends the process; else it does what it did
            before, which in a notebook is to raise KeyboardInterrupt.

    Example:
        >>> with noted_signals() as received:
        ...     signal.raise_signal(signal.SIGINT)
        >>> [number.name for number in received]
        ['SIGINT']
    """
    received: list[signal.Signals] = []

    def note(number: int, _: Any) -> None:
        received.append(signal.Signals(number))
        signal.signal(number, signal.SIG_DFL if ends else before[number])
        print("\nsaving; once more to stop at once", file=sys.stderr, flush=True)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before: dict[int, Any] = {n: signal.getsignal(n) for n in EXIT_CODES}
    for number in before:
        signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
