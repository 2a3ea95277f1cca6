"""Batches are a function of key and step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.data import batch_indices, standardize
from init_study.data.batches import center_crop
from init_study.errors import UserError

EXAMPLES, BATCH = 23, 5
STEPS_PER_EPOCH = EXAMPLES // BATCH


@pytest.mark.parametrize("count", [1, 5])
def test_a_row_does_not_depend_on_how_the_steps_are_cut(count):
    whole = batch_indices(jax.random.key(0), 0, 20, EXAMPLES, BATCH)
    part = jax.jit(
        lambda first: batch_indices(jax.random.key(0), first, count, EXAMPLES, BATCH)
    )
    for first in range(20 - count):
        np.testing.assert_array_equal(part(first), whole[first : first + count])


def test_an_epoch_visits_each_example_at_most_once_and_epochs_differ():
    rows = batch_indices(jax.random.key(0), 0, 3 * STEPS_PER_EPOCH, EXAMPLES, BATCH)
    epochs = np.asarray(rows).reshape(3, STEPS_PER_EPOCH * BATCH)
    for epoch in epochs:
        assert len(set(epoch.tolist())) == len(epoch)
        assert epoch.min() >= 0 and epoch.max() < EXAMPLES
    assert not np.array_equal(epochs[0], epochs[1])
    # What one epoch drops, others visit.
    many = batch_indices(jax.random.key(0), 0, 20 * STEPS_PER_EPOCH, EXAMPLES, BATCH)
    assert set(np.unique(many)) == set(range(EXAMPLES))


def test_the_whole_data_can_be_one_batch():
    rows = batch_indices(jax.random.key(0), 0, 3, 7, 7)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(7), (3, 1)))


def test_the_first_step_may_be_traced():
    traced = jax.jit(
        lambda step: batch_indices(jax.random.key(0), step, 6, EXAMPLES, BATCH)
    )
    for step in (3, 11):
        expected = batch_indices(jax.random.key(0), step, 6, EXAMPLES, BATCH)
        np.testing.assert_array_equal(traced(step), expected)


def test_seeds_differ_and_mapping_over_them_changes_nothing():
    keys = jax.random.split(jax.random.key(0), 3)

    def rows(key):
        return batch_indices(key, 2, 6, EXAMPLES, BATCH)

    solo = np.stack([rows(key) for key in keys])
    assert not np.array_equal(solo[0], solo[1])
    np.testing.assert_array_equal(jax.jit(jax.vmap(rows))(keys), solo)
    np.testing.assert_array_equal(jax.jit(lambda k: jax.lax.map(rows, k))(keys), solo)


def test_a_permutation_is_drawn_once_for_each_epoch(monkeypatch):
    draws, permutation = [], jax.random.permutation

    def counted(key, n):
        jax.debug.callback(lambda: draws.append(n))
        return permutation(key, n)

    monkeypatch.setattr(jax.random, "permutation", counted)
    rows = jax.jit(
        lambda step: batch_indices(jax.random.key(0), step, 10, EXAMPLES, BATCH)
    )(2)
    jax.block_until_ready(rows)
    jax.effects_barrier()
    # Steps 2 to 11, four to an epoch, lie in epochs 0, 1 and 2.
    assert len(draws) == 3


def test_errors_of_batch_indices():
    with pytest.raises(UserError, match=r"batch_size=24 .* 23"):
        batch_indices(jax.random.key(0), 0, 1, 23, 24)
    with pytest.raises(TypeError, match=r"jax\.random\.key"):
        batch_indices(jax.random.PRNGKey(0), 0, 1, EXAMPLES, BATCH)


def test_standardized_images_have_mean_0_and_variance_1():
    images = jax.random.bits(jax.random.key(0), (50, 4, 4, 3), jnp.uint8)
    pixels = np.asarray(images, dtype=np.float64) / 255
    mean = jnp.asarray(pixels.mean((0, 1, 2)), jnp.float32)
    std = jnp.asarray(pixels.std((0, 1, 2)), jnp.float32)
    values = jax.jit(standardize)(images, mean, std)
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(values.std((0, 1, 2)), 1, atol=1e-5)
    # The first value by hand.
    expected = (pixels[0, 0, 0, 0] - mean[0]) / std[0]
    np.testing.assert_allclose(values[0, 0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("side, first", [(4, 2), (5, 2), (9, 0), (8, 0)])
def test_the_middle_is_seen(side, first):
    """Of 9 pixels; of an odd number more, the last one goes."""
    images = np.arange(9 * 9).reshape(1, 9, 9, 1)
    seen = center_crop(jnp.asarray(images), (side, 9))
    np.testing.assert_array_equal(seen, images[:, first : first + side])
    np.testing.assert_array_equal(
        center_crop(jnp.asarray(images), (9, side, 1)),
        images[:, :, first : first + side],
    )
