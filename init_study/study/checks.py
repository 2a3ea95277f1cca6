"""Checks of a study's values: what each of them may be."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from init_study.errors import UserError, unknown
from init_study.study.choices import (
    FEEDS,
    FIXED,
    OPTIMIZERS,
    PAIRINGS,
    PRECISIONS,
    SCHEDULES,
)
from init_study.study.limits import LARGEST

if TYPE_CHECKING:
    from init_study.study.description import Study


# By field, the words that it may be; None leaves it to what decides by default.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "fixed": FIXED,
    "feed": FEEDS,
    "precision": PRECISIONS,
    "pairing": PAIRINGS,
}


def check_values(study: "Study") -> None:
    """Refuse the first number that cannot be meant.

    Args:
        study: whose values are of the right types; axes are tuples.

    Raises: UserError naming the field and the way out.
    """
    for field, value in vars(study).items():
        # Two schemes may well have the same rate of their own.
        may_repeat = field == "learning_rates" and study.pairing == "own"
        if isinstance(value, tuple) and (value or field != "instruments"):
            _check_axis(field, value, may_repeat)
    for field in ("batch_size", "steps"):
        _at_least(field, min(getattr(study, field)), 1)
    for field in ("depth", "width", "image_size"):
        for value in getattr(study, field):
            _at_least(field, 1 if value is None else value, 1)
    _at_least("image_margin", study.image_margin, 0)
    if study.image_margin and None in study.image_size:
        raise UserError(
            f"study.image_margin={study.image_margin} is kept beyond the size that the "
            "network sees: give that as well, as image_size=224"
        )
    _at_least("seeds", min(study.seeds), 0)
    last = max(study.seeds) + max(0, study.fresh_seeds)
    if last > LARGEST:
        raise UserError(
            f"study.seeds goes to {last}, fresh seeds included; the largest is "
            f"{LARGEST}"
        )
    _at_least("evaluations", study.evaluations, 1)
    _at_least("chunk_width", study.chunk_width or 1, 1)
    for rate in study.learning_rates:
        _check_rate("learning_rates", rate)
    if study.untuned_learning_rate is not None:
        _check_rate("untuned_learning_rate", study.untuned_learning_rate)
    for field, top in (("momentum", 1.0), ("warmup", 1.0), ("weight_decay", math.inf)):
        value = getattr(study, field)
        if not 0.0 <= value < top:
            raise UserError(f"study.{field}={value} is not in [0, {top})")


def check_words(study: "Study") -> None:
    """Refuse the first word that is none of those that its field may be.

    Args:
        study: whose values are of the right types; axes are tuples.

    Raises: UserError naming the field and the nearest word.
    """
    for field, words in _WORDS.items():
        given = getattr(study, field)
        for value in given if isinstance(given, tuple) else (given,):
            if value is not None and value not in words:
                raise unknown(field, value, words, ", ".join(words))


def check_pairing(study: "Study") -> None:
    """Refuse rates that do not go with the schemes, and a negative number of seeds.

    Raises: UserError naming the field and the way out.
    """
    schemes, rates = len(study.schemes), len(study.learning_rates)
    if study.pairing == "own" and schemes != rates:
        raise UserError(
            f"study.pairing=own takes a learning rate for each of the {schemes} "
            f"schemes, in their order, and there are {rates}"
        )
    _at_least("fresh_seeds", study.fresh_seeds, 0)


def check_readings(study: "Study") -> None:
    """Refuse readings of nothing, and more of them than there are evaluations.

    Raises: UserError naming the field and the way out.
    """
    if study.readings is None:
        return
    _at_least("readings", study.readings, 1)
    if not study.instruments:
        raise UserError(
            f"study.readings={study.readings}, and study.instruments is empty: say "
            "what is read, as instruments=layers,logits"
        )
    # A short program has fewer steps than the study has evaluations.
    most = min(study.evaluations, *study.steps) + 1
    if study.readings > most:
        raise UserError(
            f"study.readings={study.readings}: instruments are read where members are "
            f"evaluated, which is {most} times, the untrained ones included; say "
            f"readings={most}, or evaluations={study.readings - 1} and as many steps"
        )


def _check_axis(field: str, values: tuple[Any, ...], may_repeat: bool) -> None:
    if not values:
        raise UserError(f"study.{field} has no value; give at least one")
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice and not may_repeat:
        raise UserError(f"study.{field} lists {twice[0]!r} twice; list it once")


def _at_least(field: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"study.{field}={value} is too small; the least is {least}")


def _check_rate(field: str, rate: float) -> None:
    if not (math.isfinite(rate) and rate > 0):
        raise UserError(f"study.{field}: {rate} is not a positive, finite number")
