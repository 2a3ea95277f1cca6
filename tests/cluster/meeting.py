"""Processes of a run as threads of one: a free port, and what each comes to."""

import contextlib
import socket
import threading

from init_study.cluster import Place, join_hosts


def free_port():
    """A port that nobody listens on now."""
    with socket.create_server(("localhost", 0)) as server:
        return server.getsockname()[1]


def together(act, processes, late=lambda process: None):
    """What `act(hosts, received)` gives in each of several threads, or raises."""
    port, results = free_port(), [None] * processes

    def run(process):
        late(process)
        received = []
        try:
            place = Place(process, processes, "localhost", port)
            with join_hosts(place, received) as hosts:
                results[process] = act(hosts, received)
        except BaseException as error:
            results[process] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results


@contextlib.contextmanager
def listening(port):
    """Another program on a port."""
    with socket.create_server(("localhost", port)):
        yield
