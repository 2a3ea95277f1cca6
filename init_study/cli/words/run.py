"""A study, trained and compared; with `--until=decided` a race."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from init_study.api.compare import train_or_race
from init_study.cli.clusters import joined, of_another
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.races import race_rules
from init_study.cli.reports import reported
from init_study.cli.training import going_on, stopped, train_study
from init_study.study import Study


def answer(invocation: Invocation) -> Answer:
    """Run the study, or go on with it, and write its report."""
    study, workdir = invocation.the_study(), invocation.the_workdir()
    rules = race_rules(invocation.flags)
    received: list[signal.Signals] = []
    with going_on(invocation), joined(invocation, received) as hosts:
        with _scalars(workdir, invocation.flags.tensorboard) as recorded:

            def train_stage(part: Study, folder: Path, stage: str) -> bool:
                return train_study(
                    invocation, part, folder, received, stage, recorded, hosts
                )

            finished = train_or_race(
                study, workdir, invocation.make_plan, train_stage, rules
            )
        if hosts is not None:
            if not finished and not received:
                hosts.check()
            hosts.settle()
        # A race that was stopped says what it knows so far.
        wanted = rules is not None or not received
        if hosts is not None and hosts.place.process:
            answer = of_another(hosts) if wanted else Answer(None, "")
        else:
            answer = reported(workdir) if wanted else Answer(None, "")
    return stopped(invocation, received, answer) if received else answer


@contextlib.contextmanager
def _scalars(workdir: Path, wanted: bool) -> Iterator[Callable[[], None]]:
    """Give what is to be called when records have come."""
    if not wanted:
        yield lambda: None
        return
    from init_study.report.scalars import Scalars

    scalars = Scalars(workdir)
    try:
        # What an earlier process has recorded.
        scalars.update()
        yield scalars.update
    finally:
        scalars.close()
