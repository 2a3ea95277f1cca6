"""The ledger as a page: every claim with its rule, what was measured, its verdict."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from init_study.answers.claims.claim import Verdict
from init_study.answers.claims.ledger import (
    VERDICT_WORDS,
    contradictions,
    measured_text,
    summary,
)
from init_study.report.rendering import render_page
from init_study.report.tables import Rows

_STRIP_WIDTH = 220


class RunStrip(NamedTuple):
    """Where a number was to lie and where it lies, in pixels from the left.

    Attributes:
        width: of the whole.
        wanted: start and width of the part that the prediction allows.
        interval: start and width of the measured interval, if there is one.
        mean: what was measured, if it is a number.
    """

    width: int
    wanted: tuple[float, float]
    interval: tuple[float, float] | None
    mean: float | None


class EvidenceLine(NamedTuple):
    """One prediction of a claim, and what was measured.

    Attributes:
        runs: folders of the runs that it rests on, relative to the page.
        strip: None where no number is finite.
    """

    prediction: str
    measured: str
    n: int
    runs: Sequence[str]
    strip: RunStrip | None


class PartCard(NamedTuple):
    """One of the things that a claim says, with its verdict and evidence.

    Attributes:
        letter: by which rule and ledger name it; empty of a claim that is one part.
        kind: the verdict as a name for style sheets.
        verdict: the verdict as a word.
        text: what it says; empty of a claim that is one part.
        reason: why it cannot be tested; empty if it can, or if the claim says so.
    """

    letter: str
    kind: str
    verdict: str
    text: str
    reason: str
    evidence: Sequence[EvidenceLine]


class ClaimCard(NamedTuple):
    """One claim with its verdict.

    Attributes:
        kind: the verdict as a name for style sheets.
        verdict: the verdict as a word.
        original: the sentence in the language of its text; empty if that is English.
        reading: what the claim is taken to say; empty where that is plain.
        reason: why it cannot be tested; empty if it can.
        parts: what it says; a claim that says one thing is one part.
        literature: what others found; empty if nothing is known.
    """

    number: int
    kind: str
    verdict: str
    text: str
    original: str
    reading: str
    reason: str
    parts: Sequence[PartCard]
    rule: str
    literature: str


class LedgerPage(NamedTuple):
    """The page of a ledger.

    Attributes:
        counts: name, word and number of claims of each verdict that there is.
        claims: in the ledger's order.
        contradictions: claims, and those that say the opposite.
        sections: heading and claims of each section of the text.
        command: what makes the ledger again.
        studies: a row for each run that the evidence is from.
    """

    title: str
    summary: str
    counts: Sequence[tuple[str, str, int]]
    claims: Sequence[ClaimCard]
    contradictions: Sequence[tuple[ClaimCard, Sequence[ClaimCard]]]
    sections: Mapping[str, Sequence[ClaimCard]]
    command: str
    studies: Rows


def render_ledger(ledger: Mapping[str, Any]) -> str:
    """Render the whole page of a ledger as HTML, in ASCII.

    Args:
        ledger: the document that `examine` writes.
    """
    words = VERDICT_WORDS[ledger["kind"]]
    cards = {claim["number"]: _card(claim, words) for claim in ledger["claims"]}
    page = LedgerPage(
        ledger["title"],
        summary(ledger),
        _counts(ledger["claims"], words),
        list(cards.values()),
        [
            (cards[claim["number"]], [cards[other["number"]] for other in others])
            for claim, others in contradictions(ledger)
        ],
        _sections(ledger, cards),
        ledger["command"],
        _studies(ledger),
    )
    return render_page("ledger_page.html", page)


def _counts(
    claims: Sequence[Mapping[str, Any]], words: Mapping[Verdict, str]
) -> list[tuple[str, str, int]]:
    counts = Counter(claim["verdict"] for claim in claims)
    return [
        (_kind(verdict), word.lower(), counts[verdict])
        for verdict, word in words.items()
        if counts[verdict]
    ]


def _sections(
    ledger: Mapping[str, Any], cards: Mapping[int, ClaimCard]
) -> dict[str, list[ClaimCard]]:
    sections: dict[str, list[ClaimCard]] = {}
    prefix = "Section " if ledger["kind"] == "claims" else ""
    for claim in ledger["claims"]:
        heading = f"{prefix}{claim['section']}"
        sections.setdefault(heading, []).append(cards[claim["number"]])
    return sections


def _card(claim: Mapping[str, Any], words: Mapping[Verdict, str]) -> ClaimCard:
    return ClaimCard(
        claim["number"],
        _kind(claim["verdict"]),
        words[Verdict(claim["verdict"])],
        claim["text"]["english"],
        claim["text"]["original"],
        claim["reading"],
        claim["reason"],
        _parts(claim, words),
        claim["rule"],
        claim["literature"],
    )


def _parts(claim: Mapping[str, Any], words: Mapping[Verdict, str]) -> list[PartCard]:
    whole = {"verdict": claim["verdict"]}
    return [
        PartCard(
            part.get("part", ""),
            _kind(part["verdict"]),
            words[Verdict(part["verdict"])],
            part.get("text", ""),
            part.get("reason", ""),
            [
                _evidence(one)
                for one in claim["evidence"]
                if one.get("part", "") == part.get("part", "")
            ],
        )
        for part in claim.get("parts") or [whole]
    ]


def _evidence(one: Mapping[str, Any]) -> EvidenceLine:
    return EvidenceLine(
        one["prediction"], measured_text(one), one["n"], one["runs"], _strip(one)
    )


def _strip(one: Mapping[str, Any]) -> RunStrip | None:
    mean, low, high = (_float(one[name]) for name in ("mean", "low", "high"))
    bounds = [_float(bound) for bound in one["bounds"]]
    shown = [value for value in (mean, low, high, *bounds) if math.isfinite(value)]
    if not shown:
        return None
    least, most = min(shown), max(shown)
    room = 0.25 * (most - least) or abs(most) or 1.0

    def place(value: float) -> float:
        share = (value - least + room) / (most - least + 2 * room)
        return round(_STRIP_WIDTH * min(1.0, max(0.0, share)), 1)

    start, end = (place(bound) for bound in bounds)
    interval = None
    if not math.isnan(low):
        interval = place(low), max(1.0, round(place(high) - place(low), 1))
    return RunStrip(
        _STRIP_WIDTH,
        (start, round(end - start, 1)),
        interval,
        None if math.isnan(mean) else place(mean),
    )


def _studies(ledger: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "study": name,
            "nets": facts["members"],
            "programs": facts["programs"],
            "seeds": facts["seeds"],
            "steps": facts["steps"],
            "seconds": facts["seconds"],
            "data": ", ".join(facts["datasets"]),
            "question": facts["question"],
        }
        for name, facts in ledger["studies"].items()
    ]


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _kind(verdict: str) -> str:
    return verdict.lower().replace(" ", "-")
