"""Batches that hold less than they seem to, and twins that hold all of it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from diagnosis.test_image_traps import IMAGES, Small, seen_of
from diagnosis.twins import found


def test_copies_of_one_image_are_told_and_many_are_a_warning():
    pair = jnp.asarray(IMAGES).at[3].set(IMAGES[4])
    (one,) = seen_of(pair)["repeated-images"]
    assert one.severity == "info"
    assert "15 of 16" in one.evidence
    (half,) = seen_of(jnp.tile(IMAGES[:8], (2, 1, 1, 1)))["repeated-images"]
    assert half.severity == "warning"
    assert "repeated-images" not in seen_of(IMAGES)


def test_images_around_one_picture_are_alike():
    alike = IMAGES[:1] + 0.1 * IMAGES
    (one,) = seen_of(alike)["images-alike"]
    assert one.severity == "info"
    assert "images-alike" not in seen_of(IMAGES)
    # A mean that all share is no picture.
    assert "images-alike" not in seen_of(IMAGES + 5)


@pytest.mark.parametrize(("n", "severity"), [(4, "warning"), (16, "info")])
def test_a_scheme_that_looks_needs_something_to_look_at(n, severity):
    (one,) = seen_of(IMAGES[:n], "lsuv")["few-images"]
    assert one.severity == severity
    assert "few-images" not in seen_of(IMAGES[:n])


def test_a_scheme_has_all_of_large_images_though_few_are_looked_at():
    """Of images of this size an audit looks at the first eight."""
    shades = jnp.arange(40.0)[:, None, None, None]
    large = jnp.tile(IMAGES[:1], (40, 33, 44, 1)) + shades
    assert large[0].size * 9 > 2**19
    net = nn.Sequential([lambda x: x[:, ::66, ::88].reshape(len(x), -1), nn.Dense(3)])
    assert "few-images" not in found(net, "lsuv", large, jnp.arange(40) % 3)


def test_many_images_are_enough():
    many = jax.random.normal(jax.random.key(5), (32, 8, 8, 3))
    findings = found(Small(), "lsuv", many, jnp.arange(32) % 3)
    assert "few-images" not in findings


def test_repeated_pixels_are_told():
    coarse = IMAGES[:, :4, :4].repeat(2, 1).repeat(2, 2)
    (one,) = seen_of(coarse)["upscaled-images"]
    assert one.severity == "info"
    assert "2×2" in one.evidence and "4×4 of 8×8" in one.evidence
    assert "upscaled-images" not in seen_of(IMAGES)


def test_a_wide_border_is_told():
    padded = jnp.asarray(IMAGES)
    frame = jnp.zeros_like(padded).at[:, 1:-1, 1:-1].set(padded[:, 1:-1, 1:-1])
    (one,) = seen_of(frame)["padded-images"]
    assert one.severity == "info"
    assert "of 1 pixels" in one.evidence
    assert "padded-images" not in seen_of(IMAGES)


def test_images_of_half_precision_are_told():
    (one,) = seen_of(jnp.asarray(IMAGES, jnp.bfloat16))["half-images"]
    assert one.severity == "info"
    assert "half-images" not in seen_of(IMAGES)
