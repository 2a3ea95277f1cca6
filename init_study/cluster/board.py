"""A table of short texts that process 0 holds, and that all processes write and read.

One request is one line of JSON over TCP, and so is its answer: what to put into the
table, and all of it back. Whoever has not asked for some seconds is silent.
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
_LOCAL = {"localhost", "127.0.0.1", "::1"}


class Board:
    """The table itself, in process 0.

    Args:
        processes: how many there are.
        arriving: seconds in which each is to ask for the first time.
        patience: seconds without a word after which one is silent.

    Example:
        >>> board = Board(2, arriving=60, patience=20)
        >>> word = {"process": 1, "processes": 2, "who": "b", "put": {"name": "text"}}
        >>> board.exchange(word)
        {'table': {'name': 'text'}, 'silent': []}
    """

    def __init__(self, processes: int, *, arriving: float, patience: float) -> None:
        self._processes = processes
        self._patience = patience
        now = time.monotonic()
        self._ends = dict.fromkeys(range(processes), now + arriving)
        self._who: dict[int, str] = {}
        self._table: dict[str, str] = {}
        self._lock = threading.Lock()

    def exchange(self, word: Mapping[str, Any]) -> dict[str, Any]:
        """Take what a process puts into the table, and give all of it.

        Args:
            word: `process` of `processes`, `who` it is, and what it `put`s.

        Returns: `table` and the `silent` processes; or why it is `refused`.
        """
        with self._lock:
            process, who, now = word["process"], word["who"], time.monotonic()
            if word["processes"] != self._processes or process not in self._ends:
                return {
                    "refused": f"process {process} of {word['processes']} comes to a "
                    f"run of --processes={self._processes}"
                }
            if self._who.setdefault(process, who) != who:
                return {
                    "refused": f"--process={process} is {self._who[process]} already; "
                    "give each process a number of its own"
                }
            self._ends[process] = now + self._patience
            self._table |= {str(name): str(text) for name, text in word["put"].items()}
            gone = {one for one in self._ends if f"left/{one}" in self._table}
            silent = [one for one, end in self._ends.items() if end < now]
            return {
                "table": dict(self._table),
                "silent": [one for one in silent if one not in gone],
            }


def serve(board: Board, place: Place) -> socketserver.BaseServer:
    """Answer the other processes, in threads, until the server is shut down.

    Raises: UserError if the port is another program's.
    """
    bind = place.host if place.host in _LOCAL else ""
    try:
        listening = (
            socket.create_server((bind, place.port), backlog=256)
            if bind or not socket.has_dualstack_ipv6()
            else socket.create_server(
                ("", place.port),
                family=socket.AF_INET6,
                backlog=256,
                dualstack_ipv6=True,
            )
        )
    except OSError as error:
        raise UserError(
            f"--coordinator={place.coordinator}: this process cannot listen there "
            f"({error.strerror or error}); name a free port of the host of process 0",
            ExitCode.NO_PLACE,
        ) from error
    server = _Server(listening, board)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    return server


def ask(place: Place, word: Mapping[str, Any]) -> dict[str, Any]:
    """Send process 0 one request, and wait for its answer.

    Raises: OSError if it does not answer, or with what is none.
    """
    where = place.host, place.port
    with socket.create_connection(where, timeout=_CONNECTING) as connection:
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
