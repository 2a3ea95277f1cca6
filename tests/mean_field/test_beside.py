"""Predictions stand beside what is measured of wide nets, and say where they end."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.mean_field.beside import propagation
from init_study.network import trace

WIDTH = 384
SCALES = (1.5, 2.0, 3.0, 1.0)


class Wide(nn.Module):
    """Rectifiers between dense layers, whose kernels are drawn in the tests."""

    @nn.compact
    def __call__(self, images):
        x = images.reshape(len(images), -1)
        for _ in range(3):
            x = jax.nn.relu(nn.Dense(WIDTH, use_bias=False)(x))
        return nn.Dense(WIDTH, use_bias=False)(x)


# Normal weights of variances σ² / fan_in.
RNG = np.random.default_rng(0)
PARAMS = {
    f"Dense_{place}": {
        "kernel": jnp.float32((s / WIDTH) ** 0.5 * RNG.normal(size=(WIDTH, WIDTH)))
    }
    for place, s in enumerate(SCALES)
}


def two_images(cosine):
    """Two images of mean square 1, of a known cosine."""
    rows = RNG.normal(size=(2, WIDTH))
    first = rows[0] / np.linalg.norm(rows[0])
    rest = rows[1] - first * (first @ rows[1])
    second = cosine * first + (1 - cosine**2) ** 0.5 * rest / np.linalg.norm(rest)
    images = WIDTH**0.5 * np.stack([first, second])
    return jnp.float32(images.reshape(2, 1, 1, WIDTH))


@pytest.fixture(scope="module")
def found():
    network = trace(Wide(), (1, 1, WIDTH))
    return propagation(network, PARAMS, {}, two_images(0.4), jax.random.key(0))


def rectified(c):
    """The correlation behind a rectifier: Cho & Saul's kernel of order 1."""
    return (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi


def test_lengths_grow_by_half_of_the_variance_behind_a_rectifier(found):
    wanted = 1.5 * np.cumprod([1, 2.0 / 2, 3.0 / 2, 1.0 / 2])
    assert not found.why
    # What the two images share is 1024 random numbers in the ensemble.
    np.testing.assert_allclose(found.signal.predicted, wanted, rtol=0.06)
    np.testing.assert_allclose(found.signal.measured, wanted, rtol=0.3)
    # One layer on from what was measured, with the weights that were drawn.
    squares = [np.mean(np.square(p["kernel"])) for p in PARAMS.values()]
    factors = np.array(squares[1:]) * WIDTH / 2
    np.testing.assert_allclose(
        found.signal.mapped, [np.nan, *found.signal.measured[:3] * factors], rtol=1e-4
    )
    np.testing.assert_allclose(
        found.gradient.mapped,
        [*found.gradient.measured[1:] * factors, np.nan],
        rtol=1e-4,
    )


def test_gradients_and_small_changes_grow_by_the_same(found):
    growths = np.array(SCALES[1:]) / 2
    gradients = [*np.cumprod(growths[::-1])[::-1], 1]
    np.testing.assert_allclose(found.gradient.predicted, gradients, rtol=0.05)
    np.testing.assert_allclose(found.gradient.measured, gradients, rtol=0.3)
    for numbers, tolerance in ((found.growth.mapped, 0.01), (found.growth[0], 0.25)):
        np.testing.assert_allclose(numbers, [*growths, np.nan], rtol=tolerance)
    np.testing.assert_allclose(found.growth.predicted, [*growths, np.nan], rtol=0.01)


def test_two_images_become_alike_as_theory_says(found):
    wanted = [0.4]
    for _ in range(3):
        wanted.append(rectified(wanted[-1]))
    np.testing.assert_allclose(found.cosine.predicted, wanted, atol=0.02)
    np.testing.assert_allclose(found.cosine.measured, wanted, atol=0.1)
    mapped = rectified(found.cosine.measured[:3].astype(np.float64))
    np.testing.assert_allclose(found.cosine.mapped, [np.nan, *mapped], rtol=1e-4)


class Pooled(nn.Module):
    """A pool stands between the first two layers, a sum of as many numbers behind."""

    @nn.compact
    def __call__(self, images):
        x = nn.avg_pool(jnp.tanh(nn.Conv(8, (3, 3))(images)), (2, 2), (2, 2))
        x = jnp.tanh(nn.Conv(8, (1, 1))(x)) + x
        return nn.Dense(3)(x.reshape(len(x), -1))


@pytest.mark.slow
def test_what_more_lies_between_two_layers_has_no_map():
    network = trace(Pooled(), (4, 4, 1))
    params = jax.tree.map(
        lambda x: jnp.full(x.shape, 0.1), network.own_init(jax.random.key(0))
    )
    images = jax.random.normal(jax.random.key(1), (1, 4, 4, 1))
    found = propagation(network, params, {}, images, jax.random.key(2))
    for numbers in (found.signal, found.gradient, found.cosine, found.growth):
        assert np.isnan(numbers.mapped).all()
    assert np.isfinite(found.signal.predicted).all()
    assert np.isnan(found.cosine.measured).all(), "of one image"


class Attention(nn.Module):
    @nn.compact
    def __call__(self, images):
        x = nn.Dense(4)(images.reshape(len(images), -1, 1))
        return nn.Dense(2)((x @ x.transpose(0, 2, 1)).mean(1))


def test_where_theory_has_no_answer_it_says_so():
    network = trace(Attention(), (2, 2, 1))
    params = network.own_init(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (3, 2, 2, 1))
    found = propagation(network, params, {}, images, jax.random.key(2))
    assert "product of two values of the images" in found.why
    for numbers in (found.signal, found.gradient, found.cosine, found.growth):
        assert np.isnan(numbers.predicted).all()
    assert np.isfinite(found.signal.measured).all()
