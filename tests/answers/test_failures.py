"""Failures are compared by pairs of runs of one seed."""

import numpy as np
import pytest

from init_study.answers.significance import mcnemar_p


def failed(*places, n=12):
    return np.isin(np.arange(n), places)


def test_p_is_that_of_a_coin_for_the_pairs_that_differ():
    """Six pairs, all in one direction: 2 · (1/2)^6. Pairs that agree say nothing."""
    assert mcnemar_p(failed(*range(6)), failed()) == pytest.approx(2 / 64)
    assert mcnemar_p(failed(*range(8)), failed(6, 7)) == pytest.approx(2 / 64)
    # Four against two: P(4 or more of 6) twice, 2 · (15 + 6 + 1) / 64.
    assert mcnemar_p(failed(0, 1, 2, 3), failed(4, 5)) == pytest.approx(44 / 64)
    assert mcnemar_p(failed(1), failed(1)) == 1.0


def test_it_is_wrong_as_seldom_as_it_says():
    rng = np.random.default_rng(0)
    wrong = [mcnemar_p(*(rng.random((2, 20)) < 0.4)) < 0.05 for _ in range(2000)]
    assert np.mean(wrong) < 0.05
