"""A scheme at each of its learning rates, after the last step."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from init_study.answers.outcomes import Outcomes
from init_study.answers.statistics import Interval, Share, t_interval, wilson_interval
from init_study.study import Study


class AtRate(NamedTuple):
    """One scheme at one learning rate, after the last step.

    Attributes:
        learning_rate: the rate.
        validation: accuracy of all seeds, where one that diverged counts as chance.
        test: accuracy of the seeds that did not diverge; `test.n` of them.
        diverged: share of all seeds that diverged.
        stuck: share of all seeds that did not diverge and are not above chance on
            validation data.

    All are NaN, of no seeds, where the scheme has not this rate.
    """

    learning_rate: float
    validation: Interval
    test: Interval
    diverged: Share
    stuck: Share

    @property
    def failed(self) -> bool:
        """Whether no seed learned anything."""
        return self.diverged.k + self.stuck.k == self.diverged.n


def at_rates(
    outcomes: Outcomes,
    stuck: Bool[np.ndarray, "scheme rate seed"],
    scheme: int,
    study: Study,
) -> tuple[AtRate, ...]:
    """Sum up a scheme's runs at every rate of the grid, the smallest first.

    Args:
        outcomes: of all members.
        stuck: the runs that learned nothing (`choosing.stuck_runs`).
        scheme: its place.
        study: that the members are of.

    Example:
        >>> accuracy = np.array([[[0.9, 0.8]]])
        >>> never = np.zeros((1, 1, 2), bool)
        >>> study = Study(schemes="zeros", learning_rates=0.1, seeds=2)
        >>> found = at_rates(Outcomes(accuracy, accuracy, never), never, 0, study)
        >>> round(found[0].test.mean, 9), found[0].failed
        (0.85, False)
    """
    own = {
        m.learning_rate for m in study.members() if m.scheme == study.schemes[scheme]
    }
    rates = []
    for i, learning_rate in enumerate(study.grid):
        tried = np.full(stuck.shape[-1], learning_rate in own)
        diverged = outcomes.diverged[scheme, i][tried]
        validation = outcomes.validation[scheme, i][tried]
        test = outcomes.test[scheme, i][tried][~diverged]
        num_stuck = int(stuck[scheme, i][tried].sum())
        rates.append(
            AtRate(
                learning_rate=learning_rate,
                validation=t_interval(validation),
                test=t_interval(test),
                diverged=wilson_interval(int(diverged.sum()), len(diverged)),
                stuck=wilson_interval(num_stuck, len(diverged)),
            )
        )
    return tuple(rates)
