"""Aligned text for a terminal."""

from collections.abc import Sequence
from typing import Any


def format_columns(rows: Sequence[dict[str, Any]], *, header: bool = True) -> str:
    """Align rows as text: numbers to the right, words to the left.

    Args:
        rows: with the same keys, which name the columns.
        header: whether to show the names.

    Example:
        >>> print(format_columns([{"name": "zeros", "n": 5}, {"name": "he", "n": 10}]))
        name    n
        zeros   5
        he     10
    """
    if not rows:
        return ""
    names = list(rows[0])
    table = [[_cell(row[name]) for name in names] for row in rows]
    right = [all(isinstance(row[n], int | float) for row in rows) for n in names]
    if header:
        table.insert(0, [name.replace("_", " ") for name in names])
    widths = [max(len(line[i]) for line in table) for i in range(len(names))]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in table
    ]
    return "\n".join(lines)


def shorten(text: str, width: int) -> str:
    """Cut a text to at most `width` characters.

    Example:
        >>> shorten("xavier_normal", 7)
        'xavier…'
    """
    return text if len(text) <= width else text[: width - 1] + "…"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "–" if value is None else str(value)
