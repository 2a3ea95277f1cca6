"""What is chosen on validation data: the rate of each scheme, and which comes first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from init_study.answers.outcomes import Outcomes
from init_study.answers.statistics import stuck_at_chance
from init_study.study import Study


def judged_runs(
    outcomes: Outcomes, scheme: int, chance: float
) -> tuple[Float[np.ndarray, " seeds"], Float[np.ndarray, " seeds"]]:
    """Give a scheme's test accuracies at its best rate, and judged without choosing.

    The best rate has the highest mean validation accuracy. To judge, each seed is taken
    at the rate that the other seeds chose by the same rule; a single seed has no
    others, and is taken at its own. A run that diverged counts as chance.

    Args:
        outcomes: of all members.
        scheme: its place.
        chance: test accuracy of a constant answer.

    Example:
        >>> validation = np.array([[[0.9, 0.1, 0.1], [0.5, 0.5, 0.5]]])
        >>> outcomes = Outcomes(validation, validation, np.zeros((1, 2, 3), bool))
        >>> [runs.tolist() for runs in judged_runs(outcomes, 0, chance=0.1)]
        [[0.5, 0.5, 0.5], [0.5, 0.1, 0.1]]
    """
    validation = outcomes.validation[scheme]
    # What is no number has not been measured well enough to be more than chance.
    failed = outcomes.diverged | np.isnan(outcomes.test)
    test = np.where(failed, chance, outcomes.test)[scheme]
    seeds = validation.shape[1]
    best = comparable(validation.mean(1)).argmax()
    if seeds == 1:
        return test[best], test[best]
    others = (validation.sum(1, keepdims=True) - validation) / (seeds - 1)
    # argmax takes the first of equals: the smaller rate.
    return test[best], test[comparable(others).argmax(0), np.arange(seeds)]


def rates_to_confirm(
    outcomes: Outcomes, study: Study, data: Mapping[str, Any]
) -> dict[str, float]:
    """Give the best rate of each scheme that learned there in some run, in order.

    Args:
        outcomes: of all members.
        study: that they are of.
        data: what the manifest says of the data.

    Example:
        >>> validation = np.array([[[0.1], [0.1]], [[0.9], [0.8]]])
        >>> outcomes = Outcomes(validation, validation, np.zeros((2, 2, 1), bool))
        >>> study = Study(schemes=("a", "b"), learning_rates=(1, 2), seeds=1)
        >>> rates_to_confirm(outcomes, study, {"chance": 0.1, "validation": 100})
        {'b': 1.0}
    """
    failed = stuck_runs(outcomes, data) | outcomes.diverged
    best = comparable(outcomes.validation.mean(-1)).argmax(-1)
    return {
        study.schemes[i]: study.grid[best[i]]
        for i in ranking(outcomes)
        if not failed[i, best[i]].all()
    }


def fresh_runs(
    final: pd.DataFrame, schemes: Sequence[str], seeds: Sequence[int], chance: float
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Arrange test accuracies of fresh seeds by scheme, a diverged run as chance.

    Args:
        final: their records after the last step, as of `store.load`.
        schemes: in the order that is wanted; those without fresh seeds are left out.
        seeds: all of them.
        chance: test accuracy of a constant answer.

    Returns: nothing if a run is missing.

    Example:
        >>> measured = [(3, "test", "accuracy", 0.7), (4, "test", "accuracy", 0.6)]
        >>> columns = ["seed", "split", "metric", "value"]
        >>> final = pd.DataFrame(measured, columns=columns).assign(scheme="he")
        >>> fresh_runs(final, ["he", "zeros"], [3, 4], chance=0.1)["he"].tolist()
        [0.7, 0.6]
    """
    measured = (final["split"] == "test") & (final["metric"] == "accuracy")
    table = final.loc[measured].pivot_table("value", "scheme", "seed", dropna=False)
    table = table.reindex(columns=list(seeds))
    if table.empty or table.isna().any(axis=None):
        return {}
    diverged = final.loc[(final["metric"] == "diverged_step") & final["value"].notna()]
    for scheme, seed in zip(diverged["scheme"], diverged["seed"], strict=True):
        table.loc[scheme, seed] = chance
    return {name: table.loc[name].to_numpy() for name in schemes if name in table.index}


def ranking(outcomes: Outcomes) -> list[int]:
    """Rank the schemes by their best mean on validation data, the first of equals.

    Example:
        >>> validation = np.array([[[0.1, 0.1]], [[0.8, 0.9]]])
        >>> ranking(Outcomes(validation, validation, np.zeros((2, 1, 2), bool)))
        [1, 0]
    """
    means = comparable(outcomes.validation.mean(axis=-1)).max(axis=-1)
    return np.argsort(-means, kind="stable").tolist()


def stuck_runs(
    outcomes: Outcomes, data: Mapping[str, Any]
) -> Bool[np.ndarray, "scheme rate seed"]:
    """Mark the runs that are not above chance on validation data, nor diverged.

    Args:
        outcomes: of all members.
        data: what the manifest says of the data.

    Example:
        >>> validation = np.array([[[0.1, 0.9]]])
        >>> outcomes = Outcomes(validation, validation, np.zeros((1, 1, 2), bool))
        >>> stuck_runs(outcomes, {"chance": 0.1, "validation": 100}).tolist()
        [[[True, False]]]
    """
    chance = validation_chance(data)
    stuck = stuck_at_chance(outcomes.validation, data["validation"], chance)
    return (stuck == 1) & ~outcomes.diverged


def comparable(
    means: Float[np.ndarray, "*axes"],
) -> Float[np.ndarray, "*axes"]:
    """Make means fit for a ranking.

    Equal means are equal whatever the order of their terms, and a mean that is not a
    number never wins.

    Example:
        >>> comparable(np.array([0.1 + 0.2, np.nan])).tolist()
        [0.3, -1.0]
    """
    return np.nan_to_num(np.round(means, 12), nan=-1.0)


def validation_chance(data: Mapping[str, Any]) -> float:
    """Give the validation accuracy of always answering the most frequent class.

    Of runs from before it was kept, the test part's.

    Args:
        data: what the manifest says of the data.

    Example:
        >>> validation_chance({"chance": 0.1, "validation_chance": 0.12})
        0.12
    """
    return data.get("validation_chance", data["chance"])
