"""Units that do the same for all images."""

import pytest
from diagnosis.small_nets import TANH, Chain
from diagnosis.twins import IMAGES, LABELS, found

from init_study.diagnosis.rules.unit_traps import one_sign

OF_UNITS = {
    "dead-units",
    "dies-at-first-step",
    "always-on-units",
    "saturated-units",
}
SHALLOW = Chain(depth=2)


def test_biases_below_zero_kill_units_and_above_keep_them_on():
    dead = found(SHALLOW.clone(bias=-10.0), "module")
    assert [one.severity for one in dead["dead-units"]] == ["error", "error"]
    on = found(SHALLOW.clone(bias=10.0), "module")
    assert on["always-on-units"][0].severity == "info"
    assert "dead-units" not in on
    assert not OF_UNITS & set(found(SHALLOW, "module"))


def test_a_large_step_kills_units_and_a_small_one_does_not():
    killed = found(SHALLOW, learning_rate=30.0)
    assert "30" in killed["dies-at-first-step"][0].evidence
    assert not OF_UNITS & set(found(SHALLOW, learning_rate=0.01))


def test_large_weights_saturate_tanh_and_not_a_rectifier():
    assert found(TANH, "normal(3.0)")["saturated-units"][0].severity == "warning"
    assert not OF_UNITS & set(found(TANH, "xavier_normal"))
    assert "saturated-units" not in found(SHALLOW, "normal(3.0)")


def test_few_images_kill_no_unit_by_chance():
    """Of one image half of the units are off, of two that are alike nearly as many."""
    for count in (1, 2, 3):
        few = found(SHALLOW, images=IMAGES[:count], labels=LABELS[:count])
        assert not OF_UNITS & set(few)


def test_the_chance_of_one_sign():
    assert one_sign(4, 0.0) == pytest.approx(1 / 16, abs=1e-6)
    assert one_sign(2, 0.5) == pytest.approx(1 / 3, abs=1e-4)
    assert one_sign(16, 0.99999) == pytest.approx(0.5, abs=0.01)
