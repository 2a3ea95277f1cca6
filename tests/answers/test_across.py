"""Schemes over several programs: means, ranks, and a test where it may be made."""

import numpy as np
import pytest
from scipy import stats
from test_comparison import make_study, records_of

from init_study.answers import compare_runs
from init_study.answers.views.across import across
from init_study.errors import UserError

SCHEMES = ("good", "fair", "bad")


def comparisons_of(tmp_path, programs, accuracy, **changes):
    depth = tuple(range(1, programs + 1))
    study = make_study(
        schemes=SCHEMES, learning_rates=(0.1,), depth=depth, seeds=5, **changes
    )
    return compare_runs(*records_of(tmp_path, study, accuracy))


def accuracy(member):
    top = {"good": 0.9, "fair": 0.8, "bad": 0.7}[member.scheme]
    return top + 0.01 * np.sin(5 * member.seed)


def test_interquartile_means_and_ranks(tmp_path):
    found = across(comparisons_of(tmp_path, 5, accuracy))
    assert found.schemes == SCHEMES and found.ranks == (1.0, 2.0, 3.0)
    runs = np.float32(0.9 + 0.01 * np.sin(5 * np.arange(5)))
    middle = np.sort(np.tile(runs, 5))[6:-6]
    assert found.iqm[0].mean == pytest.approx(middle.mean(), abs=1e-6)
    assert found.iqm[0].low < found.iqm[0].mean < found.iqm[0].high
    assert (found.programs, found.seeds) == (5, 5)


def test_seeds_are_resampled_as_blocks(tmp_path):
    """All programs share the spread between seeds, so more of them do not narrow it."""
    comparisons = comparisons_of(tmp_path, 8, accuracy)
    few, many = (across(comparisons[:n]).iqm[0] for n in (2, 8))
    assert many.high - many.low > 0.7 * (few.high - few.low)


def test_friedman_in_iman_and_davenports_form(tmp_path):
    """Against the formulas of Demsar's paper, worked out by hand for these ranks."""
    comparisons = list(comparisons_of(tmp_path, 6, accuracy))
    # In two programs the first two change places.
    for i in (1, 4):
        swapped = {"good": "fair", "fair": "good"}
        rows = tuple(
            r._replace(scheme=swapped.get(r.scheme, r.scheme))
            for r in comparisons[i].rows
        )
        comparisons[i] = comparisons[i]._replace(rows=rows)
    found = across(comparisons)
    ranks = dict(zip(found.schemes, found.ranks, strict=True))
    assert ranks == pytest.approx({"good": 8 / 6, "fair": 10 / 6, "bad": 3.0})
    squares = sum(r**2 for r in ranks.values())
    chi2 = 12 * 6 / (3 * 4) * (squares - 3 * 16 / 4)
    f = 5 * chi2 / (6 * 2 - chi2)
    assert found.p == pytest.approx(stats.f.sf(f, 2, 10))
    # q for three schemes at 5 % is 2.343 in the paper's table 5.
    assert found.critical_difference == pytest.approx(
        2.343 * (12 / 36) ** 0.5, rel=1e-3
    )


def test_fewer_than_five_programs_make_no_test(tmp_path):
    found = across(comparisons_of(tmp_path, 4, accuracy))
    assert found.p is None and found.critical_difference is None


def test_schemes_that_are_alike(tmp_path):
    found = across(comparisons_of(tmp_path, 5, lambda member: 0.5))
    assert found.ranks == (2.0, 2.0, 2.0) and found.p == 1.0


def test_what_cannot_be_compared_across(tmp_path):
    (one, *_) = comparisons = comparisons_of(tmp_path, 2, accuracy)
    with pytest.raises(UserError, match="one program"):
        across([one])
    with pytest.raises(UserError, match="depth=1 is not finished"):
        across([comparisons[0]._replace(rows=()), comparisons[1]])
