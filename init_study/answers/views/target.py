"""Steps that a scheme takes to an accuracy that others get to as well."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from init_study.answers.comparison import Comparison

# Of the way from chance to what the best scheme comes to.
SHARE = 0.9


class ToTarget(NamedTuple):
    """How soon one scheme gets to the target, at its best rate.

    Attributes:
        scheme: its name.
        steps: the median over seeds of the first evaluated step with the target's
            validation accuracy or more; a seed that never gets there counts as
            infinitely late, so the median is infinite if half of them do not.
        reached: seeds that get there.
        seeds: all of them.
    """

    scheme: str
    steps: float
    reached: int
    seeds: int


def default_target(records: pd.DataFrame, comparison: Comparison) -> float:
    """Set a target: 90 % of the way from chance to what the best scheme comes to.

    That is the median over its seeds of validation accuracy at its best rate.

    Args:
        records: of `store.load`.
        comparison: of a finished program.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> records, manifest = made_up_run()
        >>> (comparison,) = compare_runs(records, manifest)
        >>> round(default_target(records, comparison), 9)
        0.658
    """
    table = _validation(records, comparison, comparison.rows[0].scheme)
    last = float(np.nanmedian(table[comparison.steps]))
    chance = comparison.validation_chance
    return chance + SHARE * (last - chance)


def steps_to_target(
    records: pd.DataFrame, comparison: Comparison, target: float
) -> tuple[ToTarget, ...]:
    """Count the steps of every scheme to a target, the soonest first.

    Args:
        records: of `store.load`.
        comparison: of a finished program.
        target: validation accuracy.

    Example:
        >>> from init_study.answers import compare_runs
        >>> from init_study.answers.made_up import made_up_run
        >>> records, manifest = made_up_run()
        >>> (comparison,) = compare_runs(records, manifest)
        >>> [found.steps for found in steps_to_target(records, comparison, target=0.5)]
        [2.0, inf]
    """
    found = []
    for row in comparison.rows:
        first = first_there(records, comparison, row.scheme, target)
        reached = int(np.isfinite(first).sum())
        found.append(ToTarget(row.scheme, _median(first), reached, len(first)))
    return tuple(sorted(found, key=lambda one: (one.steps, -one.reached)))


def first_there(
    records: pd.DataFrame, comparison: Comparison, scheme: str, target: float
) -> Float[np.ndarray, " seeds"]:
    """Find the first evaluated step with the target's accuracy; infinite for none.

    Args:
        records: of `store.load`.
        comparison: of a finished program.
        scheme: at its best rate.
        target: validation accuracy.

    Returns: one of each seed, in their order.
    """
    table = _validation(records, comparison, scheme)
    steps = np.array(table.columns, np.float64)
    there = table.to_numpy() >= target
    return np.where(there.any(1), steps[there.argmax(1)], np.inf)


def _median(first: np.ndarray) -> float:
    """Take the upper of two middle values: their mean with infinity says nothing."""
    return float(np.sort(first)[len(first) // 2])


def _validation(
    records: pd.DataFrame, comparison: Comparison, scheme: str
) -> pd.DataFrame:
    """Arrange accuracy by seed and step, at the scheme's best rate."""
    rate = next(r.best.learning_rate for r in comparison.rows if r.scheme == scheme)
    ours = records.loc[
        (records["program"] == comparison.program)
        & (records["scheme"] == scheme)
        & (records["learning_rate"] == rate)
        & (records["split"] == "validation")
        & (records["metric"] == "accuracy")
    ]
    return ours.pivot_table(index="seed", columns="step", values="value", dropna=False)
