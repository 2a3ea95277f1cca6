"""The flags of `--distributed`: one command on several hosts."""

import contextlib
import signal
from collections.abc import Iterator

from init_study.cli.invocation import Answer, Invocation
from init_study.cluster import Hosts, find_place, join_hosts
from init_study.interrupts import noted_signals


@contextlib.contextmanager
def joined(
    invocation: Invocation, received: list[signal.Signals]
) -> Iterator[Hosts | None]:
    """Join the hosts of a run, and leave them at the end; None if it has one host.

    Signals are noted once it has come: whoever is stopped then tells the others first.

    Args:
        invocation: its flags say whether, and where process 0 is.
        received: takes the signals of this process, and a stop of another.

    Raises: UserError if the cluster or process 0 does not answer.
    """
    flags = invocation.flags
    if not flags.distributed:
        yield None
        return
    from init_study.engine.devices import see_accelerator

    place = find_place(flags.coordinator, flags.processes, flags.process)
    see_accelerator(place.accelerator)
    with join_hosts(place, received) as hosts, noted_signals(received):
        yield hosts


def of_another(hosts: Hosts) -> Answer:
    """Answer for a process that does not keep the books."""
    process, of = hosts.place.process, len(hosts)
    return Answer(
        {"process": process, "processes": of},
        f"process {process} of {of} has done its part; process 0 has the answer",
    )
