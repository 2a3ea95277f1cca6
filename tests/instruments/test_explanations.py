"""Maps of linear nets, which are known; and maps and Gram matrices made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy import stats

from init_study.instruments.explanation_readings import EXPLANATION_INSTRUMENTS
from init_study.instruments.explanations import (
    cam_maps,
    concentration,
    gradient_maps,
    gram_pairs,
    integrated_maps,
    map_agreement,
)
from init_study.instruments.instrument import ProbeBatch, Subject, take_measures
from init_study.network import trace

LABELS = jnp.array([2, 0, 1])


def drawn(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def linear(weights):
    return lambda images: images.reshape(len(images), -1) @ weights


def test_maps_of_a_linear_net_are_its_weights():
    weights, images = drawn(0, 4 * 4 * 2, 3), drawn(1, 3, 4, 4, 2)
    rows = np.array(weights, np.float64).T.reshape(3, 4, 4, 2)[np.array(LABELS)]
    with jax.default_matmul_precision("float32"):
        found = gradient_maps(linear(weights), images, LABELS)
        np.testing.assert_allclose(found, np.abs(rows).sum(-1), rtol=1e-5)
        found = integrated_maps(linear(weights), images, LABELS)
    wanted = (rows * np.array(images, np.float64)).sum(-1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_integrated_gradients_add_up_to_what_the_image_adds():
    first, second = drawn(0, 18, 8), drawn(2, 8, 3)

    def function(images):
        return jnp.tanh(images.reshape(len(images), -1) @ first / 4) @ second

    images = drawn(1, 3, 3, 3, 2)
    added = function(images) - function(jnp.zeros_like(images))
    wanted = jnp.take_along_axis(added, LABELS[:, None], 1)[:, 0]
    found = integrated_maps(function, images, LABELS).sum((1, 2))
    np.testing.assert_allclose(found, wanted, atol=2e-2)


class Pooled(nn.Module):
    """A convolution, a mean over places, a head: the net of class activation maps."""

    @nn.compact
    def __call__(self, images):
        maps = nn.Conv(4, (3, 3))(images)
        return nn.Dense(3, use_bias=False)(maps.mean((1, 2)))


def measured(**given):
    network = trace(Pooled(), (6, 6, 1), 3)
    params = network.own_init(jax.random.key(5))
    images = drawn(1, 5, 6, 6, 1)
    labels = jnp.array([2, 0, 1, 1, 0])
    batch = ProbeBatch(images, labels, jax.random.key(0))
    stacked = jax.tree.map(lambda x: x[None], params)
    subjects = Subject(stacked, {}, given.get("start", lambda x: x)(stacked))
    found = take_measures(EXPLANATION_INSTRUMENTS, network, subjects, batch)
    return params, images, labels, found


def test_grad_cam_of_a_pooled_net_is_its_class_activation_map():
    """Zhou et al. 2016: the head's weights of the class, over the places."""
    params, images, labels, found = measured()
    maps = nn.Conv(4, (3, 3)).apply({"params": params["Conv_0"]}, images)
    head = np.array(params["Dense_0"]["kernel"], np.float64)[:, np.array(labels)].T
    wanted = np.maximum(np.einsum("nhwc,nc->nhw", np.array(maps, np.float64), head), 0)
    cams = found["explanations"]["map/cam"].reshape(4, 6, 6)
    np.testing.assert_allclose(cams, wanted[:4] / 36, rtol=1e-3, atol=1e-5)


def test_what_has_not_trained_is_explained_as_at_its_start():
    found = measured()[-1]["explanations"]
    for name in ("gradient", "integrated", "cam"):
        assert found[f"{name}_as_start"] == pytest.approx(1)


def test_a_net_turned_upside_down_is_explained_the_other_way_round():
    """Integrated gradients change their sign, sizes of gradients do not."""

    def turned(params):
        return params | {"Dense_0": {"kernel": -params["Dense_0"]["kernel"]}}

    found = measured(start=turned)[-1]["explanations"]
    assert found["integrated_as_start"] == pytest.approx(-1, abs=1e-5)
    assert found["gradient_as_start"] == pytest.approx(1)


def test_agreement_is_spearmans():
    a = np.array(drawn(0, 3, 4, 5))
    b = np.round(np.array(drawn(1, 3, 4, 5)) + a)
    wanted = np.mean(
        [stats.spearmanr(x.ravel(), y.ravel())[0] for x, y in zip(a, b, strict=True)]
    )
    found = map_agreement(jnp.array(a), jnp.array(b))
    assert float(found) == pytest.approx(wanted, abs=1e-5)


def test_maps_that_do_not_vary_say_nothing():
    some = drawn(0, 2, 3, 3)
    assert jnp.isnan(map_agreement(jnp.zeros((2, 3, 3)), some))
    half = some.at[0].set(1.0)
    assert float(map_agreement(half, some)) == pytest.approx(1)
    assert jnp.isnan(concentration(jnp.zeros((2, 3, 3))))


def test_concentration_is_ginis_mean_difference():
    maps = np.abs(np.array(drawn(0, 3, 4, 5), np.float64))
    rows = maps.reshape(3, -1)
    differences = np.abs(rows[:, :, None] - rows[:, None, :]).mean((1, 2))
    wanted = (differences / (2 * rows.mean(1))).mean()
    found = concentration(jnp.array(maps, jnp.float32))
    assert float(found) == pytest.approx(wanted, rel=1e-4)


def test_a_map_is_nowhere_negative():
    features, slopes = drawn(0, 2, 3, 3, 4), drawn(1, 2, 3, 3, 4)
    assert float(cam_maps(features, slopes).min()) == 0


def test_pairs_are_inner_products_over_the_mean_square_length():
    _, images, _, found = measured()
    flat = np.array(images, np.float64).reshape(5, -1)
    gram = flat @ flat.T
    wanted = [gram[i, j] for i in range(5) for j in range(i + 1, 5)]
    with jax.default_matmul_precision("float32"):
        pairs = gram_pairs(images)
    np.testing.assert_allclose(pairs, wanted / np.diag(gram).mean(), rtol=1e-4)
    # The convolution is the only hidden layer.
    assert list(found["representations"]) == ["gram/Conv_0"]
