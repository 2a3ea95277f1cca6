"""Decisions as words, as a terminal table and for JSON: text from the object alone."""

from collections.abc import Iterable, Mapping
from textwrap import fill
from typing import Any

from init_study.answers.columns import format_columns
from init_study.answers.statistics import t_interval
from init_study.answers.verdicts.decision import Contrast, Decision, Kind
from init_study.answers.verdicts.heats import Heat
from init_study.answers.verdicts.protocol import Choice
from init_study.answers.words import (
    count,
    low_to_high,
    percent,
    plus_minus,
    rate,
)

_COLUMNS = 100


def decision_sentence(label: str, decision: Decision) -> str:
    """Say what a decision says, and no more.

    Example:
        >>> from init_study.answers.verdicts.decision import decide
        >>> import numpy as np
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decision = decide(runs, "he", margin=0.01)
        >>> decision_sentence("cnn", decision).partition(";")[0]
        'cnn: he is the best of 2 schemes'
    """
    return "; ".join([*decision_clauses(label, decision), decision_terms(decision)])


def decision_clauses(label: str, decision: Decision) -> list[str]:
    """Give the parts of the sentence: its head, then the schemes by how they fare.

    Example:
        >>> from init_study.answers.verdicts.decision import decide
        >>> import numpy as np
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decision = decide(runs, "he", margin=0.01)
        >>> decision_clauses("cnn", decision)[0]
        'cnn: he is the best of 2 schemes'
    """
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
    return parts


def decision_terms(decision: Decision) -> str:
    """Say what the verdicts hold for: seeds, level and margin.

    Example:
        >>> from init_study.answers.verdicts.decision import decide
        >>> import numpy as np
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decision = decide(runs, "he", margin=0.01)
        >>> decision_terms(decision).partition(";")[0]
        'on 5 fresh seeds, paired'
    """
    return (
        f"on {count(decision.n, 'fresh seed')}, paired; level {decision.alpha:.2g} at "
        f"this look; differences below {percent(decision.margin)} points do not matter"
    )


def race_text(heats: Iterable[Heat]) -> str:
    """Write the verdicts of every program that came to some, for 100 columns."""
    said = []
    for heat in heats:
        if heat.decision is not None:
            table = decision_table(heat.decision, heat.test, heat.choices)
            words = fill(decision_sentence(heat.label, heat.decision), _COLUMNS)
            said.append(f"{table}\n\n{words}\n")
    return "\n".join(said)


def decision_table(
    decision: Decision, test: Mapping[str, Any], choices: Mapping[str, Choice]
) -> str:
    """Format a decision for a terminal: the candidate first, then by accuracy.

    Args:
        decision: of a race.
        test: accuracy of fresh seeds, by scheme.
        choices: the rate of every scheme.

    Example:
        >>> from init_study.answers.verdicts.decision import decide
        >>> import numpy as np
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decision = decide(runs, "he", margin=0.01)
        >>> choices = {name: Choice(0.1, 0.5, None) for name in runs}
        >>> table = decision_table(decision, runs, choices)
        >>> [row.split()[0] for row in table.splitlines()]
        ['scheme', 'he', 'zeros']
    """
    shown = ("scheme", "rate", "seeds", "test %", "to the candidate", "verdict")
    rows = decision_rows(decision, test, choices)
    return format_columns([{name: row[name] for name in shown} for row in rows])


def decision_rows(
    decision: Decision, test: Mapping[str, Any], choices: Mapping[str, Choice]
) -> list[dict[str, Any]]:
    """List a row for each scheme, with all that is known of it, as words.

    Args:
        decision: of a race.
        test: accuracy of fresh seeds, by scheme.
        choices: the rate of every scheme.

    Example:
        >>> from init_study.answers.verdicts.decision import decide
        >>> import numpy as np
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decision = decide(runs, "he", margin=0.01)
        >>> choices = {name: Choice(0.1, 0.5, None) for name in runs}
        >>> [row["verdict"] for row in decision_rows(decision, runs, choices)]
        ['BEST', 'WORSE']
    """
    contrasts = {c.scheme: c for c in decision.contrasts}
    order = sorted(contrasts, key=lambda name: -contrasts[name].effect.mean)
    rows = []
    for name in (decision.candidate, *order):
        contrast, choice = contrasts.get(name), choices[name]
        rows.append(
            {
                "scheme": name,
                "rate": rate(choice.rate) + ("*" if choice.beyond else ""),
                "seeds": len(test[name]),
                "test %": plus_minus(t_interval(test[name])),
                **_beside_candidate(contrast),
                "verdict": _verdict(contrast, decision),
            }
        )
    return rows


def _beside_candidate(contrast: Contrast | None) -> dict[str, str]:
    names = ("to the candidate", "p", "p of equivalence", "p by signs", "wins")
    if contrast is None:
        return dict.fromkeys(names, "") | {"to the candidate": "candidate"}
    effect, wins = contrast.effect, contrast.wins
    words = (
        f"{percent(effect.mean)} ({low_to_high(effect)})",
        f"{contrast.p:.2g}",
        f"{contrast.p_equivalent:.2g}",
        f"{contrast.sign_flip_p:.2g}",
        f"{wins.k:g}/{wins.n}",
    )
    return dict(zip(names, words, strict=True))


def _verdict(contrast: Contrast | None, decision: Decision) -> str:
    if contrast is None:
        return decision.kind.value if decision.kind is Kind.BEST else ""
    more = f", about {contrast.more} more seeds" if contrast.more else ""
    return f"{contrast.kind}{more}"


def _group(decision: Decision, kind: Kind) -> str:
    """List the schemes of one kind, each with its numbers."""
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
    """Write a scheme with its numbers: `xavier_normal (−3.1 points, −4.0 to −2.2)`."""
    numbers = f"{percent(contrast.effect.mean)} points, {low_to_high(contrast.effect)}"
    more = f"; about {contrast.more} more seeds" if contrast.more else ""
    return f"{contrast.scheme} ({numbers}{more})"
