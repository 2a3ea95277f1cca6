"""Batches are a function of key and step; augmentation keeps what it promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.data import AUGMENTATIONS, batch_indices, standardize
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


def distinct_images(batch: int, side: int) -> jax.Array:
    """No zeros, and no two pixels of a row or a column are alike."""
    rows, columns = np.mgrid[:side, :side]
    image = 1 + (rows * side + columns) % 255
    shifts = np.arange(batch)[:, None, None]
    return jnp.asarray((image + shifts) % 255 + 1, jnp.uint8)[..., None]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_keeps_shape_and_dtype_and_is_pure(name):
    images = distinct_images(9, 8)
    augment = AUGMENTATIONS[name]
    once, jitted = (
        augment(jax.random.key(0), images),
        jax.jit(augment)(jax.random.key(0), images),
    )
    assert once.shape == images.shape and once.dtype == jnp.uint8
    np.testing.assert_array_equal(once, jitted)
    if name == "none":
        np.testing.assert_array_equal(once, images)
    else:
        assert not np.array_equal(once, augment(jax.random.key(1), images))


def test_flip_mirrors_about_half_of_the_images_and_leaves_the_others():
    images = distinct_images(400, 4)
    flipped = np.asarray(AUGMENTATIONS["flip"](jax.random.key(0), images))
    mirror = np.asarray(images)[:, :, ::-1]
    is_mirrored = (flipped == mirror).all((1, 2, 3))
    is_same = (flipped == np.asarray(images)).all((1, 2, 3))
    assert (is_mirrored ^ is_same).all()
    # 400 fair coins: 200 with a standard deviation of 10.
    assert 150 < is_mirrored.sum() < 250


@pytest.mark.parametrize("side, margin", [(8, 1), (16, 1), (17, 4), (28, 4)])
def test_crop_is_a_shift_of_the_padded_image(side, margin):
    images = np.asarray(distinct_images(300, side))
    cropped = np.asarray(AUGMENTATIONS["crop"](jax.random.key(0), jnp.asarray(images)))
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    shifts = [(i, j) for i in range(2 * margin + 1) for j in range(2 * margin + 1)]
    windows = {
        (i, j): (cropped == padded[:, i : i + side, j : j + side]).all((1, 2, 3))
        for i, j in shifts
    }
    assert (sum(windows.values()) == 1).all()
    # Both axes use their whole range, independently.
    seen = {shift for shift, matches in windows.items() if matches.any()}
    assert {i for i, _ in seen} == {j for _, j in seen} == set(range(2 * margin + 1))
    assert any(i != j for i, j in seen)
