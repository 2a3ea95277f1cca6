"""The tables of a page as data: what each cell says.

Their markup is in `templates/tables.html`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from init_study.answers import AtRate, Comparison, Row
from init_study.answers.run_table import standing_word
from init_study.answers.run_words import never_learned
from init_study.answers.statistics import (
    exact_interval,
    interquartile_mean,
    t_interval,
)
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
        below: a lesser number, on a line of its own.
        empty: whether there is nothing to report, which is shown in grey.
    """

    text: str
    below: str = ""
    empty: bool = False


class SchemeRow(NamedTuple):
    """A scheme's row in the comparison.

    Attributes:
        style: how the figures draw the scheme.
        best: whether it is shown to be the best.
        cells: how it stands; its runs, each at the rate that the others chose: median
            and range, mean, interquartile mean, failed ones; difference to the first
            scheme where both learn, probability that a run of the first is better;
            its own best rate, and test accuracy untuned.
    """

    scheme: str
    style: SchemeStyle
    best: bool
    cells: tuple[Cell, ...]


class ComparisonTable(NamedTuple):
    """The comparison of one program: a row per scheme that learned, the first first."""

    untuned_rate: str
    rows: tuple[SchemeRow, ...]
    never: str


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
    rows = tuple(
        _scheme_row(row, comparison, styles[row.scheme])
        for row in comparison.rows
        if not row.standing.never
    )
    never = "; ".join(never_learned(comparison.rows))
    return ComparisonTable(rate(comparison.untuned_rate), rows, never)


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


def _scheme_row(row: Row, comparison: Comparison, style: SchemeStyle) -> SchemeRow:
    runs = np.array(row.told)
    low, high = percent(runs.min()), percent(runs.max())
    edge = "edge of grid" if row.at_edge else ""
    untuned = row.untuned
    few = f"{untuned.test.n} of {untuned.diverged.n}" if untuned.diverged.k else ""
    cells = (
        Cell(standing_word(row, comparison), empty=bool(row.standing.behind)),
        Cell(percent(float(np.median(runs))), below=f"{low} to {high}"),
        Cell(plus_minus(t_interval(runs))),
        Cell(percent(interquartile_mean(runs))),
        _failed(row),
        _difference(row),
        _better(row),
        Cell(rate(row.best.learning_rate), below=edge),
        Cell(plus_minus(untuned.test), below=few),
    )
    return SchemeRow(row.scheme, style, row.scheme == comparison.best, cells)


def _failed(row: Row) -> Cell:
    failed, runs = row.standing.failed, row.standing.runs
    high = exact_interval(failed, runs, 0.9).high
    return Cell(f"{failed}/{runs}", below=f"below {100 * high:.0f} %")


def _difference(row: Row) -> Cell:
    if row.standing.difference is None:
        return Cell("first")
    difference = row.standing.difference
    return Cell(percent(difference.mean), below=low_to_high(difference))


def _better(row: Row) -> Cell:
    if row.better is None:
        return Cell("")
    ends = f"{row.better.low:.2f} to {row.better.high:.2f}"
    return Cell(f"{row.better.mean:.2f}", below="" if row.better.n < 3 else ends)


def _failure(at_rate: AtRate) -> FailureCell:
    if not at_rate.diverged.n:
        return FailureCell(("not tried",), "0.00")
    outcomes = ((at_rate.diverged, "div."), (at_rate.stuck, "stuck"))
    parts = tuple(f"{share.k} {word}" for share, word in outcomes if share.k)
    failed = at_rate.diverged.k + at_rate.stuck.k
    return FailureCell(parts, f"{failed / at_rate.diverged.n:.2f}")
