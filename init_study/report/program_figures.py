"""The figures of one program, with titles and captions."""

from collections.abc import Mapping, Sequence

import pandas as pd

from init_study.answers import Comparison, learning_curves, seed_curves
from init_study.answers.comparison import Row
from init_study.answers.run_table import standing_word
from init_study.answers.run_words import judged_at, never_learned, scope
from init_study.answers.statistics import FEWEST_FOR_INTERVAL
from init_study.answers.words import count
from init_study.report import curves
from init_study.report.distributions import SchemeRuns, shares_above, strips
from init_study.report.filter_figure import filter_figure
from init_study.report.palette import SchemeStyle
from init_study.report.profiles import profile_figures
from init_study.report.reading_figures import reading_figures
from init_study.report.run_data import RunData
from init_study.report.shown import Shown
from init_study.report.spectra_figures import jacobian_figure
from init_study.report.svg import Drawing

# What the name of an instrument's figure begins with.
_READING = "reading-"
# More of them would make a page heavy and a figure black.
_MOST_SEED_POINTS = 6000


def program_figures(
    name: str,
    comparison: Comparison,
    run: RunData,
    styles: Mapping[str, SchemeStyle],
) -> dict[str, Shown]:
    """Make the figures of a finished program, by what they show.

    Args:
        name: letters and digits, which the names of its drawings begin with.
        comparison: of the program, by `answers.compare_runs`.
        run: data of all programs.
        styles: of all schemes of the study.
    """
    found = {}
    if _strips(comparison):
        found["strips"] = strip_figure(f"{name}strips", comparison, styles)
        found["shares"] = _shares(f"{name}shares", comparison, styles)
    for kind, split in (("accuracy", "validation"), ("loss", "train")):
        found[kind] = _curves(name, comparison, run.records, styles, split, kind)
    found["rates"] = _over_rates(name, comparison, styles)
    found |= profile_figures(name, comparison, run.layers, run.predictions, styles)
    found |= jacobian_figure(name, comparison, run.spectra, styles)
    found |= filter_figure(name, comparison, run.filters, styles)
    read = reading_figures(name, comparison, run.readings, run.instruments, styles)
    return found | {f"{_READING}{instrument}": one for instrument, one in read.items()}


def strip_figure(
    name: str, comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> Shown:
    """Show every run of every scheme that learned; see `program_figures`."""
    rows = _strips(comparison)
    never = never_learned(comparison.rows)
    caption = (
        "A dot for every seed: test accuracy after the last step, "
        f"{judged_at(comparison)}; a run that diverged is at chance. Thick: the "
        f"median, whose number stands at the right. {scope(comparison).capitalize()}."
    )
    if never:
        caption += f" Not shown: {'; '.join(never)}."
    return Shown(
        "How good is each run?",
        caption,
        {"runs": strips(comparison.label, rows, comparison.chance, styles, name)},
        pd.DataFrame(
            {"scheme": row.scheme, "seed": seed, "test_accuracy": value}
            for row in comparison.rows
            for seed, value in zip(_seeds_of(row, comparison), row.told, strict=True)
        ),
        wide=True,
    )


def _seeds_of(row: Row, comparison: Comparison) -> tuple[int, ...]:
    return comparison.fresh_seeds if row.fresh else comparison.seeds


def _strips(comparison: Comparison) -> list[SchemeRuns]:
    return [
        SchemeRuns(
            row.scheme,
            row.told,
            standing_word(row, comparison),
            faint=bool(row.standing.behind),
        )
        for row in comparison.rows
        if not row.standing.never
    ]


def _shares(
    name: str, comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> Shown:
    """Show performance profiles of the schemes that learned."""
    rows = _strips(comparison)
    return Shown(
        "How many runs are above?",
        "For every accuracy the share of a scheme's runs above it: a performance "
        "profile. A line that falls late is a scheme whose runs are all good; a step "
        "at the left are runs that failed.",
        {"runs": shares_above(comparison.label, rows, comparison.chance, styles, name)},
        pd.DataFrame(
            {"scheme": row.scheme, "test_accuracy": value, "share_above": above}
            for row in rows
            for value, above in _above(row.runs)
        ),
    )


def _above(runs: Sequence[float]) -> list[tuple[float, float]]:
    return [
        (value, sum(other > value for other in runs) / len(runs))
        for value in sorted(runs)
    ]


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
        return curves.by_step(comparison, table, drawn, metric, styles, own, log=log)

    drawings = {"linear": drawing(False)}
    # A logarithm of step 0 there is not; of one other step no line.
    if table.loc[table["step"] > 0, "step"].nunique() > 1:
        drawings["logarithmic"] = drawing(True)
    return Shown(f"{title} by step", caption, drawings, seeds)


def _over_rates(
    name: str, comparison: Comparison, styles: Mapping[str, SchemeStyle]
) -> Shown:
    seeds = count(comparison.num_seeds, "seed")
    return Shown(
        "Accuracy over learning rate",
        f"Validation accuracy after the last step: mean over {seeds}, "
        f"a diverged run as chance, {_interval_words(comparison)}. Ringed: the "
        "rate chosen for the scheme. Points are set a little apart so that they do not "
        "hide each other.",
        {"points": curves.by_rate(comparison, styles, f"{name}rates")},
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


def _runs(table: pd.DataFrame) -> str:
    if table.empty:
        return "n = 0"
    low, high = int(table["n"].min()), int(table["n"].max())
    return f"n = {high}" if low == high else f"n = {low} to {high}"


def _interval_words(comparison: Comparison) -> str:
    if comparison.num_seeds < FEWEST_FOR_INTERVAL:
        return "without an interval: there are too few seeds"
    return f"with its 95 % t interval (n = {comparison.num_seeds})"


def _band_words(comparison: Comparison) -> str:
    if comparison.num_seeds < FEWEST_FOR_INTERVAL:
        return "without a band: there are too few seeds for an interval"
    return "band: 95 % t interval over seeds"
