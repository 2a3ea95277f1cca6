"""Quantities made of other quantities, and those that exact checks give."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from init_study.answers.claims.evidence import Evidence
from init_study.answers.claims.quantities import Quantity, SeedValues


@dataclass(frozen=True)
class _OfTwo:
    a: Quantity
    b: Quantity

    def studies(self) -> frozenset[str]:
        """Name the studies of both quantities."""
        return self.a.studies() | self.b.studies()


@dataclass(frozen=True)
class _OfSingle:
    a: Quantity

    def studies(self) -> frozenset[str]:
        """Name the studies of the quantity."""
        return self.a.studies()


@dataclass(frozen=True)
class Difference(_OfTwo):
    """The difference `a − b`, paired by seed.

    Example:
        >>> counts = {"before": (3.0, 5.0), "after": (4.0, 9.0)}
        >>> evidence = Evidence(studies={}, checks=counts)
        >>> gain = Difference(Check("after", "after"), Check("before", "before"))
        >>> gain.values(evidence).tolist()
        [1.0, 4.0]
    """

    kind = "mean"

    @property
    def unit(self) -> str:
        """The unit of `a`."""
        return self.a.unit

    @property
    def text(self) -> str:
        """Name both quantities."""
        return f"{self.a.text} − {self.b.text}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the difference of each seed."""
        return self.a.values(evidence) - self.b.values(evidence)


@dataclass(frozen=True)
class Exceeds(_OfTwo):
    """Share of the seeds in which `a` is greater than `b` by more than a number.

    For what has no mean worth speaking of, as a loss that explodes in some runs.

    Attributes:
        a: what may be greater.
        b: what it is compared with.
        by: by more than which number.

    Example:
        >>> evidence = Evidence(studies={}, checks={"a": (2.0, 4.0), "b": (1.0, 1.0)})
        >>> Exceeds(Check("a", "a"), Check("b", "b"), by=2.0).values(evidence).tolist()
        [0.0, 1.0]
    """

    by: float = 0.0
    unit = "%"
    kind = "share"

    @property
    def text(self) -> str:
        """Name both quantities and the number between them."""
        more = f" by more than {self.by:g}" if self.by else ""
        return f"share of seeds in which {self.a.text} exceeds{more} {self.b.text}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find 1 for each seed in which `a` exceeds `b`, else 0."""
        ours, theirs = self.a.values(evidence), self.b.values(evidence)
        return np.where(ours > theirs + self.by, 1.0, 0.0)


@dataclass(frozen=True)
class Log10(_OfSingle):
    """Decimal logarithm of what spans orders of magnitude; minus infinity of zero.

    Example:
        >>> evidence = Evidence(studies={}, checks={"loss": (0.0, 100.0)})
        >>> Log10(Check("loss", "the loss")).values(evidence).tolist()
        [-inf, 2.0]
    """

    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        """Name the quantity of which the logarithm is taken."""
        return f"log10 of: {self.a.text}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the logarithm of each seed's value."""
        with np.errstate(divide="ignore"):
            return np.log10(self.a.values(evidence))


@dataclass(frozen=True)
class Closeness(_OfSingle):
    """Closeness of a positive number to 1: minus the orders of magnitude between them.

    Example:
        >>> evidence = Evidence(studies={}, checks={"gain": (0.01, 1.0, 100.0)})
        >>> (Closeness(Check("gain", "the gain")).values(evidence) + 0.0).tolist()
        [-2.0, 0.0, -2.0]
    """

    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        """Name the quantity that is compared with 1."""
        return f"less the orders of magnitude between one and: {self.a.text}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the closeness of each seed's value, 0 at most."""
        return -np.abs(Log10(self.a).values(evidence))


@dataclass(frozen=True)
class Scatter(_OfSingle):
    """How far each seed is from the median of all: how much hangs on the draw.

    Example:
        >>> evidence = Evidence(studies={}, checks={"accuracy": (0.5, 0.75, 1.0)})
        >>> Scatter(Check("accuracy", "accuracy")).values(evidence).tolist()
        [0.25, 0.0, 0.25]
    """

    kind = "mean"

    @property
    def unit(self) -> str:
        """The unit of the quantity."""
        return self.a.unit

    @property
    def text(self) -> str:
        """Name the quantity that scatters."""
        return f"distance from the median over seeds of {self.a.text}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the distance of each seed."""
        values = self.a.values(evidence)
        return np.abs(values - np.median(values))


@dataclass(frozen=True)
class Average:
    """The mean over several quantities, for each seed.

    Attributes:
        name: what it is the mean of.
        of: quantities of the same unit and the same seeds.

    Example:
        >>> cells = {"small": (0.5, 0.25), "large": (1.0, 0.75)}
        >>> evidence = Evidence(studies={}, checks=cells)
        >>> both = tuple(Check(name, name) for name in cells)
        >>> Average("accuracy", both).values(evidence).tolist()
        [0.75, 0.5]
    """

    name: str
    of: tuple[Quantity, ...]
    kind = "mean"

    @property
    def unit(self) -> str:
        """The unit of the quantities."""
        return self.of[0].unit

    @property
    def text(self) -> str:
        """Name what it is the mean of, and of how many."""
        return f"mean over {len(self.of)} of {self.name}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the mean of each seed."""
        return np.mean([one.values(evidence) for one in self.of], axis=0)

    def studies(self) -> frozenset[str]:
        """Name the studies of all quantities."""
        return frozenset().union(*(one.studies() for one in self.of))


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation over cells, a number for each seed.

    Attributes:
        name: what is correlated with what.
        seen: what is seen in each cell.
        comes_to: what each cell comes to. Of studies with more seeds than others, the
            first ones count.

    Example:
        >>> cells = {"a": (1.0, 1.0), "b": (2.0, 2.0), "c": (5.0, 6.0), "d": (7.0, 2.0)}
        >>> a, b, c, d = (Check(name, name) for name in cells)
        >>> correlation = RankCorrelation("signal and accuracy", (a, b), (c, d))
        >>> correlation.values(Evidence(studies={}, checks=cells)).round(9).tolist()
        [1.0, -1.0]
    """

    name: str
    seen: tuple[Quantity, ...]
    comes_to: tuple[Quantity, ...]
    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        """Name what is correlated, and the number of cells."""
        return f"rank correlation over {len(self.seen)} nets: {self.name}"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the correlation of each seed."""
        columns = [q.values(evidence) for q in (*self.seen, *self.comes_to)]
        common = min(len(column) for column in columns)
        cells = np.stack([column[:common] for column in columns])
        seen, comes_to = np.split(cells, 2)
        ranked: Any = [
            stats.spearmanr(*pair) for pair in zip(seen.T, comes_to.T, strict=True)
        ]
        return np.array([result.statistic for result in ranked])

    def studies(self) -> frozenset[str]:
        """Name the studies of all cells."""
        cells = (*self.seen, *self.comes_to)
        return frozenset().union(*(cell.studies() for cell in cells))


@dataclass(frozen=True)
class Check:
    """What an exact check gives in each of its cases.

    Attributes:
        name: of the check in the evidence.
        text: what is checked.
        unit: `%` or nothing.

    Example:
        >>> evidence = Evidence(studies={}, checks={"norm": (1.0, 1.0)})
        >>> Check("norm", "the norm").values(evidence).tolist()
        [1.0, 1.0]
    """

    name: str
    text: str
    unit: str = ""
    kind = "cases"

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the number of each case."""
        return np.array(evidence.checks[self.name], np.float64)

    def studies(self) -> frozenset[str]:
        """Name no study: a check needs none."""
        return frozenset()
