"""The examination of claims: run the studies that they need, make the checks, judge.

    WORKDIR/
      rules.json       claims, rules and studies, written before the first run
      NAME/            the run of one study, as any other
      checks.json      what the exact checks gave
      claims.json      the ledger: every claim with rule, verdict and evidence

An examination that was stopped goes on where it was. If its rules have changed since
it was begun, it does not: a rule that was made after the data judges nothing.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from init_study import store
from init_study.answers.claims.claim import Claim, rule_text
from init_study.answers.claims.evidence import Evidence, Measured
from init_study.answers.claims.judging import Judged, judge
from init_study.answers.claims.ledger import to_ledger
from init_study.errors import ExitCode, UserError
from init_study.store.links import refuse_links_out
from init_study.study import Study

# The run of one study: records, layers and manifest; None if it was stopped.
TrainStudy = Callable[
    [Study, Path], tuple[pd.DataFrame, pd.DataFrame, Mapping[str, Any]] | None
]
# From nothing to a number for every case.
ExactCheck = Callable[[], Sequence[float]]


class CannotCheck(Exception):
    """Raised by an exact check: why it cannot be made here."""


def examine(
    claims: Sequence[Claim],
    studies: Mapping[str, Study],
    checks: Mapping[str, ExactCheck],
    workdir: Path,
    train: TrainStudy,
    title: str,
    command: str,
    kind: str = "claims",
) -> tuple[Judged, ...] | None:
    """Judge claims by what their studies and checks give; None if a run was stopped.

    Args:
        claims: with their rules.
        studies: by the names that the claims use; others are left out.
        checks: by the names that the claims use; others are left out.
        workdir: made if it is not there; an examination that is there goes on.
        train: runs one study.
        title: of the page.
        command: how to come to it again.
        kind: `claims` of a text, or published `results`.

    Raises: UserError if the folder holds something else, or other rules.

    Example:
        >>> from init_study.answers.claims.claim import above
        >>> from init_study.answers.claims.combinations import Check
        >>> rule = above(Check("norm", "the norm"), 0.5)
        >>> claim = Claim(1, "norms", "", "The norm is kept.", predictions=(rule,))
        >>> checks = {"norm": lambda: [1.0, 0.9]}
        >>> place = Path("examination")
        >>> (judged,) = examine([claim], {}, checks, place, print, "Norms", "none")
        >>> judged.verdict.value
        'SUPPORTED'
    """
    needed = {name for claim in claims for name in claim.studies()}
    wanted = {name: study for name, study in studies.items() if name in needed}
    _open(workdir, claims, wanted)
    measured = {}
    for name, study in wanted.items():
        found = train(study, workdir / name)
        if found is None:
            return None
        records, layers, manifest = found
        measured[name] = Measured(study, manifest, records, layers)
    names = {name for claim in claims for name in claim.checks()}
    given, missing = _checks(workdir, {name: checks[name] for name in sorted(names)})
    evidence = Evidence(measured, given, missing)
    judged = tuple(judge(claim, evidence) for claim in claims)
    ledger = {
        "title": title,
        "kind": kind,
        "command": command,
        "studies": {name: _described(one) for name, one in measured.items()},
        "claims": to_ledger(judged, {name: name for name in wanted}),
    }
    store.write_document(workdir / store.LEDGER, ledger)
    return judged


def _open(workdir: Path, claims: Iterable[Claim], studies: Mapping[str, Study]) -> None:
    """Make the folder, or make sure that it is this very examination's.

    Raises: UserError if it is not.
    """
    rules = {
        "claims": [
            {"number": c.number, "text": c.text, "rule": rule_text(c)} for c in claims
        ],
        "studies": {name: study.to_dict() for name, study in studies.items()},
    }
    refuse_links_out(workdir)
    path = workdir / store.RULES
    if path.exists():
        there = store.read_document(path)
        if there != json.loads(json.dumps(rules)):
            raise UserError(
                f"--workdir={workdir} was begun with other {_differing(rules, there)}, "
                "and rules are made before the data; name another folder",
                exit_code=ExitCode.NO_PLACE,
            )
        return
    store.check_is_empty(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    store.write_document(path, rules)


def _differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    rules = [{c["number"]: c for c in one["claims"]} for one in (here, there)]
    numbers = sorted(n for n in {**rules[0], **rules[1]} if _at(rules, n))
    return f"rules (of claim {numbers[0]})" if numbers else "studies"


def _at(rules: list[dict[int, Any]], number: int) -> bool:
    return rules[0].get(number) != rules[1].get(number)


def _checks(
    workdir: Path, checks: Mapping[str, ExactCheck]
) -> tuple[dict[str, tuple[float, ...]], dict[str, str]]:
    """Make the checks that have not been made, and keep what they give on the disk.

    A check that could not be made is tried again the next time.

    Returns: what each gives, and why some cannot be made.
    """
    path = workdir / store.CHECKS
    done = store.read_document(path) if path.exists() else {}
    missing = {}
    for name, check in checks.items():
        if name not in done:
            try:
                done[name] = list(check())
            except CannotCheck as why:
                missing[name] = str(why)
    store.write_document(path, done)
    return {name: tuple(done[name]) for name in checks if name in done}, missing


def _described(measured: Measured) -> dict[str, Any]:
    """Describe a study for a reader of the claims that it feeds."""
    study = measured.study
    members = len(study.members()) * len(study.programs())
    sessions = measured.manifest["sessions"]
    return {
        "question": study.question,
        "programs": len(study.programs()),
        "members": members,
        "seeds": len(study.seeds),
        "steps": max(study.steps),
        "seconds": round(sum(session["seconds"] for session in sessions), 1),
        "datasets": list(study.dataset),
        "versions": dict(measured.manifest["versions"]),
        "commit": measured.manifest["git"]["commit"],
    }
