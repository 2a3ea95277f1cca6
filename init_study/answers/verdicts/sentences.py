"""Decisions as words, as a terminal table and for JSON: text from the object alone."""

from init_study.answers.verdicts.contrasts import Contrast, Kind
from init_study.answers.verdicts.decision import Decision
from init_study.answers.verdicts.more_seeds import More
from init_study.answers.words import (
    count,
    low_to_high,
    many,
    not_excluded,
    percent,
)


def decision_sentence(label: str, decision: Decision) -> str:
    """Say what a decision says, and no more.

    Example:
        >>> from init_study.answers.verdicts.decision import decide
        >>> import numpy as np
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decision = decide(runs, "he", margin=0.01, chance=0.1, num_test=1000)
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
        >>> decision = decide(runs, "he", margin=0.01, chance=0.1, num_test=1000)
        >>> decision_clauses("cnn", decision)[0]
        'cnn: he is the best of 2 schemes'
    """
    d = decision
    out = {c.kind for c in d.contrasts if c.scheme not in d.best_set}
    out |= {c.kind for c in d.contrasts if c.kind is Kind.TYPICALLY_BETTER}
    typical = (Kind.TYPICALLY_WORSE, Kind.TYPICALLY_BETTER)
    typically = "typically " if out & {*typical} else ""
    schemes, left = count(len(d.contrasts) + 1, "scheme"), " and ".join(d.best_set)
    heads = {
        Kind.BEST: f"{d.candidate} is the best of {schemes}",
        Kind.TYPICALLY_BEST: f"{d.candidate} is typically the best of {schemes}",
        Kind.EQUIVALENT: f"all {schemes} are practically equal",
        Kind.TYPICALLY_EQUAL: f"where they learn, all {schemes} are practically equal",
        Kind.SET: f"the {typically}best scheme is among {', '.join(d.best_set)}"
        if len(d.best_set) > 1
        else f"{left} is what is left as the {typically}best",
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
    return [
        f"{many(names)} failed in {k:g} of {count(n, 'run')}"
        + (" each" if len(names) > 1 else "")
        + f", and {not_excluded(shares[names[0]].high)}"
        for (k, n), names in groups.items()
    ]


def _idle(decision: Decision) -> list[str]:
    """Say whose seeds change nothing, of those that learn: they are but one run."""
    dead = {c.scheme for c in decision.contrasts if c.learning.scheme.k}
    idle = [name for name in decision.idle if name not in dead]
    return [f"seeds change nothing in {many(idle)}"] if idle else []


def decision_terms(decision: Decision) -> str:
    """Say what the verdicts hold for: seeds, level and margin.

    Example:
        >>> from init_study.answers.verdicts.decision import decide
        >>> import numpy as np
        >>> runs = {"he": np.linspace(0.90, 0.94, 5), "zeros": np.full(5, 0.1)}
        >>> decision = decide(runs, "he", margin=0.01, chance=0.1, num_test=1000)
        >>> decision_terms(decision).partition(";")[0]
        'on 5 fresh seeds, paired, and these 1,000 test images'
    """
    return (
        f"on {count(decision.n, 'fresh seed')}, paired, and these "
        f"{count(decision.num_test, 'test image')}; level {decision.alpha:.2g} at "
        f"this look; differences below {percent(decision.margin)} points do not matter"
    )


def decision_order(decision: Decision) -> tuple[str, ...]:
    """Order the schemes for every sentence, table and figure: the candidate first.

    Then by mean over all runs, the best before the others.

    Example:
        >>> from init_study.answers.verdicts.decision import decide
        >>> import numpy as np
        >>> runs = {"zeros": np.full(5, 0.1), "he": np.linspace(0.90, 0.94, 5)}
        >>> decision = decide(runs, "he", margin=0.01, chance=0.1, num_test=1000)
        >>> decision_order(decision)
        ('he', 'zeros')
    """
    by_mean = sorted(decision.contrasts, key=lambda c: -c.all_runs)
    return (decision.candidate, *(c.scheme for c in by_mean))


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
    by_name = {c.scheme: c for c in decision.contrasts}
    members = [by_name[name] for name in decision_order(decision)[1:]]
    members = [c for c in members if c.kind is kind]
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
    return f"{contrast.scheme} ({'; '.join(parts)})" if parts else contrast.scheme


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
