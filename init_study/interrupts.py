"""Ctrl-C, SIGTERM and SIGHUP: what they do, from the first line of a program on.

Where a process holds nothing that its files lack, a signal ends it at once. Where a run
has taken steps that are not saved, the first asks it to save and stop, and the second
ends it. A thread answers: the handlers of Python itself wait for compiling to end,
which can take minutes.

What was ignored when the process began stays so: SIGHUP under `nohup`, Ctrl-C for a
job in the background of a script.
"""

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import NoReturn

# What a shell expects of Ctrl-C, and sysexits' "temporary failure, try again". Windows
# has no SIGHUP.
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 75} | {
    number: 75 for number in signal.Signals if number.name == "SIGHUP"
}
_SAVING = "saving; once more to stop at once"
_AT_ONCE = "stopped at once; what was saved before is kept"
# `timeout`, a terminal that closes and systemd send a signal twice, or two kinds, a
# moment apart: one request. A hand is slower.
_ECHO_SECONDS = 0.1

_Handler = Callable[[int, FrameType | None], object] | int


def end_at_once() -> None:
    """Let the first signal end this process with one line, `stopped`, and its code.

    To be called once, by a program and not by a library, before it imports anything.
    Until Python itself is gone: signals that come after the program's end are ignored.
    """
    if os.name == "nt":
        return
    _watch(partial(_end_at_first, "stopped"))
    numbers = list(_current())
    for number in numbers:
        signal.signal(number, _leave_to_thread)
    atexit.register(_ignore, numbers)


@contextlib.contextmanager
def ending_with(line: str) -> Iterator[None]:
    """Let a signal that ends the process at once say more than `stopped`.

    Changes nothing where signals do something else.

    Args:
        line: for standard error.

    Example:
        >>> with ending_with("stopped; half of the file is kept"):
        ...     pass
    """
    handlers = _current().values() if _is_main_thread() else ()
    if _leave_to_thread not in handlers:
        yield
        return
    with _answered(partial(_end_at_first, line)):
        yield


@contextlib.contextmanager
def noted_signals(
    received: list[signal.Signals] | None = None, *, ends: bool = True
) -> Iterator[list[signal.Signals]]:
    """Give a list that the first Ctrl-C, SIGTERM or SIGHUP fills.

    Signals do what they did before once the block is left. Outside of the main thread,
    where Python takes no signals, the list stays empty.

    Args:
        received: the list to fill; a new one by default.
        ends: whether a second signal of any kind ends the process; else it does what
            it did before, which in a notebook is to raise KeyboardInterrupt.

    Example:
        >>> with noted_signals() as received:
        ...     signal.raise_signal(signal.SIGINT)
        >>> [number.name for number in received]
        ['SIGINT']
    """
    received = [] if received is None else received
    if not _is_main_thread():
        yield received
        return
    before = _current()

    threaded = ends and os.name != "nt"

    def note(number: int, _: FrameType | None) -> None:
        received.append(signal.Signals(number))
        if not threaded:
            _handle(before)
            # A notebook's own stream. It may be gone, or be in the middle of a line.
            with contextlib.suppress(OSError, RuntimeError):
                print(f"\n{_SAVING}", file=sys.stderr, flush=True)

    # The thread comes after the handlers and goes before them: a signal between the two
    # is answered as outside.
    try:
        _handle(dict.fromkeys(before, note))
        with _answered(_end_at_second) if threaded else contextlib.nullcontext():
            yield received
    finally:
        _handle(before)


def end_with(line: str, exit_code: int) -> NoReturn:
    """End the process at once, whatever its threads are at, with a line that says why.

    Args:
        line: for standard error.
        exit_code: of the process.
    """
    _say(line)
    # No exception: libraries catch these, or print them where none can be raised.
    os._exit(exit_code)


def _current() -> dict[signal.Signals, _Handler]:
    """Find what the signals do now; without those that are ignored or another's."""
    found = {number: signal.getsignal(number) for number in EXIT_CODES}
    return {
        number: handler
        for number, handler in found.items()
        if handler is not None and handler is not signal.SIG_IGN
    }


def _handle(handlers: dict[signal.Signals, _Handler]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _leave_to_thread(number: int, _: FrameType | None) -> None:
    """Do nothing: the thread that Python wakes has the answer."""


def _ignore(numbers: list[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _answered(answer: Callable[[int], None]) -> Iterator[None]:
    """Let a thread answer signals inside of the block, and who did before after it."""
    before, writer = _watch(answer)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)


def _watch(answer: Callable[[int], None]) -> tuple[int, int]:
    """Start a thread that is told of signals the moment that they come.

    Args:
        answer: is given a pipe, into which Python writes their numbers.

    Returns: the pipe that was told of them before, and the end to close of this one.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def watch() -> None:
        try:
            answer(reader)
        finally:
            os.close(reader)

    threading.Thread(target=watch, name="signals", daemon=True).start()
    return signal.set_wakeup_fd(writer, warn_on_full_buffer=False), writer


def _end_at_first(line: str, reader: int) -> None:
    if number := _next(reader):
        _end(number, line)


def _end_at_second(reader: int) -> None:
    if not _next(reader):
        return
    while select.select([reader], [], [], _ECHO_SECONDS)[0]:
        if not _next(reader):
            return
    _say(_SAVING)
    if number := _next(reader):
        _end(number, _AT_ONCE)


def _next(reader: int) -> int:
    """Wait for a signal's number; 0 if no more will come."""
    while byte := os.read(reader, 1):
        # Whoever handles other signals has them written here as well.
        if byte[0] in EXIT_CODES:
            return byte[0]
    return 0


def _end(number: int, line: str) -> NoReturn:
    end_with(line, EXIT_CODES[signal.Signals(number)])


def _say(line: str) -> None:
    """Write a line past Python's buffers, which the main thread may be holding."""
    stream = sys.__stderr__
    if stream is None:
        return
    # Whoever read it may be gone, as the terminal is after SIGHUP.
    with contextlib.suppress(OSError, ValueError):
        start = "\n" if stream.isatty() else ""
        os.write(stream.fileno(), f"{start}{line}\n".encode())
