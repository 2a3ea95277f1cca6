"""The tables of the report, as HTML, and of the terminal, as aligned text."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from init_study.answers import AtRate, Comparison, Row, Share
from init_study.answers.words import (
    format_columns,
    low_to_high,
    percent,
    plus_minus,
    rate,
)
from init_study.report.palette import SchemeStyle
from init_study.report.svg import mark

__all__ = [
    "card",
    "columns",
    "comparison_table",
    "definitions",
    "failure_table",
    "format_columns",
    "words",
]


def comparison_table(comparison: Comparison, styles: Mapping[str, SchemeStyle]) -> str:
    """One row per scheme, the best first."""
    untuned = f"Untuned, at {rate(comparison.untuned_rate)}"
    head = (
        "<tr><th rowspan=2>Scheme</th>"
        "<th colspan=6 class=group>At its own best learning rate</th>"
        f"<th colspan=3 class=group>{untuned}</th></tr><tr>"
        + _heads("Rate", "Validation&nbsp;%", "Test&nbsp;%", "To the best, points")
        + _heads("Diverged", "Stuck", "Test&nbsp;%", "Diverged", "Stuck")
        + "</tr>"
    )
    body = "".join(_comparison_row(row, styles) for row in comparison.rows)
    return _table(head, body)


def failure_table(comparison: Comparison, styles: Mapping[str, SchemeStyle]) -> str:
    """Runs that diverged or stayed at chance, by scheme and learning rate."""
    rates = [at_rate.learning_rate for at_rate in comparison.rows[0].rates]
    head = (
        "<tr><th rowspan=2>Scheme</th>"
        f"<th colspan={len(rates)} class=group>Learning rate</th></tr>"
        f"<tr>{_heads(*(rate(r) for r in rates))}</tr>"
    )
    body = "".join(
        f"<tr class={mark(styles[row.scheme].place)}>{_scheme(row.scheme, styles)}"
        f"{''.join(map(_failure, row.rates))}</tr>"
        for row in comparison.rows
    )
    return _table(head, body)


def definitions(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values, one pair a line; pairs without a value are left out."""
    rows = (
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in pairs
        if value not in (None, "")
    )
    return f"<div class=scroll><table class=facts>{''.join(rows)}</table></div>"


def columns(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys, which name the columns."""
    head = f"<tr>{_heads(*map(escape, rows[0]))}</tr>"
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(v))}</td>' for v in row.values())}</tr>"
        for row in rows
    )
    return f"<div class=plain>{_table(head, body)}</div>"


def card(title: str, content: str, caption: str = "") -> str:
    """A boxed table with its title and what it says."""
    under = f"<p class=caption>{words(caption)}</p>" if caption else ""
    return f"\n<div class=card><h3>{escape(title)}</h3>{content}{under}</div>"


def words(text: str) -> str:
    """Text as HTML; a number keeps its percent sign on its line."""
    return escape(text).replace(" %", "&nbsp;%")


def _comparison_row(row: Row, styles: Mapping[str, SchemeStyle]) -> str:
    edge = " <abbr title='at the edge of the grid'>*</abbr>" if row.at_edge else ""
    cells = [
        f"<td>{rate(row.best.learning_rate)}{edge}</td>",
        _cell(plus_minus(row.best.validation)),
        _accuracy(row.best),
        _difference(row),
        _share(row.best.diverged),
        _share(row.best.stuck),
        _accuracy(row.untuned),
        _share(row.untuned.diverged, interval=False),
        _share(row.untuned.stuck, interval=False),
    ]
    best = " best" if row.difference is None else ""
    own = f"{mark(styles[row.scheme].place)}{best}"
    return f"<tr class='{own}'>{_scheme(row.scheme, styles)}{''.join(cells)}</tr>"


def _scheme(scheme: str, styles: Mapping[str, SchemeStyle]) -> str:
    swatch = f'<i style="background:{styles[scheme].colour}"></i>'
    return f"<th scope=row>{swatch}{escape(scheme)}</th>"


def _accuracy(at_rate: AtRate) -> str:
    """With the number of runs in the mean, where it is not all of them."""
    n = at_rate.test.n
    few = f"<small>{n} of {at_rate.diverged.n}</small>" if at_rate.diverged.k else ""
    return _cell(plus_minus(at_rate.test), few)


def _difference(row: Row) -> str:
    if row.difference is None:
        return "<td>best</td>"
    ends = low_to_high(row.difference)
    interval = f" <span>({ends})</span>" if ends else ""
    return _cell(percent(row.difference.mean), interval)


def _share(share: Share, *, interval: bool = True) -> str:
    if share.k == 0:
        return f"<td class=none>0/{share.n}</td>"
    if not interval:
        return f"<td>{share.k}/{share.n}</td>"
    ends = f"{100 * share.low:.0f} to {100 * share.high:.0f}&nbsp;%"
    return _cell(f"{share.k}/{share.n}", f"<small>{ends}</small>")


def _failure(at_rate: AtRate) -> str:
    """Shaded by the share of runs that learned nothing."""
    n, parts = at_rate.diverged.n, []
    for share, word in ((at_rate.diverged, "div."), (at_rate.stuck, "stuck")):
        if share.k:
            parts.append(f"{share.k} {word}")
    if not parts:
        return "<td class=none>·</td>"
    shade = (at_rate.diverged.k + at_rate.stuck.k) / n
    return f'<td class=failed style="--share:{shade:.2f}">{"<br>".join(parts)}</td>'


def _cell(text: str, small: str = "") -> str:
    return f"<td>{text}{small}</td>"


def _heads(*names: str) -> str:
    return "".join(f"<th>{name}</th>" for name in names)


def _table(head: str, body: str) -> str:
    return (
        f"<div class=scroll><table><thead>{head}</thead>"
        f"<tbody>{body}</tbody></table></div>"
    )
