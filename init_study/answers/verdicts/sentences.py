"""Decisions as words, as a terminal table and for JSON: text from the object alone."""

from collections.abc import Iterable, Mapping
from textwrap import fill
from typing import Any

import numpy as np

from init_study.answers.columns import format_columns
from init_study.answers.statistics import t_interval
from init_study.answers.verdicts.contrasts import Contrast, Kind
from init_study.answers.verdicts.decision import Decision
from init_study.answers.verdicts.heats import Heat
from init_study.answers.verdicts.more_seeds import More
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
    d = decision
    schemes, left = count(len(d.contrasts) + 1, "scheme"), " and ".join(d.best_set)
    heads = {
        Kind.BEST: f"{d.candidate} is the best of {schemes}",
        Kind.TYPICALLY_BEST: f"{d.candidate} is typically the best of {schemes}",
        Kind.EQUIVALENT: f"all {schemes} are practically equal",
        Kind.TYPICALLY_EQUAL: f"where they learn, all {schemes} are practically equal",
        Kind.SET: f"the best scheme is among {', '.join(d.best_set)}"
        if len(d.best_set) > 1
        else f"{left} is what is left as the best",
        Kind.UNDECIDED: f"none of {schemes} can be ruled out as the best",
    }
    if _nothing_learned(d):
        return [f"{label}: no scheme learned anything"]
    groups = (_group(d, kind) for kind in _WORDS)
    return [
        f"{label}: {heads[d.kind]}",
        *(group for group in groups if group),
        *_failures(d),
        *_idle(d),
    ]


def _nothing_learned(decision: Decision) -> bool:
    fails = [decision.failed, *(c.learning.scheme for c in decision.contrasts)]
    return all(share.k == share.n for share in fails)


def _failures(decision: Decision) -> list[str]:
    """Say what rate of failure the seeds do not exclude, of those who seem to learn."""
    d = decision
    shares = {d.candidate: d.failed} | {
        c.scheme: c.learning.scheme for c in d.contrasts if c.scheme in d.best_set
    }
    groups: dict[tuple[float, int], list[str]] = {}
    for name, share in shares.items():
        if share.k < share.n:
            groups.setdefault((share.k, share.n), []).append(name)
    said = [
        f"{_many(names)} failed in {k:g} of {count(n, 'run')}"
        + (" each" if len(names) > 1 else "")
        + f", and a rate up to {shares[names[0]].high:.0%} is not excluded"
        for (k, n), names in groups.items()
    ]
    return [text.replace("%", " %") for text in said]


def _many(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _idle(decision: Decision) -> list[str]:
    """Say whose seeds change nothing, of those that learn: they are but one run."""
    dead = {c.scheme for c in decision.contrasts if c.learning.scheme.k}
    idle = [name for name in decision.idle if name not in dead]
    return [f"seeds change nothing in {_many(idle)}"] if idle else []


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
        f"on {count(decision.n, 'fresh seed')}, paired, and these "
        f"{count(decision.num_test, 'test image')}; level {decision.alpha:.2g} at "
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
        >>> decision = decide(runs, "he", margin=0.01)
        >>> choices = {name: Choice(0.1, 0.5, None) for name in runs}
        >>> [row["verdict"] for row in decision_rows(decision, runs, choices)]
        ['BEST', 'WORSE']
    """
    contrasts = {c.scheme: c for c in decision.contrasts}
    order = sorted(contrasts, key=lambda name: -contrasts[name].all_runs)
    rows = []
    for name in (decision.candidate, *order):
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


_WORDS = {
    Kind.BETTER: "over all runs better than {}, which screening chose:",
    Kind.TYPICALLY_BETTER: "typically better than {}, which screening chose:",
    Kind.EQUIVALENT: "practically equal to {}:",
    Kind.TYPICALLY_EQUAL: "practically equal to {} where both learn:",
    Kind.WORSE: "over all runs worse than {}:",
    Kind.TYPICALLY_WORSE: "typically worse than {}:",
    Kind.UNDECIDED: "undecided:",
}


def _group(decision: Decision, kind: Kind) -> str:
    """List the schemes of one kind, each with its numbers."""
    members = [c for c in decision.contrasts if c.kind is kind]
    if not members:
        return ""
    words = _WORDS[kind].format(decision.candidate)
    return f"{words} {', '.join(map(_numbers, members))}"


def _numbers(contrast: Contrast) -> str:
    """Write a scheme with its numbers: `xavier_normal (−3.1 points, −4.0 to −2.2)`."""
    failed, effect = contrast.learning.scheme, contrast.effect
    parts = []
    if contrast.twin:
        parts.append("the same runs")
    elif effect.n:
        ends = low_to_high(effect)
        parts.append(f"{percent(effect.mean)} points" + (f", {ends}" if ends else ""))
    if failed.k == failed.n:
        parts.append(f"no run of {failed.n} learned")
    elif failed.k:
        parts.append(f"{failed.k:g} of {failed.n} runs failed")
    if contrast.more is not None:
        parts.append(_more(contrast.more))
    return f"{contrast.scheme} ({'; '.join(parts)})"


def _more(more: More) -> str:
    """Say what more seeds would show: `about 9 more seeds as seen`."""
    if more == More(None, None):
        return "no number of seeds in reach would do"
    asked = ((more.difference, "as seen"), (more.equality, "to show equality"))
    said = [
        f"{f'about {k:,}' if k else 'more than 100,000'} more seeds {words}"
        for k, words in asked
        if k or more.equality
    ]
    return ", ".join(said).replace(" more seeds to", " to")
