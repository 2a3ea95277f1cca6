"""The judging of claims: where the interval of every quantity lies, and what follows.

A prediction's interval decides: inside its bounds, the prediction holds; wholly
outside, it fails; across a bound, it is open. A part of a claim is supported if all its
predictions hold, refuted if one fails, and undecided otherwise; of its parts comes the
claim's verdict.
"""

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

import numpy as np

from init_study.answers.claims.claim import (
    ALPHA,
    Claim,
    Part,
    Prediction,
    Verdict,
)
from init_study.answers.claims.combinations import Check
from init_study.answers.claims.evidence import Evidence
from init_study.answers.statistics import Interval, exact_interval, t_interval
from init_study.answers.verdicts.decision import FEWEST_FOR_VERDICT


class Tested(NamedTuple):
    """A prediction with what was measured."""

    prediction: Prediction
    interval: Interval
    verdict: Verdict


class JudgedPart(NamedTuple):
    """A part of a claim with its verdict.

    Attributes:
        tested: its predictions, in its own order.
        reason: why it is not testable.
    """

    part: Part
    verdict: Verdict
    tested: tuple[Tested, ...] = ()
    reason: str = ""


class Judged(NamedTuple):
    """A claim with its verdict.

    Attributes:
        parts: each with its verdict; a claim without parts is one of itself.
        deciding: the prediction that the verdict hangs on: the first that fails, else
            the first that is open, else the first. None for a claim that is not
            testable.
        reason: why it is not testable.
    """

    claim: Claim
    verdict: Verdict
    parts: tuple[JudgedPart, ...] = ()
    deciding: Tested | None = None
    reason: str = ""


def judge(claim: Claim, evidence: Evidence, alpha: float = ALPHA) -> Judged:
    """Judge a claim by the evidence.

    All predictions of a true part must hold, so that supporting it takes each of them
    at level alpha; one that fails refutes it, so that alpha is shared among them. The
    intervals are the wider ones, at 1 − alpha / predictions of the whole claim, for
    both, so that all verdicts on its parts are right together with 1 − alpha.

    Args:
        claim: with its rule.
        evidence: the studies and checks that it needs.
        alpha: level of the verdict.

    Example:
        >>> from init_study.answers.claims.claim import above
        >>> rule = above(Check("norm", "the norm"), 0.5)
        >>> claim = Claim(1, "norms", "", "The norm is kept.", predictions=(rule,))
        >>> evidence = Evidence(studies={}, checks={"norm": (1.0, 0.9)})
        >>> judge(claim, evidence).verdict.value
        'SUPPORTED'
    """
    count = len(claim.all_predictions())
    confidence = 1 - alpha / max(1, count)
    parts = tuple(_judge_part(p, evidence, confidence) for p in claim.all_parts())
    verdict = verdict_of_parts(part.verdict for part in parts)
    tested = [one for part in parts for one in part.tested]
    for wanted in (Verdict.REFUTED, Verdict.UNDECIDED, Verdict.SUPPORTED):
        found = [one for one in tested if one.verdict is wanted]
        if found:
            return Judged(claim, verdict, parts, found[0])
    return Judged(claim, verdict, parts, reason=parts[0].reason)


def verdict_of_parts(parts: Iterable[Verdict]) -> Verdict:
    """Find the verdict on a claim from those on its parts.

    What cannot be tested is left out; of the rest:

        | supported | refuted | undecided | the claim is                              |
        | --------- | ------- | --------- | ----------------------------------------- |
        | some      | none    | none      | SUPPORTED                                 |
        | none      | some    | none      | REFUTED                                   |
        | some      | some    | none      | PARTLY                                    |
        | some      | some    | some      | PARTLY: whatever the open ones come to    |
        | some      | none    | some      | UNDECIDED                                 |
        | none      | some    | some      | UNDECIDED                                 |
        | none      | none    | some      | UNDECIDED                                 |
        | none      | none    | none      | NOT TESTABLE                              |

    A verdict is given where it is the same whatever the open parts come to.

    Example:
        >>> verdict_of_parts([Verdict.SUPPORTED, Verdict.REFUTED]).value
        'PARTLY'
    """
    found = set(parts) - {Verdict.NOT_TESTABLE}
    if found >= {Verdict.SUPPORTED, Verdict.REFUTED}:
        return Verdict.PARTLY
    if not found:
        return Verdict.NOT_TESTABLE
    return found.pop() if len(found) == 1 else Verdict.UNDECIDED


def _judge_part(part: Part, evidence: Evidence, confidence: float) -> JudgedPart:
    names = [p.quantity.name for p in part.predictions if isinstance(p.quantity, Check)]
    missing = [evidence.missing[name] for name in names if name in evidence.missing]
    if missing or not part.predictions:
        reason = missing[0] if missing else part.reason
        return JudgedPart(part, Verdict.NOT_TESTABLE, reason=reason)
    tested = tuple(_test(p, evidence, confidence) for p in part.predictions)
    seen = {one.verdict for one in tested}
    for verdict in (Verdict.REFUTED, Verdict.UNDECIDED):
        if verdict in seen:
            return JudgedPart(part, verdict, tested)
    return JudgedPart(part, Verdict.SUPPORTED, tested)


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
