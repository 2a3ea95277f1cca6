"""Verdicts: what is said is what the seeds show, and no more."""

import math

import numpy as np
import pytest
from scipy import stats

from init_study.answers.statistics import (
    exact_interval,
    expected_best,
    holm,
    sign_flip_p,
)
from init_study.answers.verdicts.decision import (
    Kind,
    decide,
    default_margin,
    greater_p,
    seeds_needed,
)
from init_study.errors import UserError


def seeds(mean, spread=0.01, n=10, seed=0):
    return mean + spread * np.random.default_rng(seed).standard_normal(n)


def kinds(decision):
    return {c.scheme: c.kind for c in decision.contrasts}


def test_a_clear_winner_is_the_best():
    values = {"a": seeds(0.9), "b": seeds(0.8, seed=1), "c": seeds(0.7, seed=2)}
    decision = decide(values, "a", margin=0.005)
    assert decision.kind is Kind.BEST and decision.best_set == ("a",)
    assert kinds(decision) == {"b": Kind.WORSE, "c": Kind.WORSE}
    assert decision.more is None
    effect = decision.contrasts[0].effect
    assert effect.low < -0.1 + 0.01 and effect.high < 0


def test_equality_is_shown_within_a_margin_and_never_by_a_large_p():
    rng = np.random.default_rng(0)
    common = rng.standard_normal(20) * 0.02
    near = {n: 0.9 + common + 0.001 * rng.standard_normal(20) for n in "ab"}
    decision = decide(near, "a", margin=0.005)
    assert decision.kind is Kind.EQUIVALENT
    assert decision.contrasts[0].correlation > 0.9
    far = {n: 0.9 + 0.05 * rng.standard_normal(6) for n in "ab"}
    decision = decide(far, "a", margin=0.005)
    assert decision.kind is Kind.UNDECIDED and set(decision.best_set) == {"a", "b"}
    (contrast,) = decision.contrasts
    assert contrast.kind is Kind.UNDECIDED
    wanted = seeds_needed(far["b"], far["a"], 0.005, 0.05)
    assert contrast.more == decision.more == wanted - 6 > 100


def test_some_are_out_and_some_are_not():
    values = {
        "a": seeds(0.90, 0.02),
        "b": seeds(0.895, 0.02, seed=1),
        "c": seeds(0.7, 0.02, seed=2),
    }
    decision = decide(values, "a", margin=0.001)
    assert decision.kind is Kind.SET and decision.best_set == ("a", "b")


def test_a_candidate_that_is_beaten_is_not_among_the_best():
    values = {"a": seeds(0.8), "b": seeds(0.9, seed=1)}
    decision = decide(values, "a", margin=0.005)
    assert kinds(decision) == {"b": Kind.BETTER} and decision.best_set == ("b",)
    assert decision.kind is Kind.SET


def test_a_difference_that_is_seen_and_does_not_matter_is_none():
    common = seeds(0.9, 0.02)
    values = {"a": common, "b": common - seeds(0.002, 0.0002, seed=1)}
    (contrast,) = decide(values, "a", margin=0.005).contrasts
    assert contrast.p < 0.001 and contrast.kind is Kind.EQUIVALENT


@pytest.mark.parametrize("seed", range(20))
def test_a_headline_and_its_contrasts_agree(seed):
    """Whatever comes out, the best scheme has no rival that is not worse."""
    rng = np.random.default_rng(seed)
    means = {"a": 0.9, "b": 0.87, "c": 0.86}
    values = {name: rng.normal(mean, 0.02, 6) for name, mean in means.items()}
    decision = decide(values, "a", margin=0.001)
    worse = [c.kind is Kind.WORSE for c in decision.contrasts]
    assert (decision.kind is Kind.BEST) == all(worse)
    assert (decision.best_set == ("a",)) == all(worse)
    assert (decision.more is None) == all(worse)


def test_the_same_runs_are_equivalent():
    """Two names of one law give the same bits."""
    values = {"a": seeds(0.9), "b": seeds(0.9)}
    assert decide(values, "a", margin=0.005).kind is Kind.EQUIVALENT
    assert greater_p(values["a"], values["b"]) == 1.0
    assert greater_p(values["a"] + 1, values["b"]) == 0.5**10


def test_three_or_four_seeds_give_intervals_and_no_verdict():
    values = {"a": seeds(0.9, n=4), "b": seeds(0.1, n=4, seed=1)}
    decision = decide(values, "a", margin=0.005)
    assert decision.kind is Kind.UNDECIDED
    assert kinds(decision) == {"b": Kind.UNDECIDED}
    assert decision.contrasts[0].effect.high < 0


def test_a_dropped_scheme_is_compared_on_the_seeds_that_it_has():
    values = {"a": seeds(0.9, n=20), "b": seeds(0.8, n=5, seed=1)}
    decision = decide(values, "a", margin=0.005)
    assert decision.n == 20 and decision.contrasts[0].effect.n == 5


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("values", "candidate", "margin", "words"),
    [
        ({"a": [1, 2, 3]}, "a", 0.1, "a alone"),
        ({"a": [1, 2], "b": [1, 2]}, "a", 0.1, "a has 2 seeds"),
        ({"a": [1, 2, 3], "b": [1, math.nan, 3]}, "a", 0.1, "not finite"),
        ({"a": [1, 2, 3], "b": [1, 2, 3]}, "c", 0.1, "is none of a, b"),
        ({"a": [1, 2, 3], "b": [1, 2, 3]}, "a", 0, "margin=0 is not a finite number"),
        ({"a": [1, 2, 3], "b": [1, 2, 3]}, "a", math.nan, "margin=nan"),
    ],
)
def test_what_cannot_be_decided_is_one_line(values, candidate, margin, words):
    with pytest.raises(UserError, match=words):
        decide(values, candidate, margin)


def test_greater_p_is_scipys():
    a, b = seeds(0.5, 1.0), seeds(0.0, 1.0, seed=1)
    expected = stats.ttest_rel(a, b, alternative="greater").pvalue
    assert greater_p(a, b) == pytest.approx(expected, rel=1e-12)


def test_sign_flips_are_counted():
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == 2 / 8
    assert sign_flip_p(np.array([1.0, -1.0, 0.0])) == 1.0
    # Their sum is zero but for rounding, so every flip is as far from it.
    assert sign_flip_p(np.array([0.1, 0.2, -0.3])) == 1.0
    scipys = stats.permutation_test(
        (seeds(0.3, 1.0, 9),), np.mean, permutation_type="samples", n_resamples=10**6
    ).pvalue
    assert sign_flip_p(seeds(0.3, 1.0, 9)) == pytest.approx(scipys, abs=0.02)
    many = seeds(0.3, 1.0, 40)
    assert sign_flip_p(many) == sign_flip_p(many)
    t_test = stats.ttest_1samp(many, 0).pvalue
    assert sign_flip_p(many) == pytest.approx(t_test, abs=0.02)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.9, 0.8]) == (1.0, 1.0)


def test_exact_interval_is_scipys():
    for k, n in ((0, 5), (3, 10), (5, 5)):
        found = exact_interval(k, n)
        expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
        assert found[2:] == pytest.approx((expected.low, expected.high))
    assert 0 < exact_interval(2.5, 5).low < 0.5 < exact_interval(2.5, 5).high < 1


def test_expected_best_has_no_bias():
    """E[max of 5 normals] = 1.163, whatever the number of draws it is taken from."""
    rng = np.random.default_rng(0)
    found = np.mean([expected_best(rng.standard_normal(8)) for _ in range(4000)], 0)
    assert found[0] == pytest.approx(0, abs=0.02)
    assert found[4] == pytest.approx(1.16296, abs=0.02)
    assert expected_best(np.array([3.0, 1.0])).tolist() == [2.0, 3.0]


def test_the_margin_is_never_below_half_a_point_or_half_a_test_error():
    assert default_margin(0.9, 10**6) == 0.005
    assert default_margin(0.5, 400) == pytest.approx(0.0125)
