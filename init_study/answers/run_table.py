"""What a plain run shows, as a table for a terminal of 100 columns."""

import textwrap
from collections.abc import Iterable

import numpy as np

from init_study.answers.columns import format_columns, shorten
from init_study.answers.comparison import Comparison, Row
from init_study.answers.run_words import (
    judged_at,
    never_learned,
    progress,
    sentence,
)
from init_study.answers.words import count, low_to_high, percent, rate

_COLUMNS = 100


def comparison_text(comparisons: Iterable[Comparison]) -> str:
    """Write the table and the answer of every program, for 100 columns."""
    return "\n".join(
        f"{format_table(one)}\n\n{textwrap.fill(sentence(one), _COLUMNS)}\n"
        for one in comparisons
    )


def format_table(comparison: Comparison) -> str:
    """Format a comparison for a terminal of 100 columns, in the order of its rows.

    Schemes of which no run learned share a line.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> format_table(comparison).splitlines()[0]
        'cnn: 5 seeds, 2 steps, 100 test images, chance 10.0 %'
    """
    title = (
        f"{comparison.label}: {_seeds(comparison)}, "
        f"{comparison.steps} steps, {comparison.num_test} test images, "
        f"chance {percent(comparison.chance)} %"
    )
    if not comparison.rows:
        return f"{title}\nno answer yet: {progress(comparison)}"
    shown = [row for row in comparison.rows if not row.standing.never]
    parts = [title]
    if shown:
        cells = [_cells(row, comparison) for row in shown]
        others = sum(
            2 + max(len(column), *(len(row[column]) for row in cells))
            for column in list(cells[0])[1:]
        )
        for row in cells:
            row["scheme"] = shorten(row["scheme"], max(_COLUMNS - others, 8))
        parts.append(format_columns(cells))
    if never := never_learned(comparison.rows):
        said = f"{'; '.join(never)}; each at the best of its rates."
        parts.append(textwrap.fill(said[0].upper() + said[1:], _COLUMNS))
    parts.append(textwrap.fill(_notes(comparison), _COLUMNS))
    return "\n\n".join(parts)


def standing_word(row: Row, comparison: Comparison) -> str:
    """Say in a word how a scheme stands: `best`, `may be best`, `behind`, `twin`.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> [standing_word(row, comparison) for row in comparison.rows]
        ['best', 'never learned']
    """
    if row.standing.never:
        return "never learned"
    if row.standing.twin:
        return "twin"
    if row.standing.behind:
        return "behind"
    if comparison.best is not None:
        return comparison.best_word
    return "may be best" if len(comparison.rows) > 1 else ""


def spent_before(comparison: Comparison) -> str:
    """Say what schemes spend before the first step, which no step is charged for.

    Empty if none does.
    """
    spent = [
        f"{row.scheme} {row.passes.steps:.3g}"
        for row in comparison.rows
        if row.passes.steps
    ]
    if not spent:
        return ""
    return (
        f"Before the first of their {comparison.steps} steps some schemes pass through "
        f"the network, at the cost of further steps: {', '.join(spent)}."
    )


def _cells(row: Row, comparison: Comparison) -> dict[str, str]:
    difference = "first"
    if row.standing.difference is not None:
        ends = low_to_high(row.standing.difference)
        difference = percent(row.standing.difference.mean) + (
            f" ({ends})" if ends else ""
        )
    low, high = percent(min(row.told)), percent(max(row.told))
    return {
        "scheme": row.scheme,
        "rate": rate(row.best.learning_rate) + ("*" if row.at_edge else ""),
        "median %": percent(float(np.median(row.told))),
        "range": f"{low} to {high}",
        "failed": f"{row.standing.failed}/{row.standing.runs}",
        "to the first": difference,
        f"at {rate(comparison.untuned_rate)}": percent(row.untuned.test.mean),
        "": standing_word(row, comparison),
    }


def _seeds(comparison: Comparison) -> str:
    """Count the seeds: `5 seeds`, or `3 seeds, then 15 fresh ones`."""
    seeds, fresh = count(comparison.num_seeds, "seed"), len(comparison.fresh_seeds)
    return seeds + (f", then {count(fresh, 'fresh one')}" if fresh else "")


def _notes(comparison: Comparison) -> str:
    notes = [
        "rate: best on validation data.",
        f"median, range: test accuracy, each seed {judged_at(comparison)}.",
        "failed: not above chance, or not halfway from it to the best median.",
        "to the first: points where both learn, paired by seed, at 95 % for all pairs "
        "together.",
        f"at {rate(comparison.untuned_rate)}: mean, untuned.",
    ]
    if any(row.at_edge for row in comparison.rows):
        notes.insert(1, "*: at the edge of the grid, a better one may lie beyond.")
    return " ".join([*notes, spent_before(comparison)]).strip()
