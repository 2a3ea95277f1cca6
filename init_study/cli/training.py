"""How the launcher runs studies: watched, and stopped by a signal."""

import contextlib
import functools
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from init_study.cli.invocation import Answer, Invocation
from init_study.cluster import Hosts
from init_study.control import Control
from init_study.engine.progress import Progress
from init_study.engine.progress_lines import ProgressLines
from init_study.errors import check_number
from init_study.fresh_seeds import run_with_fresh_seeds
from init_study.interrupts import EXIT_CODES, ending_with, noted_signals
from init_study.printable import printable
from init_study.shares import parse_share
from init_study.study import Study

_WARNINGS = -1


def train_study(
    invocation: Invocation,
    study: Study,
    workdir: Path,
    received: list[signal.Signals],
    stage: str = "",
    recorded: Callable[[], None] = lambda: None,
    hosts: Hosts | None = None,
) -> bool:
    """Run a study with this call's flags; whether it is finished and none stopped it.

    Args:
        invocation: its flags say how.
        study: what to run.
        workdir: of the run.
        received: takes the signals that come while there is something to save, from
            the first step on: the run saves and stops. Before that a signal ends the
            process.
        stage: what the run is for, for its progress.
        recorded: called whenever records have come.
        hosts: that share the run, if it has several; signals are noted already.

    Raises: UserError as `run` does.
    """
    flags = invocation.flags
    if flags.checkpoint_every is not None:
        check_number("--checkpoint_every", flags.checkpoint_every, least=0)
    named = flags.part if "part" in flags else None
    part = parse_share(named) if named is not None else None
    plan = invocation.make_plan(study)
    with contextlib.ExitStack() as held, _watching(flags.verbosity, stage) as watch:
        hold = functools.cache(lambda: held.enter_context(noted_signals(received)))

        def tell(now: Progress) -> None:
            # On several hosts they are noted all along: the others must hear of them.
            alone = hosts is None
            if alone and now.doing in ("choosing", "compiling"):
                # What was trained before another program, or fresh seeds, is saved.
                held.close()
                hold.cache_clear()
            elif alone and now.doing == "training":
                hold()
            watch(now)

        control = Control(
            watch=tell,
            checkpoint_every=flags.checkpoint_every,
            stop_requested=lambda: bool(received or (hosts and hosts.problem)),
            given_execution=flags.execution is not None,
            recorded=recorded,
            spectra="spectra" in flags and flags.spectra,
            accept_drift=flags.accept_drift,
        )
        shared = hosts or part
        done = run_with_fresh_seeds(plan, workdir, invocation.command, control, shared)
    # One that came after the last step: what would follow this run does not begin.
    return done.finished and not received


def going_on(invocation: Invocation) -> contextlib.AbstractContextManager[None]:
    """Let a signal that finds nothing to save end with a line that says how to go on.

    Args:
        invocation: what the line repeats.
    """
    return ending_with(f"stopped; go on with: {invocation.command}")


def stopped(
    invocation: Invocation, received: Sequence[signal.Signals], answer: Answer
) -> Answer:
    """Add to an answer how to go on, and the exit code of the signal."""
    note = f"stopped and saved; go on with: {invocation.command}"
    return answer._replace(
        notes=(*answer.notes, note), exit_code=EXIT_CODES[received[0]]
    )


def say(line: str, verbosity: int) -> None:
    """Write a line to standard error, unless errors alone are asked for."""
    if verbosity >= _WARNINGS:
        # Nobody may be left to read it, which is no reason to stop.
        with contextlib.suppress(OSError):
            print(printable(line), file=sys.stderr, flush=True)


@contextlib.contextmanager
def _watching(verbosity: int, stage: str) -> Iterator[Callable[[Progress], None]]:
    if verbosity < _WARNINGS:
        yield lambda progress: None
        return
    with ProgressLines(stage) as lines:
        yield lines
