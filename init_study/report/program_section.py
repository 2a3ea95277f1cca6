"""One program on the page: the comparison, its figures, what it took, what failed."""

from collections.abc import Mapping
from html import escape

import numpy as np
import pandas as pd

from init_study.answers import Comparison, Interval, learning_curves, seed_curves
from init_study.answers.statistics import FEWEST_FOR_INTERVAL
from init_study.answers.verdicts.decision import default_margin
from init_study.answers.views.failures import failing_more
from init_study.answers.views.sensitivity import sensitivity
from init_study.answers.views.target import SHARE, default_target, steps_to_target
from init_study.answers.words import count, percent, progress, rate, spent_before
from init_study.report import figures, tables
from init_study.report.filter_figure import Kernels, filter_figure
from init_study.report.palette import SchemeStyle
from init_study.report.profiles import profile_figures, start_table, trap_table
from init_study.report.shown import Shown, figure
from init_study.report.spectra_figures import curvature_table, jacobian_figure
from init_study.report.svg import Drawing

# More of them would make a page heavy and a figure black.
_MOST_SEED_POINTS = 6000
_NO_DIFFERENCE = Interval(0.0, 0.0, 0.0, 0)


def program_section(
    name: str,
    comparison: Comparison,
    records: pd.DataFrame,
    layers: pd.DataFrame,
    spectra: pd.DataFrame,
    predictions: pd.DataFrame,
    filters: Kernels,
    styles: Mapping[str, SchemeStyle],
) -> str:
    """As HTML.

    Args:
        name: of the section, letters and digits.
        comparison: of `answers.compare`.
        records, layers, spectra, predictions, filters: of the whole run.
        styles: of its schemes.
    """
    head = f"<section id={name}><h2>{escape(comparison.label)}</h2>"
    if not comparison.rows:
        return (
            f"{head}<p class=missing>Not finished: {progress(comparison)}. Its "
            "comparison, figures and failures are missing until its last step; run "
            "the same command again to go on.</p></section>"
        )
    shown = program_figures(
        name, comparison, records, layers, spectra, predictions, filters, styles
    )
    html = {kind: figure(one) for kind, one in shown.items()}
    profiles = "".join(html.get(kind, "") for kind in ("signal", "gradient"))
    parts = [
        html.get("forest", ""),
        _comparison(comparison, styles),
        f"<div class=pair>{html['accuracy']}{html['loss']}</div>",
        f"<div class=pair>{html['rates']}{_failures(comparison, styles)}</div>",
        f"<div class=pair>{_tuning(comparison)}{_target(comparison, records)}</div>",
        f"<div class=pair>{profiles}</div>" if profiles else "",
        start_table(comparison, layers),
        trap_table(comparison, layers),
        f"<div class=pair>{html.get('jacobian', '')}"
        f"{curvature_table(comparison, spectra)}</div>",
        html.get("filters", ""),
    ]
    return f"{head}{''.join(parts)}</section>"


def program_figures(
    name: str,
    comparison: Comparison,
    records: pd.DataFrame,
    layers: pd.DataFrame,
    spectra: pd.DataFrame,
    predictions: pd.DataFrame,
    filters: Kernels,
    styles: Mapping[str, SchemeStyle],
) -> dict[str, Shown]:
    """The figures of a finished program, by what they show; arguments as of
    `program_section`."""
    found = {}
    if len(comparison.rows) > 1 and comparison.best is not None:
        found["forest"] = _forest(name, comparison, styles)
    for kind, split in (("accuracy", "validation"), ("loss", "train")):
        found[kind] = _curves(name, comparison, records, styles, split, kind)
    found["rates"] = _over_rates(name, comparison, styles)
    found |= profile_figures(name, comparison, layers, predictions, styles)
    found |= jacobian_figure(name, comparison, spectra, styles)
    return found | filter_figure(name, comparison, filters, styles)


def _forest(
    name: str, comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> Shown:
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
    return Shown(
        f"How far behind {comparison.best} is each scheme?",
        caption,
        {"points": figures.forest(comparison, styles, f"{name}forest")},
        pd.DataFrame(
            {"scheme": row.scheme, **(row.difference or _NO_DIFFERENCE)._asdict()}
            for row in comparison.rows
        ),
        wide=True,
    )


def _comparison(comparison: Comparison, styles: Mapping[str, SchemeStyle]) -> str:
    caption = (
        "Best learning rate: highest mean validation accuracy; on equal means the "
        "smaller. * The best rate is at the edge of the grid: a better one may lie "
        "beyond. Validation: all runs, one that diverged as chance. Test: mean over "
        "the runs that did not diverge, ± half the 95 % t interval over seeds. "
        "Stuck: not above chance by an exact binomial test at 1 %. Shares with their "
        f"95 % Wilson intervals. {_test_noise(comparison)} {spent_before(comparison)}"
    )
    table = tables.comparison_table(comparison, styles)
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


def _curves(
    name: str,
    comparison: Comparison,
    records: pd.DataFrame,
    styles: Mapping[str, SchemeStyle],
    split: str,
    metric: str,
) -> Shown:
    title = f"{'Training' if split == 'train' else split.capitalize()} {metric}"
    table = learning_curves(records, comparison, split, metric)
    seeds = seed_curves(records, comparison, split, metric)
    caption = (
        f"{title} at each scheme's best learning rate: mean over "
        f"the runs that did not diverge ({_runs(table)} per scheme), "
        f"{_band_words(comparison)}."
    )
    if split == "train":
        caption += " Mean over the steps since the last evaluation."
    drawn = seeds
    if len(seeds) > _MOST_SEED_POINTS:
        drawn = seeds.iloc[:0]
        caption += " Single seeds are too many to be drawn; the data have them."

    def drawing(log: bool) -> Drawing:
        own = f"{name}{split}{metric}{'log' if log else ''}"
        return figures.curves(comparison, table, drawn, metric, styles, own, log=log)

    drawings = {"linear": drawing(False)}
    # A logarithm of step 0 there is not; of one other step no line.
    if table.loc[table["step"] > 0, "step"].nunique() > 1:
        drawings["logarithmic"] = drawing(True)
    return Shown(f"{title} by step", caption, drawings, seeds)


def _over_rates(
    name: str, comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> Shown:
    return Shown(
        "Accuracy over learning rate",
        f"Validation accuracy after the last step: mean over {_all_seeds(comparison)}, "
        f"a diverged run as chance, {_interval_words(comparison)}. Ringed: the "
        "rate chosen for the scheme. Points are set a little apart so that they do not "
        "hide each other.",
        {"points": figures.over_rates(comparison, styles, f"{name}rates")},
        pd.DataFrame(
            {
                "scheme": row.scheme,
                "learning_rate": at_rate.learning_rate,
                **at_rate.validation._asdict(),
            }
            for row in comparison.rows
            for at_rate in row.rates
        ),
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


def _failures(comparison: Comparison, styles: Mapping[str, SchemeStyle]) -> str:
    more = failing_more(comparison)
    apart = (
        f" At their best rates, more runs of {', '.join(more)} fail than of "
        f"{comparison.best}: McNemar's exact test by pairs of one seed, at 5 % by "
        "Holm's method."
    )
    return tables.card(
        "Runs that learned nothing",
        f"<div class=rates>{tables.failure_table(comparison, styles)}</div>",
        f"Of {_all_seeds(comparison)} each: runs whose loss or weights stopped being "
        "finite (div.: diverged), and runs whose test accuracy is not above chance, "
        f"{percent(comparison.chance)} % (stuck). A dot: every run learned."
        f"{apart if more else ''}",
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
