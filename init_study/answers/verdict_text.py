"""Decisions as words, as a terminal table and for JSON: text from the object alone."""

from collections.abc import Mapping
from typing import Any

from init_study.answers.decision import Contrast, Decision, Kind
from init_study.answers.protocol import Choice
from init_study.answers.statistics import t_interval
from init_study.answers.text import (
    count,
    format_columns,
    low_to_high,
    percent,
    plus_minus,
    rate,
)


def decision_sentence(label: str, decision: Decision) -> str:
    """What a decision says, and no more."""
    d, names = decision, ", ".join(decision.best_set)
    heads = {
        Kind.BEST: f"{d.candidate} is the best of {len(d.contrasts) + 1} schemes",
        Kind.EQUIVALENT: f"all schemes are practically equal to {d.candidate}",
        Kind.SET: f"the best scheme is among {names}"
        if len(d.best_set) > 1
        else f"{names} is what is left as the best",
        Kind.UNDECIDED: f"none of {len(d.contrasts) + 1} schemes can be ruled out as "
        "the best",
    }
    parts = [f"{label}: {heads[d.kind]}"]
    if d.kind is not Kind.EQUIVALENT:
        parts += [
            text
            for kind in (Kind.BETTER, Kind.EQUIVALENT, Kind.WORSE, Kind.UNDECIDED)
            if (text := _group(decision, kind))
        ]
    parts.append(
        f"on {count(d.n, 'fresh seed')}, paired; level {d.alpha:.2g} at this look; "
        f"differences below {percent(d.margin)} points do not matter"
    )
    return "; ".join(parts)


def decision_table(
    decision: Decision, test: Mapping[str, Any], choices: Mapping[str, Choice]
) -> str:
    """A row for each scheme, the candidate first, then by accuracy."""
    contrasts = {c.scheme: c for c in decision.contrasts}
    order = sorted(contrasts, key=lambda name: -contrasts[name].effect.mean)
    rows = []
    for name in (decision.candidate, *order):
        contrast, choice = contrasts.get(name), choices[name]
        effect = "candidate"
        if contrast is not None:
            effect = f"{percent(contrast.effect.mean)} ({low_to_high(contrast.effect)})"
        rows.append(
            {
                "scheme": name,
                "rate": rate(choice.rate) + ("*" if choice.beyond else ""),
                "seeds": len(test[name]),
                "test %": plus_minus(t_interval(test[name])),
                "to the candidate": effect,
                "verdict": _verdict(contrast, decision),
            }
        )
    return format_columns(rows)


def _verdict(contrast: Contrast | None, decision: Decision) -> str:
    if contrast is None:
        return decision.kind.value if decision.kind is Kind.BEST else ""
    more = f", about {contrast.more} more seeds" if contrast.more else ""
    return f"{contrast.kind}{more}"


def _group(decision: Decision, kind: Kind) -> str:
    """The schemes of one kind, each with its numbers."""
    members = [c for c in decision.contrasts if c.kind is kind]
    if not members:
        return ""
    words = {
        Kind.BETTER: f"better than {decision.candidate}, which screening chose:",
        Kind.EQUIVALENT: f"practically equal to {decision.candidate}:",
        Kind.WORSE: f"worse than {decision.candidate}:",
        Kind.UNDECIDED: "undecided:",
    }
    return f"{words[kind]} {', '.join(map(_numbers, members))}"


def _numbers(contrast: Contrast) -> str:
    """`xavier_normal (−3.1 points, −4.0 to −2.2)`."""
    numbers = f"{percent(contrast.effect.mean)} points, {low_to_high(contrast.effect)}"
    more = f"; about {contrast.more} more seeds" if contrast.more else ""
    return f"{contrast.scheme} ({numbers}{more})"
