"""What a run on several hosts asks of the others: texts, a common stop, who is lost."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from init_study.cluster.board import Board, ask, serve
from init_study.cluster.place import Place
from init_study.errors import ExitCode, UserError
from init_study.interrupts import end_with

# Seconds: between two words with process 0, until a process that says nothing is lost,
# for the first word of each, and for a process that must end to save what it has.
# A loss is noticed and answered within a minute.
_BETWEEN = 0.5
_PATIENCE = 20.0
_ARRIVING = 60.0
_GRACE = 30.0


class Hosts:
    """The processes of a run, as one of them sees the others.

    Made by `join_hosts`.

    Args:
        place: of this process.
        exchange: puts texts into the table and gives it, as `Board.exchange`.
        received: signals that this process has received; those of others come here.

    Attributes:
        place: of this process.
    """

    def __init__(
        self,
        place: Place,
        exchange: Callable[[dict[str, Any]], dict[str, Any]],
        received: list[signal.Signals],
    ) -> None:
        self.place = place
        self._exchange, self._received = exchange, received
        self._who = f"process {os.getpid()} on {socket.gethostname()}"
        self._pending: dict[str, str] = {}
        self._table: dict[str, str] = {}
        self._silent: list[int] = []
        self._problem, self._rounds = "", 0
        self._heard, self._news = time.monotonic(), threading.Condition()
        self._closed = threading.Event()

    def __len__(self) -> int:
        """Count the processes."""
        return self.place.processes

    @property
    def problem(self) -> str:
        """Say what keeps the processes from going on; empty if nothing does."""
        return self._problem

    def gather(self, name: str, text: str) -> list[str]:
        """Give a text to all processes, and get that of each, in their order.

        All processes gather the same things in the same order.

        Args:
            name: what it is, for messages.
            text: of this process.

        Raises: UserError if a process is lost or has failed.
        """
        self._rounds += 1
        keys = [
            f"{self._rounds}/{name}/{process}"
            for process in range(self.place.processes)
        ]
        with self._news:
            self._pending[keys[self.place.process]] = text
            while not all(key in self._table for key in keys):
                self.check()
                self._news.wait(_BETWEEN)
            return [self._table[key] for key in keys]

    def from_first(self, name: str, make: Callable[[], str]) -> str:
        """Give all processes what process 0 makes; the others wait for it.

        Raises: UserError as `make` does in process 0, and as `gather`.
        """
        made = make() if self.place.process == 0 else ""
        return self.gather(name, made)[0]

    def check(self) -> None:
        """Raise UserError if a process is lost or has failed."""
        if self._problem:
            raise UserError(
                f"{self._problem}; what was saved is kept, and the same command goes "
                "on, with as many processes as there are then",
                ExitCode.TRY_AGAIN,
            )

    def arrive(self) -> None:
        """Speak with process 0 for the first time, as soon as it is there.

        Raises: UserError if it does not answer, or will not have this process.
        """
        end = time.monotonic() + _ARRIVING
        while not (answer := self._speak({})):
            if self._received or time.monotonic() > end:
                raise UserError(
                    "process 0 does not answer at --coordinator="
                    f"{self.place.coordinator} for {_ARRIVING:.0f} s; see that it "
                    "runs, and that this host reaches that port of it",
                    ExitCode.TRY_AGAIN,
                )
            time.sleep(_BETWEEN)
        if "refused" in answer:
            raise UserError(answer["refused"])
        self._heard = time.monotonic()

    def beat(self) -> None:
        """Speak with process 0 once: give what is to be given, hear what is new."""
        with self._news:
            given = dict(self._pending)
        if self._received:
            given["stop"] = f"{self._received[0].name} at process {self.place.process}"
        answer = self._speak(given)
        with self._news:
            if "table" in answer:
                self._heard, self._table = time.monotonic(), answer["table"]
                self._silent = answer["silent"]
                for name in given:
                    self._pending.pop(name, None)
            if "stop" in self._table and not self._received:
                self._received.append(signal.SIGTERM)
            if not self._problem:
                self._problem = self._what_is_wrong()
                if self._problem:
                    threading.Thread(target=self._end_late, daemon=True).start()
            self._news.notify_all()

    def keep_beating(self) -> None:
        """Speak with process 0 about twice a second, until `leave`."""
        while not self._closed.wait(_BETWEEN):
            self.beat()

    def leave(self, failure: str = "") -> None:
        """Tell the others that this process ends, and why if it failed."""
        me = self.place.process
        told = {f"left/{me}": ""}
        # What another process has said is not said again.
        if failure and not self._problem:
            told[f"failed/{me}"] = failure
        with self._news:
            self._pending |= told
        self.beat()
        end = time.monotonic() + _PATIENCE
        # Who holds the table goes last, once the others have read why.
        while me == 0 and not self._all_gone() and time.monotonic() < end:
            time.sleep(_BETWEEN)
        self._closed.set()

    def _speak(self, given: dict[str, str]) -> dict[str, Any]:
        """Exchange texts with process 0; nothing if it does not answer."""
        word = {
            "process": self.place.process,
            "processes": self.place.processes,
            "who": self._who,
            "put": given,
        }
        try:
            return self._exchange(word)
        except OSError:
            return {}

    def _all_gone(self) -> bool:
        return all(
            f"left/{one}" in self._table or one in self._silent
            for one in range(self.place.processes)
        )

    def _what_is_wrong(self) -> str:
        failed = [
            f"process {name.partition('/')[2]} ended: {text}"
            for name, text in self._table.items()
            if name.startswith("failed/")
        ]
        if failed:
            return failed[0]
        if self._silent:
            them = ", ".join(map(str, self._silent))
            return f"process {them} of {self.place.processes} does not answer"
        if time.monotonic() - self._heard > _PATIENCE:
            return f"process 0, at {self.place.coordinator}, does not answer"
        return ""

    def _end_late(self) -> None:
        """End a process that does not end by itself, as in a long compile."""
        if not self._closed.wait(_GRACE):
            end_with(f"error: {self._problem}; stopped", ExitCode.TRY_AGAIN)


@contextlib.contextmanager
def join_hosts(place: Place, received: list[signal.Signals]) -> Iterator[Hosts]:
    """Join the processes that share a run, and leave them at the end.

    Args:
        place: of this process.
        received: signals that this process has received; a stop of another process
            comes here as SIGTERM.

    Raises: UserError if process 0 does not answer within a minute, or has other
        processes, or cannot listen.

    Example:
        >>> with join_hosts(Place(0, 1, "localhost", 61377), []) as hosts:
        ...     hosts.gather("greeting", "hello")
        ['hello']
    """
    server, exchange = None, partial(ask, place)
    if place.process == 0:
        board = Board(place.processes, arriving=_ARRIVING, patience=_PATIENCE)
        server, exchange = serve(board, place), board.exchange
    hosts = Hosts(place, exchange, received)
    try:
        hosts.arrive()
        threading.Thread(target=hosts.keep_beating, daemon=True).start()
        yield hosts
    except BaseException as error:
        hosts.leave(_in_a_line(error))
        raise
    else:
        hosts.leave()
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()


def _in_a_line(error: BaseException) -> str:
    lines = str(error).splitlines() or [""]
    return lines[0] if isinstance(error, UserError) else type(error).__name__
