"""Quantities find their numbers in the records of a study, one for each seed."""

import numpy as np
import pandas as pd
import pytest

from init_study.answers.claims.combinations import (
    Average,
    Check,
    Closeness,
    Difference,
    Exceeds,
    Log10,
    RankCorrelation,
    Scatter,
)
from init_study.answers.claims.evidence import Evidence, Measured, runs
from init_study.answers.claims.quantities import (
    Accuracy,
    Earlier,
    Layers,
    Learned,
    Lucky,
    Rises,
)
from init_study.errors import UserError
from init_study.study import Study

CHANCE, SEEDS = 0.1, 4
STUDY = Study(
    name="made up",
    schemes=("good", "bad"),
    learning_rates=(0.01, 0.1),
    seeds=SEEDS,
    depth=(1, 2),
    steps=10,
    evaluations=2,
)
# By scheme and rate, of seeds 0 to 3, at depth 1; at depth 2 half of it.
VALIDATION = {
    ("good", 0.01): [0.5, 0.5, 0.5, 0.5],
    ("good", 0.1): [0.9, 0.8, 0.7, 0.6],
    ("bad", 0.01): [0.3, 0.3, 0.3, 0.3],
    ("bad", 0.1): [0.1, 0.1, 0.1, 0.1],
}
DIVERGED = {("bad", 0.1, 3)}
LOSSES = {0: 2.3, 5: 2.0, 10: 2.5}


def records():
    rows = []
    for program in STUDY.programs():
        for (scheme, rate), values in VALIDATION.items():
            for seed, value in enumerate(values):
                value = value / program.depth
                gone = (scheme, rate, seed) in DIVERGED
                last = [
                    ("test", "accuracy", np.nan if gone else value - 0.05),
                    ("train", "accuracy", value + 0.02),
                    ("train", "diverged_step", 7.0 if gone else np.nan),
                ]
                own = {"program": program.id, "scheme": scheme, "learning_rate": rate}
                own["seed"] = seed
                for step, loss in LOSSES.items():
                    loss = np.nan if gone and step == 10 else loss * (1 + seed)
                    share = {0: 0.0, 5: value / 2, 10: value}[step]
                    at = [
                        ("validation", "loss", loss),
                        ("validation", "accuracy", share),
                        *(last if step == 10 else ()),
                    ]
                    rows += [
                        {**own, "step": step, "split": s, "metric": m, "value": v}
                        for s, m, v in at
                    ]
    return pd.DataFrame(rows)


def layers():
    """Signals 1, 10, 100 and of the head 7, before the first step, times seed + 1."""
    rows = [
        {
            "program": program.id,
            "scheme": scheme,
            "learning_rate": rate,
            "seed": seed,
            "step": step,
            "layer": layer,
            "metric": "signal",
            "value": value * (1 + seed) * (1 + step),
        }
        for program in STUDY.programs()
        for scheme, rate in VALIDATION
        for seed in range(SEEDS)
        for step in (0, 10)
        for layer, value in enumerate((1.0, 10.0, 100.0, 7.0))
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def evidence():
    data = {"chance": CHANCE, "test": 100, "validation": 100}
    manifest = {"data": {"digits": data}}
    measured = Measured(STUDY, manifest, records(), layers())
    return Evidence({"made": measured}, {"check": (1.0, 2.0)})


GOOD, BAD = (runs("made", scheme, depth=1) for scheme in ("good", "bad"))


def test_accuracy_is_that_at_the_rate_which_validation_chooses(evidence):
    np.testing.assert_allclose(
        Accuracy(GOOD).values(evidence), [0.85, 0.75, 0.65, 0.55]
    )
    np.testing.assert_allclose(Accuracy(BAD).values(evidence), 0.25)
    at_low = runs("made", "good", 0.01, depth=2)
    np.testing.assert_allclose(Accuracy(at_low).values(evidence), 0.2)
    np.testing.assert_allclose(Accuracy(at_low, "train").values(evidence), 0.27)


def test_a_run_that_diverged_counts_as_chance_and_has_not_learned(evidence):
    diverging = runs("made", "bad", 0.1, depth=1)
    np.testing.assert_allclose(Accuracy(diverging).values(evidence), [0.05] * 3 + [0.1])
    np.testing.assert_array_equal(Learned(diverging).values(evidence), 0)
    np.testing.assert_array_equal(Learned(GOOD).values(evidence), 1)


def test_the_climb_is_the_sum_of_the_rises(evidence):
    """From 2.3 down to 2.0 and up to 2.5, times seed + 1."""
    np.testing.assert_allclose(Rises(GOOD).values(evidence), [0.5, 1.0, 1.5, 2.0])
    diverging = Rises(runs("made", "bad", 0.1, depth=1))
    assert np.isinf(diverging.values(evidence)[3])


def test_who_is_earlier_and_a_tie_is_a_half(evidence):
    """At 0.35 the good seeds arrive at step 5, 5, 5 (0.35) and 10; the bad never."""
    np.testing.assert_array_equal(Earlier(GOOD, BAD, 0.35).values(evidence), 1)
    np.testing.assert_array_equal(Earlier(BAD, GOOD, 0.35).values(evidence), 0)
    np.testing.assert_array_equal(Earlier(BAD, GOOD, 0.99).values(evidence), 0.5)
    slow = runs("made", "good", 0.01, depth=1)
    found = Earlier(GOOD, slow, 0.34).values(evidence)
    np.testing.assert_array_equal(found, [1, 1, 1, 0.5])


@pytest.mark.parametrize(
    ("take", "head", "first", "expected"),
    [
        ("least", False, True, 1.0),
        ("greatest", False, True, 100.0),
        ("last", False, True, 100.0),
        ("last", True, True, 7.0),
        ("last", False, False, 1100.0),
    ],
)
def test_layers_are_taken_as_asked(evidence, take, head, first, expected):
    found = Layers(GOOD, "signal", take, first, head).values(evidence)
    np.testing.assert_allclose(found, expected * np.array([1, 2, 3, 4]))


def test_ratios_of_layers_and_magnitudes(evidence):
    ratio = Layers(GOOD, "signal", "last over first")
    np.testing.assert_allclose(ratio.values(evidence), 100)
    np.testing.assert_allclose(Log10(ratio).values(evidence), 2)
    np.testing.assert_allclose(Closeness(ratio).values(evidence), -2)
    spread = Layers(GOOD, "signal", "greatest over least")
    np.testing.assert_allclose(spread.values(evidence), 100)


def test_differences_are_paired_and_exceeding_is_counted(evidence):
    found = Difference(Accuracy(GOOD), Accuracy(BAD))
    np.testing.assert_allclose(found.values(evidence), [0.6, 0.5, 0.4, 0.3])
    more = Exceeds(Accuracy(GOOD), Accuracy(BAD), by=0.45)
    np.testing.assert_array_equal(more.values(evidence), [1, 1, 0, 0])


def test_scatter_is_about_the_median_of_all_seeds(evidence):
    """Three seeds are at 0.05, and the one that diverged counts as chance, 0.1."""
    uneven = Accuracy(runs("made", "bad", 0.1, depth=1))
    found = Scatter(uneven).values(evidence)
    np.testing.assert_allclose(found, [0, 0, 0, 0.05], atol=1e-12)


def test_an_average_is_over_quantities_for_each_seed(evidence):
    both = Average("accuracies", (Accuracy(GOOD), Accuracy(BAD)))
    np.testing.assert_allclose(both.values(evidence), [0.55, 0.5, 0.45, 0.4])
    assert both.studies() == {"made"} and both.unit == "%"


def test_luck_is_what_the_best_quarter_keeps(evidence):
    """The best of four on validation data, 0.85 on test data; the mean is 0.7."""
    np.testing.assert_allclose(Lucky(GOOD).values(evidence), [0.15])


def test_rank_correlation_is_over_cells_for_each_seed(evidence):
    cells = (
        GOOD,
        BAD,
        runs("made", "good", depth=2),
        runs("made", "good", 0.01, depth=2),
    )
    seen = tuple(Accuracy(cell, "train") for cell in cells)
    comes_to = tuple(Accuracy(cell) for cell in cells)
    same = RankCorrelation("x", seen, comes_to)
    np.testing.assert_allclose(same.values(evidence), 1)
    opposite = RankCorrelation(
        "x", tuple(map(Closeness, seen)), tuple(map(Closeness, comes_to))
    )
    np.testing.assert_allclose(opposite.values(evidence), 1)


def test_a_check_gives_all_its_cases(evidence):
    np.testing.assert_array_equal(Check("check", "x").values(evidence), [1, 2])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (runs("made", "good"), "2 programs fit"),
        (runs("made", "good", depth=3), "0 programs fit"),
        (runs("made", "missing", depth=1), "no part of the study"),
        (runs("made", "good", 0.5, depth=1), "no part of the study"),
    ],
)
def test_what_the_study_does_not_have_is_said(evidence, wrong, says):
    with pytest.raises(UserError, match=says):
        Accuracy(wrong).values(evidence)


def test_a_metric_that_does_not_exist_is_said():
    with pytest.raises(UserError, match="Did you mean 'signal'"):
        Layers(GOOD, "signl", "last")
    with pytest.raises(UserError, match="Did you mean 'last'"):
        Layers(GOOD, "signal", "lst")


def test_a_metric_that_is_not_recorded_is_said(evidence):
    with pytest.raises(UserError, match="no such numbers"):
        Layers(GOOD, "dead", "last").values(evidence)


def test_every_quantity_says_what_it_is():
    assert Accuracy(GOOD).text == (
        "test accuracy of good (made, depth 1, its best rate)"
    )
    assert "rate 0.1" in Learned(runs("made", "bad", 0.1)).text
    assert Difference(Accuracy(GOOD), Accuracy(BAD)).studies() == {"made"}
