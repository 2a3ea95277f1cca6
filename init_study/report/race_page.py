"""The page of a race: the verdict, what it rests on, and the stages it came from."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from init_study.answers.statistics import FEWEST_FOR_INTERVAL, t_interval
from init_study.answers.verdicts.decision import Decision
from init_study.answers.verdicts.decision_table import decision_rows
from init_study.answers.verdicts.heats import Heat
from init_study.answers.verdicts.sentences import (
    decision_clauses,
    decision_order,
    decision_terms,
)
from init_study.answers.words import count, percent, plus_minus, rate
from init_study.report import figures
from init_study.report.distributions import SchemeRuns, strips
from init_study.report.palette import SchemeStyle, scheme_styles
from init_study.report.rendering import render_page
from init_study.report.run_page import Summary
from init_study.report.shown import Picture, Shown, picture
from init_study.report.tables import Card, Rows
from init_study.study import Study


class HeatSection(NamedTuple):
    """The section of one program.

    Attributes:
        name: letters and digits.
        label: what tells the program from the others.
        runs, forest, verdicts, tests: None if there is no verdict; `forest` also where
            no two schemes learn.
        choices: None if screening did not come to its end.
    """

    name: str
    label: str
    runs: Picture | None
    forest: Picture | None
    verdicts: Card[Rows] | None
    tests: Card[Rows] | None
    choices: Card[Rows] | None


class RacePage(NamedTuple):
    """The page of a race.

    Attributes:
        title: the study's question, or its name.
        extent: how many schemes and programs there are.
        sections: one per program, in the order of `answers`.
        stages: folders of the stages, relative to the page.
    """

    title: str
    name: str
    extent: str
    answers: Sequence[Summary]
    sections: Sequence[HeatSection]
    stages: Sequence[str]


def render_race(
    heats: Sequence[Heat], plan: Mapping[str, Any], stages: Sequence[str]
) -> str:
    """Render the whole page of a race as HTML, in ASCII.

    Args:
        heats: of `answers.verdicts.heats.from_document`.
        plan: of the race's `race.json`.
        stages: folders of the stages, relative to the page.
    """
    study = Study.from_dict(plan["study"])
    styles = scheme_styles(study.schemes)
    page = RacePage(
        study.question or study.name,
        study.name,
        f"{count(len(study.schemes), 'scheme')}, raced until decided, "
        f"{count(len(heats), 'program')}",
        [race_answer(heat) for heat in heats],
        [race_section(f"p{i}", heat, styles) for i, heat in enumerate(heats)],
        stages,
    )
    return render_page("race_page.html", page)


def race_answer(heat: Heat) -> Summary:
    """Say what a program's race came to, for the top of a page."""
    if heat.decision is None:
        return Summary(f"{heat.label}: no verdict, {heat.stopped}", [], missing=True)
    first, *others = decision_clauses(heat.label, heat.decision)
    if heat.stopped:
        others.append(f"no more seeds: {heat.stopped}")
    return Summary(first, others, missing=False)


def race_section(
    name: str, heat: Heat, styles: Mapping[str, SchemeStyle]
) -> HeatSection:
    """Put a program's verdicts together.

    Args:
        name: of the section, letters and digits.
        heat: the program's race.
        styles: of all schemes of the study.
    """
    runs = forest = verdicts = tests = None
    if heat.decision is not None:
        runs = picture(_runs(f"{name}strips", heat, heat.decision, styles))
        if any(c.effect.n >= FEWEST_FOR_INTERVAL for c in heat.decision.contrasts):
            forest = picture(_forest(name, heat.label, heat.decision, styles))
        verdicts = _verdicts(heat, heat.decision)
        tests = _tests(heat, heat.decision)
    choices = _choices(heat) if heat.choices else None
    return HeatSection(name, heat.label, runs, forest, verdicts, tests, choices)


def _runs(
    name: str, heat: Heat, decision: Decision, styles: Mapping[str, SchemeStyle]
) -> Shown:
    words = {c.scheme: c.kind.lower() for c in decision.contrasts}
    words[decision.candidate] = "the candidate"
    rows = [
        SchemeRuns(scheme, runs, words[scheme], faint=scheme not in decision.best_set)
        for scheme in decision_order(decision)
        for runs in [heat.test[scheme].tolist()]
    ]
    return Shown(
        "How good is each run?",
        "A dot for every fresh seed: test accuracy at the rate that screening chose; a "
        "run that diverged is at chance. Thick: the median, whose number stands at the "
        "right, with what is said beside the candidate.",
        {"runs": strips(heat.label, rows, heat.chance, styles, name)},
        pd.DataFrame(
            {"scheme": row.scheme, "test_accuracy": value}
            for row in rows
            for value in row.runs
        ),
        wide=True,
    )


def _forest(
    name: str, label: str, decision: Decision, styles: Mapping[str, SchemeStyle]
) -> Shown:
    candidate: list[tuple[str, Any]] = [(decision.candidate, None)]
    by_name = {c.scheme: c for c in decision.contrasts}
    ordered = [by_name[name] for name in decision_order(decision)[1:]]
    shown = [c for c in ordered if c.effect.n >= FEWEST_FOR_INTERVAL]
    differences = [(c.scheme, c.effect) for c in shown]
    drawing = figures.differences_forest(
        label, candidate + differences, "the candidate", styles, f"{name}forest"
    )
    return Shown(
        f"How far from {decision.candidate} is each scheme?",
        "Mean difference of test accuracy between runs of the same fresh seed, where "
        "both learn, each scheme at the rate that screening chose, with its interval "
        f"at {percent(1 - decision.alpha)} %, the level of this look. Schemes that "
        "learn in fewer than three of these seeds are not shown. The verdicts rest "
        f"{decision_terms(decision)}.",
        {"points": drawing},
        pd.DataFrame({"scheme": c.scheme, **c.effect._asdict()} for c in shown),
        wide=True,
    )


def _verdicts(heat: Heat, decision: Decision) -> Card[Rows]:
    shown = ("failed", "not excluded", "median %", "lowest to highest", "mean %")
    return Card(
        "Verdicts",
        # A narrow screen cuts off what comes last.
        _columns(heat, decision, "verdict", *shown, "where both learn", "rate"),
        "Typically: in the typical run, where both learn; without that word: in the "
        "mean over all runs, failed ones among them. Failed: not above chance, or not "
        "halfway from it to the best median; not excluded: up to what rate, at 95 %. "
        "Mean: over fresh seeds ± half its 95 % t interval.",
    )


def _tests(heat: Heat, decision: Decision) -> Card[Rows]:
    shown = ("p", "p of equivalence", "p of means", "p of failures", "p by signs")
    return Card(
        "The tests",
        _columns(heat, decision, *shown, "wins"),
        "p: that there is no difference where both learn, by the paired t test, "
        "two-sided; of equivalence within the margin; of equal means over all runs, in "
        "the worst case of failures not seen: these adjusted by Hochberg's method. Of "
        "failures: that both fail alike, by McNemar's exact test, not adjusted. By "
        "signs: exact, without normality, not adjusted. Wins: seeds ahead of the "
        "candidate, ties split.",
    )


def _columns(heat: Heat, decision: Decision, *names: str) -> Rows:
    rows = decision_rows(decision, heat.test, heat.choices)
    return [{name: row[name] for name in ("scheme", *names)} for row in rows]


def _choices(heat: Heat) -> Card[Rows]:
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
    return Card(
        "What screening chose",
        rows,
        "Validation accuracy at the best rate is too high by having been chosen; "
        "the verdict rests on the fresh seeds alone.",
    )
