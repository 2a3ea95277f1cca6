"""Claims and their rules, which are made before the data: what would be seen.

A claim makes predictions: each says where a quantity lies if the claim is true. A
sentence that says several things has a part for each, with predictions of its own.
`judging` compares them with what was measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from math import inf
from string import ascii_lowercase
from typing import NamedTuple, TypeVar

import numpy as np

from init_study.answers.claims.combinations import Check
from init_study.answers.claims.quantities import Quantity

ALPHA = 0.05

T = TypeVar("T")


class Verdict(StrEnum):
    """The verdict on a claim, on a part of it, or on one of its predictions."""

    SUPPORTED = "SUPPORTED"
    PARTLY = "PARTLY"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"
    NOT_TESTABLE = "NOT TESTABLE"


class Prediction(NamedTuple):
    """A quantity and the bounds that it lies strictly between."""

    quantity: Quantity
    low: float
    high: float


class Part(NamedTuple):
    """One of several things that a sentence says.

    Attributes:
        text: what this part says, in English.
        predictions: none for a part that cannot be tested.
        reason: why it cannot be tested.
    """

    text: str
    predictions: tuple[Prediction, ...] = ()
    reason: str = ""


class Claim(NamedTuple):
    """A sentence of a text, and what would be seen if it were true.

    Attributes:
        number: in the ledger.
        section: of the text.
        original: the sentence itself.
        text: in English.
        reading: what it is taken to say, where that is not plain.
        predictions: none for a claim that cannot be tested, or that has parts.
        reason: why it cannot be tested.
        literature: what others found. No part of the rule.
        against: numbers of claims of the same text that say the opposite.
        parts: of a sentence that says several things.
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
    parts: tuple[Part, ...] = ()

    def all_parts(self) -> tuple[Part, ...]:
        """List the parts; a claim that says one thing is one part, without a text."""
        return self.parts or (Part("", self.predictions, self.reason),)

    def all_predictions(self) -> tuple[Prediction, ...]:
        """List the predictions of all parts."""
        return tuple(p for part in self.all_parts() for p in part.predictions)

    def studies(self) -> frozenset[str]:
        """Name the studies that the claim needs."""
        needed = (p.quantity.studies() for p in self.all_predictions())
        return frozenset().union(*needed)

    def checks(self) -> frozenset[str]:
        """Name the checks that the claim needs."""
        quantities = (prediction.quantity for prediction in self.all_predictions())
        return frozenset(name for one in quantities for name in _checks_in(one))


def _checks_in(part: object) -> Iterator[str]:
    """Find the checks that a quantity is, or is made of."""
    if isinstance(part, Check):
        yield part.name
    elif isinstance(part, tuple):
        for one in part:
            yield from _checks_in(one)
    elif is_dataclass(part):
        for field in fields(part):
            yield from _checks_in(getattr(part, field.name))


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


def rule_text(claim: Claim) -> str:
    """Say the rule in words, from the predictions themselves.

    Example:
        >>> rule = above(Check("norm", "the norm"), 0.5)
        >>> claim = Claim(1, "norms", "", "The norm is kept.", predictions=(rule,))
        >>> rule_text(claim).partition(".")[0]
        'Supported if the norm is above 0'
    """
    predictions = claim.all_predictions()
    if not predictions:
        return ""
    level = 100 * (1 - ALPHA / len(predictions))
    cases = {prediction.quantity.kind == "cases" for prediction in predictions}
    judged_by = []
    if False in cases:
        judged_by.append(f"the {level:.4g} % interval of a quantity is to lie there")
    if True in cases:
        judged_by.append("an exact check is to hold in every case")
    parts = [(n, part) for n, part in lettered(claim.parts) if part.predictions]
    if parts:
        said = " ".join(
            f"Part {n} holds if {_all_of(p.predictions)}." for n, p in parts
        )
        return (
            f"{said} Here {' and '.join(judged_by)}; a part fails if one of its "
            "predictions does. Partly true if one part holds and one fails."
        )
    refuted = "one fails" if len(predictions) > 1 else "it fails"
    return (
        f"Supported if {_all_of(predictions)}. Here {' and '.join(judged_by)}; refuted "
        f"if {refuted}."
    )


def lettered(parts: Sequence[T]) -> list[tuple[str, T]]:
    """Name the parts of a claim by letters.

    Example:
        >>> lettered([Part("Weights vary."), Part("They are small.")])[1][0]
        'b'
    """
    return list(zip(ascii_lowercase, parts, strict=False))


def _all_of(predictions: Sequence[Prediction]) -> str:
    said = [prediction_text(p) for p in predictions]
    if len(said) > 1:
        said = [f"({i}) {one}" for i, one in enumerate(said, 1)]
    return "; ".join(said)


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
