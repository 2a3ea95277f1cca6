"""Claims and how they are judged: by measured numbers alone, by a rule made before.

A claim makes predictions: each says where a quantity lies if the claim is true. Its
interval decides: inside, the prediction holds; wholly outside, it fails; across the
bound, it is open. A claim is supported if all its predictions hold, refuted if one
fails.
"""

from enum import StrEnum
from math import inf
from typing import NamedTuple

import numpy as np

from init_study.answers.claims.combinations import Check
from init_study.answers.claims.evidence import Evidence
from init_study.answers.claims.quantities import Quantity
from init_study.answers.statistics import Interval, exact_interval, t_interval
from init_study.answers.verdicts.decision import FEWEST_FOR_VERDICT

ALPHA = 0.05


class Verdict(StrEnum):
    """The verdict on a claim or on one of its predictions."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"
    NOT_TESTABLE = "NOT TESTABLE"


class Prediction(NamedTuple):
    """A quantity and the bounds that it lies strictly between."""

    quantity: Quantity
    low: float
    high: float


class Claim(NamedTuple):
    """A sentence of a text, and what would be seen if it were true.

    Attributes:
        number: in the ledger.
        section: of the text.
        original: the sentence itself.
        text: in English.
        reading: what it is taken to say, where that is not plain.
        predictions: none for a claim that cannot be tested.
        reason: why it cannot be tested.
        literature: what others found. No part of the rule.
        against: numbers of claims of the same text that say the opposite.
    """

    number: int
    section: str
    original: str
    text: str
    reading: str = ""
    predictions: tuple[Prediction, ...] = ()
    reason: str = ""
    literature: str = ""
    against: tuple[int, ...] = ()

    def studies(self) -> frozenset[str]:
        """Name the studies that the claim needs."""
        return frozenset().union(*(p.quantity.studies() for p in self.predictions))

    def checks(self) -> frozenset[str]:
        """Name the checks that the claim needs."""
        quantities = (prediction.quantity for prediction in self.predictions)
        return frozenset(q.name for q in quantities if isinstance(q, Check))


class Tested(NamedTuple):
    """A prediction with what was measured."""

    prediction: Prediction
    interval: Interval
    verdict: Verdict


class Judged(NamedTuple):
    """A claim with its verdict.

    Attributes:
        tested: its predictions, in its own order.
        deciding: the one that the verdict hangs on: the first that fails, else the
            first that is open, else the first. None for a claim that is not testable.
        reason: why it is not testable.
    """

    claim: Claim
    verdict: Verdict
    tested: tuple[Tested, ...] = ()
    deciding: Tested | None = None
    reason: str = ""


def above(quantity: Quantity, bound: float) -> Prediction:
    """Predict that a quantity is greater than a bound.

    Example:
        >>> prediction_text(above(Check("norm", "the norm"), 0.5))
        'the norm is above 0.5'
    """
    return Prediction(quantity, bound, inf)


def below(quantity: Quantity, bound: float) -> Prediction:
    """Predict that a quantity is smaller than a bound.

    Example:
        >>> prediction_text(below(Check("norm", "the norm"), 0.5))
        'the norm is below 0.5'
    """
    return Prediction(quantity, -inf, bound)


def between(quantity: Quantity, low: float, high: float) -> Prediction:
    """Predict that a quantity is neither as small as `low` nor as great as `high`.

    Example:
        >>> prediction_text(between(Check("norm", "the norm"), 0.5, 2.0))
        'the norm is between 0.5 and 2'
    """
    return Prediction(quantity, low, high)


def judge(claim: Claim, evidence: Evidence, alpha: float = ALPHA) -> Judged:
    """Judge a claim by the evidence.

    All predictions of a true claim must hold, so that supporting it takes each of them
    at level alpha; one that fails refutes it, so that alpha is shared among them. The
    intervals are the wider ones, at 1 − alpha / predictions, for both.

    Args:
        claim: with its rule.
        evidence: the studies and checks that it needs.
        alpha: level of the verdict.

    Example:
        >>> rule = above(Check("norm", "the norm"), 0.5)
        >>> claim = Claim(1, "norms", "", "The norm is kept.", predictions=(rule,))
        >>> evidence = Evidence(studies={}, checks={"norm": (1.0, 0.9)})
        >>> judge(claim, evidence).verdict.value
        'SUPPORTED'
    """
    missing = [
        evidence.missing[name] for name in claim.checks() & set(evidence.missing)
    ]
    if missing or not claim.predictions:
        reason = missing[0] if missing else claim.reason
        return Judged(claim, Verdict.NOT_TESTABLE, reason=reason)
    confidence = 1 - alpha / len(claim.predictions)
    tested = tuple(_test(p, evidence, confidence) for p in claim.predictions)
    for verdict in (Verdict.REFUTED, Verdict.UNDECIDED, Verdict.SUPPORTED):
        found = [one for one in tested if one.verdict is verdict]
        if found:
            return Judged(claim, verdict, tested, found[0])
    raise AssertionError("a prediction has no verdict")


def _test(prediction: Prediction, evidence: Evidence, confidence: float) -> Tested:
    quantity, low, high = prediction
    values = quantity.values(evidence)
    interval = _interval(values, quantity.kind, confidence)
    # An open end shuts nothing out, not even what is infinite itself.
    over, under = low == -inf or interval.low > low, high == inf or interval.high < high
    inside = over and under
    outside = (low > -inf and interval.high <= low) or (
        high < inf and interval.low >= high
    )
    if quantity.kind == "cases":
        # Nothing is estimated: a case elsewhere is a counterexample.
        outside = not inside and not np.isnan(values).any()
    elif interval.n < FEWEST_FOR_VERDICT:
        inside = outside = False
    verdict = Verdict.REFUTED if outside else Verdict.UNDECIDED
    return Tested(prediction, interval, Verdict.SUPPORTED if inside else verdict)


def _interval(values: np.ndarray, kind: str, confidence: float) -> Interval:
    n = len(values)
    if kind == "cases":
        mean, least, most = values.mean(), values.min(), values.max()
        return Interval(float(mean), float(least), float(most), n)
    if kind == "share":
        share = exact_interval(float(values.sum()), n, confidence)
        return Interval(float(values.mean()), share.low, share.high, n)
    # Runs without a finite value, all of one sign, are beyond any bound together.
    if n and np.isinf(values).all() and len(set(values)) == 1:
        return Interval(values[0], values[0], values[0], n)
    return t_interval(values, confidence)


def rule_text(claim: Claim) -> str:
    """Say the rule in words, from the predictions themselves.

    Example:
        >>> rule = above(Check("norm", "the norm"), 0.5)
        >>> claim = Claim(1, "norms", "", "The norm is kept.", predictions=(rule,))
        >>> rule_text(claim).partition(".")[0]
        'Supported if the norm is above 0'
    """
    if not claim.predictions:
        return ""
    level = 100 * (1 - ALPHA / len(claim.predictions))
    cases = {prediction.quantity.kind == "cases" for prediction in claim.predictions}
    judged_by = []
    if False in cases:
        judged_by.append(f"the {level:.4g} % interval of a quantity is to lie there")
    if True in cases:
        judged_by.append("an exact check is to hold in every case")
    parts = [prediction_text(p) for p in claim.predictions]
    if len(parts) > 1:
        parts = [f"({i}) {part}" for i, part in enumerate(parts, 1)]
    refuted = "one fails" if len(parts) > 1 else "it fails"
    return (
        f"Supported if {'; '.join(parts)}. Here {' and '.join(judged_by)}; refuted if "
        f"{refuted}."
    )


def prediction_text(prediction: Prediction) -> str:
    """Say a prediction in words: `test accuracy of ... is above 50 %`.

    Example:
        >>> prediction_text(between(Check("norm", "the norm"), 0.5, 2.0))
        'the norm is between 0.5 and 2'
    """
    quantity, low, high = prediction
    ends = [number(end, quantity.unit) for end in (low, high)]
    if low == -inf:
        return f"{quantity.text} is below {ends[1]}"
    if high == inf:
        return f"{quantity.text} is above {ends[0]}"
    return f"{quantity.text} is between {ends[0]} and {ends[1]}"


def number(value: float, unit: str) -> str:
    """Write a number with three digits and a true minus, in per cent for the unit `%`.

    Example:
        >>> number(0.5, "%"), number(-1.5, ""), number(inf, "")
        ('50 %', '−1.5', '∞')
    """
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    shown = f"{100 * value:.4g} %" if unit == "%" else f"{value:.3g}"
    return shown.replace("-", "−")
