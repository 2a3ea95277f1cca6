"""The ledger as a page: every claim with its rule, what was measured, its verdict."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from init_study.answers.claims.claim import Verdict
from init_study.answers.claims.ledger import (
    WORDS,
    contradictions,
    measured_text,
    summary,
)
from init_study.report import tables
from init_study.report.run_page import HEAD, POLICY
from init_study.report.style import CSS

_STRIP = (220, 26)


def render_ledger(ledger: Mapping[str, Any]) -> str:
    """The whole page as HTML, in ASCII; `ledger` is that of `examine`."""
    title, claims = ledger["title"], ledger["claims"]
    parts = [
        HEAD.format(policy=POLICY, title=escape(title), css=CSS + _LEDGER_CSS),
        f"<header><h1>{escape(title)}</h1>",
        f"<p class=answer><b>{escape(summary(ledger))}</b>{_how_judged()}</p>",
        _overview(ledger),
        _filters(ledger),
        "</header>\n<main>",
        _contradictions(ledger),
        *(_section(name, ledger) for name in _sections(claims)),
        "</main>\n",
        _provenance(ledger),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _how_judged() -> str:
    return (
        "<span>Each says where a number lies if it is true; the rule was written "
        "before the numbers were there. In the drawings the shaded part is where it "
        "says, the bar is the interval, the dot the mean.</span>"
    )


def _overview(ledger: Mapping[str, Any]) -> str:
    """A square for each claim."""
    words = WORDS[ledger["kind"]]
    squares = "".join(
        f"<a class={_class(claim)} href='#c{claim['number']}' "
        f'title="{escape(words[Verdict(claim["verdict"])])}: '
        f'{escape(claim["text"]["english"])}">{claim["number"]}</a>'
        for claim in ledger["claims"]
    )
    return f"<nav class=squares>{squares}</nav>"


def _filters(ledger: Mapping[str, Any]) -> str:
    """Without a script: a page of text needs none."""
    counts = Counter(claim["verdict"] for claim in ledger["claims"])
    buttons = ["<label><input type=radio name=show checked>all</label>"]
    buttons += [
        f"<label><input type=radio name=show id=show-{_slug(verdict)}>"
        f"{word.lower()} ({counts[verdict]})</label>"
        for verdict, word in WORDS[ledger["kind"]].items()
        if counts[verdict]
    ]
    return f"<p class=show>Show: {''.join(buttons)}</p>"


def _contradictions(ledger: Mapping[str, Any]) -> str:
    pairs = contradictions(ledger)
    if not pairs:
        return ""
    words = WORDS[ledger["kind"]]

    def said(claim: Mapping[str, Any]) -> str:
        verdict = words[Verdict(claim["verdict"])]
        return (
            f"<a href='#c{claim['number']}'>{claim['number']}</a> "
            f"{escape(claim['text']['english'])} <b class={_class(claim)}>{verdict}</b>"
        )

    rows = "".join(
        f"<li>{said(claim)}<br>against {'<br>and '.join(map(said, others))}</li>"
        for claim, others in pairs
    )
    return (
        "<section id=contradictions><h2>Where the text contradicts itself</h2>"
        f"<ul class='card against'>{rows}</ul></section>"
    )


def _sections(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(claim["section"] for claim in claims))


def _section(name: str, ledger: Mapping[str, Any]) -> str:
    ours = [claim for claim in ledger["claims"] if claim["section"] == name]
    words = WORDS[ledger["kind"]]
    heading = f"Section {name}" if ledger["kind"] == "claims" else name
    cards = "".join(_claim(claim, words) for claim in ours)
    return f"<section><h2>{escape(heading)}</h2>{cards}</section>"


def _claim(claim: Mapping[str, Any], words: Mapping[Verdict, str]) -> str:
    text, number = claim["text"], claim["number"]
    parts = [
        f"<article class='card {_class(claim)}' id=c{number}>",
        f"<h3><a href='#c{number}'>{number}</a> {escape(text['english'])} "
        f"<b class={_class(claim)}>{words[Verdict(claim['verdict'])]}</b></h3>",
    ]
    if text["original"]:
        parts.append(f"<p class=original lang=zh>{escape(text['original'])}</p>")
    if claim["reading"]:
        parts.append(f"<p>Taken to say: {tables.words(claim['reading'])}</p>")
    if claim["reason"]:
        parts.append(f"<p>Not testable: {tables.words(claim['reason'])}</p>")
    parts += [_evidence(one) for one in claim["evidence"]]
    more = [("Rule", claim["rule"]), ("What others found", claim["literature"])]
    parts += [
        f"<p class=caption>{name}: {tables.words(said)}</p>"
        for name, said in more
        if said
    ]
    return "".join([*parts, "</article>"])


def _evidence(one: Mapping[str, Any]) -> str:
    runs = "".join(
        f" <a href='{escape(run)}/report.html'>{escape(run)}</a>" for run in one["runs"]
    )
    return (
        f"<div class=evidence>{_strip(one)}<p>{tables.words(one['prediction'])}. "
        f"<b>Measured: {tables.words(measured_text(one))}</b>, n = {one['n']}.{runs}"
        "</p></div>"
    )


def _strip(one: Mapping[str, Any]) -> str:
    """Where the number was to lie, and where it lies."""
    numbers = [_float(one[name]) for name in ("mean", "low", "high")]
    bounds = [_float(bound) for bound in one["bounds"]]
    shown = [value for value in (*numbers, *bounds) if math.isfinite(value)]
    if not shown:
        return ""
    least, most = min(shown), max(shown)
    room = 0.25 * (most - least) or abs(most) or 1.0
    width, height = _STRIP

    def place(value: float) -> float:
        share = (value - least + room) / (most - least + 2 * room)
        return round(width * min(1.0, max(0.0, share)), 1)

    low, high = (place(bound) for bound in bounds)
    middle = height / 2
    label = f"{one['prediction']}; measured {measured_text(one)}"
    drawn = [
        f"<svg class=strip viewBox='0 0 {width} {height}' width={width} "
        f'height={height} role=img aria-label="{escape(label)}">',
        f"<rect class=wanted x={low} y=2 width={round(high - low, 1)} "
        f"height={height - 4} />",
        f"<line x1=0 x2={width} y1={middle} y2={middle} />",
    ]
    mean, first, last = numbers
    if not math.isnan(first):
        drawn.append(
            f"<rect class=interval x={place(first)} y={middle - 2} height=4 "
            f"width={max(1.0, round(place(last) - place(first), 1))} />"
        )
    if not math.isnan(mean):
        drawn.append(f"<circle cx={place(mean)} cy={middle} r=4.5 />")
    return "".join([*drawn, "</svg>"])


def _provenance(ledger: Mapping[str, Any]) -> str:
    rows = [
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
    studies = tables.columns(rows) if rows else ""
    return (
        "<section id=provenance><h2>Provenance</h2>"
        + tables.card("The same again", f"<pre>{escape(ledger['command'])}</pre>")
        + tables.card(
            "Studies",
            studies,
            "Each is a run of its own, in the folder of its name, with records, "
            "manifest and page. What is said here holds for these nets, these data and "
            "so many steps.",
        )
        + "</section>"
    )


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _class(claim: Mapping[str, Any]) -> str:
    return _slug(claim["verdict"])


def _slug(verdict: str) -> str:
    return verdict.lower().replace(" ", "-")


_LEDGER_CSS = """
:root {
  --supported: 30, 125, 60; --refuted: 190, 55, 40; --undecided: 150, 110, 0;
  --not-testable: 110, 115, 120;
}
@media (prefers-color-scheme: dark) {
  :root {
    --supported: 95, 200, 125; --refuted: 240, 120, 100; --undecided: 225, 180, 70;
    --not-testable: 160, 165, 170;
  }
}
.supported { --mark: var(--supported) } .refuted { --mark: var(--refuted) }
.undecided { --mark: var(--undecided) } .not-testable { --mark: var(--not-testable) }
.squares { display: flex; flex-wrap: wrap; gap: 4px }
.squares a {
  margin: 0; width: 32px; padding: 3px 0; text-align: center; border-radius: 4px;
  font-size: 13px; text-decoration: none; color: rgb(var(--mark));
  background: rgba(var(--mark), .14); border: 1px solid rgba(var(--mark), .45);
}
.show { margin: 12px 0 0; font-size: 14px } .show label { margin-right: 12px }
article { border-left: 4px solid rgb(var(--mark)); scroll-margin-top: 12px }
b.supported, b.refuted, b.undecided, b.not-testable {
  color: rgb(var(--mark)); font-size: 12.5px; letter-spacing: .03em;
  white-space: nowrap;
}
article h3 a { color: var(--muted); text-decoration: none; margin-right: 4px }
.original { color: var(--muted); font-size: 14px }
article p { font-size: 14.5px; margin: 0 0 8px }
article p.caption { font-size: 13px; margin: 6px 0 0 }
.evidence { display: flex; gap: 14px; align-items: flex-start; margin: 0 0 4px }
.evidence p { font-size: 13.5px; flex: 1; min-width: 0 }
.strip { flex: none; margin-top: 2px }
.strip .wanted { fill: rgba(var(--supported), .16) }
.strip line { stroke: var(--rule) }
.strip .interval, .strip circle { fill: var(--ink) }
.against { padding-left: 34px } .against li { margin: 0 0 10px; font-size: 14.5px }
body:has(#show-supported:checked) article:not(.supported),
body:has(#show-refuted:checked) article:not(.refuted),
body:has(#show-undecided:checked) article:not(.undecided),
body:has(#show-not-testable:checked) article:not(.not-testable) { display: none }
@media (max-width: 760px) { .evidence { display: block } }
@media print { .show { display: none } .evidence { break-inside: avoid } }
"""
