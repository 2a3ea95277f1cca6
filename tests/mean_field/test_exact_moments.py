"""Moments that follow from a linear operator are met exactly, not up to a draw."""

from math import sqrt
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.mean_field.ensemble import (
    _normal,
    _second_moments,
    averaged,
    mixed,
    of_images,
)
from init_study.mean_field.predict import unit_variance_scales
from init_study.network import trace


class Made(nn.Module):
    """A function as a module."""

    function: Any

    @nn.compact
    def __call__(self, x):
        return self.function(x)


def flat(x):
    return x.reshape(len(x), -1)


def resized(x, size, method):
    return jax.image.resize(x, (len(x), size, size, x.shape[-1]), method)


def means_of_four(x):
    means = jnp.repeat(jnp.eye(2), 4, 1) / 4
    return jnp.einsum("bhwc,uh,vw->buvc", x, means, means)


# Of each: the net, the images, and each layer's std as 1 / √(Σ E[x²] of an output).
LINEAR = {
    "16 units": (lambda x: nn.Dense(64)(flat(x)), (4, 4, 1), [1 / 4]),
    "64 units": (lambda x: nn.Dense(64)(flat(x)), (4, 4, 4), [1 / 8]),
    # Of three taps along 16 pixels, two miss one pixel each at the border.
    "SAME": (
        lambda x: nn.Conv(8, (3, 3))(x),
        (16, 16, 16),
        [1 / sqrt(16 * (46 / 16) ** 2)],
    ),
    # At stride 2 SAME pads on the right only: one of three taps misses 1 of 3 pixels.
    "strided SAME": (
        lambda x: nn.Conv(8, (3, 3), strides=2)(x),
        (6, 6, 4),
        [1 / sqrt(4 * (8 / 3) ** 2)],
    ),
    # The mean of n independent numbers has the mean square 1 / n.
    "mean of a map": (lambda x: nn.Dense(4)(x.mean((1, 2))), (8, 8, 16), [2.0]),
    "small means": (
        lambda x: nn.Conv(4, (1, 1))(nn.avg_pool(x, (2, 2), (2, 2))),
        (8, 8, 16),
        [1 / 2],
    ),
    # From 8 to 16: 2 rows at the borders are (1), 14 are (3/4, 1/4): R = 43/64.
    "resized, bilinear": (
        lambda x: nn.Conv(4, (1, 1))(resized(x, 16, "bilinear")),
        (8, 8, 16),
        [64 / 43 / 4],
    ),
    # From 8 to 2, each the mean of 4, along both axes.
    "two matrices": (
        lambda x: nn.Conv(4, (1, 1))(means_of_four(x)),
        (8, 8, 16),
        [1.0],
    ),
    "a chain": (
        lambda x: nn.Dense(4)(nn.Conv(32, (1, 1))(nn.Conv(16, (1, 1))(x)).mean((1, 2))),
        (8, 8, 16),
        [1 / 4, 1 / 4, sqrt(64 / 32)],
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_autoinit_of_linear_operators_is_exact(name):
    function, shape, stddevs = LINEAR[name]
    scales = unit_variance_scales(trace(Made(function), shape))
    np.testing.assert_allclose(np.sqrt(scales), stddevs, rtol=2e-6)


@pytest.mark.parametrize("moments", [(1.0, 0.0, 0.0), (2.0, 0.7, 0.3), (3.0, 3.0, 0.0)])
def test_a_draw_has_the_moments_that_it_is_drawn_with(moments):
    drawn = _normal(jax.random.key(0), *map(jnp.float32, moments))
    np.testing.assert_allclose(_second_moments(drawn), moments, rtol=2e-6, atol=2e-6)
    assert float(drawn.mean()) == pytest.approx(0, abs=1e-6)
    # Normal still: the fourth moment of the whole is 3 σ⁴.
    assert float((drawn**4).mean()) == pytest.approx(3 * moments[0] ** 2, rel=0.05)


def test_images_give_their_own_mean_and_mean_square():
    images = 0.3 + jax.random.uniform(jax.random.key(1), (5, 6, 6, 3))
    drawn = of_images(jax.random.key(2), images)
    assert float(drawn.mean()) == pytest.approx(float(images.mean()), rel=1e-5)
    assert float((drawn**2).mean()) == pytest.approx(
        float((images**2).mean()), rel=1e-5
    )


def test_a_mean_over_many_places_of_numbers_with_a_mean():
    """1 + parts of variance 0.5 of the image and 2 of the place: over 100 places
    1 + 0.5 + 2 / 100, and two images have 1 in common."""
    drawn = 1 + _normal(jax.random.key(3), *map(jnp.float32, (2.5, 0.5, 0.0)))
    means = averaged(drawn, drawn.mean(1, keepdims=True), 100)
    means = jnp.broadcast_to(means, drawn.shape)
    assert float(means.mean()) == pytest.approx(1, abs=1e-5)
    square, _, between = _second_moments(means)
    assert float(square) == pytest.approx(1.52, rel=1e-5)
    assert float(between) == pytest.approx(1.0, rel=1e-5)


def test_resizing_keeps_what_places_and_images_share():
    """1.5 = 0.3 of all, 0.4 of an image, 0.8 of a place, each row (3/4, 1/4): R = 5/8.

    On the way back each place gives 2 rows, of (3/4, 1/4) or (1/4, 3/4): twice as much.
    """
    drawn = 1 + _normal(jax.random.key(3), *map(jnp.float32, (1.5, 0.7, 0.3)))
    made = mixed(drawn, 1.0, 5 / 8)
    assert float(made.mean()) == pytest.approx(1, abs=1e-5)
    found = _second_moments(made - made.mean())
    np.testing.assert_allclose(found, [0.7 + 0.5, 0.7, 0.3], rtol=1e-4)
    back = _second_moments(mixed(drawn - drawn.mean(), 2.0, 5 / 4))
    np.testing.assert_allclose(back, [4 * 0.7 + 1.0, 4 * 0.7, 4 * 0.3], rtol=1e-4)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: jnp.einsum("bhwc,bhwd->bcd", x, x), "of two values of the images"),
        (lambda x: x @ jnp.ones((16, 3)), "with a constant along channels"),
        (
            lambda x: jnp.einsum("bhwc,hk->bkwc", x, jnp.tri(8)),
            "of rows that have other",
        ),
    ],
)
def test_a_product_that_is_not_known_is_named(function, words):
    def call(x):
        x = nn.Conv(16, (1, 1))(x)
        return nn.Dense(2)(flat(function(x)))

    with pytest.raises(UserError, match=words) as caught:
        unit_variance_scales(trace(Made(call), (8, 8, 4)))
    assert "\n" not in str(caught.value)


class Summed(eqx.Module):
    """An image less the mean of its batch, as Equinox norms compute it."""

    layer: eqx.nn.Linear

    def __init__(self, *, key):
        self.layer = eqx.nn.Linear(16, 3, key=key)

    def __call__(self, x):
        return self.layer(x - jax.lax.pmean(x, "images"))


def test_a_mean_over_the_images_of_a_batch_is_one():
    """Of many images that have nothing in common it is 0: all 16 numbers stay."""
    scales = unit_variance_scales(trace(Summed, (16,)))
    np.testing.assert_allclose(np.sqrt(scales), 1 / 4, rtol=1e-2)
