"""How often instruments are read, counted by hand."""

import pytest

from init_study.errors import UserError
from init_study.instruments.cadence import plan_readings
from init_study.instruments.instrument import ONCE, TWICE
from init_study.instruments.table import INSTRUMENTS, find_instruments
from init_study.models import build_model
from init_study.network import trace
from init_study.study import Program, Study

CLASSES = 4


@pytest.fixture(scope="module")
def network():
    return trace(build_model("linear", CLASSES, {}), (4, 4, 1), CLASSES)


def planned(network, names, count=None, **program):
    chosen = find_instruments(names)
    return plan_readings(chosen, network, Program(**program), CLASSES, count)


def test_a_tenth_of_the_training_pays_for_so_many(network):
    # A step is 3 passes of 32 images; one reading of the logits is 16 passes forwards.
    training = 3 * 32 * 100
    one = 16 * ONCE
    found = planned(network, ["logits"], steps=100, batch_size=32, evaluations=50)
    assert len(found.steps) == int(training / 10 / one) == 12
    assert found.share == pytest.approx(12 * one / training)
    assert found.steps[0] == 0 and found.steps[-1] == 100
    assert set(found.steps) <= {0, *range(2, 101, 2)}


def test_there_are_no_more_readings_than_evaluations(network):
    found = planned(network, ["logits"], steps=10_000, evaluations=4)
    assert found.steps == (0, 2500, 5000, 7500, 10_000)


def test_what_is_asked_for_is_read_whatever_it_costs(network):
    found = planned(network, ["hessian"], count=3, steps=8, evaluations=4, batch_size=8)
    assert found.steps == (0, 4, 8)
    # No more images than a batch has; 40 products of 2 F and 2 B.
    assert found.images == 8
    assert found.share == pytest.approx(3 * TWICE * 40 * 6 * 8 / (3 * 8 * 8))


def test_what_a_tenth_does_not_pay_for_is_refused_with_its_price(network):
    with pytest.raises(UserError, match=r"hessian once is 1600%.*readings=2"):
        planned(network, ["hessian"], steps=30, batch_size=32)


def test_nothing_is_read_of_nothing(network):
    assert planned(network, [], steps=10).steps == ()


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_every_instrument_has_a_price(network, name):
    few, many = (INSTRUMENTS[name].passes(network, n, CLASSES) for n in (8, 16))
    assert 0 < few <= many


def test_an_unknown_one_names_the_nearest():
    with pytest.raises(UserError, match=r"hesian.*hessian"):
        find_instruments(["hesian"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"readings": 2}, "instruments is empty"),
        ({"instruments": "logits", "readings": 0}, "the least is 1"),
        ({"instruments": "logits", "readings": 9, "evaluations": 5}, "6 times"),
        ({"instruments": "logits", "readings": 5, "steps": 3}, "4 times"),
        ({"instruments": ("logits", "logits")}, "twice"),
    ],
)
def test_readings_that_cannot_be_meant_are_refused(fields, said):
    with pytest.raises(UserError, match=said):
        Study(schemes="zeros", learning_rates=0.1, **fields)


def test_a_study_without_keeps_its_hash():
    study = Study(schemes="zeros", learning_rates=0.1)
    assert study.replace(instruments=()).hash == study.hash
    assert study.replace(instruments=("logits",)).hash != study.hash
