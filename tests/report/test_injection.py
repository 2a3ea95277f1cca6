"""What users write is text on every page: no tag and no attribute comes of it."""

import json

import pytest
import test_report
from test_race import STUDY, Trainer
from test_report import Page, make_layers, make_run, make_study

from init_study.answers.verdicts.heats import from_document, to_document
from init_study.race import race
from init_study.report import write_report
from init_study.report.ledger_page import render_ledger
from init_study.report.race_page import render_race
from init_study.report.rendering import render_page
from init_study.store import RACE

MARKUP = (
    "<script>alert('x')</script>",
    '"><img src=x onerror=y>',
    "' onmouseover='alert(1)",
    "</title></style></svg> <!-- & &lt; ]]>",
    "{{ page }} {% raw %} {# no #}",
)


def harmless(text):
    """As long, so that figures are as wide."""
    return "".join(c if c.isalnum() else "x" for c in text)


def assert_is_text(page, plain_page, text, count):
    """Both pages have the same tags and attributes, and the one shows the text."""
    page, plain = Page(page), Page(plain_page)
    assert page.tags == plain.tags
    assert [n for n, _ in page.attributes] == [n for n, _ in plain.attributes]
    assert page.text.count(text) >= count


def run_page(folder, text, monkeypatch):
    schemes = tuple(f"{text}{i}" for i in range(4))
    monkeypatch.setattr(test_report, "SCHEMES", schemes)
    study = make_study(
        name=text, question=text, model=(text, f"{text}2"), depth=2, schemes=schemes
    )
    facts = {"git": {"commit": text}, "versions": {text: text}, "devices": [text]}
    folder.mkdir()
    make_layers(make_run(folder, study, command=text, **facts), study)
    return write_report(folder).read_text()


# Two pages take seconds to draw; the others are of one kind with the first.
@pytest.mark.parametrize(
    "text", [MARKUP[0], *(pytest.param(t, marks=pytest.mark.slow) for t in MARKUP[1:])]
)
def test_on_the_page_of_a_run(tmp_path, monkeypatch, text):
    pages = [
        run_page(tmp_path / name, own, monkeypatch)
        for name, own in (("odd", text), ("plain", harmless(text)))
    ]
    # Each of four schemes is in two tables and four figures of each of two programs.
    assert_is_text(*pages, text, 4 * 2 * 6)


@pytest.mark.parametrize("text", MARKUP)
def test_on_the_page_of_a_race(tmp_path, text):
    heats = race(STUDY, tmp_path / "w", Trainer(), margin=0.02)
    plan = (tmp_path / "w" / RACE).read_text()

    def page(own):
        study = STUDY.replace(name=own, question=own).to_dict()
        quoted = json.dumps(own)[1:-1]

        def renamed(document):
            for scheme in STUDY.schemes:
                document = document.replace(f'"{scheme}"', f'"{scheme} {quoted}"')
            return json.loads(document.replace('"cnn"', f'"{quoted}"'))

        schemes = [f"{scheme} {own}" for scheme in STUDY.schemes]
        new_plan = json.loads(plan) | {"study": study | {"schemes": schemes}}
        new_heats = from_document(renamed(json.dumps(to_document(heats))))
        return render_race(new_heats, new_plan, [own])

    assert_is_text(page(text), page(harmless(text)), text, 3 * 3)


@pytest.mark.parametrize("text", MARKUP)
def test_on_the_page_of_a_ledger(text):
    def page(own):
        evidence = {"prediction": own, "unit": "", "bounds": [0, "inf"], "n": 5}
        evidence |= {"mean": 1.0, "low": 0.5, "high": 1.5, "verdict": "SUPPORTED"}
        claim = {"section": own, "text": {"original": own, "english": own}}
        claim |= {"reading": own, "rule": own, "reason": own, "literature": own}
        claim |= {"evidence": [evidence | {"runs": [own]}], "verdict": "SUPPORTED"}
        names = ("members", "programs", "seeds", "steps", "seconds", "question")
        studies = {own: dict.fromkeys(names, own) | {"datasets": [own]}}
        claims = [claim | {"number": i, "against": [3 - i]} for i in (1, 2)]
        ledger = {"kind": "claims", "title": own, "command": own, "claims": claims}
        return render_ledger(ledger | {"studies": studies})

    assert_is_text(page(text), page(harmless(text)), text, 20)


def test_what_a_template_asks_for_must_be_there():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="title"):
        render_page("race_page.html", object())
