"""Findings as text, for a terminal."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from textwrap import fill

from init_study.diagnosis.finding import SEVERITIES, Finding
from init_study.diagnosis.laws import LeafLaw, law_in_words

_COLUMNS = 100
_NAMED = 4


def findings_text(findings: Sequence[Finding]) -> str:
    """Write findings, those of one trap together, the gravest first.

    Args:
        findings: of one set-up.

    Example:
        >>> one = Finding("dead", "warning", "Conv_0", "60 % (most: 50 %)", "W.", "C.")
        >>> print(findings_text([one]))
        1 warning
        <BLANKLINE>
        warning: dead
          Conv_0: 60 % (most: 50 %)
          why: W.
          cure: C.
    """
    if not findings:
        return "no trap is seen"
    parts = [count_text(findings)]
    for _, same in groupby(findings, key=lambda one: (one.severity, one.id, one.cure)):
        parts.append("\n".join(_of_one_trap(list(same))))
    return "\n\n".join(parts)


def leaf_rows(laws: Iterable[LeafLaw]) -> list[dict[str, str]]:
    """Write every parameter with the rule that set it and the law that it follows.

    Args:
        laws: of a set-up's parameters.

    Example:
        >>> leaf_rows([])
        []
    """
    return [
        {
            "parameter": "/".join(law.path),
            "shape": "×".join(map(str, law.shape)) or "–",
            "rule": law.said,
            "follows": law_in_words(law),
            "mean": f"{law.mean:.3g}",
            "std": f"{law.std:.3g}",
        }
        for law in laws
    ]


def count_text(findings: Iterable[Finding]) -> str:
    """Count findings by severity, the gravest first.

    Example:
        >>> count_text([])
        'no trap is seen'
    """
    severities = [one.severity for one in findings]
    words = [
        f"{severities.count(one)} {one}{'s' * (severities.count(one) > 1)}"
        if one != "info"
        else f"{severities.count(one)} to know"
        for one in reversed(SEVERITIES)
        if one in severities
    ]
    return ", ".join(words) or "no trap is seen"


def _of_one_trap(findings: list[Finding]) -> list[str]:
    first = findings[0]
    lines = [f"{first.severity}: {first.id}"]
    lines += [f"  {one.place}: {one.evidence}" for one in findings[:_NAMED]]
    more = len(findings) - _NAMED
    if more > 0:
        lines.append(f"  and {more} other place{'s' * (more > 1)}")
    return [
        *lines,
        _wrapped(f"why: {first.why}"),
        _wrapped(f"cure: {first.cure}"),
    ]


def _wrapped(text: str) -> str:
    return fill(text, _COLUMNS, initial_indent="  ", subsequent_indent="    ")
