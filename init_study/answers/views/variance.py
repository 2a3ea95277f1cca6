"""The spread over seeds, split into the part of the start and the part of the order.

From programs that differ only in what all seeds have in common.
"""

import dataclasses
from collections.abc import Mapping
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from init_study.answers.choosing import validation_chance
from init_study.answers.outcomes import final_outcomes
from init_study.answers.statistics import CONFIDENCE, FEWEST_FOR_INTERVAL, Interval
from init_study.study import FIXED, Program, Study


class VarianceSplit(NamedTuple):
    """Standard deviations of test accuracy over seeds, of one scheme at one rate.

    The rate is the best of the program in which nothing is fixed.

    Attributes:
        label: of that program.
        scheme: its name.
        learning_rate: the rate.
        total: everything differs; its mean is the standard deviation, with the 95 %
            interval that a normal law gives.
        init: the order of data is that of seed 0: the start alone differs.
        order: the start is that of seed 0.
        test_set: of a test set of this size, were it drawn anew: √(p (1 − p) / n),
            mean over runs. All runs share the test set that there is.
    """

    label: str
    scheme: str
    learning_rate: float
    total: Interval
    init: Interval
    order: Interval
    test_set: float


def variance_splits(
    records: pd.DataFrame, manifest: Mapping[str, Any]
) -> tuple[VarianceSplit, ...]:
    """Split the variance of every scheme wherever all of `FIXED` was run to the end.

    In the study's order. A run that diverged counts as chance.

    Args:
        records: of `store.load`.
        manifest: of `store.read_manifest`.

    Example:
        >>> from init_study.answers.made_up import made_up_run
        >>> run = made_up_run(fixed=("nothing", "init", "order"))
        >>> [split.scheme for split in variance_splits(*run)]
        ['he_normal', 'zeros']
    """
    study = Study.from_dict(manifest["study"])
    found = []
    for program in study.programs():
        if program.fixed != "nothing":
            continue
        three = [dataclasses.replace(program, fixed=fixed) for fixed in FIXED]
        data = manifest["data"][program.data_name]
        runs = [_runs(records, study, one, data) for one in three]
        if all(one is not None for one in runs):
            found += _splits(study, program, runs, data["test"])
    return tuple(found)


def _runs(
    records: pd.DataFrame, study: Study, program: Program, data: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Arrange validation and test accuracy, `[scheme, rate, seed]`; None if not run."""
    ours = records.loc[records["program"] == program.id]
    final = ours.loc[ours["step"] == program.steps]
    if final.empty:
        return None
    outcomes = final_outcomes(final, study, validation_chance(data))
    test = np.where(outcomes.diverged, data["chance"], outcomes.test)
    return outcomes.validation, test


def _splits(
    study: Study, program: Program, runs: list[Any], num_test: int
) -> list[VarianceSplit]:
    (validation, test), (_, init_fixed), (_, order_fixed) = runs
    rates = study.grid
    found = []
    for i, scheme in enumerate(study.schemes):
        best = int(np.round(validation[i].mean(-1), 12).argmax())
        accuracy = test[i, best]
        found.append(
            VarianceSplit(
                label=study.label(program),
                scheme=scheme,
                learning_rate=rates[best],
                total=deviation_interval(accuracy),
                init=deviation_interval(order_fixed[i, best]),
                order=deviation_interval(init_fixed[i, best]),
                test_set=float(np.sqrt(accuracy * (1 - accuracy) / num_test).mean()),
            )
        )
    return found


def deviation_interval(values: Float[np.ndarray, " n"]) -> Interval:
    """Find the standard deviation and the 95 % interval that a normal law gives.

    No interval for fewer than 3 values.

    Example:
        >>> deviation_interval(np.array([1.0, 1.0, 1.0]))
        Interval(mean=0.0, low=0.0, high=0.0, n=3)
    """
    n = len(values)
    deviation = float(np.std(values, ddof=1)) if n > 1 else np.nan
    if n < FEWEST_FOR_INTERVAL:
        return Interval(deviation, np.nan, np.nan, n)
    tail = (1 - CONFIDENCE) / 2
    low, high = (
        deviation * sqrt((n - 1) / stats.chi2.ppf(q, n - 1)) for q in (1 - tail, tail)
    )
    return Interval(deviation, low, high, n)
