"""The ratio of two effects: how much of one is left where the other is measured."""

from dataclasses import dataclass

import numpy as np

from init_study.answers.claims.evidence import Evidence
from init_study.answers.claims.quantities import Quantity, SeedValues
from init_study.answers.statistics import t_interval


@dataclass(frozen=True)
class Ratio:
    """The mean of `a` over the mean of `b`, paired by seed.

    Each seed has r + (aᵢ − r bᵢ) / mean(b), with r the ratio of the means: their mean
    is r, and their t interval that of the ratio estimator, which takes the spread of
    both and their correlation into account. It is Fieller's interval but for terms of
    √g, which is half of b's own interval over the mean of b. Where g is above `most`,
    an interval of the ratio is not worth having, and no seed has a number.

    Attributes:
        a: the effect that is asked about.
        b: the effect that it is measured by.
        most: the greatest g; 0.05 is a mean of b that is 4.5 half widths from zero.

    References: Fieller 1954, Some problems in interval estimation, Journal of the Royal
    Statistical Society B 16; Cochran 1977, Sampling Techniques, chapter 6.

    Example:
        >>> effects = {"with": (1.0, 3.0, 2.0), "without": (8.0, 10.0, 9.0)}
        >>> evidence = Evidence(studies={}, checks=effects)
        >>> from init_study.answers.claims.combinations import Check
        >>> ratio = Ratio(Check("with", "with"), Check("without", "without"), most=0.1)
        >>> [round(float(value), 3) for value in ratio.values(evidence)]
        [0.136, 0.309, 0.222]
    """

    a: Quantity
    b: Quantity
    most: float = 0.05
    unit = ""
    kind = "mean"

    @property
    def text(self) -> str:
        """Name both quantities."""
        return f"ratio of ({self.a.text}) to ({self.b.text})"

    def studies(self) -> frozenset[str]:
        """Name the studies of both quantities."""
        return self.a.studies() | self.b.studies()

    def values(self, evidence: Evidence) -> SeedValues:
        """Find the number of each seed; none is one where b may be near zero."""
        a, b = self.a.values(evidence), self.b.values(evidence)
        whole = t_interval(b)
        half = whole.high - whole.mean
        if not (abs(whole.mean) > 0 and half**2 <= self.most * whole.mean**2):
            return np.full(len(b), np.nan)
        ratio = a.mean() / b.mean()
        return ratio + (a - ratio * b) / b.mean()
