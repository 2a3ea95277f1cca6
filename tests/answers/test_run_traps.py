"""Traps are found where they were set, and nowhere else."""

import numpy as np
import pandas as pd
import pytest

from init_study import store
from init_study.answers import compare_runs
from init_study.answers.views.traps import find_traps
from init_study.control import Control
from init_study.plan import make_plan
from init_study.run import run
from init_study.study import Study

STUDY = Study(
    schemes=(
        "he_normal",
        "zeros",
        "constant(0.05)",
        "normal(0.001)",
        "normal(3.0)",
        "zero_head",
        "normal(1e15)",
    ),
    learning_rates=0.001,
    seeds=3,
    depth=4,
    width=8,
    pooling="none",
    padding="circular",
    batch_size=8,
    steps=2,
    evaluations=1,
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """By scheme, what is found in real nets."""
    folder = tmp_path_factory.mktemp("traps") / "run"
    run(make_plan(STUDY), folder, "command", Control())
    manifest = store.read_manifest(folder)
    (comparison,) = compare_runs(store.load(folder), manifest)
    traps = find_traps(comparison, store.load_layers(folder))
    return {s: [t.finding for t in traps if t.scheme == s] for s in STUDY.schemes}


def says(findings, words):
    return any(words in finding for finding in findings)


def test_a_sound_start_has_no_finding(found):
    assert found["he_normal"] == []


def test_zeros_are_copies_without_a_gradient_and_dead(found):
    for words in ("copies", "no gradient", "dead"):
        assert says(found["zeros"], words), words


def test_a_constant_is_copies_that_have_a_gradient(found):
    assert says(found["constant(0.05)"], "copies")
    assert not says(found["constant(0.05)"], "no gradient")


def test_small_weights_vanish_and_large_ones_explode(found):
    assert says(found["normal(0.001)"], "signal vanishes")
    assert says(found["normal(0.001)"], "gradient vanishes")
    assert says(found["normal(3.0)"], "signal explodes")
    assert says(found["normal(3.0)"], "gradient explodes")
    assert not says(found["normal(3.0)"], "copies")


def test_what_starts_at_zero_and_moves_is_no_trap(found):
    """With a head of zeros no gradient gets through it until it has moved itself."""
    assert says(found["zero_head"], "no gradient at first, and move later")
    assert not says(found["zero_head"], "do not move")
    assert says(found["zeros"], "no gradient and do not move")


def test_a_signal_that_overflows_is_named(found):
    """Each layer multiplies by about 1e16, and float32 ends at 3e38."""
    assert says(found["normal(1e15)"], "not finite from hidden layer")
    assert not says(found["normal(3.0)"], "not finite")


def made_up(ends=None, **changes):
    """One scheme, two hidden layers and a head, one metric of it changed.

    `ends` are the same after the last step, where anything was measured then.
    """
    study = Study(schemes=("a",), learning_rates=0.1, seeds=3)
    sound = {"signal": 1.0, "gradient": 1.0, "weight_gradient": 1.0, "spread": 0.5}
    sound |= {"distinct": 1.0, "dead": 0.0}
    rows = []
    for metric, value in sound.items():
        values = changes.get(metric, (value, value))
        for seed in range(3):
            for layer, number in enumerate((*values, value)):
                own = {"program": "p", "scheme": "a", "learning_rate": 0.1, "step": 0}
                own |= {"seed": seed, "layer": layer, "metric": metric}
                rows.append(own | {"value": number})
                if ends is not None:
                    after = (*ends.get(metric, (value, value)), value)[layer]
                    rows.append(own | {"value": after, "step": 9})
    assert study.schemes == ("a",)
    return pd.DataFrame(rows)


class Row:
    class best:
        learning_rate = 0.1

    scheme = "a"


class Alone:
    program, rows, steps = "p", (Row,), 9


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("changes", "finding", "evidence"),
    [
        ({}, None, ""),
        ({"distinct": (1.0, 0.5)}, "copies", "50.0 %"),
        ({"signal": (1.0, 1e-3), "spread": (0.5, 5e-4)}, "signal vanishes", "10^−3.0"),
        ({"signal": (1.0, 0.02), "spread": (0.5, 0.01)}, None, ""),
        ({"signal": (1.0, 1e3), "spread": (0.5, 500.0)}, "signal explodes", "10^3.0"),
        ({"gradient": (1e-4, 1.0)}, "gradient vanishes", "10^−4.0"),
        ({"gradient": (1e4, 1.0)}, "gradient explodes", "10^4.0"),
        ({"weight_gradient": (0.0, 1.0)}, "no gradient", "50.0 %"),
        ({"dead": (0.0, 0.75)}, "dead", "75.0 %"),
        ({"dead": (np.nan, np.nan)}, None, ""),
        ({"spread": (0.5, 0.002)}, "much the same", "0.2 %"),
    ],
)
def test_each_rule_by_itself(changes, finding, evidence):
    traps = find_traps(Alone, made_up(**changes))
    if finding is None:
        assert traps == ()
        return
    (trap,) = traps
    assert finding in trap.finding and evidence in trap.evidence and trap.cure


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("start", "end", "finding"),
    [
        ({"distinct": (1.0, 0.5)}, {}, "training tells them apart"),
        ({"distinct": (1.0, 0.5)}, {"distinct": (1.0, 0.5)}, "stay so"),
        ({"weight_gradient": (0.0, 1.0)}, {}, "move later"),
        ({"weight_gradient": (0.0, 1.0)}, {"weight_gradient": (0.0, 1.0)}, "not move"),
        ({"signal": (1.0, np.nan)}, {}, "not finite from hidden layer 2 on"),
    ],
)
def test_what_came_of_it_is_said(start, end, finding):
    (trap,) = find_traps(Alone, made_up(end, **start))
    assert finding in trap.finding
