"""Intervals against textbooks, scipy and their own promise; NaN stays NaN."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from init_study.answers.statistics import (
    half_width,
    stuck_at_chance,
    t_interval,
    wilson_interval,
)

# Student 1908: hours of sleep gained with two drugs, the same ten patients.
SLEEP_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SLEEP_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_students_own_example():
    # R's t.test(paired = TRUE) prints 0.7001142 and 2.4598858.
    interval = t_interval(SLEEP_2 - SLEEP_1)
    np.testing.assert_allclose(interval, (1.58, 0.7001142, 2.4598858, 10), atol=1e-7)


def test_t_interval_is_scipys():
    ours = t_interval(SLEEP_1, 0.9)
    theirs = stats.ttest_1samp(SLEEP_1, 0.0).confidence_interval(0.9)
    np.testing.assert_allclose(ours[1:3], theirs)


def test_t_interval_covers_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(size=(4000, 5))
    intervals = [t_interval(sample) for sample in samples]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    # Four standard errors of a share of 4000.
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 4000)


def test_pairing_removes_what_the_seeds_share():
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=20), 0.01 * rng.normal(size=(2, 20))
    interval = t_interval((shared + 1 + own[0]) - (shared + own[1]))
    assert interval.low < 1 < interval.high and interval.high - interval.low < 0.05


@pytest.mark.wrong_types
@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_values_have_no_interval(n):
    interval = t_interval(np.arange(n))
    assert np.isnan(interval.low) and np.isnan(interval.high) and interval.n == n
    assert np.isnan(interval.mean) if n == 0 else interval.mean == np.arange(n).mean()


def test_what_is_not_a_number_stays_so():
    assert np.isnan(t_interval(np.array([1.0, np.nan, 2.0]))[:3]).all()
    stuck = stuck_at_chance(np.array([0.9, np.nan, 0.1]), 100, 0.1)
    np.testing.assert_array_equal(stuck, [0, np.nan, 1])


def test_half_width_takes_arrays():
    widths = half_width(np.array([1.0, 2.0, 3.0]), np.array([5, 5, 2]))
    assert widths[1] == 2 * widths[0] and np.isnan(widths[2])


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_is_its_formula(k_and_n):
    k, n = k_and_n
    z, rate = stats.norm.ppf(0.975), k / n
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    share = wilson_interval(k, n)
    np.testing.assert_allclose(share, (k, n, centre - half, centre + half), atol=1e-12)


def test_a_share_of_nothing_has_no_interval():
    assert np.isnan(wilson_interval(0, 0)[2:]).all()


@pytest.mark.parametrize("num_test, chance", [(360, 0.1), (50, 0.5), (10_000, 0.01)])
def test_guessing_is_called_stuck_99_times_in_100(num_test, chance):
    """Summed over every count of right answers that guessing can give."""
    counts = np.arange(num_test + 1)
    stuck = stuck_at_chance(counts / num_test, num_test, chance) == 1
    assert 0.99 <= stats.binom.pmf(counts, num_test, chance)[stuck].sum() < 0.998
    # Whoever has more right answers is never called stuck for it.
    assert (np.diff(stuck.astype(int)) <= 0).all()
