"""Verdicts: what is said is what the seeds show, and no more."""

import math

import numpy as np
import pytest
from scipy import stats

from init_study.answers.significance import hochberg, holm, sign_flip_p
from init_study.answers.statistics import exact_interval, expected_best
from init_study.answers.verdicts import decision as verdicts
from init_study.answers.verdicts.contrasts import Kind
from init_study.answers.verdicts.decision import default_margin
from init_study.answers.verdicts.learning import mean_p
from init_study.answers.verdicts.more_seeds import seeds_needed
from init_study.answers.verdicts.paired_runs import (
    Terms,
    greater_p,
    lower_mean_p,
    majority_p,
    pair_up,
)
from init_study.answers.verdicts.sentences import decision_sentence
from init_study.errors import UserError


def decide(*values, chance=0.0, num_test=1000, **terms):
    return verdicts.decide(*values, chance=chance, num_test=num_test, **terms)


def seeds(mean, spread=0.01, n=10, seed=0):
    return mean + spread * np.random.default_rng(seed).standard_normal(n)


def kinds(decision):
    return {c.scheme: c.kind for c in decision.contrasts}


def test_a_clear_winner_is_the_best_where_it_learns():
    values = {"a": seeds(0.9), "b": seeds(0.8, seed=1), "c": seeds(0.7, seed=2)}
    decision = decide(values, "a", margin=0.005)
    assert decision.kind is Kind.TYPICALLY_BEST and decision.best_set == ("a",)
    assert kinds(decision) == dict.fromkeys("bc", Kind.TYPICALLY_WORSE)
    assert decision.more is None
    effect = decision.contrasts[0].effect
    assert effect.low < -0.1 + 0.01 and effect.high < 0


def test_the_best_over_all_runs_takes_the_seeds_that_exclude_failures():
    """b is 30 points behind 0.9: a failure in a third of a's runs would make them
    equal, and none in ten is then (2/3)^10 = 0.017; 1/3 - 0.05^(1/5) is below 0."""
    far = {"a": seeds(0.9, n=30), "b": seeds(0.6, seed=1, n=30)}
    assert decide(far, "a", margin=0.005).kind is Kind.BEST
    few = {name: runs[:5] for name, runs in far.items()}
    assert decide(few, "a", margin=0.005).kind is Kind.TYPICALLY_BEST
    dead = {"a": seeds(0.9, n=5), "b": np.full(5, 0.1)}
    assert decide(dead, "a", margin=0.005, chance=0.1).kind is Kind.BEST


def test_equality_is_shown_within_a_margin_and_never_by_a_large_p():
    rng = np.random.default_rng(0)
    common = rng.standard_normal(20) * 0.02
    near = {n: 0.9 + common + 0.001 * rng.standard_normal(20) for n in "ab"}
    decision = decide(near, "a", margin=0.005)
    assert decision.kind is Kind.TYPICALLY_EQUAL
    assert decision.contrasts[0].correlation > 0.9
    far = {n: 0.9 + 0.03 * rng.standard_normal(6).clip(-2, 2) for n in "ab"}
    decision = decide(far, "a", margin=0.005)
    assert decision.kind is Kind.UNDECIDED and set(decision.best_set) == {"a", "b"}
    (contrast,) = decision.contrasts
    assert contrast.kind is Kind.UNDECIDED and contrast.more is not None
    assert contrast.more.equality > 100 and decision.more == contrast.more


def test_equality_over_all_runs_takes_hundreds_of_seeds():
    """A failure in 1.1 % of the runs costs a point of 0.9; none in 300 excludes it."""
    rng = np.random.default_rng(0)
    near = {n: 0.9 + 0.002 * rng.standard_normal(600) for n in "ab"}
    assert decide(near, "a", margin=0.01).kind is Kind.EQUIVALENT
    few = {n: runs[:100] for n, runs in near.items()}
    assert decide(few, "a", margin=0.01).kind is Kind.TYPICALLY_EQUAL


def test_equal_runs_of_five_seeds_say_little_of_failures():
    values = {
        "a": np.array([0.90, 0.901, 0.899, 0.9, 0.902]),
        "b": np.array([0.901, 0.9, 0.9, 0.899, 0.901]),
    }
    decision = decide(values, "a", 0.01, 0.05 / 3)
    assert decision.kind is Kind.TYPICALLY_EQUAL
    # A rate r leaves five of five with (1 - r)^5 = 0.05.
    assert decision.failed.high == pytest.approx(1 - 0.05**0.2)
    said = decision_sentence("cnn", decision)
    assert "where they learn" in said and "up to 45 % is not excluded" in said


def test_a_rival_that_fails_now_and_then_is_not_equal_over_all_runs():
    rng = np.random.default_rng(1)
    a = 0.9 + 0.002 * rng.standard_normal(20)
    b = np.where(np.arange(20) < 3, 0.1, a + 0.001)
    (contrast,) = decide({"a": a, "b": b}, "a", 0.01, chance=0.1).contrasts
    assert contrast.kind is Kind.TYPICALLY_EQUAL
    assert contrast.learning.scheme.k == 3 and contrast.effect.n == 17
    assert contrast.learning.p == 2 * 0.5**3


def test_a_plateau_far_below_is_a_failure_and_not_a_poor_success():
    a, b = seeds(0.9), seeds(0.9, seed=1)
    b[:4] = 0.3
    (contrast,) = decide({"a": a, "b": b}, "a", 0.01, chance=0.1).contrasts
    assert contrast.learning.scheme.k == 4 and contrast.effect.n == 6
    # Halfway from 0.1 to 0.9 lies 0.5; what is above it counts in the mean.
    b[:4] = 0.55
    (contrast,) = decide({"a": a, "b": b}, "a", 0.01, chance=0.1).contrasts
    assert contrast.learning.scheme.k == 0 and contrast.effect.n == 10


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
    assert kinds(decision) == {"b": Kind.TYPICALLY_BETTER}
    assert decision.best_set == ("b",) and decision.kind is Kind.SET


def test_a_difference_that_is_seen_and_does_not_matter_is_none():
    common = seeds(0.9, 0.02)
    values = {"a": common, "b": common - seeds(0.002, 0.0002, seed=1)}
    (contrast,) = decide(values, "a", margin=0.005, num_test=10_000).contrasts
    assert contrast.p < 0.001 and contrast.kind is Kind.TYPICALLY_EQUAL


@pytest.mark.parametrize("seed", range(20))
def test_a_headline_and_its_contrasts_agree(seed):
    """Whatever comes out, the best scheme has no rival that is not worse."""
    rng = np.random.default_rng(seed)
    means = {"a": 0.9, "b": 0.87, "c": 0.86}
    values = {name: rng.normal(mean, 0.02, 6) for name, mean in means.items()}
    decision = decide(values, "a", margin=0.001)
    worse = [c.kind in (Kind.WORSE, Kind.TYPICALLY_WORSE) for c in decision.contrasts]
    assert (decision.kind in (Kind.BEST, Kind.TYPICALLY_BEST)) == all(worse)
    assert (decision.best_set == ("a",)) == all(worse)
    assert (decision.more is None) == all(worse)


def test_spread_is_never_below_one_test_image():
    """Runs that do not vary at all have a law too: of one image more or less."""
    same = {"a": np.full(5, 0.9), "b": np.full(5, 0.9)}
    decision = decide(same, "a", margin=0.01, num_test=419)
    (b,) = decision.contrasts
    assert decision.kind is Kind.TYPICALLY_EQUAL and b.twin
    t = 0.01 * 419 * math.sqrt(5)
    assert b.p_equivalent == pytest.approx(stats.t.sf(t, 4))
    assert decision.idle == ("a", "b")
    assert "seeds change nothing in a and b" in decision_sentence("cnn", decision)
    one_image = {**same, "b": np.array([0.9, 0.9, 0.9, 0.9, 0.9 + 1 / 419])}
    (b,) = decide(one_image, "a", margin=0.01, num_test=419).contrasts
    assert b.kind is Kind.TYPICALLY_EQUAL and b.p_equivalent > 1e-5
    apart = {**same, "b": np.full(5, 0.5)}
    decision = decide(apart, "a", margin=0.01, num_test=419)
    assert decision.kind is Kind.TYPICALLY_BEST and decision.more is None


def test_more_seeds_are_said_for_the_difference_and_for_equality():
    """Five points apart with a spread of five: by the normal approximation
    (2.39 + 0.84)^2 = 10.5 pairs, and 2.39^2 / 2 more for t, at a level of 0.05 / 3;
    equality within half a point takes (2.13 + 1.28)^2 · 10^2 = 1163 and 2.3."""
    assert seeds_needed(0.05, 0.05, (0.2, 0.05 / 3 / 2)) == 14
    assert seeds_needed(0.05, 0.005, (0.1, 0.05 / 3)) == pytest.approx(1165, abs=2)
    assert seeds_needed(0.05, 0.0, (0.2, 0.05)) is None
    d = np.array([-1.0, -1.0, 1.0, 1.0, 0.0]) / math.sqrt(1.0)
    d = 0.05 + 0.05 * d / d.std(ddof=1)
    b = np.full(5, 0.8)
    (contrast,) = decide({"a": b + d, "b": b}, "a", 0.005, 0.05 / 3).contrasts
    assert contrast.more == (14 - 5, seeds_needed(0.05, 0.005, (0.1, 0.05 / 3)) - 5)


def test_no_failures_of_few_runs_hide_a_mean_that_is_no_better():
    """Of n runs none failed: at a rate f that has the chance (1 - f)^n."""
    assert mean_p((0, 5), 5, (0.8, 0.8)) == pytest.approx(0.5**10, rel=0.01)
    equal_at = 0.1 / 0.8
    expected = (1 - equal_at) ** 20
    assert mean_p((0, 0), 20, (0.8, 0.7)) == pytest.approx(expected)
    # With thousands of runs the worst case is a rate of about one in a thousand.
    rates = np.linspace(0, 0.02, 20_001)
    exact = stats.binom.pmf(0, 1000, rates) * stats.binom.sf(1, 1000, rates)
    assert mean_p((0, 2), 1000, (0.8, 0.8)) == pytest.approx(exact.max(), rel=0.01)
    # Failed runs on a plateau are as good as they are: half of 0.8 is 0.4.
    halves = stats.binom.cdf(5, 10, 0.5)
    found = mean_p((5, 10), 10, (0.8, 0.8), failed_level=0.4)
    assert found == pytest.approx(halves, rel=0.01)
    # With a margin of those ten points any rate above 0 would do.
    assert mean_p((0, 0), 20, (0.8, 0.7), margin=-0.1) == pytest.approx(1.0)
    assert mean_p((0, 0), 20, (0.8, 0.7), margin=0.8) == 0.0


def test_three_or_four_seeds_give_intervals_and_no_verdict():
    values = {"a": seeds(0.9, n=4), "b": seeds(0.1, n=4, seed=1)}
    decision = decide(values, "a", margin=0.005)
    assert decision.kind is Kind.UNDECIDED
    assert kinds(decision) == {"b": Kind.UNDECIDED}
    assert decision.failed.n == 4


A = [0.1, 0.2, 0.3]


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("values", "candidate", "margin", "words"),
    [
        ({"a": [0.1, 0.2, 0.3]}, "a", 0.1, "a alone"),
        ({"a": [0.1, 0.2], "b": [0.1, 0.2]}, "a", 0.1, "a has 2 seeds"),
        ({"a": A, "b": [0.1, math.nan, 0.3]}, "a", 0.1, "not finite"),
        ({"a": A, "b": A}, "c", 0.1, "is none of a, b"),
        ({"a": A, "b": A}, "a", 0, "margin=0 is not a finite number"),
        ({"a": A, "b": A}, "a", math.nan, "margin=nan"),
        ({"a": [90, 91, 90], "b": [90, 89, 90]}, "a", 0.1, "has the value 90.*by 100"),
        ({"a": A, "b": [-0.1, 0.2, 0.3]}, "a", 0.1, "has the value -0.1"),
        ({"a": A, "b": [*A, 0.5]}, "a", 0.1, "b has 4 seeds, a 3; runs go in pairs"),
        ({"a": A, "b": A}, "a", 0.3, "of 30 points is not below the 20.0 by which"),
    ],
)
def test_what_cannot_be_decided_is_one_line(values, candidate, margin, words):
    with pytest.raises(UserError, match=words):
        decide(values, candidate, margin)


def test_greater_p_is_scipys():
    a, b = seeds(0.5, 1.0), seeds(0.0, 1.0, seed=1)
    expected = stats.ttest_rel(a, b, alternative="greater").pvalue
    assert greater_p(a - b, 1e-9) == pytest.approx(expected, rel=1e-12)
    assert greater_p(np.ones(4), 1e-9) == 1.0
    assert majority_p(np.ones(5)) == 0.5**5
    assert majority_p(np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx(5 / 16)


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


def test_hochberg_by_hand():
    """All are small enough together, or the smallest is so for all."""
    assert hochberg([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.04, 0.04))
    assert hochberg([0.9, 0.01]) == pytest.approx((0.9, 0.02))


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


def test_runs_on_a_plateau_count_as_what_they_are():
    """Half of a's runs are at 90 %, half at 10; all of c's at 50: the means are equal.

    Beside b, which is always at 93 %, 50 % is a plateau and every run of c failed.
    """
    halves = np.tile([0.9, 0.1], 10)
    values = {"b": np.full(20, 0.93), "a": halves, "c": np.full(20, 0.5)}
    terms = Terms(margin=0.01, alpha=0.05, chance=0.1, num_test=1000)
    (pair,) = pair_up(values, [("c", "a")], terms)
    assert not pair.learned.any() and pair.learned.size == 20
    assert lower_mean_p(pair, terms, 0.0) > 0.4
    # At chance they would be worse: then none of ten that learned is an accident.
    (pair,) = pair_up({**values, "c": np.full(20, 0.1)}, [("c", "a")], terms)
    assert lower_mean_p(pair, terms, 0.0) < 1e-3
