"""The claims of the article and the published results: whole, and fit to be judged."""

import dataclasses
import json
import math

import pytest

from experiments import article, published
from experiments.article import CHECKS, CLAIMS, studies
from init_study.answers.claims.claim import prediction_text, rule_text
from init_study.answers.claims.evidence import Runs
from init_study.examine import CannotCheck, examine
from init_study.plan import make_plan
from init_study.report import write_report
from init_study.run import Control, run
from init_study.store import LEDGER, load, load_layers, read_manifest

RESULTS = published.RESULTS
FULL, QUICK = studies(False), studies(True)
RESULT_STUDIES = {
    name: study
    for result in RESULTS.values()
    for name, study in published.studies_of(result).items()
}
RESULT_CHECKS = {
    name: check
    for result in RESULTS.values()
    for name, check in getattr(result, "CHECKS", {}).items()
}


def runs_in(value):
    """Everything of this kind inside a quantity."""
    if isinstance(value, Runs):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from runs_in(getattr(value, field.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from runs_in(part)


def check_parts(claim, given_studies, given_checks):
    """What a rule speaks of is there."""
    assert claim.checks() <= set(given_checks)
    for prediction in claim.predictions:
        assert prediction.low < prediction.high
        for one in runs_in(prediction.quantity):
            study = given_studies[one.study]
            assert one.scheme in study.schemes, one
            assert one.rate is None or one.rate in study.learning_rates, one
            fitting = [
                program
                for program in study.programs()
                if all(getattr(program, axis) == value for axis, value in one.where)
            ]
            assert len(fitting) == 1, one


def test_there_are_all_63_claims_once():
    assert [claim.number for claim in CLAIMS] == list(range(1, 64))
    assert len({claim.original for claim in CLAIMS}) > 50


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: str(claim.number))
def test_a_claim_is_whole(claim):
    assert claim.section and claim.text[-1] in ".?"
    is_code = "initializer" in claim.original
    assert is_code or any("\u4e00" <= sign <= "\u9fff" for sign in claim.original)
    assert bool(claim.predictions) != bool(claim.reason)
    assert all(other in range(1, 64) for other in claim.against)
    for given in (FULL, QUICK):
        check_parts(claim, given, CHECKS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: str(claim.number))
def test_its_rule_names_every_bound(claim):
    for prediction in claim.predictions:
        assert prediction_text(prediction) in rule_text(claim)


def test_contradictions_are_mutual_in_what_they_name():
    pairs = {frozenset((c.number, other)) for c in CLAIMS for other in c.against}
    assert {
        frozenset(p) for p in ((19, 51), (25, 55), (32, 55), (14, 9), (50, 52))
    } <= (pairs)


def test_seeds_are_none_of_those_that_the_rules_were_tried_on():
    assert all(min(s.seeds) >= 10 for s in (*FULL.values(), *QUICK.values()))
    assert all(min(study.seeds) >= 100 for study in RESULT_STUDIES.values())


# These draw and compile for ten seconds.
LONG = {"xavier_on_input_laws", "parameters_of_zeros"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in LONG))
        for name in CHECKS
        if not name.startswith("snippet")
    ],
)
def test_checks_give_numbers(name):
    found = CHECKS[name]()
    assert found and all(isinstance(x, float) and math.isfinite(x) for x in found)


def test_the_articles_code_sets_nothing():
    """With Keras; without it, the reason is one line with the way out."""
    try:
        found = {name: CHECKS[name]() for name in CHECKS if name.startswith("snippet")}
    except CannotCheck as why:
        assert "pip install keras" in str(why)
    else:
        assert set(found) == {"snippet_zeros", "snippet_random", "snippet_glorot"}
        assert all(set(shares) == {0.0} for shares in found.values())


@pytest.mark.parametrize("name", RESULTS)
def test_a_published_result_is_whole(name):
    module = RESULTS[name]
    doc = module.__doc__ or ""
    assert all(f"\n{part}:" in doc for part in ("Paper", "Command", "Cost", "Expected"))
    assert f"published --only={name}" in doc and "\nMeasured:" in doc
    check_parts(module.RESULT, RESULT_STUDIES, RESULT_CHECKS)
    assert module.RESULT.studies() == set(published.studies_of(module))
    of_no_paper = module.RESULT.section == "Of our own"
    assert of_no_paper == doc.startswith("Of our own") == ("\nPaper:    none" in doc)


def test_published_results_are_numbered():
    assert len(RESULTS) >= 12
    numbers = [module.RESULT.number for module in RESULTS.values()]
    assert numbers == list(range(1, len(RESULTS) + 1))


def shrunk(study, rates):
    kept = [rate for rate in study.learning_rates if rate in rates]
    return study.replace(
        seeds=tuple(study.seeds[:5]),
        learning_rates=tuple(kept or study.learning_rates[:1]),
        steps=(2,),
        evaluations=2,
        batch_size=(4,),
        width=tuple(w and 4 for w in study.width),
    )


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("which", ["claims", "results"])
def test_all_of_it_runs_and_is_judged(which, tmp_path):
    """Two steps of narrow nets: the verdicts mean nothing, but there are some."""
    if which == "claims":
        claims, given, checks = CLAIMS, FULL, CHECKS
    else:
        claims = tuple(module.RESULT for module in RESULTS.values())
        given, checks = RESULT_STUDIES, RESULT_CHECKS
    rates = {
        one.rate for c in claims for p in c.predictions for one in runs_in(p.quantity)
    }
    small = {name: shrunk(study, rates) for name, study in given.items()}

    def train(study, folder):
        run(make_plan(study), folder, "command", Control())
        return load(folder), load_layers(folder), read_manifest(folder)

    folder = tmp_path / which
    judged = examine(
        claims, small, checks, folder, train, title="t", command="c", kind=which
    )
    assert judged is not None and len(judged) == len(claims)
    ledger = json.loads((folder / LEDGER).read_text())
    assert all(entry["verdict"] for entry in ledger["claims"])
    page = write_report(folder).read_text()
    assert page.count("<article") == len(claims)


def test_the_packages_say_how_they_are_run():
    assert "launch.py claims" in article.__doc__ and article.TITLE.endswith("?")
    assert "launch.py published" in published.__doc__ and published.TITLE.endswith("?")
