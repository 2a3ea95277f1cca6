"""The page: the answer first, then what it rests on, then where it comes from."""

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from init_study.answers import Comparison, Interval, compare
from init_study.answers.views.across import FEWEST_PROGRAMS, across
from init_study.answers.views.variance import variance_splits
from init_study.answers.words import clauses, count, low_to_high, percent, rate
from init_study.report import figures, tables
from init_study.report.filter_figure import Kernels
from init_study.report.palette import SchemeStyle, scheme_styles
from init_study.report.program_section import program_figures, program_section
from init_study.report.provenance import provenance
from init_study.report.shown import Shown, controls, controls_css, figure
from init_study.report.style import CSS
from init_study.study import Study

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
"""
# The page may load nothing at all: what it shows is in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Tables(NamedTuple):
    """What a run has left: of `store.load`, `load_layers`, `load_spectra`,
    `load_predictions` and `load_filters`."""

    records: pd.DataFrame
    layers: pd.DataFrame
    spectra: pd.DataFrame
    predictions: pd.DataFrame
    filters: Kernels


def render(run: Tables, manifest: Mapping[str, Any], refresh: int | None = None) -> str:
    """The whole page as HTML, in ASCII: any editor, locale and server reads it.

    Args:
        run: its tables.
        manifest: of `store.read_manifest`.
        refresh: seconds after which an open page reads itself again.
    """
    study = Study.from_dict(manifest["study"])
    comparisons = compare(run.records, manifest)
    styles = scheme_styles(study.schemes)
    title = study.question or study.name
    parts = [
        HEAD.format(policy=POLICY, title=escape(title), css=CSS + controls_css(styles)),
        f"<meta http-equiv=refresh content={refresh}>" if refresh else "",
        f"<header><h1>{escape(title)}</h1>",
        f"<p class=name>{escape(study.name)} · {_extent(study, comparisons)}</p>",
        *(_answer(comparison) for comparison in comparisons),
        _contents(comparisons),
        controls(styles),
        "</header>\n<main>",
        *(
            program_section(f"p{i}", comparison, *run, styles)
            for i, comparison in enumerate(comparisons)
        ),
        _across(comparisons, styles),
        _variances(run.records, manifest),
        "</main>\n",
        provenance(study, manifest),
        "</body>\n</html>\n",
    ]
    page = "\n".join(parts)
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def run_figures(run: Tables, manifest: Mapping[str, Any]) -> list[tuple[str, Shown]]:
    """All figures of the page, with names for files; arguments as of `render`."""
    comparisons = compare(run.records, manifest)
    finished = [comparison for comparison in comparisons if comparison.rows]
    styles = scheme_styles(Study.from_dict(manifest["study"]).schemes)
    found = []
    for i, comparison in enumerate(finished):
        shown = program_figures(f"p{i}", comparison, *run, styles)
        label = "".join(c if c.isalnum() else "-" for c in comparison.label)
        found += [(f"{label}-{kind}", one) for kind, one in shown.items()]
    if len(comparisons) > 1 and len(finished) == len(comparisons):
        found.append(("all-programs", heat_map(comparisons, styles)))
    return found


def _extent(study: Study, comparisons: tuple[Comparison, ...]) -> str:
    parts = (
        (len(study.schemes), "scheme"),
        (len(study.learning_rates), "learning rate"),
        (len(study.seeds), "seed"),
        (len(comparisons), "program"),
    )
    return " × ".join(count(n, word) for n, word in parts)


def _answer(comparison: Comparison) -> str:
    first, *others = clauses(comparison)
    rest = "".join(f"<span>{tables.words(clause)}</span>" for clause in others)
    mark = "answer" if comparison.rows else "answer missing"
    return f"<p class='{mark}'><b>{tables.words(first)}</b>{rest}</p>"


def _contents(comparisons: tuple[Comparison, ...]) -> str:
    links = "".join(
        f"<a href='#p{i}'>{escape(comparison.label)}</a>"
        for i, comparison in enumerate(comparisons)
    )
    return f"<nav>{links}<a href='#provenance'>Provenance</a></nav>"


def _across(
    comparisons: tuple[Comparison, ...], styles: Mapping[str, SchemeStyle]
) -> str:
    """Nothing for one program, or where one is not finished."""
    if len(comparisons) < 2 or not all(c.rows for c in comparisons):
        return ""
    table, shown = _ranks(comparisons), figure(heat_map(comparisons, styles))
    return f"<section id=across><h2>All programs</h2>{shown}{table}</section>"


def _variances(records: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """Where the spread over seeds comes from, if the study asked."""
    splits = variance_splits(records, manifest)
    if not splits:
        return ""
    rows = [
        {
            "program": one.label,
            "scheme": one.scheme,
            "rate": rate(one.learning_rate),
            "all": _deviation(one.total),
            "the start alone": _deviation(one.init),
            "the order alone": _deviation(one.order),
            "one test set": percent(one.test_set),
        }
        for one in splits
    ]
    table = tables.card(
        "Where the spread over seeds comes from",
        tables.columns(rows),
        "Standard deviations of test accuracy over "
        f"{count(splits[0].total.n, 'seed')}, in points, with the 95 % interval that a "
        "normal law gives: everything differs; the start differs and the order of data "
        "is the first seed's; the order differs and the start is the first seed's. One "
        "test set: of a test set of this size, were it drawn anew, for one net.",
    )
    return f"<section id=spread><h2>Spread over seeds</h2>{table}</section>"


def _deviation(interval: Interval) -> str:
    ends = low_to_high(interval)
    return percent(interval.mean) + (f" ({ends})" if ends else "")


def heat_map(
    comparisons: tuple[Comparison, ...], styles: Mapping[str, SchemeStyle]
) -> Shown:
    """Of finished programs: which scheme does what where."""
    columns = {
        comparison.label: {
            row.scheme: float(np.mean(row.runs)) for row in comparison.rows
        }
        for comparison in comparisons
    }
    table = pd.DataFrame(columns).reindex(list(styles))
    return Shown(
        "Which scheme where?",
        "Test accuracy in %, each scheme at its best learning rate in each program: "
        f"mean over {count(comparisons[0].num_seeds, 'seed')}, a diverged run as "
        "chance.",
        {"map": figures.heat_map(table, styles, "heatmap")},
        table.rename_axis("scheme").reset_index(),
        wide=True,
    )


def _ranks(comparisons: tuple[Comparison, ...]) -> str:
    found = across(comparisons)
    rows = [
        {
            "scheme": scheme,
            "interquartile mean, %": f"{percent(iqm.mean)} ({low_to_high(iqm)})",
            "mean rank": f"{rank:.2f}",
        }
        for scheme, iqm, rank in zip(found.schemes, found.iqm, found.ranks, strict=True)
    ]
    if found.p is None:
        test = (
            f"A test over programs takes {FEWEST_PROGRAMS} of them and three schemes: "
            "here is none."
        )
    else:
        apart = found.critical_difference
        test = f"That all ranks are alike: p = {found.p:.2g} (Friedman)."
        test += f" Ranks {apart:.2f} apart differ (Nemenyi, 5 %)." if apart else ""
    return tables.card(
        f"Over {found.programs} programs",
        tables.columns(rows),
        "Interquartile mean: of the middle half of all test accuracies, each scheme at "
        "its best rate in each program, a diverged run as chance; in brackets the 95 % "
        f"interval of a bootstrap over {count(found.seeds, 'seed')}. Rank 1 is the "
        f"best. {test}",
    )
