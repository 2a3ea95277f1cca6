"""The row `stable_rate` is the edge of gradient descent's own dynamics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from init_study.instruments.instrument import ProbeBatch, Subject, take_measures
from init_study.instruments.table import INSTRUMENTS
from init_study.models.linear import Linear
from init_study.network import trace

IMAGES = np.array([1.0, 1.0, 1.0, -2.0, -2.0, 0.5])
LABELS = np.array([1, 0, 1, 0, 1, 1])
# Logit margin m = a x + b: parameters are (kernel by class, bias by class).
INPUTS = np.c_[IMAGES, np.ones(6)]


def gradient(weights):
    chances = expit(INPUTS @ (weights[:, 1] - weights[:, 0]))
    slope = INPUTS.T @ (chances - LABELS) / 6
    return np.stack([-slope, slope], 1)


def hessian(weights):
    chances = expit(INPUTS @ (weights[:, 1] - weights[:, 0]))
    margins = INPUTS.T @ (INPUTS * (chances * (1 - chances))[:, None]) / 6
    return np.kron(margins, [[1.0, -1.0], [-1.0, 1.0]])


def loss(weights):
    margins = INPUTS @ (weights[:, 1] - weights[:, 0])
    return np.mean(np.logaddexp(0, margins) - LABELS * margins)


def optimum():
    """By Newton's method; what no margin sees stays where it is."""
    weights = np.zeros((2, 2))
    for _ in range(30):
        step = np.linalg.pinv(hessian(weights)) @ gradient(weights).ravel()
        weights = weights - step.reshape(2, 2)
    assert abs(gradient(weights)).max() < 1e-12
    return weights


def read(weights):
    leaves = {"kernel": weights[None, :1], "bias": weights[None, 1]}
    params = {"Dense_0": jax.tree.map(jnp.float32, leaves)}
    images = jnp.float32(IMAGES.reshape(6, 1, 1, 1))
    batch = ProbeBatch(images, jnp.asarray(LABELS), jax.random.key(0))
    rows = {"stable_rate": INSTRUMENTS["stable_rate"]}
    network = trace(Linear(2), (1, 1, 1))
    found = take_measures(rows, network, Subject(params, {}), batch)["stable_rate"]
    return float(found["rate"][0]), float(found["unstable"][0])


def test_near_an_optimum_it_is_two_by_the_sharpness():
    best = optimum()
    values, vectors = np.linalg.eigh(hessian(best))
    rate, unstable = read(best + 0.05 * vectors[:, -1].reshape(2, 2))
    assert rate < unstable < 1.005 * rate
    assert rate == pytest.approx(2 / values[-1], rel=0.03)


def test_far_from_it_runs_in_double_precision_agree():
    start = np.array([[2.0, -1.0], [0.0, 1.5]])
    rate, unstable = read(start)
    for tried, lower in ((0.98 * rate, True), (1.02 * unstable, False)):
        weights = start
        for _ in range(32):
            weights = weights - tried * gradient(weights)
        assert (loss(weights) <= loss(start)) is np.bool_(lower)
