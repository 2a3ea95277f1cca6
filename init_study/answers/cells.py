r"""Tables that spreadsheets open: text in a cell stays text.

A spreadsheet runs a cell that begins with one of `= + - @`, a tab or a carriage return
(OWASP, CSV Injection), and the name of a scheme, model or folder may begin so. Such a
cell gets an apostrophe in front, by which a spreadsheet shows it as text. What is not
seen is written with escapes: a carriage return, as `\r`, would end a row.
"""

from typing import Any

from init_study.errors import extra
from init_study.printable import printable

with extra("report"):
    import pandas as pd

_RUN = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_cells(table: "pd.DataFrame") -> "pd.DataFrame":
    """Put an apostrophe before every text of a table that a spreadsheet would run.

    Numbers stay numbers, those below zero as well, and all other texts as they are.

    Args:
        table: that is to be written as CSV; it is not changed.

    Example:
        >>> as_cells(pd.DataFrame({"scheme": ["=1+1", "zeros"], "value": [-0.5, 1.0]}))
          scheme  value
        0  '=1+1   -0.5
        1  zeros    1.0
    """
    changes: dict[str, Any] = {}
    for name, column in table.items():
        if pd.api.types.is_numeric_dtype(column):
            continue
        texts = [cell for cell in column.unique() if isinstance(cell, str)]
        odd = {text: _cell(text) for text in texts if _cell(text) != text}
        if odd:
            changes[str(name)] = column.map(lambda cell, odd=odd: odd.get(cell, cell))
    return table.assign(**changes) if changes else table


def _cell(text: str) -> str:
    shown = printable(text, keep="\n\t")
    if not text.lstrip(" ").startswith(_RUN):
        return shown
    try:
        float(text)
    except ValueError:
        return f"'{shown}"
    return shown
