"""The claims of the article and the published results: whole, and fit to be judged."""

import dataclasses
import json
import math

import pytest

from experiments import article, published
from experiments.article import CHECKS, CLAIMS, studies
from experiments.article.studies import NORMALS, RANDOM, UNIFORMS
from init_study.answers.claims.claim import prediction_text, rule_text
from init_study.answers.claims.evidence import Runs
from init_study.control import Control
from init_study.examine import CannotCheck, examine
from init_study.plan import make_plan
from init_study.report import write_report
from init_study.run import run
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
    for prediction in claim.all_predictions():
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
    told = [bool(claim.predictions), bool(claim.parts), bool(claim.reason)]
    assert sum(told) == 1
    assert len(claim.parts) != 1
    for part in claim.parts:
        assert part.text[-1] in ".?" and bool(part.predictions) != bool(part.reason)
    assert all(other in range(1, 64) for other in claim.against)
    for given in (FULL, QUICK):
        check_parts(claim, given, CHECKS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: str(claim.number))
def test_its_rule_names_every_bound(claim):
    for prediction in claim.all_predictions():
        assert prediction_text(prediction) in rule_text(claim)


def asked(number):
    """The predictions of each part of a claim."""
    (claim,) = (claim for claim in CLAIMS if claim.number == number)
    return [part.predictions for part in claim.all_parts()]


def in_words(number, *names):
    """The same as text, without the names of methods and laws, but with their sizes."""
    said = [" ".join(map(prediction_text, part)) for part in asked(number)]
    sizes = {
        scheme: f"size {place}"
        for schemes in (UNIFORMS, NORMALS)
        for place, scheme in enumerate(schemes)
    }
    sizes |= dict.fromkeys(RANDOM, "size 0")
    for name in sorted({*sizes, *names}, key=len, reverse=True):
        said = [text.replace(name, sizes.get(name, "METHOD")) for text in said]
    return said


def test_a_sentence_that_stands_twice_has_one_rule():
    """What Xavier has to know: claims 40 and 62."""
    assert asked(40) == asked(62)


@pytest.mark.parametrize(
    ("one", "other"), [(22, 29), (23, 30), (24, 31), (25, 32), (26, 33)], ids=str
)
def test_uniform_and_gaussian_draws_are_asked_the_same(one, other):
    names = ("mean_of_uniform", "mean_of_gaussian", "(uniform)", "(gaussian)")
    names += ("sided_uniform", "sided_gaussian", "signed_uniform", "signed_gaussian")
    assert in_words(one, *names) == in_words(other, *names)


@pytest.mark.parametrize(("one", "other"), [(50, 59), (51, 61)], ids=str)
def test_methods_of_which_one_sentence_speaks_are_asked_the_same(one, other):
    names = ("zeros", "xavier_normal")
    assert in_words(one, *names) == in_words(other, *names)


def test_death_is_one_thing_for_random_draws_too():
    """Claim 55 asks of two laws what claim 59 asks of one."""
    for ours, xavier in zip(asked(55), asked(59), strict=True):
        assert len(ours) == 2 * len(xavier)
    both = [set(text.replace("size 0", "METHOD").split()) for text in in_words(55)]
    single = [set(text.split()) for text in in_words(59, "xavier_normal")]
    assert both == single


def test_xaviers_variance_is_one_rule():
    """Claims 34, 39 and 60 say that it is controlled."""
    assert asked(34)[1] == asked(39)[0] == asked(60)[0]


def test_every_study_scheme_and_program_feeds_a_rule():
    used = [one for c in CLAIMS for p in c.all_predictions() for one in runs_in(p)]
    for name, study in FULL.items():
        ours = [one for one in used if one.study == name]
        assert {one.scheme for one in ours} == set(study.schemes), name
        fed = {
            program.id
            for program in study.programs()
            for one in ours
            if all(getattr(program, axis) == value for axis, value in one.where)
        }
        assert fed == {program.id for program in study.programs()}, name
    assert set(CHECKS) == {name for claim in CLAIMS for name in claim.checks()}


def test_contradictions_are_mutual_in_what_they_name():
    pairs = {frozenset((c.number, other)) for c in CLAIMS for other in c.against}
    assert {
        frozenset(p) for p in ((19, 51), (25, 55), (32, 55), (14, 9), (50, 52))
    } <= (pairs)


def test_seeds_are_none_that_any_rule_has_seen():
    """Rules were tried on seeds 0 to 9; earlier ones were judged on 10 to 39."""
    full, quick = (
        {seed for study in studies.values() for seed in study.seeds}
        for studies in (FULL, QUICK)
    )
    assert min(full | quick) >= 200 and not full & quick
    assert all(min(study.seeds) >= 100 for study in RESULT_STUDIES.values())


# These draw and compile for five seconds and longer.
LONG = {
    "xavier_on_input_laws",
    "parameters_of_zeros",
    "xavier_variances",
    "weights_that_differ",
    "weights_beyond_one",
    "spread_of_estimates",
}


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
        one.rate for c in claims for p in c.all_predictions() for one in runs_in(p)
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
