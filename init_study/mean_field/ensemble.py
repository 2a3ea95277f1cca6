"""The ensemble: random numbers that stand for the values of a very wide net.

They are `[images, places, channels]`; images are exchangeable, and so are the places of
one image. So all that a layer with random weights can pass on is three numbers: the
mean square, and the mean products of two places of one image and of two images.
"""

from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.initializers.draws import flat
from init_study.instruments.gains import Gain

# How many stand for all. Means over 16 · 16 · 1024 numbers are what is read.
IMAGES, PLACES, CHANNELS = 16, 16, 1024
SHAPE = (IMAGES, PLACES, CHANNELS)
_ONE = np.float32(1)


def of_images(key: PRNGKeyArray, images: Array) -> Array:
    """Draw normal numbers with the mean and the second moments of some images.

    Args:
        key: of the draw.
        images: `[n, height, width, channels]`.
    """
    flat = images.reshape(len(images), -1, images.shape[-1]).astype(jnp.float32)
    if flat.shape[1] == 1:
        # Of a single place there are no pairs to read: all places are that one.
        flat = jnp.broadcast_to(flat, (len(flat), 2, flat.shape[-1]))
    mean = flat.mean()
    return mean + _normal(key, *_second_moments(flat - mean))


def of_noise(key: PRNGKeyArray) -> Array:
    """Draw independent standard normal numbers: their moments are known, not measured.

    Args:
        key: of the draw.
    """
    return _normal(key, jnp.float32(1), jnp.float32(0), jnp.float32(0))


def standard(key: PRNGKeyArray, places: int = PLACES) -> Array:
    """Draw independent standard normal numbers, by a program that all draws share.

    Args:
        key: of the draw.
        places: of them.
    """
    drawn = flat(jax.random.normal, key, prod(SHAPE), jnp.float32)
    return drawn[: IMAGES * places * CHANNELS].reshape(IMAGES, places, CHANNELS)


def averaged(values: Float[Array, "i p c"], means: Array, count: int) -> Array:
    """Give means over places of an image the moments that they have over `count`.

    An ensemble has fewer places than a large window. Of exchangeable places the mean
    over n has the mean square `within + (square − within) / n`, and the mean product of
    two images stays.

    Args:
        values: the ensemble.
        means: of some of its places.
        count: how many places each of them stands for.
    """
    center = values.mean()
    values, means = values - center, means - center
    square, within, between = _second_moments(values)
    wanted = within + (square - within) / count
    common = means.mean(0, keepdims=True)
    images = len(values)
    # What all images share, and how each of them differs.
    shared = _root_ratio((wanted + (images - 1) * between) / images, common)
    apart = _root_ratio((wanted - between) * (images - 1) / images, means - common)
    return center + shared * common + apart * (means - common)


@jax.jit
def mixed(values: Float[Array, "i p c"], total: Any, squares: Any) -> Array:
    """Give values the moments that weighted sums of places of an image have.

    What the places of an image share counts `total` times; of the rest, independent
    numbers, the mean square counts `squares` times.

    Args:
        values: the ensemble.
        total: the sum of the weights of one such sum.
        squares: the sum of their squares.
    """
    center = values.mean()
    square, within, between = _second_moments(values - center)
    of_image = values.mean(1, keepdims=True)
    of_all = of_image.mean(0, keepdims=True)
    common, apart = of_all - center, of_image - of_all
    rest = squares * (square - within) / PLACES
    one = total**2 * (within - between) + rest
    shared = _root_ratio(total**2 * between + one / IMAGES, common) * common
    apart = _root_ratio(one * (1 - 1 / IMAGES), apart) * apart
    sign = jnp.where(total < 0, -1.0, 1.0)
    own = jnp.sqrt(squares) * (values - of_image)
    return total * center + sign * (shared + apart) + own


def through_layer(
    key: PRNGKeyArray, values: Array, gain: Gain | None, flat: bool = False
) -> Array:
    """Draw what a layer gives: normal, with the second moments read times the gain.

    On the way back the same is done to gradients, with the backward gain.

    Args:
        key: of both draws.
        values: what the layer reads, as an ensemble.
        gain: of the layer; None for weights that give the mean square 1.
        flat: whether it reads whole maps as flat channels. Then its result is the same
            at all places, and on the way back each place gets a gradient of its own.
    """
    values = jnp.broadcast_to(values, SHAPE)
    forward_key, backward_key = jax.random.split(key)
    if gain is None:
        square = jnp.mean(values**2)
        # Behind a branch that begins at zero there is nothing to scale.
        inverse = jnp.where(square > 0, 1 / jnp.where(square > 0, square, 1.0), 0.0)
        return _normal_like(forward_key, values, inverse, 1.0 if flat else None)
    keys = (forward_key, backward_key)
    # What is too large for float32 is infinite, as it is in the net.
    with np.errstate(over="ignore"):
        factors = jnp.float32(gain.forward), jnp.float32(gain.backward)
    return _linear(values, keys, factors, flat)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _linear(values: Array, keys: Any, factors: Any, flat: bool) -> Array:
    return _normal_like(keys[0], values, factors[0], 1.0 if flat else None)


def _linear_forward(
    values: Array, keys: Any, factors: Any, flat: bool
) -> tuple[Array, Any]:
    made = _normal_like(keys[0], values, factors[0], 1.0 if flat else None)
    return made, (keys, factors)


def _linear_backward(flat: bool, kept: Any, cotangent: Array) -> tuple[Array, Any, Any]:
    keys, factors = kept
    alike = 0.0 if flat else None
    return _normal_like(keys[1], cotangent, factors[1], alike), None, None


_linear.defvjp(_linear_forward, _linear_backward)


def _normal_like(
    key: PRNGKeyArray, values: Array, factor: Any, alike: float | None = None
) -> Array:
    """Draw normal numbers with the same second moments, times a factor.

    `alike` takes the place of the correlation between places of an image.
    """
    square, within, between = _second_moments(values, alike)
    return _normal(key, square, within, between, factor)


@partial(jax.jit, static_argnums=1)
def _second_moments(
    values: Float[Array, "i p c"], alike: float | None = None
) -> tuple[Array, Array, Array]:
    """Compute the mean products of numbers in the same channel.

    They are of a number with itself, with others of its image, and with those of other
    images. From sums, which cost no product of all pairs: (Σx)² = Σx² + Σ of pairs.
    `alike` is as of `_normal_like`.
    """
    images, places, _ = values.shape
    square = jnp.mean(values**2)
    sums = jnp.mean(values.sum(1) ** 2)
    within = (sums - places * square) / max(1, places * (places - 1))
    totals = jnp.mean(values.sum((0, 1)) ** 2)
    # As a whole number it would not fit into 32 bits for a batch of large images.
    pairs = float(max(1, images * (images - 1) * places**2))
    between = (totals - images * sums) / pairs
    within = jnp.clip(within, 0.0, square)
    between = jnp.clip(between, 0.0, within)
    if alike is not None:
        within = alike * square
        between = jnp.minimum(between, within)
    return square, within, between


def _normal(
    key: PRNGKeyArray,
    square: Array,
    within: Array,
    between: Array,
    factor: Any = _ONE,
) -> Array:
    """Draw normal numbers with these mean products, as of `_second_moments`.

    These are not only expected: the numbers drawn have them, and the mean 0. A factor
    multiplies them all.
    """
    return _with_moments(standard(key), square, within, between, factor)


@jax.jit
def _with_moments(
    drawn: Array, square: Array, within: Array, between: Array, factor: Any
) -> Array:
    drawn = drawn - drawn.mean()
    # What all images share, what the places of an image share, and the rest.
    common = drawn.mean((0, 1), keepdims=True)
    own = drawn.mean(1, keepdims=True) - common
    rest = drawn - common - own
    of_image = (square + (PLACES - 1) * within) / PLACES
    of_all = (of_image + (IMAGES - 1) * between) / IMAGES
    parts = ((common, of_all), (own, of_image - of_all), (rest, square - of_image))
    made = [_root_ratio(wanted, part) * part for part, wanted in parts]
    return (made[0] + made[1] + made[2]) * jnp.sqrt(factor)


def _root_ratio(wanted: Array, part: Array) -> Array:
    """Compute the factor that brings a part of an ensemble to a mean square."""
    square = jnp.mean(part**2)
    known = square > 0
    ratio = jnp.where(known, wanted / jnp.where(known, square, 1.0), 0.0)
    return jnp.sqrt(jnp.maximum(ratio, 0.0))
