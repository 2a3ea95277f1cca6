"""What a race says of advice, by races that are made up."""

import numpy as np
import pytest

from init_study.advice.verifying import DID_NOT, HELD, UNDECIDED, verify
from init_study.answers.verdicts.decision import decide
from init_study.answers.verdicts.heats import Heat
from init_study.answers.verdicts.protocol import Choice


def heat(values, candidate):
    decision = decide(values, candidate, 0.01, chance=0.1, num_test=1000)
    return Heat("cnn", 0.1, {}, decision, values, "")


SEEDS = np.linspace(-0.004, 0.004, 20)
NOISE = np.random.default_rng(0).normal(0, 0.1, 20)


@pytest.mark.parametrize(
    ("others", "candidate", "outcome"),
    [
        (0.5 + SEEDS, "advised", HELD),
        (0.95 + SEEDS, "other", DID_NOT),
        (0.8 + NOISE, "advised", UNDECIDED),
    ],
    ids=["better", "worse", "not told apart"],
)
def test_advice_is_judged_by_the_decision(others, candidate, outcome):
    found = verify(
        "advised", heat({"advised": 0.8 + SEEDS[::-1], "other": others}, candidate)
    )
    assert found.outcome == outcome, found.text
    assert "20 fresh seeds" in found.text and "advised 80.0 %" in found.text


def test_a_rival_that_beats_the_candidate_too_is_named():
    """What screening took for the best is not, on fresh seeds."""
    values = {"advised": 0.8 + SEEDS[::-1], "other": 0.95 + SEEDS}
    found = verify("advised", heat(values, "advised"))
    assert found.outcome == DID_NOT
    assert "advised 80.0 %, other 95.0 %" in found.text


def test_a_race_without_a_look_is_undecided_and_says_why():
    fields = dict.fromkeys(Choice._fields)
    choices = {
        "advised": Choice(**{**fields, "mean": 0.7}),
        "other": Choice(**{**fields, "mean": 0.8}),
    }
    found = verify("advised", Heat("cnn", 0.1, choices, None, {}, "no time\nleft"))
    assert found.outcome == UNDECIDED
    assert "no time left" in found.text and "70.0 %, the best 80.0 %" in found.text
