"""What a run, a race or an examination came to: its page, and its answer here."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from init_study import store
from init_study.answers import compare_runs, to_json
from init_study.answers.claims import ledger as ledger_words
from init_study.answers.columns import format_columns, shorten
from init_study.answers.run_table import comparison_text
from init_study.answers.verdicts.decision_table import race_text
from init_study.answers.verdicts.heats import read_heats, to_document
from init_study.cli.invocation import Answer
from init_study.cli.stages import is_examination, is_race
from init_study.cli.troubles import cannot_write
from init_study.report import write_report

_COLUMNS = 100
_CLAIM_COLUMNS = 46


def reported(workdir: Path) -> Answer:
    """Write the page of a folder, and give its answer for the terminal.

    Raises: UserError if the folder holds no records, or has come to no verdicts.
    """
    report, notes = _page(workdir)
    if is_race(workdir):
        answer = _verdicts(workdir, report)
    elif is_examination(workdir):
        answer = _ledger(workdir, report)
    else:
        waves = store.waves_done(workdir)
        records, manifest = store.load(workdir), store.read_manifest(workdir)
        runs = compare_runs(records, manifest, waves)
        document = {"report": report, "programs": to_json(runs)}
        answer = Answer(document, f"{comparison_text(runs)}{_where(report)}")
    notes = (*answer.notes, *notes, *_mixed(workdir))
    return answer._replace(notes=notes)


def _mixed(workdir: Path) -> Iterator[str]:
    """Say which runs went on with another computation than they were begun with."""
    for path in sorted(workdir.rglob(store.MANIFEST)):
        if store.read_manifest(path.parent).get("accepted_drift"):
            yield (
                f"{path.parent} went on with something else than it was begun with "
                "(--accept_drift); what came since is marked `drifted` in its records"
            )


def _page(workdir: Path) -> tuple[str | None, tuple[str, ...]]:
    """Write the page where that can be done; else say why not.

    A run that is archived or another user's has an answer all the same.
    """
    try:
        return str(write_report(workdir)), ()
    except IsADirectoryError:
        raise
    except OSError as error:
        return None, (cannot_write("the page", workdir / "report.html", error),)


def _where(report: str | None) -> str:
    return f"\nreport: {report}" if report else ""


def _verdicts(workdir: Path, report: str | None) -> Answer:
    heats = read_heats(workdir)
    document = {"report": report, "programs": to_document(heats)}
    text = f"{race_text(heats)}{_where(report)}".lstrip("\n")
    stops = tuple(f"{heat.label}: {heat.stopped}" for heat in heats if heat.stopped)
    return Answer(document, text, stops)


def _ledger(workdir: Path, report: str | None) -> Answer:
    path = workdir / store.LEDGER
    ledger = store.read_document(path)
    text = f"{ledger_text(ledger)}\nledger: {path}{_where(report)}"
    return Answer({"report": report, **ledger}, text)


def ledger_text(ledger: Mapping[str, Any]) -> str:
    """Write a line for each claim, and how many came out how."""
    rows = [
        row | {"claim": shorten(row["claim"], _CLAIM_COLUMNS)}
        for row in ledger_words.rows(ledger)
    ]
    summary = fill(ledger_words.summary(ledger), _COLUMNS)
    return f"{format_columns(rows)}\n\n{summary}\n"
