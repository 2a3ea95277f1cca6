"""What a trap is, with the rule that looks for it, and what a finding is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from init_study.diagnosis.seen import Seen

SEVERITIES = {
    "info": "good to know; nothing has to change",
    "warning": "costs accuracy, time or a conclusion; look at it before training",
    "error": "training cannot do what is asked of it",
}

# What chance does once in a thousand audits is no sign.
BY_CHANCE = 1e-3


class Sign(NamedTuple):
    """One place where a trap is seen.

    Attributes:
        severity: in `SEVERITIES`.
        place: path of a parameter or a layer, or words for what is larger.
        evidence: the number that was measured, and the threshold.
        cure: other than the trap's own.
    """

    severity: str
    place: str
    evidence: str
    cure: str = ""


class Trap(NamedTuple):
    """Something that goes wrong in many set-ups, and how it is seen.

    Attributes:
        id: short, for people and for machines.
        what: goes wrong, in one line.
        why: it matters.
        cure: as code, where code is the cure.
        source: a paper or what it was measured by.
        look: the rule; gives a sign for every place.
    """

    id: str
    what: str
    why: str
    cure: str
    source: str
    look: Callable[[Seen], Iterator[Sign]]


class Finding(NamedTuple):
    """One trap seen in one set-up.

    Attributes:
        id: of the trap.
        severity: in `SEVERITIES`.
        place: path of a parameter or a layer, or words for what is larger.
        evidence: the number that was measured, and the threshold.
        why: it matters.
        cure: as code, where code is the cure.
    """

    id: str
    severity: str
    place: str
    evidence: str
    why: str
    cure: str


def look_for(traps: Iterable[Trap], seen: Seen) -> tuple[Finding, ...]:
    """Look for traps in what was seen of a set-up; the gravest findings come first.

    Args:
        traps: to look for.
        seen: of the set-up.
    """
    found = [
        Finding(
            trap.id,
            sign.severity,
            sign.place,
            sign.evidence,
            trap.why,
            sign.cure or trap.cure,
        )
        for trap in traps
        for sign in trap.look(seen)
    ]
    grave = list(SEVERITIES)
    return tuple(sorted(found, key=lambda one: -grave.index(one.severity)))


def worst(findings: Sequence[Finding]) -> str:
    """Give the gravest severity; `info` where nothing was found.

    Example:
        >>> one = Finding("dead-units", "warning", "Conv_0", "60 %", "…", "…")
        >>> worst([one]), worst([])
        ('warning', 'info')
    """
    grave = list(SEVERITIES)
    return max((one.severity for one in findings), key=grave.index, default=grave[0])


def by_id(*groups: Sequence[Trap]) -> Mapping[str, Trap]:
    """Put traps into one table, by id.

    Raises: ValueError for two of one id.
    """
    traps = [trap for group in groups for trap in group]
    table = {trap.id: trap for trap in traps}
    twice = [trap.id for trap in traps if trap is not table[trap.id]]
    if twice:
        raise ValueError(f"two traps have the id {twice[0]!r}")
    return table
