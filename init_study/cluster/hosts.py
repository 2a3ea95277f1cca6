"""What a run on several hosts asks of the others: texts, a common stop, who is lost."""

import contextlib
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from absl import logging

from init_study.cluster.board import Board, ask, serve
from init_study.cluster.place import Place
from init_study.cluster.problems import (
    GO_ON,
    Problem,
    as_numbers,
    failure_text,
    marked,
    problem_in,
)
from init_study.errors import ExitCode, UserError
from init_study.interrupts import end_with

# Seconds: between two words with process 0; until a process that says nothing is lost;
# for a process that must end, to save what it has. A loss is noticed and answered
# within a minute.
_BETWEEN = 0.5
_PATIENCE = 25.0
_GRACE = 30.0
# Until process 0 answers for the first time, and until all others have come, whose
# machines may have to be made.
_ANSWERING = 60.0
_ARRIVING = 600.0
# Until the log says who is waited for.
_QUIET = 10.0


class Stopping(Exception):
    """A signal came to one of the processes before anything was trained."""


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
        name = f"process {os.getpid()} on {socket.gethostname()}"
        # A container that is started again has the name and number of the one before.
        self._who = f"{name}#{secrets.token_hex(8)}"
        self._pending: dict[str, str] = {}
        self._table: dict[str, str] = {}
        self._problem: Problem | None = None
        self._rounds, self._gathered = 0, 0
        self._heard, self._news = time.monotonic(), threading.Condition()
        self._closed, self._settled = threading.Event(), threading.Event()

    def __len__(self) -> int:
        """Count the processes."""
        return self.place.processes

    @property
    def problem(self) -> str:
        """Say what keeps the processes from going on; empty if nothing does."""
        return self._problem.text if self._problem else ""

    def gather(self, name: str, text: str, *, stops: bool = False) -> list[str]:
        """Give a text to all processes, and get that of each, in their order.

        All processes gather the same things in the same order.

        Args:
            name: what it is, for messages.
            text: of this process.
            stops: whether a signal ends the waiting.

        Raises: UserError if a process is lost, has failed or has ended; Stopping.
        """
        self._rounds += 1
        keys = [f"{self._rounds}/{name}/{process}" for process in range(len(self))]
        began, is_told = time.monotonic(), False
        with self._news:
            self._pending[keys[self.place.process]] = text
            while missing := [i for i, k in enumerate(keys) if k not in self._table]:
                if stops and self._received:
                    raise Stopping
                self._check_end_of(missing)
                if time.monotonic() - began > _QUIET and not is_told:
                    is_told = True
                    self._say_absent()
                self._news.wait(_BETWEEN)
            self._gathered = self._rounds
            return [self._table[key] for key in keys]

    def from_first(
        self, name: str, make: Callable[[], str], *, stops: bool = False
    ) -> str:
        """Give all processes what process 0 makes; the others wait for it.

        Raises: UserError as `make` does in process 0; as `gather`.
        """
        made = make() if self.place.process == 0 else ""
        return self.gather(name, made, stops=stops)[0]

    def check(self) -> None:
        """Raise UserError if a process is lost or has failed."""
        if self._problem:
            raise UserError(*self._problem)

    def settle(self) -> None:
        """Note that all is done: what becomes of the others changes nothing more."""
        self._settled.set()

    def arrive(self) -> None:
        """Speak with process 0 for the first time, as soon as it is there.

        Raises: UserError if it does not answer, or will not have this process.
        """
        end = time.monotonic() + _ANSWERING
        while not (answer := self._speak({})):
            if time.monotonic() > end:
                raise UserError(
                    "process 0 does not answer at --coordinator="
                    f"{self.place.coordinator} for {_ANSWERING:.0f} s; see that it "
                    "runs, and that this host reaches that port of it",
                    ExitCode.TRY_AGAIN,
                )
            time.sleep(_BETWEEN)
        if "refused" in answer:
            raise UserError(answer["refused"])
        self._heard = time.monotonic()

    def beat(self) -> bool:
        """Speak with process 0 once: give what is to be given, hear what is new.

        Returns: whether it answered.
        """
        with self._news:
            given = dict(self._pending)
        if self._received:
            given["stop"] = f"{self._received[0].name} at process {self.place.process}"
        answer = self._speak(given)
        with self._news:
            if "table" in answer:
                self._heard, self._table = time.monotonic(), answer["table"]
                for name in given:
                    self._pending.pop(name, None)
            if not self._settled.is_set():
                if "stop" in self._table and not self._received:
                    self._received.append(signal.SIGTERM)
                if not self._problem:
                    self._look_for_problems(answer)
            self._news.notify_all()
        return "table" in answer

    def keep_beating(self) -> None:
        """Speak with process 0 about twice a second, until `leave`."""
        while not self._closed.wait(_BETWEEN):
            self.beat()

    def leave(self, error: BaseException | None = None) -> None:
        """Tell the others that this process ends, and why if it failed."""
        me = self.place.process
        told = {f"left/{me}": ""}
        # What another process has said is not said again.
        is_told = self._problem or isinstance(error, Stopping)
        if error is not None and not is_told:
            told[f"failed/{me}"] = failure_text(error)
        with self._news:
            self._pending |= told
        end = time.monotonic() + _PATIENCE
        while not self.beat() and time.monotonic() < end and not self._problem:
            time.sleep(_BETWEEN)
        # Who holds the table goes last, once the others have read why; those who are
        # still to come as well, if they are to read what went wrong.
        to_come = range(len(self)) if f"failed/{me}" in told else ()
        while me == 0 and not self._all_gone(to_come) and time.monotonic() < end:
            time.sleep(_BETWEEN)
        self._closed.set()

    def _speak(self, given: dict[str, str]) -> dict[str, Any]:
        """Exchange texts with process 0; nothing if it does not answer."""
        word = {
            "process": self.place.process,
            "processes": self.place.processes,
            "who": self._who,
            "rounds": self._gathered,
            "put": given,
        }
        try:
            return self._exchange(word)
        except OSError:
            return {}

    def _marked(self, mark: str) -> list[int]:
        return marked(self._table, mark, len(self))

    def _all_gone(self, to_come: Iterable[int]) -> bool:
        gone = {*self._marked("left"), *self._marked("lost")}
        return {*self._marked("here"), *to_come} <= gone

    def _check_end_of(self, missing: list[int]) -> None:
        """Make sure that those who are waited for can still come.

        Raises: UserError.
        """
        self.check()
        if ended := [one for one in self._marked("left") if one in missing]:
            self._problem = Problem(f"process {as_numbers(ended)} has ended; {GO_ON}")
            self.check()

    def _say_absent(self) -> None:
        here = self._marked("here")
        absent = [one for one in range(len(self)) if one not in here]
        if absent and self.place.process == 0:
            logging.warning("waiting for process %s to come", as_numbers(absent))

    def _look_for_problems(self, answer: dict[str, Any]) -> None:
        found = problem_in(self._table, self.place, _ARRIVING)
        if "refused" in answer:
            found = Problem(answer["refused"], ExitCode.USAGE)
        elif found is None and time.monotonic() - self._heard > _PATIENCE:
            first = f"process 0, at {self.place.coordinator},"
            found = Problem(f"{first} does not answer; {GO_ON}")
        self._problem = found
        if found:
            threading.Thread(target=self._end_late, daemon=True).start()

    def _end_late(self) -> None:
        """End a process that does not end by itself, as in a long compile."""
        end = time.monotonic() + _GRACE
        while time.monotonic() < end:
            if self._settled.is_set() or self._closed.wait(_BETWEEN):
                return
        if self._problem:
            end_with(f"error: {self._problem.text}", self._problem.exit_code)


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
    server, exchange = None, partial(ask, (place.host, place.port))
    if place.process == 0:
        board = Board(place.processes, arriving=_ARRIVING, patience=_PATIENCE)
        server, exchange = serve(board, place), board.exchange
    hosts = Hosts(place, exchange, received)
    try:
        hosts.arrive()
        threading.Thread(target=hosts.keep_beating, daemon=True).start()
        yield hosts
    except BaseException as error:
        hosts.leave(error)
        raise
    else:
        hosts.leave()
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()
