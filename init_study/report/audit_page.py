"""The findings of audits as a page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from init_study import store
from init_study.report.rendering import render_page
from init_study.report.tables import Rows

_GRAVEST_FIRST = ("error", "warning", "info")


class FindingCard(NamedTuple):
    """One trap in one set-up.

    Attributes:
        severity: as a name for style sheets.
        id: of the trap.
        places: where it is seen, each with the evidence.
        why: it matters.
        cure: what to do.
    """

    severity: str
    id: str
    places: Sequence[tuple[str, str]]
    why: str
    cure: str


class AuditSection(NamedTuple):
    """What was found of one program with one scheme.

    Attributes:
        title: both, in words.
        counts: of findings by severity, the gravest first.
        cards: a trap each.
        leaves: every parameter, a row each.
    """

    title: str
    counts: Mapping[str, int]
    cards: Sequence[FindingCard]
    leaves: Rows


class AuditPage(NamedTuple):
    """What the template shows.

    Attributes:
        title: of the page.
        sections: a set-up each.
        command: that makes it again.
    """

    title: str
    sections: Sequence[AuditSection]
    command: str


def write_audit_page(
    path: Path,
    audits: Sequence[tuple[str, Sequence[Mapping[str, str]], Rows]],
    command: str,
) -> None:
    """Write findings as a page, in one step.

    Args:
        path: of a new file.
        audits: the name of each set-up and its findings, as mappings with the keys
            `id`, `severity`, `place`, `evidence`, `why` and `cure`; and its parameters,
            a row each.
        command: that makes it again.
    """
    sections = [_section(*one) for one in audits]
    page = AuditPage("Audit before training", sections, command)
    store.write_atomically(path, render_page("audit_page.html", page))


def _section(
    title: str, findings: Sequence[Mapping[str, str]], leaves: Rows
) -> AuditSection:
    found = Counter(one["severity"] for one in findings)
    counts = {one: found[one] for one in _GRAVEST_FIRST if found[one]}
    groups = groupby(
        findings,
        key=lambda one: (one["severity"], one["id"], one["why"], one["cure"]),
    )
    cards = [
        FindingCard(
            severity,
            trap,
            [(one["place"], one["evidence"]) for one in same],
            why,
            cure,
        )
        for (severity, trap, why, cure), same in groups
    ]
    return AuditSection(title, counts, cards, leaves)
