"""Augmentation keeps what it promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.data import AUGMENTATIONS
from init_study.data.feeds import Examples
from init_study.data.mixing import (
    MIXTURES,
    Targets,
    augment,
    check_augmentation,
    mixup,
    training_batch,
)
from init_study.errors import UserError
from init_study.models.linear import Linear
from init_study.network import trace
from init_study.study import Program
from init_study.train import (
    Hyper,
    cross_entropy,
    init_state,
    step_keys,
    train_step,
)


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
    # Where a pixel is resampled, compiling may round it to the neighbour.
    np.testing.assert_allclose(
        np.int32(once), np.int32(jitted), atol=int(name == "random_resized_crop")
    )
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


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_larger_images_come_out_as_the_network_sees_them(name):
    images = distinct_images(5, 12)
    seen = augment(name, jax.random.key(0), images, (8, 6))
    assert seen.shape == (5, 8, 6, 1) and seen.dtype == jnp.uint8
    if name == "none":
        np.testing.assert_array_equal(seen, images[:, 2:10, 3:9])


def test_a_crop_of_a_larger_image_is_one_of_its_windows():
    images = np.asarray(distinct_images(300, 9))
    cropped = AUGMENTATIONS["crop"](jax.random.key(0), jnp.asarray(images), (7, 8))
    corners = {
        (i, j)
        for image, seen in zip(images, np.asarray(cropped), strict=True)
        for i in range(3)
        for j in range(2)
        if (seen == image[i : i + 7, j : j + 8]).all()
    }
    assert corners == {(i, j) for i in range(3) for j in range(2)}


def ramp(rows, columns):
    """A picture whose red says the row and whose green says the column."""
    down, right = np.mgrid[:rows, :columns]
    return jnp.asarray(np.stack([down, right], -1), jnp.float32)[None]


def test_a_random_resized_crop_shows_a_part_of_the_right_area_and_shape():
    """On a ramp every pixel says where it comes from: steps tell the part's sides."""
    side, seen, count = 60, 20, 400
    images = jnp.repeat(ramp(side, side), count, axis=0)
    found = np.asarray(
        AUGMENTATIONS["random_resized_crop"](jax.random.key(0), images, (seen, seen))
    )
    # Away from the border, where the filter is cut off.
    inner = found[:, 5:-5, 5:-5]
    down = np.diff(inner[..., 0], axis=1).mean((1, 2)) * seen
    right = np.diff(inner[..., 1], axis=2).mean((1, 2)) * seen
    area, aspect = down * right / side**2, right / down
    assert 0.07 < area.min() < 0.12 and 0.9 < area.max() < 1.01
    # Uniform from 0.08 to 1, less what sides cut to the image lose.
    assert 0.48 < area.mean() < 0.55
    assert 0.73 < aspect.min() < 0.8 and 1.25 < aspect.max() < 1.36
    assert abs(np.log(aspect).mean()) < 0.05
    # Nothing from outside: the means of parts lie between their ends.
    assert found.min() >= -1e-3 and found.max() <= side - 1 + 1e-3


def test_cutout_blackens_a_square_of_half_the_side_that_the_border_may_cut():
    images = jnp.ones((500, 16, 16, 2), jnp.uint8)
    black = np.asarray(AUGMENTATIONS["cutout"](jax.random.key(0), images)) == 0
    assert (black[..., 0] == black[..., 1]).all()
    rows, columns = black.any((2, 3)).sum(1), black.any((1, 3)).sum(1)
    np.testing.assert_array_equal(black[..., 0].sum((1, 2)), rows * columns)
    # Middles are 16 places; a square of 8 is cut by up to half.
    assert (rows.min(), rows.max()) == (4, 8) and (columns.min(), columns.max()) == (
        4,
        8,
    )


def test_steps_are_joined_in_their_order_with_keys_of_their_own():
    images = distinct_images(9, 8)

    def changed(text):
        return augment(text, jax.random.key(3), images, (8, 8))

    first, second = jax.random.split(jax.random.key(3))
    expected = AUGMENTATIONS["cutout"](second, AUGMENTATIONS["flip"](first, images))
    np.testing.assert_array_equal(changed("flip+cutout"), expected)
    np.testing.assert_array_equal(changed("flip+crop"), changed("flip_crop"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("flop", "Did you mean 'flip'"),
        ("flip+cropp", "Did you mean 'crop'"),
        ("mixup+flip", "a mixture comes last"),
        ("flip+flip", "'flip' has no place there"),
        ("none+flip", "'none' has no place there"),
        ("", "unknown augmentation"),
    ],
)
def test_an_augmentation_that_cannot_be_meant_is_refused(text, message):
    with pytest.raises(UserError, match=message) as caught:
        check_augmentation(text)
    assert "\n" not in str(caught.value)


def test_mixup_mixes_by_one_weight_of_the_right_law():
    images = jax.random.normal(jax.random.key(1), (6, 3, 3, 1))
    labels = jnp.arange(6)
    weights = []
    for seed in range(200):
        mixed, targets = mixup(jax.random.key(seed), images, labels)
        weight = float(targets.weight)
        expected = weight * images + (1 - weight) * images[targets.others]
        np.testing.assert_allclose(mixed, expected, atol=1e-6)
        weights.append(weight)
    # Beta(0.2, 0.2): mean 1/2, variance 1 / (4 (2 · 0.2 + 1)) = 0.179.
    assert np.mean(weights) == pytest.approx(0.5, abs=0.1)
    assert np.var(weights) == pytest.approx(0.179, abs=0.02)


def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses():
    """By the definition: cross-entropy against the mixed one-hot label."""
    logits = jax.random.normal(jax.random.key(0), (5, 3))
    labels, others = jnp.array([0, 1, 2, 0, 1]), jnp.array([1, 1, 0, 2, 0])
    found = Targets(labels, others, 0.3).mean(cross_entropy, logits)
    soft = 0.3 * jax.nn.one_hot(labels, 3) + 0.7 * jax.nn.one_hot(others, 3)
    expected = -(soft * jax.nn.log_softmax(logits)).sum(-1).mean()
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("text", ["mixup", "random_resized_crop+cutout+mixup"])
def test_a_step_follows_the_gradient_of_what_the_augmentation_makes(text):
    program = Program(augmentation=text, momentum=0.0)
    network = trace(Linear(3), (8, 8, 1))
    params = network.own_init(jax.random.key(0))
    images, labels = distinct_images(4, 10), jnp.array([0, 1, 2, 1])
    batch = Examples(images, labels, jnp.array([0.5]), jnp.array([0.3]))
    hyper = Hyper(jnp.float32(0.1), jnp.int32(5), jnp.int32(0))
    state = init_state(program, params, {})
    moved = train_step(network, program, "xla", state, hyper, batch)
    key, _ = step_keys(hyper.seed, 0)
    seen, targets = training_batch(text, key, batch, (8, 8))

    def loss(params):
        logits = seen.reshape(4, -1) @ params["Dense_0"]["kernel"]
        logits += params["Dense_0"]["bias"][None]
        return targets.mean(cross_entropy, logits)

    expected = jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), moved.params, expected
    )
    assert targets.others is not None and text.endswith(tuple(MIXTURES))
