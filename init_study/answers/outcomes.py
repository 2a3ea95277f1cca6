"""What the members of a program came to, as arrays over schemes, rates and seeds."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from init_study.study import Study


class Outcomes(NamedTuple):
    """Accuracies and failures after the last step, for every member of a program.

    `test` is as measured, even of members that diverged; `validation` is chance for
    them. A scheme that has not every rate has NaN at the others.

    Example:
        >>> accuracy = np.array([[[0.9, 0.8]]])
        >>> outcomes = Outcomes(accuracy, accuracy, np.array([[[False, True]]]))
        >>> outcomes.test.shape, int(outcomes.diverged.sum())
        ((1, 1, 2), 1)
    """

    validation: Float[np.ndarray, "scheme rate seed"]
    test: Float[np.ndarray, "scheme rate seed"]
    diverged: Bool[np.ndarray, "scheme rate seed"]


def final_outcomes(final: pd.DataFrame, study: Study, chance: float) -> Outcomes:
    """Arrange the last records of one program by scheme, rate and seed.

    Validation accuracy of a member that diverged is chance.

    Args:
        final: records of the program's last step, as of `store.load`.
        study: the study, which gives the order of schemes, rates and seeds; rates rise.
        chance: validation accuracy of always giving the most frequent answer.

    Example:
        >>> study = Study(schemes="zeros", learning_rates=0.1, seeds=(0,))
        >>> measured = [
        ...     ("validation", "accuracy", 0.8),
        ...     ("test", "accuracy", 0.7),
        ...     ("train", "diverged_step", float("nan")),
        ... ]
        >>> final = pd.DataFrame(measured, columns=["split", "metric", "value"])
        >>> final = final.assign(scheme="zeros", learning_rate=0.1, seed=0)
        >>> final_outcomes(final, study, chance=0.1).test.tolist()
        [[[0.7]]]
    """
    diverged = ~np.isnan(_cube(final, study, "train", "diverged_step"))
    validation = _cube(final, study, "validation", "accuracy")
    return Outcomes(
        validation=np.where(diverged, chance, validation),
        test=_cube(final, study, "test", "accuracy"),
        diverged=diverged,
    )


def _cube(
    final: pd.DataFrame, study: Study, split: str, metric: str
) -> Float[np.ndarray, "scheme rate seed"]:
    axes = (study.schemes, study.grid, study.seeds)
    rows = final.loc[(final["split"] == split) & (final["metric"] == metric)]
    values = rows.set_index(["scheme", "learning_rate", "seed"])["value"]
    cube = values.reindex(pd.MultiIndex.from_product(axes)).to_numpy(np.float64)
    return cube.reshape([len(axis) for axis in axes])
