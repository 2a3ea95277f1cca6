"""Whether what a study's instruments say of untrained members foretells their ends."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from init_study.answers.comparison import Comparison
from init_study.answers.foretelling import FEWEST_SCHEMES, Foretold, foretell
from init_study.answers.views.target import default_target, first_there

# By what they are called.
OUTCOMES = ("test accuracy", "steps to target", "failure")


def foretold(
    comparisons: Sequence[Comparison], records: pd.DataFrame, readings: pd.DataFrame
) -> dict[str, list[Foretold]]:
    """Say how well readings before the first step foretell each outcome.

    Test accuracy is each seed's, at the rate that the other seeds chose for its scheme;
    steps to the target are as of `steps_to_target`, never being later than all else; a
    run failed that is not halfway from chance to the best scheme's median. Of a number
    that layers or rates have, the mean over them counts, and the last one by itself.

    Args:
        comparisons: of the programs of one study.
        records: of `store.load`.
        readings: of `store.load_readings`.

    What theory wants to be one is there by its distance from one as well: ln of the
    Jacobian's mean square, and of what signals and gradients grow by between the first
    hidden layer and the last.

    Returns: by outcome; nothing of a study with fewer than five schemes, without
        instruments or with a program that is not finished, and no outcome that all
        members share.
    """
    numbers = _numbers(comparisons, readings)
    finished = comparisons and all(one.rows for one in comparisons)
    if not numbers or not finished or len(comparisons[0].rows) < FEWEST_SCHEMES:
        return {}
    ends = _outcomes(comparisons, records)
    return {
        name: foretell(numbers, values)
        for name, values in ends.items()
        if np.ptp(values[np.isfinite(values)]) > 0
    }


def _schemes(comparison: Comparison) -> list[str]:
    """List schemes in an order that all programs share."""
    return sorted(row.scheme for row in comparison.rows)


def _numbers(
    comparisons: Sequence[Comparison], readings: pd.DataFrame
) -> Mapping[str, Float[np.ndarray, "programs schemes seeds"]]:
    start = readings.loc[readings["step"] == 0]
    if start.empty or not all(one.rows for one in comparisons):
        return {}
    # Before the first step members that differ in their rate are the same.
    start = start.loc[start["learning_rate"] == start["learning_rate"].min()]
    names = start["instrument"] + " " + start["number"]
    last = start.groupby([names, "program"])["place"].transform("max")
    several = start.assign(name=names)
    alone = several.loc[(start["place"] == last) & (last > 0)]
    alone = alone.assign(name=alone["name"] + ", last")
    table = pd.concat([several, alone, *_distances(several)])
    keys = ["name", "program", "scheme", "seed"]
    means = table.groupby(keys)["value"].mean()
    wanted = pd.MultiIndex.from_tuples(
        [
            (one.program, scheme, seed)
            for one in comparisons
            for scheme in _schemes(one)
            for seed in one.seeds
        ],
        names=keys[1:],
    )
    shape = len(comparisons), len(comparisons[0].rows), len(comparisons[0].seeds)
    found = {
        str(name): means.loc[name].reindex(wanted).to_numpy(np.float64).reshape(shape)
        for name in dict.fromkeys(table["name"])
    }
    # What is the same of all members can tell nothing.
    return {name: values for name, values in found.items() if _varies(values)}


def _distances(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Compute how far from one, by the logarithm, what theory wants to be one is."""
    keys = ["program", "scheme", "seed"]
    squares = table.loc[table["name"] == "jacobian mean_square"]
    found = [
        ("jacobian mean square, distance from 1", squares.set_index(keys)["value"])
    ]
    for number in ("signal", "gradient"):
        own = table.loc[table["name"] == f"layers {number}"]
        # The last is the head, which need not keep anything.
        last = own.groupby(["program"])["place"].transform("max") - 1
        ends = (
            own.loc[own["place"] == place].set_index(keys)["value"]
            for place in (last, 0)
        )
        growth = next(ends) / next(ends)
        found.append((f"{number}, growth from layer to layer", growth))
    for name, values in found:
        if len(values):
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.abs(np.log(values.to_numpy(np.float64)))
            yield values.to_frame("value").assign(value=logs, name=name).reset_index()


def _varies(values: Float[np.ndarray, "programs schemes seeds"]) -> bool:
    for program in values:
        there = program[np.isfinite(program)]
        if len(there) and np.ptp(there) > 0:
            return True
    return False


def _outcomes(
    comparisons: Sequence[Comparison], records: pd.DataFrame
) -> dict[str, Float[np.ndarray, "programs schemes seeds"]]:
    accuracy, steps, failure = [], [], []
    for one in comparisons:
        judged = {row.scheme: np.array(row.judged) for row in one.rows}
        best = max(float(np.median(runs)) for runs in judged.values())
        halfway = one.chance + (best - one.chance) / 2
        target = default_target(records, one)
        accuracy.append([judged[scheme] for scheme in _schemes(one)])
        failure.append([judged[scheme] < halfway for scheme in _schemes(one)])
        there = [first_there(records, one, x, target) for x in _schemes(one)]
        steps.append(np.nan_to_num(np.array(there), posinf=2.0 * one.steps))
    found = (accuracy, steps, failure)
    return {
        name: np.array(values, np.float64)
        for name, values in zip(OUTCOMES, found, strict=True)
    }
