"""Gradients that agree, oppose one another, or have a known mean and variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.gradients import (
    below_epsilon,
    example_gradients,
    gradient_confusion,
    signal_to_noise,
)


def test_gradients_of_a_linear_net_are_residual_times_input():
    """With (w·x + b − y)² / 2 they are (w·x + b − y) x, and that residual for b."""
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(5, 3)), rng.normal(size=5)
    w, b = rng.normal(size=3), 0.7

    def loss(params, example):
        image, label = example
        return (params["w"] @ image + params["b"] - label) ** 2 / 2

    params = {"w": jnp.asarray(w, jnp.float32), "b": jnp.float32(b)}
    examples = (jnp.asarray(images, jnp.float32), jnp.asarray(labels, jnp.float32))
    found = jax.jit(lambda p: example_gradients(loss, p, examples))(params)
    residual = images @ w + b - labels
    # In the order of the tree: b before w.
    wanted = np.column_stack([residual, residual[:, None] * images])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_agreement_and_opposition():
    ones = jnp.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    np.testing.assert_allclose(gradient_confusion(ones), [1, 1, 1], rtol=1e-6)
    # Opposite pairs: of 6 pairs 2 agree and 4 oppose.
    pairs = 1e-25 * jnp.array([[1.0, 0.0], [-1.0, 0.0], [3.0, 0.0], [-3.0, 0.0]])
    np.testing.assert_allclose(gradient_confusion(pairs), [-1, -2 / 6, 1], rtol=1e-6)
    members = jnp.stack([pairs, jnp.abs(pairs)])
    least = jax.vmap(gradient_confusion)(members).least
    np.testing.assert_allclose(least, [-1, 1], rtol=1e-6)


def test_examples_without_a_gradient_are_left_out():
    gradients = jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert gradient_confusion(gradients).least == pytest.approx(0.5**0.5)
    assert np.isnan(gradient_confusion(jnp.zeros((3, 2)))).all()
    assert np.isnan(gradient_confusion(gradients.at[1, 1].set(jnp.nan))).all()


def test_the_ratio_is_that_of_a_known_mean_and_variance():
    """Means 2 and 1; of ±1 and ±3 about them the variances are 4/3 and 12."""
    gradients = jnp.array([[3.0, 4.0], [3.0, 4.0], [1.0, -2.0], [1.0, -2.0]])
    for scale in (1.0, 1e-24):
        ratios = jax.jit(signal_to_noise)(scale * gradients)
        assert ratios.whole == pytest.approx((4 + 1) / (4 / 3 + 12), rel=1e-5)
        assert ratios.mean == pytest.approx((3 + 1 / 12) / 2, rel=1e-5)


def test_noise_alone_gives_one_over_the_examples():
    noise = jax.random.normal(jax.random.key(0), (2, 8, 4000))
    whole = jax.vmap(signal_to_noise)(noise).whole
    np.testing.assert_allclose(whole, 1 / 8, rtol=0.1)


def test_gradients_that_do_not_vary_have_no_noise():
    third = jnp.full((3, 2), 1 / 3)
    ratios = signal_to_noise(third)
    assert ratios.whole == jnp.inf and np.isnan(ratios.mean)
    assert np.isnan(signal_to_noise(jnp.zeros((3, 2))).whole)
    # A parameter without noise is left out of the mean.
    varied = third.at[:, 1].set(jnp.array([1.0, 2.0, 3.0]))
    assert signal_to_noise(varied).mean == pytest.approx(4, rel=1e-5)
    assert np.isnan(signal_to_noise(varied.at[0, 0].set(jnp.nan))).all()


@pytest.mark.parametrize(
    ("measure", "what"),
    [(gradient_confusion, "has no pair"), (signal_to_noise, "has no variance")],
)
def test_one_example_is_refused(measure, what):
    with pytest.raises(UserError, match=what):
        measure(jnp.ones((1, 4)))


def test_a_network_without_parameters_is_refused():
    with pytest.raises(UserError, match="has no tensor"):
        example_gradients(lambda params, example: example, {}, jnp.ones(2))


def test_small_gradients_are_counted_in_each_tensor():
    gradient = {
        "first": jnp.array([[1e-8, -9e-8], [2e-7, 0.0]]),
        "last": jnp.array([-1.0, 1e-9]),
    }
    small = jax.jit(below_epsilon)(gradient)
    assert small.tensors["first"] == 0.75 and small.tensors["last"] == 0.5
    assert small.largest == 0.75
    # Of a larger epsilon all of the first is.
    assert below_epsilon(gradient, 1e-3).largest == 1
    gradient["last"] = jnp.array([jnp.nan, 1.0])
    small = below_epsilon(gradient)
    assert np.isnan(small.largest) and small.tensors["first"] == 0.75
    members = {"w": jnp.array([[1.0, 0.0], [0.0, 0.0]])}
    assert jax.vmap(below_epsilon)(members).largest.tolist() == [0.5, 1]


def test_what_has_no_small_gradient_is_refused():
    with pytest.raises(UserError, match="epsilon=0 is not a finite number above 0"):
        below_epsilon({"w": jnp.ones(2)}, 0)
    with pytest.raises(UserError, match="gradient of 'w' is empty"):
        below_epsilon({"w": jnp.ones((2, 0))})
