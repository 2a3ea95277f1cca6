"""The page of a race: the verdict, what it rests on, and the stages it came from."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from init_study.answers.statistics import t_interval
from init_study.answers.verdicts.heats import Heat
from init_study.answers.verdicts.sentences import (
    decision_clauses,
    decision_rows,
    decision_terms,
)
from init_study.answers.words import count, percent, plus_minus, rate
from init_study.report import figures, tables
from init_study.report.palette import SchemeStyle, scheme_styles
from init_study.report.run_page import HEAD, POLICY
from init_study.report.shown import Shown, figure
from init_study.report.style import CSS
from init_study.study import Study


def render_race(
    heats: Sequence[Heat], plan: Mapping[str, Any], stages: Sequence[str]
) -> str:
    """The whole page as HTML, in ASCII.

    Args:
        heats: of `answers.verdicts.heats.from_document`.
        plan: of the race's `race.json`.
        stages: folders of the stages, relative to the page.
    """
    study = Study.from_dict(plan["study"])
    styles = scheme_styles(study.schemes)
    title = study.question or study.name
    extent = (
        f"{count(len(study.schemes), 'scheme')}, raced until decided, "
        f"{count(len(heats), 'program')}"
    )
    parts = [
        HEAD.format(policy=POLICY, title=escape(title), css=CSS),
        f"<header><h1>{escape(title)}</h1>",
        f"<p class=name>{escape(study.name)} · {extent}</p>",
        *(_answer(heat) for heat in heats),
        "</header>\n<main>",
        *(_heat(f"p{i}", heat, styles) for i, heat in enumerate(heats)),
        _stages(stages),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _answer(heat: Heat) -> str:
    if heat.decision is None:
        said = f"{heat.label}: no verdict, {heat.stopped}"
        return f"<p class='answer missing'><b>{tables.words(said)}</b></p>"
    first, *others = decision_clauses(heat.label, heat.decision)
    if heat.stopped:
        others.append(f"no more seeds: {heat.stopped}")
    rest = "".join(f"<span>{tables.words(clause)}</span>" for clause in others)
    return f"<p class=answer><b>{tables.words(first)}</b>{rest}</p>"


def _heat(name: str, heat: Heat, styles: Mapping[str, SchemeStyle]) -> str:
    head = f"<section id={name}><h2>{escape(heat.label)}</h2>"
    parts = [head]
    decision = heat.decision
    if decision is not None:
        candidate: list[tuple[str, Any]] = [(decision.candidate, None)]
        differences = [(c.scheme, c.effect) for c in decision.contrasts]
        drawing = figures.differences_forest(
            heat.label,
            candidate + differences,
            "the candidate",
            styles,
            f"{name}forest",
        )
        shown = Shown(
            f"How far from {decision.candidate} is each scheme?",
            "Mean difference of test accuracy between runs of the same fresh seed, "
            "each scheme at the rate that screening chose, with its interval at "
            f"{percent(1 - decision.alpha)} %, the level of this look. A run that "
            "diverged counts as chance. The verdicts rest "
            f"{decision_terms(decision)}.",
            {"points": drawing},
            pd.DataFrame(
                {"scheme": c.scheme, **c.effect._asdict()} for c in decision.contrasts
            ),
            wide=True,
        )
        parts += [
            figure(shown),
            tables.card(
                "Verdicts",
                tables.columns(_verdict_first(heat)),
                "Test: mean over fresh seeds ± half its 95 % t interval. p: paired t "
                "test, two-sided, and of equivalence within the margin, both adjusted "
                "by Holm's method; by signs: exact, without normality, not adjusted. "
                "Wins: share of seeds ahead of the candidate, ties split.",
            ),
        ]
    if heat.choices:
        parts.append(_choices(heat))
    return "".join([*parts, "</section>"])


def _verdict_first(heat: Heat) -> list[dict[str, Any]]:
    """A narrow screen cuts off what comes last."""
    assert heat.decision is not None
    rows = decision_rows(heat.decision, heat.test, heat.choices)
    return [{"scheme": r.pop("scheme"), "verdict": r.pop("verdict"), **r} for r in rows]


def _choices(heat: Heat) -> str:
    rows = [
        {
            "scheme": scheme,
            "rate": rate(choice.rate),
            "validation %": percent(choice.mean),
            "edge": "at the edge of the grid" if choice.beyond else "",
            "fresh seeds": len(heat.test.get(scheme, ())),
            "test %": plus_minus(t_interval(heat.test[scheme]))
            if scheme in heat.test
            else "–",
        }
        for scheme, choice in heat.choices.items()
    ]
    return tables.card(
        "What screening chose",
        tables.columns(rows),
        "Validation accuracy at the best rate is too high by having been chosen; "
        "the verdict rests on the fresh seeds alone.",
    )


def _stages(stages: Sequence[str]) -> str:
    links = "".join(
        f"<li><a href='{escape(stage)}/report.html'>{escape(stage)}</a></li>"
        for stage in stages
    )
    return (
        "<section id=provenance><h2>Provenance</h2><div class=card><h3>Stages</h3>"
        f"<ul>{links}</ul><p class=caption>Each is a run of its own, with records, "
        "manifest and page.</p></div></section>"
    )
