"""One program on the page: the comparison, its figures, what it took, what failed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from init_study.answers import Comparison
from init_study.answers.run_table import spent_before
from init_study.answers.run_words import judged_at, progress
from init_study.answers.verdicts.decision import default_margin
from init_study.answers.views.sensitivity import sensitivity
from init_study.answers.views.target import SHARE, default_target, steps_to_target
from init_study.answers.words import count, percent, rate
from init_study.report import tables
from init_study.report.palette import SchemeStyle
from init_study.report.profiles import start_card, trap_card
from init_study.report.program_figures import program_figures
from init_study.report.reading_figures import agreement_card
from init_study.report.run_data import RunData
from init_study.report.shown import Picture, picture
from init_study.report.snippets import snippets
from init_study.report.spectra_figures import curvature_card
from init_study.report.tables import Card, ComparisonTable, FailureTable, Rows


class Results(NamedTuple):
    """What there is to show of a finished program.

    Attributes:
        figures: by what they show.
        comparison, failures: always there.
        winner: the best scheme as code of each library; empty if none is shown.
        tuning, target, start, traps, curvature, agreement: None where there is nothing
            to say.
    """

    figures: dict[str, Picture]
    comparison: Card[ComparisonTable]
    failures: Card[FailureTable]
    winner: Sequence[tuple[str, str]]
    tuning: Card[Rows] | None
    target: Card[Rows] | None
    start: Card[Rows] | None
    traps: Card[Rows] | None
    curvature: Card[Rows] | None
    agreement: Card[Rows] | None


class ProgramSection(NamedTuple):
    """The section of one program.

    Attributes:
        name: letters and digits.
        label: what tells the program from the others.
        progress: how far the program is.
        results: None if the program is not finished.
    """

    name: str
    label: str
    progress: str
    results: Results | None


def program_section(
    name: str,
    comparison: Comparison,
    run: RunData,
    styles: Mapping[str, SchemeStyle],
) -> ProgramSection:
    """Put a program's results together.

    Args:
        name: of the section, letters and digits.
        comparison: of the program, by `answers.compare_runs`.
        run: data of all programs.
        styles: of all schemes of the study.
    """
    results = _results(name, comparison, run, styles) if comparison.rows else None
    return ProgramSection(name, comparison.label, progress(comparison), results)


def _results(
    name: str,
    comparison: Comparison,
    run: RunData,
    styles: Mapping[str, SchemeStyle],
) -> Results:
    shown = program_figures(name, comparison, run, styles)
    return Results(
        {kind: picture(one) for kind, one in shown.items()},
        comparison_card(comparison, styles),
        _failures(comparison, styles),
        snippets(comparison.best) if comparison.best else (),
        _tuning(comparison),
        _target(comparison, run.records),
        start_card(comparison, run.layers),
        trap_card(comparison, run.layers),
        curvature_card(comparison, run.spectra),
        agreement_card(comparison, run.raw_readings),
    )


def comparison_card(
    comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> Card[ComparisonTable]:
    """Make the table of schemes of a finished program."""
    caption = (
        f"Test accuracy of every seed, {judged_at(comparison)} by "
        "validation accuracy; a run that diverged as chance. Behind: some other scheme "
        "is shown to do better, at 95 % for all pairs of schemes together. Below the "
        "median: lowest and highest run. Mean: ± half a 95 % t interval, which failed "
        "runs make too wide or too narrow; IQM: of the middle half. Failed: not above "
        "chance, or not halfway from it to the best median; below: what rate is not "
        "excluded at 95 %. To the first: where both learn, paired by seed, with an "
        "interval that holds for all pairs together. First is better: the probability "
        "that a run of the first is better than one of this, with a 95 % bootstrap "
        "interval. "
        f"{_test_noise(comparison)} {spent_before(comparison)}"
    )
    table = tables.comparison_table(comparison, styles)
    return Card("The comparison", table, caption)


def _test_noise(comparison: Comparison) -> str:
    accuracy = float(np.median(comparison.rows[0].told))
    error = np.sqrt(accuracy * (1 - accuracy) / comparison.num_test)
    return (
        "The intervals hold the noise of the seeds, not of the "
        f"{comparison.num_test} test images, which all schemes share: for one network "
        f"at {percent(accuracy)} % that is a standard error of {percent(error)} points."
    )


def _tuning(comparison: Comparison) -> Card[Rows] | None:
    grid = len(comparison.rows[0].rates)
    lowest, highest = (comparison.rows[0].rates[i].learning_rate for i in (0, -1))
    accuracy = comparison.rows[0].best.test.mean
    if grid < 2 or comparison.first is None or np.isnan(accuracy):
        return None
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
    return Card(
        "What tuning is worth",
        rows,
        "Rates that will do: the unbroken range around the best whose mean validation "
        f"accuracy is within {percent(margin)} points of it; the grid has {grid} rates "
        f"from {rate(lowest)} to {rate(highest)}. Best of k: the validation accuracy "
        "to expect of the best of k rates drawn from the grid, without bias; best of 1 "
        "is not to tune at all.",
    )


def _target(comparison: Comparison, records: pd.DataFrame) -> Card[Rows] | None:
    if len(comparison.rows) < 2 or comparison.first is None:
        return None
    target = default_target(records, comparison)
    rows = [
        {
            "scheme": one.scheme,
            "steps": f"{one.steps:g}" if np.isfinite(one.steps) else "–",
            "got there": f"{one.reached} of {one.seeds}",
        }
        for one in steps_to_target(records, comparison, target)
    ]
    return Card(
        f"Steps to {percent(target)} %",
        rows,
        "Until a run's validation accuracy is first that high, at each scheme's best "
        "learning rate: the median over seeds, in steps of the evaluations; a run that "
        "does not get there counts as later than all others. The target is "
        f"{100 * SHARE:.0f} % of the way from chance to the best scheme's median.",
    )


def _failures(
    comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> Card[FailureTable]:
    return Card(
        "Runs that learned nothing",
        tables.failure_table(comparison, styles),
        f"Of {count(comparison.num_seeds, 'seed')} each: runs whose loss or weights "
        "stopped being finite (div.: diverged), and runs whose validation accuracy is "
        "not above chance (stuck: an exact binomial test at 1 %). A dot: every run "
        "learned.",
    )
