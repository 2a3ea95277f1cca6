"""Pooling is Flax's, in value and gradient, ties included."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.conv import fast_in_loops, max_pool, sum_pool

# height, width, window, strides, padding
CASES = [
    (8, 8, (2, 2), (2, 2), "VALID"),
    (9, 7, (3, 2), (3, 2), "VALID"),  # a rest is dropped
    (9, 9, (3, 3), (2, 2), "SAME"),  # windows overlap
    (7, 8, (3, 3), (1, 1), "SAME"),
    (7, 7, (2, 2), (2, 2), "SAME"),
    (7, 9, (2, 2), (3, 3), "VALID"),  # pixels between windows
]


def explicit(size, window, strides, padding):
    return jax.lax.padtype_to_pads(size, window, strides, padding)


def with_ties(*shape):
    values = np.random.default_rng(0).integers(0, 4, shape)
    return jnp.asarray(values, jnp.float32)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_maxima_and_their_gradients_are_flaxs(case):
    height, width, window, strides, padding = case
    images = with_ties(2, height, width, 3)
    pads = explicit((height, width), window, strides, padding)

    def ours(x):
        return max_pool(x, window, strides, tuple(map(tuple, pads)))

    def flaxs(x):
        return nn.max_pool(x, window, strides, padding)

    np.testing.assert_array_equal(ours(images), flaxs(images))
    weights = np.random.default_rng(1).standard_normal(flaxs(images).shape)

    def gradient(pool):
        return jax.grad(lambda x: jnp.sum(pool(x) * weights))(images)

    np.testing.assert_allclose(gradient(ours), gradient(flaxs), atol=1e-5)


def test_sums_and_their_gradients_are_flaxs():
    images = with_ties(2, 9, 7, 3)

    def ours(x):
        return sum_pool(x, (3, 2)) / 6

    def flaxs(x):
        return nn.avg_pool(x, (3, 2), (3, 2))

    np.testing.assert_allclose(ours(images), flaxs(images), rtol=1e-6)
    weights = np.random.default_rng(1).standard_normal(flaxs(images).shape)
    mine, theirs = (
        jax.grad(lambda x, pool=pool: jnp.sum(pool(x) * weights))(images)
        for pool in (ours, flaxs)
    )
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_values_that_are_not_finite_are_kept():
    images = with_ties(1, 4, 4, 1)
    images = images.at[0, 0, 0, 0].set(np.nan).at[0, 2, 2, 0].set(np.inf)
    images = images.at[0, :2, 2:, 0].set(-np.inf)
    np.testing.assert_array_equal(
        max_pool(images, (2, 2), (2, 2)), nn.max_pool(images, (2, 2), (2, 2))
    )


def test_the_first_of_equal_values_gets_all():
    gradient = jax.grad(lambda x: max_pool(x, (2, 2), (2, 2)).sum())
    found = gradient(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(found[0, :, :, 0], [[1, 0], [0, 0]])


@pytest.mark.parametrize("shape", [(2, 1, 4, 3), (0, 4, 4, 3), (2, 4, 4, 0)])
def test_nothing_to_pool_gives_nothing(shape):
    images = jnp.ones(shape)

    def pooled(images):
        return nn.max_pool(images, (2, 2), (2, 2)), nn.avg_pool(images, (2, 2), (2, 2))

    mine, theirs = fast_in_loops(pooled, "blocked")(images), pooled(images)
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape and a.size == 0
    gradient = jax.grad(lambda x: max_pool(x, (2, 2), (2, 2)).sum())(images)
    assert gradient.shape == shape and not gradient.any()
