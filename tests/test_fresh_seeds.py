"""Fresh seeds: what learned trains again, at the rate that the grid chose for it."""

import json
import re

import numpy as np
import pytest
from stopping import stopping

from init_study import store
from init_study.answers import compare_runs, sentence
from init_study.answers.comparison import Row
from init_study.answers.verdicts.protocol import Protocol
from init_study.cli.words.status import status_overview
from init_study.errors import UserError
from init_study.fresh_seeds import run_with_fresh_seeds
from init_study.plan import make_plan
from init_study.race import check_rules
from init_study.report import write_report
from init_study.run import run
from init_study.study import Study

STUDY = Study(
    schemes=("zeros", "he_normal", "xavier_normal"),
    learning_rates=(0.0001, 0.1),
    seeds=2,
    fresh_seeds=5,
    depth=1,
    width=8,
    steps=40,
    evaluations=2,
)


@pytest.fixture(scope="module")
def plan():
    return make_plan(STUDY)


@pytest.fixture(scope="module")
def finished(plan, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    assert run_with_fresh_seeds(plan, workdir, "command").finished
    return workdir


def comparison_in(workdir):
    (found,) = compare_runs(store.load(workdir), store.read_manifest(workdir))
    return found


def test_what_learned_is_trained_again_at_its_best_rate(finished):
    """A rate of 0.0001 moves nothing in 40 steps, and zeros never leave chance."""
    records = store.load(finished)
    fresh = records[~records["seed"].isin(STUDY.seeds)]
    assert set(fresh["scheme"]) == {"he_normal", "xavier_normal"}
    assert set(fresh["learning_rate"]) == {0.1}
    assert set(fresh["seed"]) == {2, 3, 4, 5, 6}
    grid = records[records["seed"].isin(STUDY.seeds)]
    assert grid["member"].nunique() == 3 * 2 * 2


@pytest.mark.slow
def test_a_fresh_run_is_the_run_of_that_seed(finished, tmp_path):
    """Neither company nor the leg that it trains in changes a bit of a member."""
    alone = Study(
        **STUDY.to_dict()
        | {"schemes": ["he_normal"], "learning_rates": [0.1], "seeds": [4]}
        | {"fresh_seeds": 0}
    )
    run(make_plan(alone), tmp_path / "alone", "command")
    keys = ["split", "step", "metric"]
    one = store.load(tmp_path / "alone").set_index(keys)["value"]
    table = store.load(finished)
    same = table[(table["seed"] == 4) & (table["scheme"] == "he_normal")]
    assert one.equals(same.set_index(keys)["value"].reindex(one.index))


def test_the_answer_is_of_the_fresh_seeds_alone(finished):
    comparison = comparison_in(finished)
    assert comparison.fresh_seeds == (2, 3, 4, 5, 6) == comparison.told_seeds
    assert comparison.num_seeds == 2
    table = store.load(finished)
    final = table[(table["step"] == STUDY.steps[0]) & (table["split"] == "test")]
    rows: dict[str, Row] = {row.scheme: row for row in comparison.rows}
    for name in ("he_normal", "xavier_normal"):
        measured = final[(final["scheme"] == name) & (final["metric"] == "accuracy")]
        expected = measured[measured["seed"] >= 2].sort_values("seed")["value"]
        np.testing.assert_array_equal(rows[name].told, expected)
    assert rows["zeros"].fresh == () and rows["zeros"].standing.never
    text = sentence(comparison)
    assert "5 fresh seeds of each scheme that learned" in text
    assert "no run of zeros learned" in text


@pytest.mark.slow
def test_a_stop_anywhere_comes_to_the_same_records(plan, finished, tmp_path):
    """Stopped again and again, in the grid, between the two, among fresh seeds."""
    again, finish, rounds = tmp_path / "again", False, 0
    while not finish:
        control = stopping(2)
        finish = run_with_fresh_seeds(plan, again, "command", control).finished
        rounds += 1
    assert rounds > 2
    files = [p.relative_to(finished) for p in finished.glob(f"**/{store.RECORDS}")]
    assert len(files) == 2
    for file in files:
        assert (again / file).read_bytes() == (finished / file).read_bytes()
    kept = [store.read_manifest(folder)["fresh"] for folder in (finished, again)]
    assert kept[0] == kept[1]


def test_the_grid_is_told_until_the_fresh_seeds_are_done(plan, tmp_path):
    run(plan, tmp_path / "w", "command")
    comparison = comparison_in(tmp_path / "w")
    assert comparison.fresh_seeds == () and "too few seeds" in sentence(comparison)
    (grid, fresh) = status_overview(tmp_path / "w")["programs"]
    assert grid["done"] and not fresh["done"]
    assert fresh["members"] == 3 * 5, "at most: what learned is not known yet"
    assert not status_overview(tmp_path / "w")["done"]


def test_status_and_page_have_both_legs(finished):
    overview = status_overview(finished)
    assert overview["done"] and len(overview["sessions"]) == 2
    assert [row["members"] for row in overview["programs"]] == [12, 10]
    page = write_report(finished).read_text()
    assert "then 5 fresh seeds of each scheme that learned" in page


def test_where_nothing_learned_there_is_nothing_to_train_again(tmp_path):
    study = STUDY.replace(schemes="zeros", steps=4)
    assert run_with_fresh_seeds(make_plan(study), tmp_path / "w", "command").finished
    assert not (tmp_path / "w" / store.FRESH).exists()
    assert status_overview(tmp_path / "w")["done"]
    assert "no scheme learned anything" in sentence(comparison_in(tmp_path / "w"))


def test_each_scheme_can_have_a_rate_of_its_own(tmp_path):
    study = STUDY.replace(
        schemes=("he_normal", "zeros"),
        learning_rates=(0.1, 0.1),
        pairing="own",
        fresh_seeds=0,
    )
    names = [member.name for member in study.members()]
    assert names == [f"{s}/lr=0.1/{i}" for s in study.schemes for i in (0, 1)]
    apart = study.replace(learning_rates=(0.1, 0.01), steps=4)
    run(make_plan(apart), tmp_path / "w", "command")
    rows = {row.scheme: row for row in comparison_in(tmp_path / "w").rows}
    assert rows["he_normal"].best.learning_rate == 0.1
    assert rows["zeros"].best.learning_rate == 0.01
    assert not any(row.at_edge for row in rows.values())
    # The rate that a scheme does not have has no runs.
    assert [r.validation.n for r in rows["zeros"].rates] == [2, 0]
    page = write_report(tmp_path / "w").read_text()
    assert "not tried" in page
    assert not re.search(r">[^<]*\bnan\b[^<]*<", page)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pairing": "own", "learning_rates": (0.1,)}, "a learning rate for each of"),
        ({"pairing": "zip"}, "pairing"),
        ({"fresh_seeds": -1}, "study.fresh_seeds=-1 is too small"),
        ({"learning_rates": (0.1, 0.1)}, "twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, said):
    with pytest.raises(UserError, match=said):
        STUDY.replace(**changes)


def test_a_race_chooses_its_rates_itself():
    own = STUDY.replace(learning_rates=(0.1, 0.1, 0.3), pairing="own")
    with pytest.raises(UserError, match="no rate to choose"):
        check_rules(own, Protocol(margin=0.01), None)


def test_fresh_seeds_change_the_study_and_no_program():
    assert STUDY.hash != STUDY.replace(fresh_seeds=0).hash
    assert STUDY.programs() == STUDY.replace(fresh_seeds=0).programs()
    before = json.loads(json.dumps(STUDY.replace(fresh_seeds=0).to_dict()))
    del before["fresh_seeds"], before["pairing"]
    assert Study.from_dict(before).hash == STUDY.replace(fresh_seeds=0).hash


def test_a_fresh_member_can_be_had(finished, tmp_path, call):
    wanted = {"workdir": finished, "member": "he_normal/lr=0.1/4"}
    flags = [f"--{name}={value}" for name, value in wanted.items()]
    code, _, err = call("export", *flags, f"--to={tmp_path / 'he'}")
    assert code == 0, err
    assert (tmp_path / "he").is_dir()
    code, _, err = call(
        "export", f"--workdir={finished}", "--rule=*=zeros", "--to=a.csv"
    )
    assert code != 0 and "leave out --rule" in err
