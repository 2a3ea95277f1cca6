"""A table of short texts that process 0 holds, and that all processes write and read.

One request is one line of JSON over TCP, and so is its answer: what to put into the
table, and all of it back. Whoever has not asked for some seconds is lost, and stays so.
"""

import json
import socket
import socketserver
import threading
import time
from collections.abc import Mapping
from typing import Any, cast

from init_study.cluster.place import Place
from init_study.errors import ExitCode, UserError

# Bytes of one line: some hundred processes that each say a kilobyte, and more.
_LONGEST = 2**22
_CONNECTING = 5.0
# Seconds after which this process has slept, if it heard nobody, not even itself.
_ASLEEP = 2.0
_LOCAL = {"localhost", "127.0.0.1", "::1"}


class Board:
    """The table itself, in process 0.

    Texts that are gathered have names `ROUND/NAME/PROCESS`, and are forgotten once all
    processes have gathered them. Of each process there is `here/I` once it has come,
    and `lost/I` once it is silent for too long; `left/I` it puts itself.

    Args:
        processes: how many there are.
        arriving: seconds in which each is to ask for the first time.
        patience: seconds without a word after which one is lost.

    Example:
        >>> board = Board(2, arriving=60, patience=20)
        >>> word = {"process": 1, "processes": 2, "who": "b", "rounds": 0}
        >>> board.exchange(word | {"put": {"1/name/1": "text"}})
        {'table': {'here/1': '', '1/name/1': 'text'}}
    """

    def __init__(self, processes: int, *, arriving: float, patience: float) -> None:
        self._processes = processes
        self._patience = patience
        self._heard = time.monotonic()
        self._ends = dict.fromkeys(range(processes), self._heard + arriving)
        self._rounds = dict.fromkeys(range(processes), 0)
        self._who: dict[int, str] = {}
        self._table: dict[str, str] = {}
        self._lock = threading.Lock()

    def exchange(self, word: Mapping[str, Any]) -> dict[str, Any]:
        """Take what a process puts into the table, and give all of it.

        Args:
            word: `process` of `processes`, `who` it is, how many `rounds` it has
                gathered, and what it `put`s.

        Returns: the `table`; or why the process is `refused`.
        """
        with self._lock:
            if refusal := self._refusal(word):
                return {"refused": refusal}
            process, put = word["process"], word["put"]
            self._note_time(process)
            self._rounds[process] = int(word["rounds"])
            self._table |= {str(name): str(text) for name, text in put.items()}
            past = min(self._rounds.values())
            self._table = {
                name: text
                for name, text in self._table.items()
                if not _round(name) or _round(name) > past
            }
            return {"table": dict(self._table)}

    def _refusal(self, word: Mapping[str, Any]) -> str:
        process, who = word["process"], str(word["who"])
        if word["processes"] != self._processes or process not in self._ends:
            return (
                f"process {process} of {word['processes']} comes to a run of "
                f"--processes={self._processes}"
            )
        if self._who.setdefault(process, who) != who:
            there, _, _ = self._who[process].partition("#")
            return (
                f"--process={process} is {there} already; give each process a number "
                "of its own"
            )
        if sum(map(len, word["put"].values())) + sum(map(len, self._table.values())) > (
            _LONGEST // 4
        ):
            return "the processes have more to say than the table holds"
        return ""

    def _note_time(self, process: int) -> None:
        """Note that a process speaks, and who has not done so for too long."""
        now = time.monotonic()
        slept = now - self._heard
        # The others' words wait as long as this process sleeps.
        late = slept if slept > _ASLEEP else 0.0
        self._heard = now
        self._ends = {one: end + late for one, end in self._ends.items()}
        self._ends[process] = now + self._patience
        self._table[f"here/{process}"] = ""
        for one, end in self._ends.items():
            if end < now and f"left/{one}" not in self._table:
                self._table[f"lost/{one}"] = ""


def _round(name: str) -> int:
    """Read in which round a text was gathered; 0 if it is none of these."""
    number, _, _ = name.partition("/")
    return int(number) if number.isascii() and number.isdecimal() else 0


def serve(board: Board, place: Place) -> socketserver.BaseServer:
    """Answer the other processes, in threads, until the server is shut down.

    Raises: UserError if the port is another program's.
    """
    try:
        listening = _listen(place)
    except OSError as error:
        raise UserError(
            f"--coordinator={place.coordinator}: this process cannot listen there "
            f"({error.strerror or error}); name a free port of the host of process 0",
            ExitCode.NO_PLACE,
        ) from error
    server = _Server(listening, board)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    return server


def _listen(place: Place) -> socket.socket:
    """Listen on this machine alone if it is named so, else on all that it has."""
    bind = place.host if place.host in _LOCAL else ""
    both = not bind and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or ":" in bind else socket.AF_INET
    return socket.create_server(
        (bind, place.port), family=family, backlog=256, dualstack_ipv6=both
    )


def ask(where: tuple[str, int], word: Mapping[str, Any]) -> dict[str, Any]:
    """Send process 0 one request, and wait for its answer.

    Args:
        where: host and port of process 0.
        word: as of `Board.exchange`.

    Raises: OSError if it does not answer, or with what is none.
    """
    try:
        connection = socket.create_connection(where, timeout=_CONNECTING)
    # A name that cannot be one.
    except UnicodeError as error:
        raise OSError(str(error)) from error
    with connection:
        connection.sendall(json.dumps(word).encode() + b"\n")
        with connection.makefile("rb") as lines:
            line = lines.readline(_LONGEST)
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise OSError(f"an answer that is none: {line[:40]!r}") from error
    if not isinstance(answer, dict):
        raise OSError(f"an answer that is none: {line[:40]!r}")
    return answer


class _Server(socketserver.ThreadingTCPServer):
    """Listens on a socket that is there already."""

    daemon_threads = True

    def __init__(self, listening: socket.socket, board: Board) -> None:
        socketserver.BaseServer.__init__(self, listening.getsockname()[:2], _Answering)
        self.socket = listening
        self.board = board

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever asked is gone, or was no process of a run."""


class _Answering(socketserver.StreamRequestHandler):
    timeout = _CONNECTING

    def handle(self) -> None:
        """Answer one request."""
        board = cast(_Server, self.server).board
        word = json.loads(self.rfile.readline(_LONGEST))
        answer = board.exchange(word)
        self.wfile.write(json.dumps(answer).encode() + b"\n")
