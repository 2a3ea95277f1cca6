"""The ledger: claims with their verdicts as a JSON document, and its words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from init_study.answers.claims.claim import (
    Verdict,
    lettered,
    number,
    prediction_text,
    rule_text,
)
from init_study.answers.claims.judging import Judged, Tested
from init_study.answers.words import count

# What a verdict is called, of a sentence and of a published result.
VERDICT_WORDS = {
    "claims": {verdict: verdict.value for verdict in Verdict},
    "results": {
        Verdict.SUPPORTED: "REPRODUCED",
        Verdict.PARTLY: "PARTLY REPRODUCED",
        Verdict.REFUTED: "NOT REPRODUCED",
        Verdict.UNDECIDED: "UNDECIDED",
        Verdict.NOT_TESTABLE: "NOT TESTABLE",
    },
}


def to_ledger(
    judged: Sequence[Judged], places: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Turn judged claims into plain values, an entry for each claim.

    Args:
        judged: claims with their verdicts.
        places: folder of each study's run, for the evidence.

    Example:
        >>> from init_study.answers.claims.claim import Claim
        >>> claim = Claim(1, "norms", "", "The norm is kept.", reason="none is meant")
        >>> judged = Judged(claim, Verdict.NOT_TESTABLE, reason=claim.reason)
        >>> to_ledger([judged], places={})[0]["verdict"]
        'NOT TESTABLE'
    """
    return [_entry(one, places) for one in judged]


def _entry(judged: Judged, places: Mapping[str, str]) -> dict[str, Any]:
    claim, deciding = judged.claim, judged.deciding
    return {
        "number": claim.number,
        "section": claim.section,
        "text": {"original": claim.original, "english": claim.text},
        "reading": claim.reading,
        "rule": rule_text(claim),
        "verdict": judged.verdict.value,
        "reason": judged.reason,
        "effect": deciding and _effect(deciding),
        "n": deciding and deciding.interval.n,
        "parts": [
            {
                "part": letter,
                "text": one.part.text,
                "verdict": one.verdict.value,
                "reason": one.reason,
            }
            for letter, one in lettered(judged.parts if claim.parts else ())
        ],
        "evidence": [
            _evidence(one, letter if claim.parts else "", places)
            for letter, part in lettered(judged.parts)
            for one in part.tested
        ],
        "literature": claim.literature,
        "against": list(claim.against),
    }


def _evidence(tested: Tested, part: str, places: Mapping[str, str]) -> dict[str, Any]:
    quantity, low, high = tested.prediction
    return {
        "part": part,
        "prediction": prediction_text(tested.prediction),
        "unit": quantity.unit,
        "bounds": [_plain(low), _plain(high)],
        **_effect(tested),
        "n": tested.interval.n,
        "verdict": tested.verdict.value,
        "runs": sorted(places[study] for study in quantity.studies()),
    }


def _effect(tested: Tested) -> dict[str, float | str | None]:
    interval = tested.interval
    return {name: _plain(getattr(interval, name)) for name in ("mean", "low", "high")}


def _plain(value: float) -> float | str | None:
    """Make a number fit for JSON.

    JSON has no infinities: they are text; what is not a number is null.
    """
    if np.isnan(value):
        return None
    return float(value) if np.isfinite(value) else str(float(value))


def summary(ledger: Mapping[str, Any]) -> str:
    """Count the verdicts in words.

    Example:
        >>> claims = [{"verdict": "SUPPORTED"}, {"verdict": "REFUTED"}]
        >>> summary({"kind": "claims", "claims": claims}).partition(", none un")[0]
        '2 claims: 1 supported, none partly, 1 refuted'
    """
    kind, claims = ledger["kind"], ledger["claims"]
    counts = Counter(claim["verdict"] for claim in claims)
    parts = [
        f"{counts[v] or 'none'} {word.lower()}"
        for v, word in VERDICT_WORDS[kind].items()
    ]
    return f"{count(len(claims), kind[:-1])}: {', '.join(parts)}."


def rows(ledger: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List a row for each claim and below it one for each of its parts, for a table.

    Example:
        >>> claim = {"number": 1, "section": "norms", "text": {"english": "Kept."}}
        >>> claim |= {"verdict": "NOT TESTABLE", "n": None, "evidence": []}
        >>> rows({"kind": "claims", "claims": [claim]})[0]["measured"]
        '–'
    """
    words = VERDICT_WORDS[ledger["kind"]]
    return [
        {
            "no": f"{claim['number']}{one.get('part', '')}",
            "section": claim["section"],
            "verdict": words[Verdict(one["verdict"])],
            "n": decides["n"] if decides else "–",
            "measured": measured_text(decides),
            "claim": one["text"]["english"] if one is claim else one["text"],
        }
        for claim in ledger["claims"]
        for one in (claim, *claim.get("parts", ()))
        for decides in (deciding(claim, one.get("part", "")),)
    ]


def deciding(claim: Mapping[str, Any], part: str = "") -> Mapping[str, Any] | None:
    """Find the piece of evidence that the verdict on a claim, or on a part, hangs on.

    Returns: the first that fails, else the first that is open, else the first; None of
    a claim that has parts, and of what was not tested.

    Example:
        >>> evidence = [{"verdict": "SUPPORTED"}, {"verdict": "REFUTED"}]
        >>> deciding({"evidence": evidence})["verdict"]
        'REFUTED'
    """
    found = [one for one in claim["evidence"] if one.get("part", "") == part]
    order = [Verdict.REFUTED, Verdict.UNDECIDED, Verdict.SUPPORTED]
    return min(found, key=lambda one: order.index(one["verdict"]), default=None)


def measured_text(evidence: Mapping[str, Any] | None) -> str:
    """Write a measured number with its interval: `−85.7 % (−87.5 to −84.0)`.

    Example:
        >>> measured_text({"mean": 0.5, "low": 0.4, "high": 0.6, "unit": "%"})
        '50 % (40 to 60)'
    """
    if evidence is None:
        return "–"
    mean, low, high = (
        number(float("nan") if value is None else float(value), evidence["unit"])
        for value in (evidence["mean"], evidence["low"], evidence["high"])
    )
    if low == high:
        return mean
    return f"{mean} ({low.removesuffix(' %')} to {high.removesuffix(' %')})"


def contradictions(ledger: Mapping[str, Any]) -> list[tuple[Any, tuple[Any, ...]]]:
    """List the claims that others of the same text contradict, each pair once.

    Returns: pairs of a claim and those that say the opposite.

    Example:
        >>> claims = [{"number": 1, "against": [2]}, {"number": 2, "against": []}]
        >>> contradictions({"claims": claims})
        [({'number': 1, 'against': [2]}, ({'number': 2, 'against': []},))]
    """
    claims = {claim["number"]: claim for claim in ledger["claims"]}
    return [
        (claim, tuple(claims[other] for other in claim["against"]))
        for claim in claims.values()
        if any(
            other > claim["number"] or claim["number"] not in claims[other]["against"]
            for other in claim["against"]
        )
    ]
