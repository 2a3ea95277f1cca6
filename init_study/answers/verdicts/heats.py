"""The result of a race, as an object and as a JSON document and back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.answers.statistics import Interval, Share
from init_study.answers.verdicts.contrasts import Contrast, Kind
from init_study.answers.verdicts.decision import Decision
from init_study.answers.verdicts.learning import Learning
from init_study.answers.verdicts.more_seeds import More
from init_study.answers.verdicts.protocol import Choice
from init_study.errors import ExitCode, UserError
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

    Raises: UserError for a document that cannot be read.

    Example:
        >>> read_heats(Path("nowhere"))
        ()
    """
    path = folder / DECISION
    if not path.exists():
        return ()
    try:
        return from_document(json.loads(path.read_text("utf-8")))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(
            f"{path} is of another version, or was changed by hand; the command that "
            "raced decides anew, without training again",
            exit_code=ExitCode.DAMAGED,
        ) from None


def _decision(plain: Mapping[str, Any]) -> Decision:
    read = {
        "kind": Kind(plain["kind"]),
        "best_set": tuple(plain["best_set"]),
        "contrasts": tuple(map(_contrast, plain["contrasts"])),
        "failed": _share(plain["failed"]),
        "idle": tuple(plain["idle"]),
        "more": plain["more"] and More(**plain["more"]),
    }
    return Decision(**{**plain, **read})


def _contrast(plain: Mapping[str, Any]) -> Contrast:
    fails = plain["learning"]
    read = {
        "kind": Kind(plain["kind"]),
        "learning": Learning(
            _share(fails["candidate"]), _share(fails["scheme"]), _number(fails["p"])
        ),
        "effect": Interval(*map(_number, plain["effect"].values())),
        "wins": _share(plain["wins"]),
        "more": plain["more"] and More(**plain["more"]),
    }
    numbers = {name: _number(plain[name]) for name in _NUMBERS}
    return Contrast(**{**plain, **read, **numbers})


def _share(plain: Mapping[str, Any]) -> Share:
    return Share(*map(_number, plain.values()))


_NUMBERS = (
    "all_runs",
    "p",
    "p_equivalent",
    "p_mean",
    "sign_flip_p",
    "correlation",
)


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
