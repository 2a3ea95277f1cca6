"""Decisions as a table for a terminal, and as rows of words for a page."""

from collections.abc import Iterable, Mapping
from textwrap import fill
from typing import Any

import numpy as np

from init_study.answers.columns import format_columns
from init_study.answers.statistics import t_interval
from init_study.answers.verdicts.contrasts import Contrast, Kind
from init_study.answers.verdicts.decision import Decision
from init_study.answers.verdicts.heats import Heat
from init_study.answers.verdicts.protocol import Choice
from init_study.answers.verdicts.sentences import decision_order, decision_sentence
from init_study.answers.words import low_to_high, percent, plus_minus, rate

_COLUMNS = 100


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
        >>> decision = decide(runs, "he", margin=0.01, chance=0.1, num_test=1000)
        >>> choices = {name: Choice(0.1, 0.5, None) for name in runs}
        >>> table = decision_table(decision, runs, choices)
        >>> [row.split()[0] for row in table.splitlines()]
        ['scheme', 'he', 'zeros']
    """
    shown = ("scheme", "rate", "failed", "median %", "where both learn", "verdict")
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
        >>> decision = decide(runs, "he", margin=0.01, chance=0.1, num_test=1000)
        >>> choices = {name: Choice(0.1, 0.5, None) for name in runs}
        >>> [row["verdict"] for row in decision_rows(decision, runs, choices)]
        ['BEST', 'WORSE']
    """
    contrasts = {c.scheme: c for c in decision.contrasts}
    rows = []
    for name in decision_order(decision):
        contrast, choice, runs = contrasts.get(name), choices[name], test[name]
        failed = decision.failed if contrast is None else contrast.learning.scheme
        rows.append(
            {
                "scheme": name,
                "rate": rate(choice.rate) + ("*" if choice.beyond else ""),
                "failed": f"{failed.k:g}/{failed.n}",
                "not excluded": f"{failed.high:.0%}".replace("%", " %"),
                "median %": percent(float(np.median(runs))),
                "lowest to highest": f"{percent(min(runs))} to {percent(max(runs))}",
                "mean %": plus_minus(t_interval(runs)),
                **_beside_candidate(contrast),
                "verdict": _verdict(contrast, decision),
            }
        )
    return rows


def _beside_candidate(contrast: Contrast | None) -> dict[str, str]:
    names = (
        "where both learn",
        "p",
        "p of equivalence",
        "p of means",
        "p of failures",
        "p by signs",
        "wins",
    )
    if contrast is None:
        return dict.fromkeys(names, "") | {"where both learn": "candidate"}
    wins = contrast.wins
    words = (
        _difference(contrast) or "–",
        f"{contrast.p:.2g}",
        f"{contrast.p_equivalent:.2g}",
        f"{contrast.p_mean:.2g}",
        f"{contrast.learning.p:.2g}",
        f"{contrast.sign_flip_p:.2g}",
        f"{wins.k:g}/{wins.n}",
    )
    return dict(zip(names, words, strict=True))


def _difference(contrast: Contrast) -> str:
    """Write the difference where both learn: `−3.1 (−4.0 to −2.2)`."""
    if not contrast.effect.n:
        return ""
    ends = low_to_high(contrast.effect)
    return percent(contrast.effect.mean) + (f" ({ends})" if ends else "")


def _verdict(contrast: Contrast | None, decision: Decision) -> str:
    best = (Kind.BEST, Kind.TYPICALLY_BEST)
    if contrast is None:
        return decision.kind.value if decision.kind in best else ""
    if contrast.twin:
        return f"{contrast.kind}, the same runs"
    return contrast.kind.value
