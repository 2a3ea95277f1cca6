"""Equal logits know nothing; others are compared with sums in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.logits import measure_logits

measured = jax.jit(measure_logits)


def test_equal_logits_lose_the_logarithm_of_the_classes():
    logits, labels = jnp.zeros((4, 10)), jnp.arange(4)
    numbers = measured(logits, labels)
    assert numbers.loss == numbers.uniform == np.float32(np.log(10))
    shifted = measured(logits - 3.0, labels)
    assert shifted.loss == pytest.approx(np.log(10), rel=1e-6)
    assert numbers.entropy == pytest.approx(np.log(10), rel=1e-6)
    assert numbers.between_classes == numbers.between_images == 0
    assert numbers.favourite == 1
    # Four classes, each once.
    assert numbers.prior == pytest.approx(np.log(4), rel=1e-6)


def test_numbers_are_those_of_sums_in_float64():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (7, 4)).astype(np.float32)
    labels = np.array([0, 1, 1, 3, 3, 3, 3])
    logits[:5, 2] = 20
    wide = logits.astype(np.float64)
    chances = np.exp(wide) / np.exp(wide).sum(1, keepdims=True)
    numbers = measured(jnp.asarray(logits), jnp.asarray(labels))
    loss = -np.log(chances[range(7), labels]).mean()
    assert numbers.loss == pytest.approx(loss, rel=1e-5)
    entropy = -(chances * np.log(chances)).sum(1).mean()
    assert numbers.entropy == pytest.approx(entropy, rel=1e-4)
    within = np.mean([np.std(row) ** 2 for row in wide]) ** 0.5
    assert numbers.between_classes == pytest.approx(within, rel=1e-5)
    across = np.mean([np.std(column) ** 2 for column in wide.T]) ** 0.5
    assert numbers.between_images == pytest.approx(across, rel=1e-5)
    shares = np.array([1, 2, 4]) / 7
    assert numbers.prior == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-5)
    most = max(np.bincount(wide.argmax(1))) / 7
    assert numbers.favourite == pytest.approx(most)


def test_a_bias_of_all_classes_spreads_nothing():
    """What the bias of a class adds to all images is no knowledge of the image."""
    numbers = measure_logits(jnp.array([[1.0, 5.0]] * 3), jnp.array([0, 1, 1]))
    assert numbers.between_classes == 2 and numbers.between_images == 0


def test_the_prior_may_be_the_data_sets():
    logits, labels = jnp.zeros((1, 2)), jnp.array([0])
    assert measure_logits(logits, labels).prior == 0
    shares = jnp.array([0.25, 0.75])
    wanted = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    numbers = measure_logits(logits, labels, shares)
    assert numbers.prior == pytest.approx(wanted, rel=1e-6)
    assert numbers.between_images == 0


def test_a_certain_network_has_no_entropy():
    numbers = measure_logits(jnp.array([[0.0, 1e4, -jnp.inf]]), jnp.array([1]))
    assert numbers.entropy == 0 and numbers.loss == 0


def test_nan_is_no_prediction():
    numbers = measure_logits(jnp.array([[0.0, jnp.nan], [0, 0]]), jnp.array([0, 1]))
    for name in ("loss", "between_classes", "between_images", "entropy", "favourite"):
        assert np.isnan(getattr(numbers, name)), name
    assert numbers.uniform == pytest.approx(np.log(2))


def test_members_are_measured_as_one_by_one():
    logits = jax.random.normal(jax.random.key(0), (2, 5, 3))
    labels = jnp.array([0, 1, 2, 0, 1])
    together = jax.jit(jax.vmap(lambda one: measure_logits(one, labels)))(logits)
    for member in range(2):
        alone = measured(logits[member], labels)
        np.testing.assert_allclose([x[member] for x in together], alone, rtol=1e-5)


def test_what_cannot_be_is_refused():
    none = jnp.zeros((0, 3))
    with pytest.raises(UserError, match=r"logits of shape \(0, 3\) hold no number"):
        measure_logits(none, jnp.zeros(0, jnp.int32))


@pytest.mark.wrong_types
def test_shares_of_other_classes_are_refused():
    with pytest.raises(UserError, match="2 class shares for 3 logits"):
        measure_logits(jnp.zeros((1, 3)), jnp.array([0]), jnp.array([0.5, 0.5]))
