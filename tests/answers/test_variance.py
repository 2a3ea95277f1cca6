"""Where the spread over seeds comes from: what is fixed is fixed, and told apart."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from init_study import store
from init_study.answers.views.variance import deviation_interval, variance_splits
from init_study.control import Control
from init_study.errors import UserError
from init_study.plan import make_plan
from init_study.report import write_report
from init_study.run import run
from init_study.study import FIXED, Study

STUDY = Study(
    schemes=("he_normal", "lsuv"),
    learning_rates=(0.01, 0.1),
    seeds=3,
    depth=1,
    width=2,
    batch_size=4,
    steps=2,
    evaluations=1,
    fixed=tuple(FIXED),
    augmentation="crop",
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fixed") / "run"
    run(make_plan(STUDY), folder, "command", Control())
    return folder


def spread_at_start(workdir, fixed, metric):
    """Over seeds, of the first layer before the first step, by scheme."""
    (program,) = [p for p in STUDY.programs() if p.fixed == fixed]
    table = store.load_layers(workdir)
    ours = table[
        (table["program"] == program.id)
        & (table["step"] == 0)
        & (table["layer"] == 0)
        & (table["metric"] == metric)
    ]
    return ours.groupby("scheme")["value"].nunique()


def test_the_start_is_the_same_or_the_order_is(workdir):
    weights = {f: spread_at_start(workdir, f, "weight_square") for f in FIXED}
    assert (weights["nothing"] == 3).all() and (weights["order"] == 3).all()
    assert (weights["init"] == 1).all(), "of a scheme that looks at data as well"
    # With one start, another batch gives another signal; with one batch another start.
    assert (spread_at_start(workdir, "init", "signal") == 3).all()


def test_the_first_seed_is_the_same_whatever_is_fixed(workdir):
    table = store.load(workdir)
    first = table[(table["seed"] == 0) & table["value"].notna()]
    keys = ["member", "split", "step", "metric"]
    values = first.pivot_table(index=keys, columns="fixed", values="value")
    assert len(values) and (values["nothing"] == values["init"]).all()
    assert (values["nothing"] == values["order"]).all()
    other = table[(table["seed"] == 1) & (table["metric"] == "loss")]
    apart = other.pivot_table(index=keys, columns="fixed", values="value")
    assert apart.nunique(axis=1).max() > 1


def test_what_is_fixed_must_be_known():
    with pytest.raises(UserError, match="Did you mean 'order'"):
        Study(schemes=("zeros",), learning_rates=0.1, fixed="ordr")


def made_up(deviations, seeds=40):
    """Records in which test accuracy varies by as much as is said."""
    study = Study(
        schemes=("a", "b"), learning_rates=(0.1, 0.3), seeds=seeds, fixed=tuple(FIXED)
    )
    rng, rows = np.random.default_rng(0), []
    for program in study.programs():
        draws = rng.standard_normal(seeds)
        draws = (draws - draws.mean()) / draws.std(ddof=1)
        for m in study.members():
            better = 0.1 * (m.learning_rate == 0.3) + 0.5
            test = better + deviations[program.fixed] * draws[m.seed]
            own = {**dataclasses.asdict(m), "program": program.id}
            own["step"] = program.steps
            for split, metric, value in (
                ("validation", "accuracy", better),
                ("test", "accuracy", test if m.learning_rate == 0.3 else 0.0),
                ("train", "diverged_step", np.nan),
            ):
                rows.append({**own, "split": split, "metric": metric, "value": value})
    data = {"digits": {"chance": 0.1, "test": 100, "validation": 100}}
    return pd.DataFrame(rows), {"study": study.to_dict(), "data": data}


def test_deviations_are_told_apart_at_the_best_rate():
    records, manifest = made_up({"nothing": 0.05, "order": 0.04, "init": 0.03})
    splits = variance_splits(records, manifest)
    assert [(one.scheme, one.learning_rate) for one in splits] == [
        ("a", 0.3),
        ("b", 0.3),
    ]
    for one in splits:
        found = one.total.mean, one.init.mean, one.order.mean
        np.testing.assert_allclose(found, (0.05, 0.04, 0.03))
        # √(0.6 · 0.4 / 100), less a little for the spread of p.
        assert one.test_set == pytest.approx(0.0487, abs=0.001)


def test_a_part_that_is_missing_gives_no_split():
    records, manifest = made_up({"nothing": 0.05, "order": 0.04, "init": 0.03})
    study = Study.from_dict(manifest["study"])
    gone = next(p.id for p in study.programs() if p.fixed == "init")
    assert variance_splits(records[records["program"] != gone], manifest) == ()


def test_the_interval_of_a_deviation_covers_as_often_as_it_says():
    """2,000 samples of 10 normal numbers; the standard error is 0.5 %."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(2000):
        interval = deviation_interval(rng.standard_normal(10))
        hits += interval.low <= 1 <= interval.high
    assert abs(hits / 2000 - 0.95) < 0.015
    few = deviation_interval(np.array([1.0, 2.0]))
    assert np.isnan(few.low) and few.mean == pytest.approx(0.5**0.5)


def test_the_page_says_it(workdir):
    page = write_report(workdir).read_text()
    assert "Where the spread over seeds comes from" in page
    assert page.count("the start alone") == 1
