"""Advice as text, for a terminal."""

from collections.abc import Iterator, Sequence
from math import isfinite
from textwrap import fill
from typing import Any

from init_study.advice.advising import Advised, ProgramAdvice
from init_study.answers.columns import format_columns
from init_study.diagnosis.findings_text import findings_text

_COLUMNS = 100
# A lead that is worth no number.
_HARDLY = 1.1


def advice_text(
    advice: Sequence[ProgramAdvice], quality: Sequence[str], verified: Sequence[str]
) -> str:
    """Write what to try first and why, one program after the other.

    Args:
        advice: of every program.
        quality: how good such advice is, in sentences.
        verified: what a race said of it, in lines; none if there was none.
    """
    parts = ["\n\n".join(_of_program(one)) for one in advice]
    parts.append(fill(" ".join(quality), _COLUMNS))
    return "\n\n".join([*parts, *verified])


def ranking_rows(advice: ProgramAdvice) -> list[dict[str, Any]]:
    """Write a ranking as rows of a table.

    Args:
        advice: of one program.
    """
    return [
        {
            "": place,
            "scheme": one.scheme,
            "speed": _short(one.evidence.speed),
            "signal": _decades(one.evidence.forward),
            "gradient": _decades(one.evidence.backward),
            "loss": _short(one.evidence.loss, 3),
            "rates that help": _range(one),
            "try": _short(one.evidence.best_rate),
        }
        for place, one in enumerate(advice.ranking, 1)
    ]


def why_first(advice: ProgramAdvice) -> str:
    """Say in a sentence why the first scheme is the first.

    Args:
        advice: of one program.
    """
    first, *others = advice.ranking
    if first.score <= -12:
        return (
            "No scheme's start tells images apart: at the first step nothing would be "
            "learned from any of them."
        )
    text = (
        f"{first.scheme} first, at a rate of about {_short(first.evidence.best_rate)} "
        f"(first steps help from {_range(first, ' to ')}): near its start the net "
        "learns what tells images apart the fastest, measured by its largest stable "
        "rate"
    )
    if others:
        share = 10 ** (first.score - others[0].score)
        text += (
            f", but hardly faster than with {others[0].scheme}"
            if share < _HARDLY
            else f", {share:.2g} times as fast as with {others[0].scheme}"
        )
    return f"{text}."


def _of_program(advice: ProgramAdvice) -> Iterator[str]:
    yield f"{advice.program}: {advice.ranking[0].scheme}"
    yield format_columns(ranking_rows(advice))
    yield fill(why_first(advice), _COLUMNS)
    yield fill(
        "speed: yᵀPΘPy / (‖Py‖² λ_max), Θ the tangent kernel, Py the labels without "
        "their mean. signal, gradient: decades by which mean squares change over the "
        "hidden layers, forwards and backwards. loss: at the start.",
        _COLUMNS,
    )
    profile = format_columns([_profile_row(dict(row)) for row in advice.profile])
    yield (
        f"{advice.ranking[0].scheme}, by layer, mean squares measured on a batch, and "
        f"predicted by theory in brackets:\n\n{profile}"
    )
    if advice.findings:
        yield f"An audit of it says: {findings_text(advice.findings)}"
    if advice.refused:
        names = "; ".join(f"{name}: {why}" for name, why in advice.refused.items())
        yield fill(f"Not for this network: {names}", _COLUMNS)
    if advice.near:
        rows = [
            {
                "raced setting": one.name,
                "came first": one.best,
                "%": round(100 * one.accuracy, 1),
                "advised": one.first,
                "points lost": round(one.lost, 1),
                "ranks agreed": _short(one.agreement),
            }
            for one in advice.near
        ]
        yield f"The nearest raced settings:\n\n{format_columns(rows)}"


def _profile_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "layer": row["layer"],
        **{
            name: f"{_short(row[name])} ({_short(row[f'predicted_{name}'])})"
            for name in ("signal", "gradient")
        },
    }


def _range(one: Advised, between: str = "–") -> str:
    return f"{_short(one.evidence.low)}{between}{_short(one.evidence.high)}"


def _decades(value: float) -> str:
    return f"{value:+.1f}" if isfinite(value) else "–"


def _short(value: float | None, digits: int = 2) -> str:
    return f"{value:.{digits}g}" if value is not None and isfinite(value) else "–"
