"""Comparisons as words, as a terminal table and as JSON. All text comes from here."""

import math
import textwrap
from collections.abc import Iterable
from typing import Any

from init_study.answers.columns import format_columns, shorten
from init_study.answers.comparison import AtRate, Comparison, Row
from init_study.answers.statistics import Interval

FEWEST_FOR_CONCLUSION = 5
_COLUMNS = 100
_INTERVAL = "95 % interval"


def sentence(comparison: Comparison) -> str:
    """Say the answer of one program in words; no more than the numbers carry.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> sentence(comparison).partition(";")[0]
        'cnn: he_normal is best at 72.0 ± 2.0 % test accuracy'
    """
    return "; ".join(clauses(comparison))


def clauses(comparison: Comparison) -> list[str]:
    """Give the parts of `sentence`: the best scheme, then how the others fare.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> clauses(comparison)[1]
        'zeros is stuck at chance in 5 of 5 runs'
    """
    label, rows = comparison.label, comparison.rows
    if not rows:
        return [f"{label}: no answer yet, {progress(comparison)}"]
    if rows[0].best.failed:
        outcome = _failures(rows[0].best, "is ")
        return [
            f"{label}: no scheme learned anything",
            f"{rows[0].scheme}, first on validation data, {outcome}",
        ]
    parts = [_head(comparison)]
    if comparison.num_seeds >= FEWEST_FOR_CONCLUSION:
        parts += _standings(rows[1:])
    parts += _failed(rows[1:])
    # What the two numbers are is said once.
    first, mark, rest = "\n".join(parts).partition(_INTERVAL)
    return (first + mark + rest.replace(f"{_INTERVAL} ", "")).split("\n")


def progress(comparison: Comparison) -> str:
    """Say how far a program is that is not finished."""
    if comparison.step is None:
        return "it has not begun"
    return f"it is at step {comparison.step} of {comparison.steps}"


def to_json(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Turn comparisons into plain values, with the answer in words.

    Null stands for what is not a number.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> to_json([comparison])[0]["best"]
        'he_normal'
    """
    return [_plain(c) | {"answer": sentence(c)} for c in comparisons]


def comparison_text(comparisons: Iterable[Comparison]) -> str:
    """Write the table and the answer of every program, for 100 columns."""
    return "\n".join(
        f"{format_table(one)}\n\n{textwrap.fill(sentence(one), _COLUMNS)}\n"
        for one in comparisons
    )


def format_table(comparison: Comparison) -> str:
    """Format a comparison for a terminal of 100 columns, the best scheme first.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> format_table(comparison).splitlines()[0]
        'cnn: 5 seeds, 2 steps, 100 test images, chance 10.0 %'
    """
    title = (
        f"{comparison.label}: {count(comparison.num_seeds, 'seed')}, "
        f"{comparison.steps} steps, {comparison.num_test} test images, "
        f"chance {percent(comparison.chance)} %"
    )
    if not comparison.rows:
        return f"{title}\nno answer yet: {progress(comparison)}"
    cells = [_cells(row, comparison) for row in comparison.rows]
    others = sum(
        2 + max(len(column), *(len(row[column]) for row in cells))
        for column in list(cells[0])[1:]
    )
    for row in cells:
        row["scheme"] = shorten(row["scheme"], max(_COLUMNS - others, 8))
    notes = textwrap.fill(_notes(comparison), _COLUMNS)
    return f"{title}\n\n{format_columns(cells)}\n\n{notes}"


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


def percent(share: float) -> str:
    """Write a share in per cent, one decimal, with a true minus: `94.1`, `−0.2`.

    Zero has no sign.

    Example:
        >>> percent(0.9414), percent(-0.002), percent(float("nan"))
        ('94.1', '−0.2', '–')
    """
    return "–" if math.isnan(share) else f"{100 * share:z.1f}".replace("-", "−")


def plus_minus(interval: Interval) -> str:
    """Write a mean and half its interval in %: `94.1 ± 0.6`; else the mean alone.

    Example:
        >>> plus_minus(Interval(0.5, 0.4, 0.6, 5))
        '50.0 ± 10.0'
    """
    width = interval.high - interval.mean
    mean = percent(interval.mean)
    return mean if math.isnan(width) else f"{mean} ± {percent(width)}"


def low_to_high(interval: Interval) -> str:
    """Write an interval in points: `−0.2 to 1.0`; empty if there is none.

    Example:
        >>> low_to_high(Interval(0.5, 0.4, 0.6, 5))
        '40.0 to 60.0'
    """
    if math.isnan(interval.low):
        return ""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def rate(learning_rate: float) -> str:
    """Write a learning rate in three digits: `0.1`, `3e-05`.

    Example:
        >>> rate(0.00003)
        '3e-05'
    """
    return f"{learning_rate:.3g}"


def count(n: int, word: str) -> str:
    """Write a number of things: `1 seed`, `5 seeds`.

    Example:
        >>> count(1, "seed"), count(5, "seed")
        ('1 seed', '5 seeds')
    """
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _head(comparison: Comparison) -> str:
    label, first, n = comparison.label, comparison.rows[0], comparison.num_seeds
    accuracy = f"{plus_minus(first.best.test)} % test accuracy"
    remark = "" if not _failures(first.best) else f" ({_failures(first.best)})"
    if len(comparison.rows) == 1:
        return f"{label}: {first.scheme} reaches {accuracy}{remark}"
    if n < FEWEST_FOR_CONCLUSION:
        return (
            f"{label}: {first.scheme} comes first at {accuracy}{remark}, but "
            f"with {count(n, 'seed')} of each scheme there are too few seeds for a "
            f"conclusion: it takes at least {FEWEST_FOR_CONCLUSION}"
        )
    return f"{label}: {first.scheme} is best at {accuracy}{remark}"


def _standings(others: tuple[Row, ...]) -> list[str]:
    """List every scheme that learned, by what its interval shows."""
    groups: dict[str, list[str]] = {"tied": [], "behind": [], "ahead": []}
    for row in others:
        if row.difference is not None and not row.best.failed:
            groups[_verdict(row.difference)].append(_standing(row, row.difference))
    words = {
        "tied": "no difference shown to",
        "behind": "behind it are",
        "ahead": "ahead of it on test data, though not on validation data, are",
    }
    return [f"{words[g]} {', '.join(rows)}" for g, rows in groups.items() if rows]


def _verdict(difference: Interval) -> str:
    if difference.high < 0:
        return "behind"
    return "ahead" if difference.low > 0 else "tied"


def _standing(row: Row, difference: Interval) -> str:
    """Write a scheme: `lecun_normal (0.4 points behind, 95 % interval −0.2 to 1.0)`."""
    side, sign = ("behind", -1) if difference.mean <= 0 else ("ahead", 1)
    ends = sorted((sign * difference.low, sign * difference.high))
    interval = f"{_INTERVAL} {percent(ends[0])} to {percent(ends[1])}"
    points = f"{percent(sign * difference.mean)} points"
    if _verdict(difference) == "tied":
        points += f" {side}"
    parts = [points, interval, _failures(row.best)]
    return f"{row.scheme} ({', '.join(part for part in parts if part)})"


def _failed(others: tuple[Row, ...]) -> list[str]:
    """List every scheme that learned nothing; those that failed alike together."""
    groups: dict[str, list[Row]] = {}
    for row in others:
        if row.best.failed:
            groups.setdefault(_failures(row.best), []).append(row)
    return [
        f"{rows[0].scheme} {_failures(rows[0].best, 'is ')}"
        if len(rows) == 1
        else f"{', '.join(row.scheme for row in rows)}: each {what}"
        for what, rows in groups.items()
    ]


def _failures(at_rate: AtRate, verb: str = "") -> str:
    """Say what became of the runs that learned nothing; empty if there is none."""
    n, parts = at_rate.diverged.n, []
    if at_rate.stuck.k:
        parts.append(f"{verb}stuck at chance in {at_rate.stuck.k}")
    if at_rate.diverged.k:
        parts.append(f"diverged in {at_rate.diverged.k}")
    return f"{' and '.join(parts)} of {count(n, 'run')}" if parts else ""


def _cells(row: Row, comparison: Comparison) -> dict[str, str]:
    difference = "best"
    if row.difference is not None:
        ends = low_to_high(row.difference)
        difference = percent(row.difference.mean) + (f" ({ends})" if ends else "")
    return {
        "scheme": row.scheme,
        "rate": rate(row.best.learning_rate) + ("*" if row.at_edge else ""),
        "test %": plus_minus(row.best.test),
        "to the best": difference,
        "diverged": f"{row.best.diverged.k}/{row.best.diverged.n}",
        "stuck": f"{row.best.stuck.k}/{row.best.stuck.n}",
        f"at {rate(comparison.untuned_rate)}": plus_minus(row.untuned.test),
    }


def _notes(comparison: Comparison) -> str:
    notes = [
        "rate: best on validation data.",
        "test %: mean over the runs that did not diverge ± half its 95 % interval.",
        "to the best: points, paired by seed, a diverged run as chance.",
        f"at {rate(comparison.untuned_rate)}: untuned, as test %.",
        comparison.note,
    ]
    if any(row.at_edge for row in comparison.rows):
        notes.insert(1, "*: at the edge of the grid, a better one may lie beyond.")
    return " ".join([*notes, spent_before(comparison)]).strip()


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
