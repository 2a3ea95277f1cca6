"""Failures are compared by pairs of runs of one seed."""

from itertools import pairwise

import numpy as np
import pytest
from init_study.answers.views.failures import failing_more

from init_study.answers.comparison import Comparison
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


class Row:
    def __init__(self, scheme, failures, n):
        self.scheme = scheme
        self.runs = tuple([0.1] * failures + [0.9] * (n - failures))


def comparison(failures, n=10):
    rows = tuple(Row(scheme, k, n) for scheme, k in failures.items())
    fields = {name: None for name in Comparison._fields}
    known = {"rows": rows, "first": rows[0].scheme, "num_test": 400, "chance": 0.1}
    return Comparison(**fields | known)


def test_those_that_fail_more_are_named():
    assert failing_more(comparison({"a": 0, "b": 10, "c": 2, "d": 9})) == ("b", "d")
    assert failing_more(comparison({"a": 0, "b": 5}, n=5)) == (), "2 · (1/2)^5 > 5 %"
    assert failing_more(comparison({"a": 0, "b": 6}, n=6)) == ("b",)
    # Three rivals with 2 / 64 each: Holm takes three times that.
    assert failing_more(comparison({"a": 0, "b": 6, "c": 6, "d": 6}, n=6)) == ()
    assert failing_more(comparison({"a": 0})) == ()


def test_more_failures_never_take_a_scheme_off_the_list():
    named = [bool(failing_more(comparison({"a": 1, "b": k}))) for k in range(11)]
    assert all(later >= sooner for sooner, later in pairwise(named))
