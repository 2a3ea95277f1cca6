"""The page: the answer first, then what it rests on, then where it comes from."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from init_study.answers import Comparison, compare, learning_curves
from init_study.answers.across import FEWEST_PROGRAMS, across
from init_study.answers.decision import default_margin
from init_study.answers.sensitivity import sensitivity
from init_study.answers.statistics import FEWEST_FOR_INTERVAL
from init_study.answers.target import SHARE, default_target, steps_to_target
from init_study.answers.text import (
    clauses,
    count,
    low_to_high,
    percent,
    progress,
    rate,
    spent_before,
)
from init_study.report import figures, tables
from init_study.report.figures import Look
from init_study.report.provenance import provenance
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


def render(records: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """The whole page as HTML, in ASCII: any editor, locale and server reads it.

    Args:
        records: of `store.load`.
        manifest: of `store.read_manifest`.
    """
    study = Study.from_dict(manifest["study"])
    comparisons = compare(records, manifest)
    look = figures.looks(study.schemes)
    title = study.question or study.name
    parts = [
        HEAD.format(policy=POLICY, title=escape(title), css=CSS),
        f"<header><h1>{escape(title)}</h1>",
        f"<p class=name>{escape(study.name)} · {_extent(study, comparisons)}</p>",
        *(_answer(comparison) for comparison in comparisons),
        _contents(comparisons),
        "</header>\n<main>",
        *(
            _program(f"p{i}", comparison, records, look)
            for i, comparison in enumerate(comparisons)
        ),
        _across(comparisons),
        "</main>\n",
        provenance(study, manifest),
        "</body>\n</html>\n",
    ]
    page = "\n".join(parts)
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


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


def _program(
    name: str, comparison: Comparison, records: pd.DataFrame, look: Mapping[str, Look]
) -> str:
    head = f"<section id={name}><h2>{escape(comparison.label)}</h2>"
    if not comparison.rows:
        return (
            f"{head}<p class=missing>Not finished: {progress(comparison)}. Its "
            "comparison, figures and failures are missing until its last step; run "
            "the same command again to go on.</p></section>"
        )
    pair = [
        _curve_figure(name, comparison, records, look, "validation", "accuracy"),
        _curve_figure(name, comparison, records, look, "train", "loss"),
    ]
    parts = [
        _forest(name, comparison, look),
        _comparison(comparison, look),
        f"<div class=pair>{''.join(pair)}</div>",
        f"<div class=pair>{_over_rates(name, comparison, look)}"
        f"{_failures(comparison, look)}</div>",
        f"<div class=pair>{_tuning(comparison)}{_target(comparison, records)}</div>",
    ]
    return f"{head}{''.join(parts)}</section>"


def _across(comparisons: tuple[Comparison, ...]) -> str:
    """Nothing for one program, or where one is not finished."""
    if len(comparisons) < 2 or not all(c.rows for c in comparisons):
        return ""
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
    table = tables.card(
        f"Over {found.programs} programs",
        tables.columns(rows),
        "Interquartile mean: of the middle half of all test accuracies, each scheme at "
        "its best rate in each program, a diverged run as chance; in brackets the 95 % "
        f"interval of a bootstrap over {count(found.seeds, 'seed')}. Rank 1 is the "
        f"best. {test}",
    )
    return f"<section id=across><h2>All programs</h2>{table}</section>"


def _forest(name: str, comparison: Comparison, look: Mapping[str, Look]) -> str:
    if len(comparison.rows) < 2 or comparison.best is None:
        return ""
    caption = (
        "Mean difference of test accuracy between runs of the same seed, each scheme "
        f"at its own best learning rate, {_interval_words(comparison)}. A run that "
        "diverged counts as chance. A triangle at an edge: it goes on beyond the scale."
    )
    if comparison.num_seeds >= FEWEST_FOR_INTERVAL:
        caption += (
            " Grey numbers: the interval holds zero, no difference is shown, which is "
            f"not the same as no difference. {comparison.note}"
        )
    title = f"How far behind {comparison.best} is each scheme?"
    svg = figures.forest(comparison, look, f"{name}forest")
    return figure(title, svg, caption, wide=True)


def _comparison(comparison: Comparison, look: Mapping[str, Look]) -> str:
    caption = (
        "Best learning rate: highest mean validation accuracy; on equal means the "
        "smaller. * The best rate is at the edge of the grid: a better one may lie "
        "beyond. Validation: all runs, one that diverged as chance. Test: mean over "
        "the runs that did not diverge, ± half the 95 % t interval over seeds. "
        "Stuck: not above chance by an exact binomial test at 1 %. Shares with their "
        f"95 % Wilson intervals. {_test_noise(comparison)} {spent_before(comparison)}"
    )
    table = tables.comparison_table(comparison, look)
    return tables.card("The comparison", f"<div class=full>{table}</div>", caption)


def _test_noise(comparison: Comparison) -> str:
    accuracy = comparison.rows[0].best.test.mean
    if np.isnan(accuracy):
        return ""
    error = np.sqrt(accuracy * (1 - accuracy) / comparison.num_test)
    return (
        "The intervals hold the noise of the seeds, not of the "
        f"{comparison.num_test} test images, which all schemes share: for one network "
        f"at {percent(accuracy)} % that is a standard error of {percent(error)} points."
    )


def _curve_figure(
    name: str,
    comparison: Comparison,
    records: pd.DataFrame,
    look: Mapping[str, Look],
    split: str,
    metric: str,
) -> str:
    title = f"{'Training' if split == 'train' else split.capitalize()} {metric}"
    table = learning_curves(records, comparison, split, metric)
    caption = (
        f"{title} at each scheme's best learning rate: mean over "
        f"the runs that did not diverge ({_runs(table)} per scheme), "
        f"{_band_words(comparison)}."
    )
    if split == "train":
        caption += " Mean over the steps since the last evaluation."
    svg = figures.curves(comparison, table, metric, look, f"{name}{split}{metric}")
    return figure(f"{title} by step", svg, caption)


def _over_rates(name: str, comparison: Comparison, look: Mapping[str, Look]) -> str:
    return figure(
        "Accuracy over learning rate",
        figures.over_rates(comparison, look, f"{name}rates"),
        f"Validation accuracy after the last step: mean over {_all_seeds(comparison)}, "
        f"a diverged run as chance, {_interval_words(comparison)}. Ringed: the "
        "rate chosen for the scheme. Points are set a little apart so that they do not "
        "hide each other.",
    )


def _tuning(comparison: Comparison) -> str:
    grid = len(comparison.rows[0].rates)
    lowest, highest = (comparison.rows[0].rates[i].learning_rate for i in (0, -1))
    accuracy = comparison.rows[0].best.test.mean
    if grid < 2 or comparison.best is None or np.isnan(accuracy):
        return ""
    margin = default_margin(accuracy, comparison.num_test)
    tries = sorted({1, 2, grid})
    rows = []
    for row in comparison.rows:
        found = sensitivity(row, margin)
        learned = not row.best.failed
        ends = f"{rate(found.low)} to {rate(found.high)} (×{found.factor:.3g})"
        if found.low == found.high:
            ends = f"{rate(found.low)} only"
        rows.append(
            {"scheme": row.scheme, "rates that will do": ends if learned else "–"}
            | {f"best of {k}, %": percent(found.expected_best[k - 1]) for k in tries}
        )
    return tables.card(
        "What tuning is worth",
        tables.columns(rows),
        "Rates that will do: the unbroken range around the best whose mean validation "
        f"accuracy is within {percent(margin)} points of it; the grid has {grid} rates "
        f"from {rate(lowest)} to {rate(highest)}. Best of k: the validation accuracy "
        "to expect of the best of k rates drawn from the grid, without bias; best of 1 "
        "is not to tune at all.",
    )


def _target(comparison: Comparison, records: pd.DataFrame) -> str:
    if len(comparison.rows) < 2 or comparison.best is None:
        return ""
    target = default_target(records, comparison)
    rows = [
        {
            "scheme": one.scheme,
            "steps": f"{one.steps:g}" if np.isfinite(one.steps) else "–",
            "got there": f"{one.reached} of {one.seeds}",
        }
        for one in steps_to_target(records, comparison, target)
    ]
    return tables.card(
        f"Steps to {percent(target)} %",
        tables.columns(rows),
        "Until a run's validation accuracy is first that high, at each scheme's best "
        "learning rate: the median over seeds, in steps of the evaluations; a run that "
        "does not get there counts as later than all others. The target is "
        f"{100 * SHARE:.0f} % of the way from chance to the best scheme's median.",
    )


def _failures(comparison: Comparison, look: Mapping[str, Look]) -> str:
    return tables.card(
        "Runs that learned nothing",
        f"<div class=rates>{tables.failure_table(comparison, look)}</div>",
        f"Of {_all_seeds(comparison)} each: runs whose loss or weights stopped being "
        "finite (div.: diverged), and runs whose test accuracy is not above chance, "
        f"{percent(comparison.chance)} % (stuck). A dot: every run learned.",
    )


def _runs(table: pd.DataFrame) -> str:
    if table.empty:
        return "n = 0"
    low, high = int(table["n"].min()), int(table["n"].max())
    return f"n = {high}" if low == high else f"n = {low} to {high}"


def _all_seeds(comparison: Comparison) -> str:
    return count(comparison.num_seeds, "seed")


def _interval_words(comparison: Comparison) -> str:
    if comparison.num_seeds < FEWEST_FOR_INTERVAL:
        return "without an interval: there are too few seeds"
    return f"with its 95 % t interval (n = {comparison.num_seeds})"


def _band_words(comparison: Comparison) -> str:
    if comparison.num_seeds < FEWEST_FOR_INTERVAL:
        return "without a band: there are too few seeds for an interval"
    return "band: 95 % t interval over seeds"


def figure(title: str, svg: str, caption: str, *, wide: bool = False) -> str:
    """A drawing with its title and caption; a wide one may be scrolled."""
    box = "scroll wide" if wide else "scroll"
    return (
        f"\n<figure><h3>{escape(title)}</h3><div class='{box}'>{svg}</div>"
        f"<figcaption>{tables.words(caption)}</figcaption></figure>"
    )
