"""Images that are not what a network reads, and twins that are."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnosis.twins import found

RANDOM = np.random.default_rng(0)
# Smooth in space, as pictures are; of mean 0 and variance 1 in each channel.
_COARSE = jax.random.normal(jax.random.key(4), (16, 4, 4, 3))
_SMOOTH = jax.image.resize(_COARSE, (16, 8, 8, 3), "linear")
IMAGES = np.asarray((_SMOOTH - _SMOOTH.mean((0, 1, 2))) / _SMOOTH.std((0, 1, 2)))
# The same from 0 to 1, and in bytes.
UNIT = (IMAGES - IMAGES.min()) / np.ptp(IMAGES)
BYTES = np.round(255 * UNIT).astype(np.uint8)
LABELS = jnp.arange(16) % 3


class Small(nn.Module):
    """A convolution that casts what it reads, a mean and a head."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), dtype="float32")(x))
        return nn.Dense(3)(x.mean((1, 2)))


def seen_of(images, scheme="he_normal", module=None):
    labels = LABELS[: len(images)]
    return found(module or Small(), scheme, jnp.asarray(images), labels)


def graver(findings):
    return {
        name
        for name, ones in findings.items()
        if any(o.severity != "info" for o in ones)
    }


def test_standardized_images_have_no_trap_however_few():
    for n in (2, 4, 16):
        assert not graver(seen_of(IMAGES[:n])), n


def test_batches_of_standardized_images_give_no_warning_by_chance():
    # Bright and dark images: the batch's own mean and scale are far from 0 and 1.
    random = np.random.default_rng(1)
    for _ in range(20):
        means = random.normal(size=(4, 1, 1, 3))
        images = (means + random.normal(size=(4, 8, 8, 3))) / np.sqrt(2)
        assert "not-standardized" not in seen_of(images.astype(np.float32))


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_images_of_another_scale_are_a_warning(factor):
    off = seen_of(factor * IMAGES)["not-standardized"]
    assert {one.severity for one in off} == {"warning"}
    assert [one.place for one in off] == [f"images, channel {c}" for c in range(3)]
    # From −1 to 1, as many give them.
    assert "not-standardized" not in seen_of(0.7 * IMAGES)


def test_images_from_zero_to_one_have_a_mean_that_is_too_large():
    off = seen_of(UNIT)["not-standardized"]
    assert {one.severity for one in off} == {"warning"}
    assert "to 1" in off[0].evidence
    assert "not-standardized" not in seen_of(IMAGES)


def test_bytes_are_divided_first_whatever_their_type():
    for n in (1, 16):
        (one, *_) = seen_of(BYTES[:n].astype(np.float32))["not-standardized"]
        assert "/ 255" in one.cure
    whole = seen_of(BYTES)
    assert [one.severity for one in whole["integer-images"]] == ["warning"]
    assert "uint8" in whole["integer-images"][0].evidence
    assert "/ 255" in whole["integer-images"][0].cure
    assert "not-standardized" not in whole
    assert "integer-images" not in seen_of(IMAGES)


def test_channels_come_last():
    first = IMAGES.transpose(0, 3, 1, 2)
    (one,) = seen_of(first)["channels-first"]
    assert one.severity == "warning"
    assert "3 rows of 8 channels" in one.evidence
    assert "channels-first" not in seen_of(IMAGES)


def test_a_channel_that_is_the_same_everywhere_is_a_warning():
    for constant in (0.0, 0.7):
        images = IMAGES.copy()
        images[..., 1] = constant
        findings = seen_of(images)
        (one,) = findings["dead-channel"]
        assert one.place == "images, channel 1"
        assert "not-standardized" not in findings
    assert "dead-channel" not in seen_of(IMAGES)


def test_one_constant_is_told_once():
    findings = seen_of(np.full_like(IMAGES, 0.5))
    assert [one.severity for one in findings["constant-images"]] == ["info"]
    others = {"dead-channel", "not-standardized", "repeated-images", "images-alike"}
    assert not others & set(findings)
    assert "constant-images" not in seen_of(IMAGES)


def test_an_image_that_outweighs_all_others_is_a_warning():
    images = IMAGES.copy()
    images[5] *= 30
    (one,) = seen_of(images)["outlier-image"]
    assert (one.place, one.severity) == ("image 5", "warning")
    assert "outlier-image" not in seen_of(IMAGES)


def test_patches_of_one_brightness_each_have_one_direction():
    noise = RANDOM.normal(size=(16, 18, 18, 3)).astype(np.float32)
    brightness = RANDOM.normal(size=(16, 1, 1, 1)).astype(np.float32)
    (one,) = seen_of(brightness + 0.1 * noise)["one-direction"]
    assert one.severity == "info"
    assert "one-direction" not in seen_of(noise)
