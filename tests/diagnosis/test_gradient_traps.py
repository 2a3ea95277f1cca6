"""Gradients on their way back, and what weight gradients do not show of them."""

from diagnosis.small_nets import RELU, TANH
from diagnosis.twins import found

OF_GRADIENTS = {"gradient-vanishes", "gradient-explodes", "weights-hide-gradients"}


def test_small_weights_let_it_vanish_and_weight_gradients_do_not_show_it():
    small = found(RELU, "normal(0.02)")
    assert small["gradient-vanishes"][0].place == "Dense_0"
    assert "χ₁ by theory is 0.006" in small["gradient-vanishes"][0].evidence
    assert small["weights-hide-gradients"][0].severity == "info"
    assert "gradient-explodes" not in small
    assert not OF_GRADIENTS & set(found(RELU))


def test_chaos_lets_it_explode_though_the_signal_is_bounded():
    large = found(TANH, "normal(3.0)")
    assert large["gradient-explodes"][0].place == "Dense_0"
    assert "signal-explodes" not in large
    assert not OF_GRADIENTS & set(found(TANH, "xavier_normal"))


def test_a_head_of_zeros_tells_nothing():
    assert not OF_GRADIENTS & set(found(RELU, "zero_head"))
