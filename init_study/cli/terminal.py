"""Tables for a terminal of 100 columns."""

from collections.abc import Mapping
from typing import Any

from init_study.answers.columns import format_columns


def table_text(table: Mapping[str, Any], summary: str) -> str:
    """Write the programs of an overview, and a line with its totals."""
    return f"{format_columns(table['programs'])}\n\n{summary.format(**table)}"


def kinds_text(kinds: Mapping[str, Mapping[str, str]]) -> str:
    """Names of each kind with what they are."""
    parts = []
    for kind, entries in kinds.items():
        rows = [{"name": name, "what": what} for name, what in entries.items()]
        parts.append(f"{kind}\n{format_columns(rows, header=False)}\n")
    return "\n".join(parts)
