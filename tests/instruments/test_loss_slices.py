"""Losses along lines are those of parabolas and of nets that are known on paper."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from init_study.errors import UserError
from init_study.instruments.instrument import ProbeBatch, Subject, take_measures
from init_study.instruments.loss_readings import PATH_ALPHAS, SLICE_ALPHAS
from init_study.instruments.loss_slices import (
    descent_direction,
    filter_direction,
    loss_barrier,
    loss_slice,
)
from init_study.instruments.table import INSTRUMENTS
from init_study.models.linear import Linear
from init_study.network import trace

RNG = np.random.default_rng(2)
INPUTS, TARGETS = RNG.normal(size=(6, 4)), RNG.normal(size=6)


def squared(weights):
    """Of a linear net."""
    x, y = (jnp.asarray(part, jnp.float32) for part in (INPUTS, TARGETS))
    return jnp.mean((x @ weights["w"] - y) ** 2)


def parabola(first, second, alphas):
    """The same on paper: of αs on the line between two scales of one vector."""
    ones = INPUTS.sum(1)
    a, b, c = np.mean(ones**2), np.mean(ones * TARGETS), np.mean(TARGETS**2)
    scales = (1 - alphas) * first + alphas * second
    return a * scales**2 - 2 * b * scales + c


def test_between_two_scaled_linear_nets_there_is_their_parabola_and_no_barrier():
    first, second = ({"w": jnp.full(4, scale)} for scale in (-1.0, 2.0))
    found = loss_barrier(squared, first, second)
    wanted = parabola(-1.0, 2.0, np.linspace(0, 1, 25))
    np.testing.assert_allclose(found.losses, wanted, rtol=1e-4)
    assert float(found.height) == pytest.approx(0, abs=1e-5)


def test_between_two_signs_of_a_product_there_is_the_saddle():
    """Of (u v − 1)² / 2 it is ((1 − 2α)² − 1)² / 2."""
    alphas = np.array([0.0, 0.3, 0.5, 1.0])
    found = loss_barrier(
        lambda w: (w[0] * w[1] - 1) ** 2 / 2,
        jnp.ones(2),
        -jnp.ones(2),
        jnp.float32(alphas),
    )
    wanted = ((1 - 2 * alphas) ** 2 - 1) ** 2 / 2
    np.testing.assert_allclose(found.losses, wanted, atol=1e-6)
    assert (float(found.height), float(found.place)) == (0.5, 0.5)


def test_a_barrier_is_above_the_line_between_unequal_ends():
    """Of −w² between 0 and 2: −4 α² above −4 α by 1 at the middle."""
    found = loss_barrier(lambda w: -(w**2), jnp.float32(0), jnp.float32(2))
    assert (float(found.height), float(found.place)) == (1.0, 0.5)
    broken = loss_barrier(lambda w: 1 / w**2, jnp.float32(-1), jnp.float32(1))
    assert np.isnan(broken.height), "infinite at the middle"


def test_members_of_two_networks_have_no_line():
    with pytest.raises(UserError, match="no line between them"):
        loss_barrier(squared, {"w": jnp.ones(4)}, {"w": jnp.ones(3)})


def test_a_random_direction_has_the_lengths_of_all_filters_and_leaves_the_rest():
    network = trace(nn.Sequential([nn.Conv(3, (2, 2)), nn.Conv(2, (1, 1))]), (4, 4, 2))
    kernels = [RNG.normal(size=shape) for shape in ((2, 2, 2, 3), (1, 1, 3, 2))]
    params = {
        f"layers_{place}": {
            "kernel": jnp.float32(kernel),
            "bias": jnp.ones(kernel.shape[-1]),
        }
        for place, kernel in enumerate(kernels)
    }
    made = jax.jit(partial(filter_direction, network))(params, jax.random.key(1))
    flat, drawn = (jax.tree_util.tree_leaves_with_path(tree) for tree in (params, made))
    for (path, leaf), (_, along) in zip(flat, drawn, strict=True):
        if leaf.ndim == 1:
            assert not along.any(), path
            continue
        rows = [
            np.linalg.norm(x.reshape(-1, x.shape[-1]), axis=0) for x in (leaf, along)
        ]
        np.testing.assert_allclose(*rows, rtol=1e-5)
        units = [np.asarray(x).ravel() / np.linalg.norm(x) for x in (leaf, along)]
        assert abs(units[0] @ units[1]) < 0.9, "not the weights themselves"


def test_the_row_is_softmax_regression_on_its_lines():
    images, labels = RNG.normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])
    now, start = RNG.normal(size=(2, 3, 2))
    network = trace(Linear(2), (1, 1, 3))

    def params(weights):
        return {
            "Dense_0": {"kernel": jnp.float32([weights]), "bias": jnp.zeros((1, 2))}
        }

    def loss(weights, bias=0.0):
        logits = images @ weights + bias
        return np.mean(logsumexp(logits, 1) - logits[np.arange(5), labels])

    shaped = jnp.float32(images.reshape(5, 1, 1, 3))
    batch = ProbeBatch(shaped, jnp.asarray(labels), jax.random.key(0))
    row = {"it": INSTRUMENTS["slices"]}
    subject = Subject(params(now), {}, params(start))
    found = take_measures(row, network, subject, batch)["it"]
    errors = (softmax(images @ now, 1) - np.eye(2)[labels]) / 5
    slopes = images.T @ errors, errors.sum(0)
    size = np.sqrt(sum(np.sum(slope**2) for slope in slopes))
    steps = [-slope * np.linalg.norm(now) / size for slope in slopes]
    descent = [loss(now + a * steps[0], a * steps[1]) for a in SLICE_ALPHAS]
    np.testing.assert_allclose(found["descent"][0], descent, rtol=1e-4)
    path = [loss(start + a * (now - start)) for a in PATH_ALPHAS]
    np.testing.assert_allclose(found["from_start"][0], path, rtol=1e-4)
    assert found["random"][0, 10] == pytest.approx(loss(now), rel=1e-5)
    # A convex loss along any line.
    assert (np.diff(found["random"][0], 2) > -1e-5).all()
    assert np.ptp(found["random"][0]) > 0.01
    still = take_measures(row, network, Subject(params(now), {}), batch)["it"]
    np.testing.assert_allclose(still["from_start"][0], loss(now), rtol=1e-5)


def test_descent_is_as_long_as_the_parameters_and_against_the_slope():
    weights = {"w": jnp.float32(RNG.normal(size=4))}
    found = np.asarray(descent_direction(squared, weights)["w"])
    residuals = INPUTS @ np.asarray(weights["w"]) - TARGETS
    slope = 2 * INPUTS.T @ residuals / 6
    wanted = -slope / np.linalg.norm(slope) * np.linalg.norm(weights["w"])
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    line = loss_slice(squared, weights, {"w": jnp.float32(found)}, jnp.array([0, 1e-2]))
    assert line[1] < line[0]
