"""What a rule speaks of: numbers that the records of studies give, one for each seed.

A quantity is data: it says in words what it is, and finds its values in evidence. Here
are those of the runs of one scheme; `combinations` makes further ones of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Float

from init_study.answers.claims.evidence import LAYER_METRICS, Evidence, Runs
from init_study.answers.statistics import stuck_at_chance
from init_study.errors import unknown

SeedValues = Float[np.ndarray, " seeds"]


@runtime_checkable
class Quantity(Protocol):
    """What every quantity has: words, a unit, a kind, and a number for each seed."""

    @property
    def text(self) -> str:
        """What the quantity is, as a rule of the ledger says it."""
        ...

    @property
    def unit(self) -> str:
        """The unit: `%` for shares that are shown in per cent, else empty."""
        ...

    @property
    def kind(self) -> str:
        """What the numbers are, which says how their interval is found.

        `mean` has a t interval; `share` counts seeds, with an exact interval; `cases`
        are all the cases that there are, from the least to the greatest.
        """
        ...

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the number of each seed, in the study's order of seeds."""
        ...

    def studies(self) -> frozenset[str]:
        """Name the studies that the numbers come from."""
        ...


@dataclass(frozen=True)
class _OfRuns:
    of: Runs

    def studies(self) -> frozenset[str]:
        """Name the study of the runs."""
        return frozenset((self.of.study,))


@dataclass(frozen=True)
class Accuracy(_OfRuns):
    """Accuracy after the last step, where a run that diverged counts as chance.

    Attributes:
        of: the runs.
        split: `test`, `validation`, or `train`, over the batches since the evaluation
            before the last.

    Example:
        >>> from init_study.answers.claims.evidence import runs
        >>> Accuracy(runs("depths", "he_normal", depth=4)).text
        'test accuracy of he_normal (depths, depth 4, its best rate)'
    """

    split: str = "test"
    unit = "%"
    kind = "mean"

    @property
    def text(self) -> str:
        """Name the split and the runs."""
        return f"{self.split} accuracy of {self.of.text}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the accuracy of each seed, from 0 to 1."""
        outcomes, data = self.of.outcomes(evidence)
        if self.split == "test":
            accuracy = outcomes.test
        else:
            curve = self.of.curve(evidence, self.split, "accuracy")
            accuracy = curve.to_numpy()[:, -1]
        return np.where(outcomes.diverged, data["chance"], accuracy)


@dataclass(frozen=True)
class Learned(_OfRuns):
    """Share of the runs that did not diverge and are above chance on the test part.

    Example:
        >>> from init_study.answers.claims.evidence import runs
        >>> Learned(runs("fixup", "he_normal", rate=0.1)).text
        'share of runs that learn, he_normal (fixup, rate 0.1)'
    """

    unit = "%"
    kind = "share"

    @property
    def text(self) -> str:
        """Name the share and the runs."""
        return f"share of runs that learn, {self.of.text}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find 1 for each seed that learns and 0 for each that does not."""
        outcomes, data = self.of.outcomes(evidence)
        stuck = stuck_at_chance(outcomes.test, data["test"], data["chance"]) == 1
        return np.where(outcomes.diverged | stuck, 0.0, 1.0)


@dataclass(frozen=True)
class Rises(_OfRuns):
    """How much the validation loss climbs on its way, in nats.

    The sum of all its rises from one evaluation to the next; infinite for a run that
    diverged.

    Example:
        >>> from init_study.answers.claims.evidence import runs
        >>> Rises(runs("depths", "zeros")).text
        'climb of the loss in all, in nats, zeros (depths, its best rate)'
    """

    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        """Name the climb and the runs."""
        return f"climb of the loss in all, in nats, {self.of.text}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the climb of each seed's loss."""
        loss = self.of.curve(evidence, "validation", "loss").to_numpy()
        rises = np.clip(np.diff(loss, axis=1), 0.0, None).sum(1)
        return np.where(np.isnan(rises), np.inf, rises)


@dataclass(frozen=True)
class Earlier(_OfRuns):
    """Share of the seeds in which runs get to a validation accuracy before others do.

    A tie, also of two that never get there, counts half.

    Attributes:
        of: the runs that may be earlier.
        than: the runs that they are compared with.
        accuracy: what is to be reached, from 0 to 1.
    """

    than: Runs
    accuracy: float
    unit = "%"
    kind = "share"

    @property
    def text(self) -> str:
        """Name both runs and the accuracy."""
        return (
            f"share of seeds in which {self.of.text} is at {100 * self.accuracy:g} % "
            f"validation accuracy before {self.than.text}"
        )

    def values(self, evidence: Evidence) -> SeedValues:
        """Find 1 for each seed that is earlier, 0.5 for a tie, else 0."""
        ours, theirs = (
            _first_step(each.curve(evidence, "validation", "accuracy"), self.accuracy)
            for each in (self.of, self.than)
        )
        return np.where(ours == theirs, 0.5, ours < theirs)

    def studies(self) -> frozenset[str]:
        """Name the studies of both runs."""
        return frozenset((self.of.study, self.than.study))


def _first_step(curve: pd.DataFrame, accuracy: float) -> SeedValues:
    there = curve.to_numpy() >= accuracy
    steps = np.array(curve.columns, np.float64)
    return np.where(there.any(1), steps[there.argmax(1)], np.inf)


_TAKE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "least": lambda values: np.nanmin(values, axis=1),
    "greatest": lambda values: np.nanmax(values, axis=1),
    "last": lambda values: values[:, -1],
    "last over first": lambda values: values[:, -1] / values[:, 0],
    "greatest over least": lambda v: np.nanmax(v, axis=1) / np.nanmin(v, axis=1),
}


@dataclass(frozen=True)
class Layers(_OfRuns):
    """A number drawn from what is measured in all hidden layers; see `instruments`.

    Attributes:
        of: the runs.
        metric: what is measured in each layer, one of `LAYER_METRICS`.
        take: of the layers: `least`, `greatest`, `last`, `last over first`, `greatest
            over least`.
        first: before the first step, else after the last.
        head: whether the head, the last layer, counts as a layer.

    Raises: UserError for a metric or a choice of layers that is not there.

    Example:
        >>> from init_study.answers.claims.evidence import runs
        >>> Layers(runs("depths", "zeros"), "dead", "greatest").unit
        '%'
    """

    metric: str
    take: str
    first: bool = True
    head: bool = False
    kind = "mean"

    def __post_init__(self) -> None:
        for what, name, names in (
            ("metric", self.metric, LAYER_METRICS),
            ("choice of layers", self.take, _TAKE),
        ):
            if name not in names:
                raise unknown(what, name, names, ", ".join(names))

    @property
    def unit(self) -> str:
        """The unit: `%` for a share, nothing for a ratio or a mean square."""
        share = LAYER_METRICS[self.metric].startswith("share")
        return "%" if share and "over" not in self.take else ""

    @property
    def text(self) -> str:
        """Name the metric, the choice of layers, the time and the runs."""
        when = "before the first step" if self.first else "after the last step"
        where = "layers" if self.head else "hidden layers"
        what = LAYER_METRICS[self.metric]
        return f"{what}, {self.take} of the {where}, {when}, {self.of.text}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the number of each seed, from its values `[layers]`."""
        measured = self.of.layer_values(evidence, self.metric, self.first)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _TAKE[self.take](measured if self.head else measured[:, :-1])


@dataclass(frozen=True)
class Lucky(_OfRuns):
    """Test accuracy of the seeds that are best on validation data, less that of all.

    The best are a quarter of the seeds, and there is a number for each of them.
    """

    unit = "%"
    kind = "mean"

    @property
    def text(self) -> str:
        """Name the quarter of the seeds and the runs."""
        return (
            "test accuracy of the quarter of the seeds that is best on validation "
            f"data, less that of all, {self.of.text}"
        )

    def values(self, evidence: Evidence) -> SeedValues:
        """Find what each of the best seeds has more than the mean of all."""
        outcomes, data = self.of.outcomes(evidence)
        test = np.where(outcomes.diverged, data["chance"], outcomes.test)
        best = np.argsort(-outcomes.validation, kind="stable")[: len(test) // 4]
        return test[best] - test.mean()
