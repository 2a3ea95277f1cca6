"""The ratio of two effects: its mean, its interval, and when it has none."""

import numpy as np
import pytest
from scipy import stats

from init_study.answers.claims.combinations import Check
from init_study.answers.claims.evidence import Evidence
from init_study.answers.claims.ratios import Ratio
from init_study.answers.statistics import t_interval


def ratio_of(a, b):
    """The numbers of each seed."""
    evidence = Evidence({}, {"a": tuple(a), "b": tuple(b)})
    return Ratio(Check("a", "the part"), Check("b", "the whole")).values(evidence)


def fieller(a, b, confidence=0.95):
    """The r at which a − r b has an interval that ends at zero: roots of a parabola."""
    quantile = stats.t.ppf((1 + confidence) / 2, len(a) - 1) ** 2 / len(a)
    (aa, ab), (_, bb) = np.cov(a, b) * quantile
    square = b.mean() ** 2 - bb
    middle = a.mean() * b.mean() - ab
    roots = np.roots([square, -2 * middle, a.mean() ** 2 - aa])
    return sorted(roots.real)


def pairs(seed, n, slope=0.2, spread=0.3):
    """Pairs whose parts go with the wholes, around 5: their ratio is the slope."""
    generator = np.random.default_rng(seed)
    b = 5 + spread * generator.standard_normal(n)
    return slope * b + 0.1 * spread * generator.standard_normal(n), b


def test_the_mean_is_the_ratio_of_the_means():
    a, b = pairs(0, 8)
    assert ratio_of(a, b).mean() == pytest.approx(a.mean() / b.mean(), rel=1e-12)


def test_one_ratio_in_all_seeds_has_no_spread():
    a, b = np.array([0.2, 0.4, 0.6]), np.array([1.0, 2.0, 3.0]) + 100
    np.testing.assert_allclose(ratio_of(0.1 * b, b), 0.1, rtol=1e-12)
    assert np.ptp(ratio_of(a, b)) > 0


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_fiellers_where_the_whole_is_far_from_zero(seed):
    """Up to √g of its width, which is 2.3 · 0.3 / √10 / 5: four per cent."""
    a, b = pairs(seed, 10)
    found = t_interval(ratio_of(a, b))
    low, high = fieller(a, b)
    assert (found.low, found.high) == pytest.approx(
        (low, high), abs=0.05 * (high - low)
    )


def test_the_interval_holds_the_ratio_as_often_as_it_says():
    """In 95 % of 2,000 samples, within four standard errors."""
    held = 0
    for seed in range(2000):
        a, b = pairs(seed, 10, slope=0.3, spread=1.0)
        found = t_interval(ratio_of(a, b))
        held += found.low < 0.3 < found.high
    assert abs(held / 2000 - 0.95) < 4 * (0.95 * 0.05 / 2000) ** 0.5


def test_a_whole_that_may_be_zero_has_no_ratio():
    assert np.isnan(ratio_of([1.0, 1.0, 1.0], [1.0, -1.0, 2.0])).all()
    assert np.isnan(ratio_of([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])).all()
    assert np.isnan(ratio_of([1.0, 1.0], [1.0, 2.0])).all()


def test_it_says_what_it_is_of():
    ratio = Ratio(Check("a", "the part"), Check("b", "the whole"))
    assert ratio.text == "ratio of (the part) to (the whole)"
    assert ratio.studies() == frozenset()
