"""What a rule speaks of: numbers that the records of studies give, one for each seed.

A quantity is data: it says in words what it is, and finds its values in evidence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from init_study.answers.claims.evidence import LAYER_METRICS, Evidence, Runs
from init_study.answers.statistics import stuck_at_chance
from init_study.errors import unknown

Values = Float[np.ndarray, " seeds"]


@runtime_checkable
class Quantity(Protocol):
    """One number for each seed.

    Attributes:
        text: what it is.
        unit: `%` for shares that are shown in per cent, else empty.
        kind: `mean` has a t interval; `share` counts seeds, with an exact one; `cases`
            are all the cases that there are, from the least to the greatest.
    """

    @property
    def text(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def kind(self) -> str: ...
    def values(self, evidence: Evidence) -> Values: ...
    def studies(self) -> frozenset[str]: ...


@dataclass(frozen=True)
class _OfRuns:
    of: Runs

    def studies(self) -> frozenset[str]:
        return frozenset((self.of.study,))


@dataclass(frozen=True)
class Accuracy(_OfRuns):
    """After the last step; a run that diverged counts as chance. On `train`: over the
    batches since the evaluation before."""

    split: str = "test"
    unit = "%"
    kind = "mean"

    @property
    def text(self) -> str:
        return f"{self.split} accuracy of {self.of.text}"

    def values(self, evidence: Evidence) -> Values:
        outcomes, data = self.of.outcomes(evidence)
        if self.split == "test":
            found = outcomes.test
        else:
            found = self.of.curve(evidence, self.split, "accuracy").to_numpy()[:, -1]
        return np.where(outcomes.diverged, data["chance"], found)


@dataclass(frozen=True)
class Learned(_OfRuns):
    """Runs that did not diverge and are above chance on the test part."""

    unit = "%"
    kind = "share"

    @property
    def text(self) -> str:
        return f"share of runs that learn, {self.of.text}"

    def values(self, evidence: Evidence) -> Values:
        outcomes, data = self.of.outcomes(evidence)
        stuck = stuck_at_chance(outcomes.test, data["test"], data["chance"]) == 1
        return np.where(outcomes.diverged | stuck, 0.0, 1.0)


@dataclass(frozen=True)
class Rises(_OfRuns):
    """How much the validation loss climbs on its way, in nats: the sum of all its
    rises from one evaluation to the next. Infinite for a run that diverged."""

    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        return f"climb of the loss in all, in nats, {self.of.text}"

    def values(self, evidence: Evidence) -> Values:
        loss = self.of.curve(evidence, "validation", "loss").to_numpy()
        rises = np.clip(np.diff(loss, axis=1), 0.0, None).sum(1)
        return np.where(np.isnan(rises), np.inf, rises)


@dataclass(frozen=True)
class Earlier(_OfRuns):
    """Seeds in which these runs get to a validation accuracy before others do; a tie,
    also of two that never do, counts half."""

    than: Runs
    accuracy: float
    unit = "%"
    kind = "share"

    @property
    def text(self) -> str:
        return (
            f"share of seeds in which {self.of.text} is at {100 * self.accuracy:g} % "
            f"validation accuracy before {self.than.text}"
        )

    def values(self, evidence: Evidence) -> Values:
        ours, theirs = (
            _first_step(one.curve(evidence, "validation", "accuracy"), self.accuracy)
            for one in (self.of, self.than)
        )
        return np.where(ours == theirs, 0.5, ours < theirs)

    def studies(self) -> frozenset[str]:
        return frozenset((self.of.study, self.than.study))


def _first_step(curve: pd.DataFrame, accuracy: float) -> Values:
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
    """One number of all layers but the last, the head; see `instruments`.

    Attributes:
        metric: what is measured in each.
        take: of the layers: `least`, `greatest`, `last`, `last over first`, `greatest
            over least`.
        first: before the first step, else after the last.
        head: whether the head counts as a layer.

    Raises: UserError for a metric or a choice of layers that is not there.
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
        share = LAYER_METRICS[self.metric].startswith("share")
        return "%" if share and "over" not in self.take else ""

    @property
    def text(self) -> str:
        when = "before the first step" if self.first else "after the last step"
        where = "layers" if self.head else "hidden layers"
        what = LAYER_METRICS[self.metric]
        return f"{what}, {self.take} of the {where}, {when}, {self.of.text}"

    def values(self, evidence: Evidence) -> Values:
        found = self.of.layer_values(evidence, self.metric, self.first)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _TAKE[self.take](found if self.head else found[:, :-1])


@dataclass(frozen=True)
class Lucky(_OfRuns):
    """Of the quarter of the seeds that is best on validation data: test accuracy, less
    the mean of all seeds."""

    unit = "%"
    kind = "mean"

    @property
    def text(self) -> str:
        return (
            "test accuracy of the quarter of the seeds that is best on validation "
            f"data, less that of all, {self.of.text}"
        )

    def values(self, evidence: Evidence) -> Values:
        outcomes, data = self.of.outcomes(evidence)
        test = np.where(outcomes.diverged, data["chance"], outcomes.test)
        best = np.argsort(-outcomes.validation, kind="stable")[: len(test) // 4]
        return test[best] - test.mean()


@dataclass(frozen=True)
class Difference:
    """`a − b`, paired by seed."""

    a: Quantity
    b: Quantity
    kind = "mean"

    @property
    def unit(self) -> str:
        return self.a.unit

    @property
    def text(self) -> str:
        return f"{self.a.text} − {self.b.text}"

    def values(self, evidence: Evidence) -> Values:
        return self.a.values(evidence) - self.b.values(evidence)

    def studies(self) -> frozenset[str]:
        return self.a.studies() | self.b.studies()


@dataclass(frozen=True)
class Exceeds:
    """Seeds in which `a` is greater than `b` by more than something; for what has no
    mean worth speaking of, as a loss that explodes in some runs."""

    a: Quantity
    b: Quantity
    by: float = 0.0
    unit = "%"
    kind = "share"

    @property
    def text(self) -> str:
        more = f" by more than {self.by:g}" if self.by else ""
        return f"share of seeds in which {self.a.text} exceeds{more} {self.b.text}"

    def values(self, evidence: Evidence) -> Values:
        ours, theirs = self.a.values(evidence), self.b.values(evidence)
        return np.where(ours > theirs + self.by, 1.0, 0.0)

    def studies(self) -> frozenset[str]:
        return self.a.studies() | self.b.studies()


@dataclass(frozen=True)
class Log10:
    """Of what spans orders of magnitude; minus infinity of zero."""

    a: Quantity
    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        return f"log10 of: {self.a.text}"

    def values(self, evidence: Evidence) -> Values:
        with np.errstate(divide="ignore"):
            return np.log10(self.a.values(evidence))

    def studies(self) -> frozenset[str]:
        return self.a.studies()


@dataclass(frozen=True)
class Closeness:
    """Of a positive number to one: less the orders of magnitude between them."""

    a: Quantity
    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        return f"less the orders of magnitude between one and: {self.a.text}"

    def values(self, evidence: Evidence) -> Values:
        return -np.abs(Log10(self.a).values(evidence))

    def studies(self) -> frozenset[str]:
        return self.a.studies()


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's, over cells, of what is seen in each and what it comes to; one for
    each seed. Of studies with more seeds than others, the first ones count."""

    name: str
    seen: tuple[Quantity, ...]
    comes_to: tuple[Quantity, ...]
    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        return f"rank correlation over {len(self.seen)} nets: {self.name}"

    def values(self, evidence: Evidence) -> Values:
        columns = [q.values(evidence) for q in (*self.seen, *self.comes_to)]
        common = min(len(column) for column in columns)
        cells = np.stack([column[:common] for column in columns])
        seen, comes_to = np.split(cells, 2)
        ranked: Any = [
            stats.spearmanr(*pair) for pair in zip(seen.T, comes_to.T, strict=True)
        ]
        return np.array([one.statistic for one in ranked])

    def studies(self) -> frozenset[str]:
        cells = (*self.seen, *self.comes_to)
        return frozenset().union(*(cell.studies() for cell in cells))


@dataclass(frozen=True)
class Check:
    """What an exact check gives in each of its cases."""

    name: str
    text: str
    unit: str = ""
    kind = "cases"

    def values(self, evidence: Evidence) -> Values:
        return np.array(evidence.checks[self.name], np.float64)

    def studies(self) -> frozenset[str]:
        return frozenset()
