"""The page of a run: the answer, what it rests on, and where it comes from."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from init_study.answers import Comparison, Interval, compare_runs
from init_study.answers.run_words import clauses, judged_at
from init_study.answers.views.across import FEWEST_PROGRAMS, across
from init_study.answers.views.variance import variance_splits
from init_study.answers.words import count, low_to_high, percent, rate
from init_study.report import figures
from init_study.report.next_step import next_command
from init_study.report.palette import SchemeStyle, scheme_styles
from init_study.report.program_figures import program_figures
from init_study.report.program_section import ProgramSection, program_section
from init_study.report.provenance import Provenance, provenance
from init_study.report.reading_figures import foretold_card
from init_study.report.rendering import render_page
from init_study.report.run_data import RunData
from init_study.report.shown import Picture, Shown, picture
from init_study.report.tables import Card, Rows
from init_study.study import Study

GLOSSARY = (
    ("rate", "learning rate; each scheme is taken at its own best one of the grid"),
    ("seed", "one repetition: the same seed gives every scheme the same order of data"),
    (
        "program",
        "a net with its data and settings: what else the study varies",
    ),
    (
        "failed",
        "a run at chance (stuck), not finite (diverged), or on a plateau: not halfway "
        "from chance to the best median",
    ),
)
_FRESH_SEED = (
    "fresh seed",
    "one that had no part in choosing a rate; schemes that learned have so many more, "
    "at their best rates alone",
)


class Summary(NamedTuple):
    """What is said of one program at the top of a page.

    Attributes:
        first: the clause that is read by those who read no further.
        others: clauses below.
        missing: whether there is no answer yet.
    """

    first: str
    others: Sequence[str]
    missing: bool


class AllPrograms(NamedTuple):
    """What is shown of all programs together."""

    picture: Picture
    ranks: Card[Rows]


class RunPage(NamedTuple):
    """The page of a run.

    Attributes:
        title: the study's question, or its name.
        extent: how many schemes, learning rates, seeds and programs there are.
        refresh: seconds after which an open page reads itself again; None for never.
        styles: of all schemes.
        sections: one per program, in the order of `answers`.
        across: None for one program, or where one is not finished.
        spread: where the spread over seeds comes from; None if the study did not ask.
        foretold: which readings foretold how members ended; None without enough.
        next_command: what would decide what is open; empty if nothing is.
        words: what the page's words mean.
    """

    title: str
    name: str
    extent: str
    refresh: int | None
    styles: Mapping[str, SchemeStyle]
    answers: Sequence[Summary]
    sections: Sequence[ProgramSection]
    across: AllPrograms | None
    spread: Card[Rows] | None
    foretold: Card[Rows] | None
    next_command: str
    words: Sequence[tuple[str, str]]
    provenance: Provenance


def render_run(
    run: RunData, manifest: Mapping[str, Any], refresh: int | None = None
) -> str:
    """Render the whole page of a run as HTML, in ASCII.

    Args:
        run: its data.
        manifest: of `store.read_manifest`.
        refresh: seconds after which an open page reads itself again.
    """
    study = Study.from_dict(manifest["study"])
    comparisons = compare_runs(run.records, manifest, run.waves)
    styles = scheme_styles(study.schemes)
    words = [
        *GLOSSARY[:2],
        *([_FRESH_SEED] if study.fresh_seeds else []),
        *GLOSSARY[2:],
    ]
    page = RunPage(
        study.question or study.name,
        study.name,
        _extent(study, comparisons),
        refresh,
        styles,
        [run_answer(comparison) for comparison in comparisons],
        [
            program_section(f"p{i}", comparison, run, styles)
            for i, comparison in enumerate(comparisons)
        ],
        _across(comparisons, styles),
        _spread(run.records, manifest),
        foretold_card(comparisons, run.records, run.readings),
        next_command(manifest.get("command", ""), comparisons),
        words,
        provenance(study, manifest),
    )
    return render_page("run_page.html", page)


def run_figures(run: RunData, manifest: Mapping[str, Any]) -> list[tuple[str, Shown]]:
    """Make all figures of the page, with names for files; see `render_run`."""
    comparisons = compare_runs(run.records, manifest, run.waves)
    finished = [comparison for comparison in comparisons if comparison.rows]
    styles = scheme_styles(Study.from_dict(manifest["study"]).schemes)
    found = []
    for i, comparison in enumerate(finished):
        shown = program_figures(f"p{i}", comparison, run, styles)
        label = "".join(c if c.isalnum() else "-" for c in comparison.label)
        found += [(f"{label}-{kind}", one) for kind, one in shown.items()]
    if len(comparisons) > 1 and len(finished) == len(comparisons):
        found.append(("all-programs", _heat_map(comparisons, styles)))
    return found


def _extent(study: Study, comparisons: Sequence[Comparison]) -> str:
    parts = (
        (len(study.schemes), "scheme"),
        (len(study.learning_rates), "learning rate"),
        (len(study.seeds), "seed"),
        (len(comparisons), "program"),
    )
    grid = " × ".join(count(n, word) for n, word in parts)
    if not study.fresh_seeds:
        return grid
    fresh = count(study.fresh_seeds, "fresh seed")
    return f"{grid}, then {fresh} of each scheme that learned"


def run_answer(comparison: Comparison) -> Summary:
    """Say what a program came to, for the top of a page."""
    first, *others = clauses(comparison)
    return Summary(first, others, missing=not comparison.rows)


def _across(
    comparisons: Sequence[Comparison], styles: Mapping[str, SchemeStyle]
) -> AllPrograms | None:
    if len(comparisons) < 2 or not all(c.rows for c in comparisons):
        return None
    return AllPrograms(picture(_heat_map(comparisons, styles)), _ranks(comparisons))


def _spread(records: pd.DataFrame, manifest: Mapping[str, Any]) -> Card[Rows] | None:
    splits = variance_splits(records, manifest)
    if not splits:
        return None
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
    return Card(
        "Where the spread over seeds comes from",
        rows,
        "Standard deviations of test accuracy over "
        f"{count(splits[0].total.n, 'seed')}, in points, with the 95 % interval that a "
        "normal law gives: everything differs; the start differs and the order of data "
        "is seed 0's; the order differs and the start is seed 0's. One "
        "test set: of a test set of this size, were it drawn anew, for one net.",
    )


def _deviation(interval: Interval) -> str:
    ends = low_to_high(interval)
    return percent(interval.mean) + (f" ({ends})" if ends else "")


def _heat_map(
    comparisons: Sequence[Comparison], styles: Mapping[str, SchemeStyle]
) -> Shown:
    columns = {
        comparison.label: {
            row.scheme: float(np.mean(row.told)) for row in comparison.rows
        }
        for comparison in comparisons
    }
    table = pd.DataFrame(columns).reindex(list(styles))
    return Shown(
        "Which scheme where?",
        f"Test accuracy in %, each seed {judged_at(comparisons[0])}: mean, a diverged "
        "run as chance.",
        {"map": figures.heat_map(table, styles, "heatmap")},
        table.rename_axis("scheme").reset_index(),
        wide=True,
    )


def _ranks(comparisons: Sequence[Comparison]) -> Card[Rows]:
    found = across(comparisons)
    rows = [
        {
            "scheme": scheme,
            "interquartile mean, %": _deviation(iqm),
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
    return Card(
        f"Over {found.programs} programs",
        rows,
        "Interquartile mean: of the middle half of all test accuracies, each seed at "
        "the rate that the others chose, a diverged run as chance; in brackets the "
        f"95 % interval of a bootstrap over {count(found.seeds, 'seed')}. Rank 1 is "
        f"the best. {test}",
    )
