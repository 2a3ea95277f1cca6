"""The tables of a page as data: what each cell says.

Their markup is in `templates/tables.html`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from init_study.answers import AtRate, Comparison, Row, Share
from init_study.answers.words import low_to_high, percent, plus_minus, rate
from init_study.report.palette import SchemeStyle

Rows = Sequence[Mapping[str, Any]]
Content = TypeVar("Content")


@dataclass(frozen=True)
class Card(Generic[Content]):
    """A boxed table with its title, and a caption that says how to read it.

    Attributes:
        content: the table; `Rows`, which have the same keys, if it is a plain one.
    """

    title: str
    content: Content
    caption: str = ""


class Cell(NamedTuple):
    """What one cell of a table says.

    Attributes:
        text: the number.
        beside: a lesser number, in brackets behind it.
        below: a lesser number, on a line of its own.
        empty: whether there is nothing to report, which is shown in grey.
    """

    text: str
    beside: str = ""
    below: str = ""
    empty: bool = False


class SchemeRow(NamedTuple):
    """A scheme's row in the comparison.

    Attributes:
        style: how the figures draw the scheme.
        best: whether the others are compared to it.
        rate: its own best learning rate.
        at_edge: whether that is at the edge of the grid.
        cells: at that rate: validation and test accuracy, difference to the best
            scheme, diverged and stuck runs; untuned: test accuracy, diverged and stuck.
    """

    scheme: str
    style: SchemeStyle
    best: bool
    rate: str
    at_edge: bool
    cells: tuple[Cell, ...]


class ComparisonTable(NamedTuple):
    """The comparison of one program: a row per scheme, the best first."""

    untuned_rate: str
    rows: tuple[SchemeRow, ...]


class FailureCell(NamedTuple):
    """Runs of one scheme that learned nothing at one learning rate.

    Attributes:
        parts: how many diverged and how many were stuck; empty if none did.
        share: of all runs, from `0.00` to `1.00`.
    """

    parts: tuple[str, ...]
    share: str


class FailureRow(NamedTuple):
    """A scheme's row in the table of failures: a cell for each learning rate."""

    scheme: str
    style: SchemeStyle
    cells: tuple[FailureCell, ...]


class FailureTable(NamedTuple):
    """Runs that diverged or stayed at chance, by scheme and learning rate."""

    rates: tuple[str, ...]
    rows: tuple[FailureRow, ...]


def comparison_table(
    comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> ComparisonTable:
    """Put a comparison into words, the best scheme first."""
    rows = tuple(_scheme_row(row, styles[row.scheme]) for row in comparison.rows)
    return ComparisonTable(rate(comparison.untuned_rate), rows)


def failure_table(
    comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> FailureTable:
    """Count the runs of a comparison that learned nothing."""
    rates = tuple(rate(at_rate.learning_rate) for at_rate in comparison.rows[0].rates)
    rows = (
        FailureRow(row.scheme, styles[row.scheme], tuple(map(_failure, row.rates)))
        for row in comparison.rows
    )
    return FailureTable(rates, tuple(rows))


def definitions(pairs: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Leave out names that have no value."""
    return [(name, value) for name, value in pairs if value not in (None, "")]


def _scheme_row(row: Row, style: SchemeStyle) -> SchemeRow:
    best, untuned = row.best, row.untuned
    cells = (
        Cell(plus_minus(best.validation)),
        _accuracy(best),
        _difference(row),
        _share(best.diverged),
        _share(best.stuck),
        _accuracy(untuned),
        _share(untuned.diverged, interval=False),
        _share(untuned.stuck, interval=False),
    )
    is_best, best_rate = row.difference is None, rate(best.learning_rate)
    return SchemeRow(row.scheme, style, is_best, best_rate, row.at_edge, cells)


def _accuracy(at_rate: AtRate) -> Cell:
    """Say how many runs are in the mean, where it is not all of them."""
    n = at_rate.test.n
    few = f"{n} of {at_rate.diverged.n}" if at_rate.diverged.k else ""
    return Cell(plus_minus(at_rate.test), below=few)


def _difference(row: Row) -> Cell:
    if row.difference is None:
        return Cell("best")
    return Cell(percent(row.difference.mean), beside=low_to_high(row.difference))


def _share(share: Share, *, interval: bool = True) -> Cell:
    text = f"{share.k}/{share.n}"
    if share.k == 0 or not interval:
        return Cell(text, empty=share.k == 0)
    return Cell(text, below=f"{100 * share.low:.0f} to {100 * share.high:.0f} %")


def _failure(at_rate: AtRate) -> FailureCell:
    outcomes = ((at_rate.diverged, "div."), (at_rate.stuck, "stuck"))
    parts = tuple(f"{share.k} {word}" for share, word in outcomes if share.k)
    failed = at_rate.diverged.k + at_rate.stuck.k
    return FailureCell(parts, f"{failed / at_rate.diverged.n:.2f}")
