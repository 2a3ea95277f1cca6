"""Gradients on their way back, and what weight gradients do not show of them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from diagnosis.small_nets import RELU, TANH
from diagnosis.twins import found

OF_GRADIENTS = {"gradient-vanishes", "gradient-explodes", "weights-hide-gradients"}


class Normed(nn.Module):
    """Layers with a batch norm and |x|, which multiply a gradient by π / (π − 2)."""

    depth: int

    @nn.compact
    def __call__(self, x, train: bool = False):
        for _ in range(self.depth):
            x = nn.Dense(64, use_bias=False)(x)
            x = jnp.abs(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(3)(x)


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


def test_norms_bear_a_thousand_times_the_growth_of_other_nets():
    """(π / (π − 2))¹² = 1.9e5 is what nets with norms bear; ²⁰ is too much."""
    images = jax.random.normal(jax.random.key(5), (64, 16))
    labels = jnp.arange(64) % 3
    run = {"scheme": "he_normal", "images": images, "labels": labels}
    assert "gradient-explodes" not in found(Normed(12), **run)
    (far,) = found(Normed(20), **run)["gradient-explodes"]
    assert far.severity == "warning"
