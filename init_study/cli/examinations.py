"""Claims and published results: run what they need, judge, report."""

import functools
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from init_study import store
from init_study.answers.claims.claim import Claim
from init_study.cli.invocation import Answer, Invocation
from init_study.cli.reports import reported
from init_study.cli.training import going_on, say, stopped, train_study
from init_study.examine import ExactCheck, examine
from init_study.study import Study


def examined(
    invocation: Invocation,
    claims: Sequence[Claim],
    studies: Mapping[str, Study],
    checks: Mapping[str, ExactCheck],
    folder: str,
    title: str,
    kind: str,
) -> Answer:
    """Put claims to the test.

    Args:
        invocation: of a word with `--workdir` and the flags of a run.
        claims: to be judged.
        studies: what claims may need, by name.
        checks: exact calculations that claims may need, by name.
        folder: in `runs/`, where none is named.
        title: of the page.
        kind: as of `examine`.

    Raises: UserError as `examine` does.
    """
    workdir = invocation.workdir or Path("runs") / folder
    wanted = {name for claim in claims for name in claim.studies()}
    needed = [name for name in studies if name in wanted]
    said = {
        name: functools.partial(_made, name, check, invocation.flags.verbosity)
        for name, check in checks.items()
    }
    received: list[signal.Signals] = []
    with going_on(invocation):

        def train_one(
            study: Study, place: Path
        ) -> tuple[pd.DataFrame, pd.DataFrame, Mapping[str, Any]] | None:
            stage = (
                f"study {needed.index(place.name) + 1} of {len(needed)} {place.name}"
            )
            if not train_study(invocation, study, place, received, stage):
                return None
            return (
                store.load(place),
                store.load_layers(place),
                store.read_manifest(place),
            )

        judged = examine(
            claims,
            studies,
            said,
            workdir,
            train_one,
            title=title,
            command=invocation.command,
            kind=kind,
        )
        answer = Answer(None, "") if judged is None else reported(workdir)
    return stopped(invocation, received, answer) if received else answer


def _made(name: str, check: ExactCheck, verbosity: int) -> Sequence[float]:
    say(f"check {name}", verbosity)
    return check()
