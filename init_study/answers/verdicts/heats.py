"""The result of a race, as an object and as a JSON document and back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.answers.statistics import Interval, Share
from init_study.answers.verdicts.decision import Contrast, Decision, Kind
from init_study.answers.verdicts.protocol import Choice
from init_study.store import DECISION

ByScheme = dict[str, Float[np.ndarray, " seeds"]]


class Heat(NamedTuple):
    """The race of one program.

    Attributes:
        label: the axes in which the study varies.
        chance: test accuracy of always giving the most frequent answer.
        choices: of every scheme, from screening.
        decision: of the last look; None if there was none.
        test: accuracy of fresh seeds by scheme, a run that diverged as chance.
        stopped: why there is no more: empty where all planned looks were taken or
            nothing was left to decide.
    """

    label: str
    chance: float
    choices: dict[str, Choice]
    decision: Decision | None
    test: ByScheme
    stopped: str


def to_document(heats: Sequence[Heat]) -> list[dict[str, Any]]:
    """Turn heats into plain values for JSON; null for what is not a number.

    Example:
        >>> heat = Heat("cnn", 0.1, {}, None, {}, "it was stopped")
        >>> from_document(to_document([heat])) == (heat,)
        True
    """
    return [_plain(heat) for heat in heats]


def from_document(document: Sequence[Mapping[str, Any]]) -> tuple[Heat, ...]:
    """Read heats from the plain values that `to_document` gave.

    Example:
        >>> from_document(to_document([Heat("cnn", 0.1, {}, None, {}, "")]))[0].label
        'cnn'
    """
    return tuple(
        Heat(
            label=heat["label"],
            chance=heat["chance"],
            choices={
                name: Choice(**choice) for name, choice in heat["choices"].items()
            },
            decision=heat["decision"] and _decision(heat["decision"]),
            test={name: np.array(v, np.float64) for name, v in heat["test"].items()},
            stopped=heat["stopped"],
        )
        for heat in document
    )


def read_heats(folder: Path) -> tuple[Heat, ...]:
    """Read the result of a race from its folder; nothing if it has none yet.

    Args:
        folder: of the race.

    Example:
        >>> read_heats(Path("nowhere"))
        ()
    """
    path = folder / DECISION
    return from_document(json.loads(path.read_text())) if path.exists() else ()


def _decision(plain: Mapping[str, Any]) -> Decision:
    contrasts = tuple(
        Contrast(
            **{name: c[name] for name in ("scheme", "more")},
            **{name: _number(c[name]) for name in _NUMBERS},
            kind=Kind(c["kind"]),
            effect=Interval(*map(_number, c["effect"].values())),
            wins=Share(*map(_number, c["wins"].values())),
        )
        for c in plain["contrasts"]
    )
    parts = {"kind": Kind(plain["kind"]), "best_set": tuple(plain["best_set"])}
    return Decision(**{**plain, **parts, "contrasts": contrasts})


_NUMBERS = ("p", "p_equivalent", "sign_flip_p", "correlation")


def _number(value: float | None) -> Any:
    return float("nan") if value is None else value


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
