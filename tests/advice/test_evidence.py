"""The evidence of starts, against linear algebra and nets whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from init_study.advice.evidence_of_start import (
    StartEvidence,
    evidence_of,
    gauss_newton_sharpness,
    label_speed,
    one_hot,
)
from init_study.advice.ranking import rank, score
from init_study.advice.readings import STEP_RATES, kernel_part
from init_study.advice.starts import read_evidence, read_starts
from init_study.errors import UserError
from init_study.models import CNN
from init_study.models.linear import Linear
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme


def random_kernel(images, classes, seed=0):
    rows = np.random.default_rng(seed).normal(size=(images * classes, 40))
    return rows @ rows.T


def test_the_speed_is_what_one_step_at_the_stable_rate_takes_off_the_labels():
    """Of ½‖f − y‖², f = 0 but for a mean: the slope of ln ‖P r‖² in η, halved."""
    labels = np.array([0, 1, 2, 1, 0])
    kernel = random_kernel(5, 3)
    targets = one_hot(labels, 3)
    apart = (targets - targets.mean(0)).ravel()
    rate = 1e-6 / np.linalg.eigvalsh(kernel)[-1]
    stepped = (apart - rate * kernel @ apart) @ apart / (apart @ apart)
    found = label_speed(kernel, labels)
    assert found == pytest.approx((1 - stepped) / 1e-6, rel=1e-6)


def test_the_speed_does_not_change_with_a_factor_and_is_a_share():
    labels = np.array([0, 1, 1, 0])
    kernel = random_kernel(4, 2, seed=3)
    assert label_speed(kernel, labels) == pytest.approx(
        label_speed(1e6 * kernel, labels)
    )
    assert 0 < label_speed(kernel, labels) < 1


def test_what_is_said_of_kernels_that_are_none():
    labels = np.array([0, 1])
    assert np.isnan(label_speed(np.full((4, 4), np.inf), labels))
    assert label_speed(np.zeros((4, 4)), labels) == 0


def test_the_sharpness_is_that_of_the_loss_of_a_linear_net():
    """Of a linear net Gauss–Newton is the whole Hessian."""
    generator = np.random.default_rng(1)
    images = generator.normal(size=(5, 4)).astype(np.float32)
    weights = generator.normal(size=(4, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 1, 0])

    def loss(flat):
        logits = jnp.asarray(images) @ flat.reshape(4, 3)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    expected = np.linalg.eigvalsh(jax.hessian(loss)(jnp.asarray(weights.ravel())))[-1]
    kernel = np.kron(images @ images.T, np.eye(3))
    found = gauss_newton_sharpness(kernel, images @ weights)
    assert found == pytest.approx(float(expected), rel=1e-4)


def test_of_many_classes_those_count_that_the_images_have():
    part = kernel_part(np.array([700, 3, 3, 9, 700, 1]), 1000)
    assert part == (6, (1, 3, 9, 700))


def test_images_of_one_class_are_refused():
    with pytest.raises(UserError, match="all of class 4"):
        kernel_part(np.full(8, 4), 10)


def digits_batch(count=12):
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = generator.normal(size=(count, 8, 8, 1)) + labels[:, None, None, None]
    return Batch(jnp.asarray(images, jnp.float32), labels)


def evidence_on(network, names, batch):
    schemes = {name: parse_scheme(name) for name in names}
    return read_evidence(network, schemes, batch, optax.sgd, jax.random.key(0))


def test_a_linear_net_has_the_kernel_that_its_images_have():
    """Θ = (X Xᵀ + 1) ⊗ I, whatever the weights: a bias has slope 1."""
    batch = digits_batch(6)
    network = trace(Linear(3), (8, 8, 1))
    schemes = {"he_normal": parse_scheme("he_normal")}
    found = read_starts(network, schemes, batch, optax.sgd, jax.random.key(0))
    flat = np.asarray(batch.images).reshape(6, -1)
    expected = np.kron(flat @ flat.T + 1, np.eye(3))
    np.testing.assert_allclose(found["he_normal"]["kernel"][1], expected, rtol=2e-4)


def test_a_first_step_is_that_of_the_loss():
    """The drop at the least rate is η ‖g‖², to first order."""
    batch = digits_batch(6)
    network = trace(Linear(3), (8, 8, 1))
    schemes = {"zeros": parse_scheme("zeros")}
    found = read_starts(network, schemes, batch, optax.sgd, jax.random.key(0))
    flat = np.asarray(batch.images).reshape(6, -1)
    residual = (1 / 3 - one_hot(batch.labels, 3)) / 6
    square = ((flat.T @ residual) ** 2).sum() + (residual.sum(0) ** 2).sum()
    drops = found["zeros"]["drops"][0]
    assert drops[0] == pytest.approx(STEP_RATES[0] * square, rel=0.02)


def test_a_scale_that_vanishes_comes_behind_one_that_does_not():
    network = trace(CNN(3, depth=3, width=4), (8, 8, 1))
    found = evidence_on(
        network, ["normal(0.005)", "zeros", "he_normal"], digits_batch()
    )
    assert rank(found)[0] == "he_normal"
    assert score(found["zeros"]) == -12
    assert found["normal(0.005)"].forward < -5 < found["he_normal"].forward
    assert found["zeros"].excess == pytest.approx(0, abs=1e-6)


def test_momentum_makes_rates_smaller():
    readings = {
        "drops": np.array([[0.01, 0.1, 0.3, 0.9, 1.0, 0.2, -1.0, np.nan, 1, 1, 1]]),
        "kernel": np.eye(4)[None],
        "outputs": np.zeros((1, 2, 2)),
        "loss": np.array([2.0]),
        "uniform": np.array([np.log(2)]),
        "between_images": np.array([0.0]),
        "layer_signal": np.array([[1.0, 10.0, 1.0]]),
        "layer_gradient": np.array([[1.0, 0.1, 1.0]]),
    }
    plain = evidence_of(readings, np.array([0, 1]))
    assert (plain.low, plain.best_rate, plain.high) == pytest.approx(
        (STEP_RATES[1], STEP_RATES[4], STEP_RATES[5])
    )
    assert (plain.drop, plain.forward, plain.backward) == pytest.approx((0.5, 1, 1))
    slower = evidence_of(readings, np.array([0, 1]), momentum=0.9)
    assert slower.high == pytest.approx(plain.high / 10)


def test_a_start_that_is_not_finite_comes_last():
    good = StartEvidence(*[0.1] * len(StartEvidence._fields))
    broken = good._replace(speed=float("nan"))
    worse = good._replace(speed=0.0)
    assert rank({"broken": broken, "worse": worse, "good": good}) == [
        "good",
        "worse",
        "broken",
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_few_images_are_refused(count):
    network = trace(Linear(3), (8, 8, 1))
    with pytest.raises(UserError, match=f"a batch of {count} images"):
        evidence_on(network, ["zeros"], digits_batch(count))
