"""Which traps a study or a model walks into, before anything is trained."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from init_study import store
from init_study.answers.columns import format_columns
from init_study.cli.invocation import Answer, Invocation, asked_study
from init_study.diagnosis.finding import SEVERITIES, Finding, worst
from init_study.diagnosis.findings_text import count_text, findings_text
from init_study.diagnosis.of_plan import SetUpFindings, audit_plan
from init_study.report.audit_page import write_audit_page

_FAILED = 1


def answer(invocation: Invocation) -> Answer:
    """Audit every program and scheme, and write a page if one is asked for."""
    flags = invocation.flags
    page = None if flags.page is None else Path(flags.page)
    if page is not None:
        store.check_new_file("page", page, (".html",))
    plan = invocation.make_plan(asked_study(invocation, flags.scheme))
    audits = list(audit_plan(plan))
    text = audits_text(audits, flags.leaves)
    if page is not None:
        named = [
            (
                f"{one.scheme} on {one.program}",
                [finding._asdict() for finding in one.findings],
                one.leaves,
            )
            for one in audits
        ]
        write_audit_page(page, named, invocation.command)
        text = f"{text}\n\npage: {page}"
    found = [one for audit in audits for one in audit.findings]
    document: Any = _rows(audits, lambda one: [x._asdict() for x in one.findings])
    if flags.leaves:
        document = {"findings": document, "leaves": _rows(audits, lambda x: x.leaves)}
    return Answer(document, text, exit_code=_exit_code(found, flags.fail_on))


def audits_text(audits: Sequence[SetUpFindings], leaves: bool) -> str:
    """Write what audits found, one set-up after the other.

    What is only good to know is named in a line; `--json` and the page have it whole.

    Args:
        audits: of set-ups.
        leaves: whether to list every parameter.
    """
    parts = []
    for audit in audits:
        grave = [one for one in audit.findings if one.severity != "info"]
        known = sorted({one.id for one in audit.findings if one.severity == "info"})
        lines = [f"{audit.scheme} on {audit.program}: {count_text(audit.findings)}"]
        if grave:
            lines += ["", findings_text(grave).partition("\n\n")[2]]
        if known:
            lines += [*([""] if grave else []), f"to know: {', '.join(known)}"]
        if leaves:
            lines += ["", format_columns(audit.leaves)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _rows(
    audits: Sequence[SetUpFindings],
    rows_of: Callable[[SetUpFindings], Sequence[Mapping[str, str]]],
) -> list[dict[str, str]]:
    return [
        {"program": audit.program, "scheme": audit.scheme, **row}
        for audit in audits
        for row in rows_of(audit)
    ]


def _exit_code(found: Sequence[Finding], fail_on: str | None) -> int:
    grave = list(SEVERITIES)
    if fail_on is None or grave.index(worst(found)) < grave.index(fail_on):
        return 0
    return _FAILED
