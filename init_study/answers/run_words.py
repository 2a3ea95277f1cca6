"""What a plain run shows, in words: no more than its runs carry.

The sentence, the table and the page take every number from the same rows, in the same
order.
"""

from collections.abc import Sequence

import numpy as np

from init_study.answers.comparison import Comparison, Row
from init_study.answers.statistics import exact_interval, stuck_at_chance
from init_study.answers.verdicts.paired_runs import FEWEST_FOR_VERDICT
from init_study.answers.words import (
    count,
    low_to_high,
    many,
    not_excluded,
    percent,
)

# More names than these are not told apart in a sentence.
_MOST_NAMES = 4


def sentence(comparison: Comparison) -> str:
    """Say the answer of one program in words; no more than the numbers carry.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> sentence(comparison).partition(":")[2].partition(";")[0]
        ' he_normal is the best of 2 schemes, median 72.0 % (lowest 70.0, highest 74.0)'
    """
    return "; ".join(clauses(comparison))


def clauses(comparison: Comparison) -> list[str]:
    """Give the parts of `sentence`: who may be the best, then how the others fare.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> clauses(comparison)[1]
        'no run of zeros learned'
    """
    label, rows = comparison.label, comparison.rows
    if not rows:
        return [f"{label}: no answer yet, {progress(comparison)}"]
    if _too_few_images(comparison):
        return [
            f"{label}: {count(comparison.num_test, 'test image')} cannot show that "
            "anything was learned: chance may get even all of them right"
        ]
    if all(row.standing.never for row in rows):
        return [f"{label}: no scheme learned anything", *never_learned(rows)]
    return [
        f"{label}: {_head(comparison)}",
        *_behind(comparison),
        *never_learned(rows),
        *_failures(comparison),
        *_twins(rows),
        *_optimism(comparison),
        scope(comparison),
    ]


def scope(comparison: Comparison) -> str:
    """Say what the answer is about: seeds, level, test images.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> scope(comparison)
        'on 5 seeds and these 100 test images, at 95 % for all pairs together'
    """
    c = comparison
    level = ", at 95 % for all pairs together" if _can_conclude(c) else ""
    images = f"{c.num_test:,} test image{'s' * (c.num_test != 1)}"
    seeds = count(len(c.told_seeds), "fresh seed" if c.fresh_seeds else "seed")
    of = " of each scheme that learned" if c.fresh_seeds and _silent(c) else ""
    return f"on {seeds}{of} and these {images}{level}"


def judged_at(comparison: Comparison) -> str:
    """Say at which rate the runs are that are spoken of.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> judged_at(compare_runs(*made_up_run())[0])
        'at the rate that the other seeds chose'
    """
    if comparison.fresh_seeds:
        return "at the rate that other seeds chose for the scheme before"
    if len(comparison.rows[0].rates) == 1:
        return "at the study's one rate"
    if len(comparison.seeds) == 1:
        return "at the rate that it chose itself, having no others"
    return "at the rate that the other seeds chose"


def progress(comparison: Comparison) -> str:
    """Say how far a program is that is not finished."""
    if comparison.step is None:
        return "it has not begun"
    at = f"it is at step {comparison.step} of {comparison.steps}"
    if comparison.waves is None or comparison.waves.of == 1:
        return at
    done, of, seeds, _ = comparison.waves
    whole = count(comparison.num_seeds, "seed")
    return f"{at}: {done} of {of} waves are done, with {seeds} of {whole}"


def runs_words(row: Row) -> str:
    """Write a scheme's runs: `median 72.0 % (lowest 70.0, highest 74.0)`.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> (comparison,) = compare_runs(*made_up_run())
        >>> runs_words(comparison.rows[0])
        'median 72.0 % (lowest 70.0, highest 74.0)'
    """
    low, high = percent(min(row.told)), percent(max(row.told))
    median = percent(float(np.median(row.told)))
    return f"median {median} % (lowest {low}, highest {high})"


def _too_few_images(comparison: Comparison) -> bool:
    perfect = np.array([1.0])
    stuck = stuck_at_chance(perfect, comparison.num_test, comparison.chance)
    return bool(stuck.all())


def _can_conclude(comparison: Comparison) -> bool:
    enough = len(comparison.told_seeds) >= FEWEST_FOR_VERDICT
    return enough and len(comparison.rows) > 1


def _silent(comparison: Comparison) -> list[str]:
    """List the schemes that had no fresh seeds, since none of their runs learned."""
    return [row.scheme for row in comparison.rows if not row.fresh]


def _head(comparison: Comparison) -> str:
    rows = {row.scheme: row for row in comparison.rows}
    first = comparison.rows[0]
    if len(rows) == 1:
        return f"{first.scheme} reaches {runs_words(first)}"
    seeds = len(comparison.told_seeds)
    if seeds < FEWEST_FOR_VERDICT:
        return (
            f"{first.scheme} comes first, {runs_words(first)}, but with "
            f"{count(seeds, 'seed')} of each scheme there are too few "
            f"seeds for a conclusion: it takes at least {FEWEST_FOR_VERDICT}"
        )
    if comparison.best is not None:
        best = rows[comparison.best]
        word = comparison.best_word.removesuffix("best")
        of = f"{len(rows)} schemes"
        if comparison.fresh_seeds and (silent := _silent(comparison)):
            of = f"the {len(rows) - len(silent)} schemes that learned"
        return f"{best.scheme} is {word}the best of {of}, {runs_words(best)}"
    if comparison.fresh_seeds and len(_silent(comparison)) == len(rows) - 1:
        return (
            f"of {len(rows)} schemes {first.scheme} alone learned, {runs_words(first)}"
        )
    if all(row.standing.twin for row in comparison.rows[1:]):
        return f"all {len(rows)} schemes are the same runs, {runs_words(first)}"
    left = [row for row in comparison.rows if row.scheme in _left(comparison)]
    if first not in left:
        how = "behind " + many(first.standing.behind)
        if not first.standing.behind:
            how = "failing"
        return (
            f"undecided: {first.scheme}, first on validation data, is {how} on test "
            f"data, {runs_words(first)}"
        )
    if len(left) == 1:
        return (
            f"{first.scheme} comes first, {runs_words(first)}, but that it is the best "
            "is not shown"
        )
    if len(left) == 2:
        return f"undecided between {_two(*left)}"
    names = [f"{r.scheme} ({percent(float(np.median(r.told)))} %)" for r in left]
    return f"undecided between {many(names)}, by medians"


def _left(comparison: Comparison) -> tuple[str, ...]:
    assert comparison.selection is not None
    return comparison.selection.best


def _two(a: Row, b: Row) -> str:
    """Set two schemes side by side, where neither is shown to be better."""
    text = f"{a.scheme}, {runs_words(a)}, and {b.scheme}, {runs_words(b)}"
    if b.better is None or a.better is not None:
        return text
    ends = f" ({b.better.low:.2f} to {b.better.high:.2f})" if b.better.n > 2 else ""
    return (
        f"{text}: a run of {a.scheme} is better than one of {b.scheme} with "
        f"probability {b.better.mean:.2f}{ends}"
    )


def _behind(comparison: Comparison) -> list[str]:
    """List the schemes that are shown to be behind another, with their numbers."""
    rows = [r for r in comparison.rows if r.standing.behind and not r.standing.never]
    first = comparison.rows[0].scheme
    to_first = {row.scheme: points for row in rows if (points := _points(row, first))}
    others = [
        f"{row.scheme} (behind {many(row.standing.behind)})"
        for row in rows
        if row.scheme not in to_first
    ]
    numbers = [f"{scheme} ({points})" for scheme, points in to_first.items()]
    said = [f"behind {first}, in points where both learn: {', '.join(numbers)}"]
    return said * bool(numbers) + [f"behind: {', '.join(others)}"] * bool(others)


def _points(row: Row, first: str) -> str:
    """Write how far a scheme is behind the first one: `−4.4, −5.0 to −3.8`."""
    difference = row.standing.difference
    if difference is None or not difference.n or first not in row.standing.behind:
        return ""
    ends = low_to_high(difference)
    return f"{percent(difference.mean)}{', ' if ends else ''}{ends}"


def never_learned(rows: Sequence[Row]) -> list[str]:
    """Say which schemes never left chance, and which a plateau far below the others."""
    never = [row for row in rows if row.standing.never]
    stuck = [row.scheme for row in never if not row.standing.plateaus]
    low = [
        f"{row.scheme} ({percent(float(np.median(row.told)))} %)"
        for row in never
        if row.standing.plateaus
    ]
    said = [f"no run of {many(stuck)} learned"] if stuck else []
    return said + ([f"far below in every run: {many(low)}"] if low else [])


def _failures(comparison: Comparison) -> list[str]:
    """Say who failed now and then, and what is not excluded of those who did not."""
    learned = [row for row in comparison.rows if not row.standing.never]
    some = [
        f"{row.standing.failed} of {row.standing.runs} of {row.scheme}"
        for row in learned
        if row.standing.failed
    ]
    said = [f"runs failed: {', '.join(some)}"] if some else []
    none = [row for row in learned if not row.standing.failed]
    if none:
        high = exact_interval(0, none[0].standing.runs, 0.9).high
        names = [row.scheme for row in none]
        who = many(names) if len(names) <= _MOST_NAMES else f"{len(names)} schemes"
        said.append(f"no run of {who} failed, though {not_excluded(high)}")
    return said


def _twins(rows: tuple[Row, ...]) -> list[str]:
    return [
        f"{row.scheme}: the same runs as {row.standing.twin}"
        for row in rows
        if row.standing.twin and not row.standing.never
    ]


def _optimism(comparison: Comparison) -> list[str]:
    """Say what choosing the rate on the same seeds would have added."""
    if comparison.fresh_seeds:
        return []
    told = [
        f"{row.scheme} {percent(row.optimism)}"
        for row in comparison.rows
        if not row.standing.never and round(100 * row.optimism, 1) >= 0.1
    ]
    if not told:
        return []
    return [
        "each seed is judged at the rate that the others chose; at the rate that it "
        f"helped to choose, means would be higher, in points: {', '.join(told)}"
    ]
