"""Steps to a target: medians over seeds, with those that never get there."""

import numpy as np
import pytest
from test_comparison import CHANCE, make_study, records_of

from init_study.answers import compare_runs
from init_study.answers.views.target import default_target, steps_to_target


def of(tmp_path, accuracy, **changes):
    study = make_study(learning_rates=(0.1,), steps=10, evaluations=5, **changes)
    records, manifest = records_of(tmp_path, study, accuracy)
    (comparison,) = compare_runs(records, manifest)
    return records, comparison


def test_the_first_evaluated_step_counts(tmp_path):
    """Accuracy rises evenly from 0.1: to 0.9 it is 0.5 at the middle."""
    top = {"good": 0.9, "bad": 0.6}
    records, comparison = of(tmp_path, lambda m: top[m.scheme])
    good, bad = steps_to_target(records, comparison, 0.41)
    assert (good.scheme, good.steps, good.reached, good.seeds) == ("good", 4, 5, 5)
    assert (bad.scheme, bad.steps) == ("bad", 8)
    assert steps_to_target(records, comparison, 0.05)[0].steps == 0


def test_seeds_that_never_get_there_are_infinitely_late(tmp_path):
    def accuracy(member):
        late = member.scheme == "bad" and member.seed < 3
        return 0.3 if late else 0.9

    records, comparison = of(tmp_path, accuracy)
    good, bad = steps_to_target(records, comparison, 0.5)
    assert good.steps == 6 and (bad.steps, bad.reached) == (np.inf, 2)


def test_the_target_lies_on_the_way_to_the_best(tmp_path):
    records, comparison = of(tmp_path, lambda m: 0.9 if m.scheme == "good" else 0.5)
    wanted = CHANCE + 0.9 * (0.9 - CHANCE)
    assert default_target(records, comparison) == pytest.approx(wanted, abs=1e-6)


def test_a_run_that_is_not_finite_does_not_get_there(tmp_path):
    def accuracy(member):
        return np.nan if member.scheme == "bad" and member.seed == 0 else 0.9

    records, comparison = of(tmp_path, accuracy, seeds=3)
    by_name = {t.scheme: t for t in steps_to_target(records, comparison, 0.5)}
    assert by_name["bad"].reached == 2 and by_name["bad"].seeds == 3
