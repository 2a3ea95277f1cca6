"""What the launcher prints: every answer as text for a terminal of 100 columns."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

from init_study.answers import Comparison, format_table, sentence
from init_study.answers.claims import ledger as ledger_words
from init_study.answers.verdicts.heats import Heat
from init_study.answers.verdicts.sentences import decision_sentence, decision_table
from init_study.answers.words import format_columns, shorten
from init_study.audit.layer_table import layer_columns
from init_study.theory import gain_table

_COLUMNS = 100
_CLAIM_COLUMNS = 46


def comparison_text(comparisons: Iterable[Comparison]) -> str:
    """The table and the answer of every program."""
    return "\n".join(
        f"{format_table(one)}\n\n{fill(sentence(one), _COLUMNS)}\n"
        for one in comparisons
    )


def race_text(heats: Iterable[Heat]) -> str:
    """The verdicts of every program that came to some."""
    said = []
    for heat in heats:
        if heat.decision is not None:
            table = decision_table(heat.decision, heat.test, heat.choices)
            words = fill(decision_sentence(heat.label, heat.decision), _COLUMNS)
            said.append(f"{table}\n\n{words}\n")
    return "\n".join(said)


def ledger_text(ledger: Mapping[str, Any]) -> str:
    """A line for each claim, and how many came out how."""
    rows = [
        row | {"claim": shorten(row["claim"], _CLAIM_COLUMNS)}
        for row in ledger_words.rows(ledger)
    ]
    summary = fill(ledger_words.summary(ledger), _COLUMNS)
    return f"{format_columns(rows)}\n\n{summary}\n"


def table_text(table: Mapping[str, Any], summary: str) -> str:
    """The programs of an overview, and a line with its totals."""
    return f"{format_columns(table['programs'])}\n\n{summary.format(**table)}"


def kinds_text(kinds: Mapping[str, Mapping[str, str]]) -> str:
    """Names of each kind with what they are."""
    parts = []
    for kind, entries in kinds.items():
        rows = [{"name": name, "what": what} for name, what in entries.items()]
        parts.append(f"{kind}\n{format_columns(rows, header=False)}\n")
    return "\n".join(parts)


def scheme_text(shown: Iterable[Mapping[str, Any]]) -> str:
    """What `layer_table.scheme_overview` found, layer by layer."""
    parts = []
    for one in shown:
        rules = dict.fromkeys(row["rule"] for row in one["layers"])
        passes = "{forward} forward and {backward} backward".format(**one["passes"])
        parts.append(
            f"{one['scheme']} on {one['program']}, {one['parameters']} parameters\n\n"
            f"{format_columns(layer_columns(one['layers']))}\n\n"
            "In brackets: what the scheme asks for, and what its variances predict.\n"
            f"Kernels: {'; '.join(rules)}. Cost: {passes} passes.\n"
        )
    return "\n".join(parts)


def gain_text(found: Mapping[str, Any] | Sequence[dict[str, Any]]) -> str:
    """What `gain_table.gain_overview` found: of one activation, or a line for each."""
    if not isinstance(found, Mapping):
        return format_columns(gain_table.gain_columns(found))
    one = dict(found)
    table = format_columns(gain_table.gain_rows(one), header=False)
    return f"{table}\n\n{fill(gain_table.gain_sentence(one), _COLUMNS)}"
