"""Random changes of training images that keep their label and their type. Pure.

Each maps a key and a batch to a batch, drawing for every image anew. The images may be
larger than what the network sees: those that cut find their own place, and of the
others the middle is seen.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from init_study.data.batches import center_crop

ImageBatch = Shaped[Array, "batch height width channels"]
SeenBatch = Shaped[Array, "batch rows columns channels"]
# Rows and columns of what the network sees.
Size = tuple[int, int]
Augmentation = Callable[[PRNGKeyArray, ImageBatch, Size], SeenBatch]

# Of Inception's crops: share of the area, and width by height (Szegedy et al. 2015).
_AREAS = (0.08, 1.0)
_ASPECTS = (3 / 4, 4 / 3)


def none(key: PRNGKeyArray, images: ImageBatch, size: Size | None = None) -> ImageBatch:
    """Give the images as they are.

    Example:
        >>> none(jax.random.key(0), jnp.zeros((2, 8, 8, 1))).shape
        (2, 8, 8, 1)
    """
    del key, size
    return images


def flip(key: PRNGKeyArray, images: ImageBatch, size: Size | None = None) -> ImageBatch:
    """Exchange left and right in every second image, on average.

    Example:
        >>> images = jnp.array([0, 1, 2]).reshape(1, 1, 3, 1)
        >>> flipped = flip(jax.random.key(0), images).ravel().tolist()
        >>> flipped in ([0, 1, 2], [2, 1, 0])
        True
    """
    del size
    mirrored = jax.random.bernoulli(key, 0.5, images.shape[:1])
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def crop(key: PRNGKeyArray, images: ImageBatch, size: Size | None = None) -> SeenBatch:
    """Cut windows of what the network sees at random places.

    Images that are no larger are shifted, by up to 4 pixels each way with zeros behind,
    by 1 pixel at most if a side is 16 or less (He et al. 2016, arXiv:1512.03385,
    section 4.2).

    Example:
        >>> crop(jax.random.key(0), jnp.ones((2, 32, 32, 3))).shape
        (2, 32, 32, 3)
    """
    batch, *own, channels = images.shape
    rows, columns = size or own
    if (rows, columns) == tuple(own):
        margin = 1 if min(own) <= 16 else 4
        sides = ((margin, margin), (margin, margin))
        images = jnp.pad(images, ((0, 0), *sides, (0, 0)))
    height, width = images.shape[1:3]
    ends = jnp.array([[height - rows + 1, width - columns + 1]])
    corners = jax.random.randint(key, (batch, 2), 0, ends)

    def cut(image: Array, corner: Array) -> Array:
        start = (corner[0], corner[1], 0)
        return jax.lax.dynamic_slice(image, start, (rows, columns, channels))

    return jax.vmap(cut)(images, corners)


def flip_crop(
    key: PRNGKeyArray, images: ImageBatch, size: Size | None = None
) -> SeenBatch:
    """Apply `flip`, then `crop`.

    Example:
        >>> flip_crop(jax.random.key(0), jnp.ones((2, 32, 32, 3))).shape
        (2, 32, 32, 3)
    """
    flip_key, crop_key = jax.random.split(key)
    return crop(crop_key, flip(flip_key, images), size)


def random_resized_crop(
    key: PRNGKeyArray, images: ImageBatch, size: Size | None = None
) -> SeenBatch:
    """Cut a random part of each image and bring it to the size that the network sees.

    The part has 8 to 100 % of the area and is 3:4 to 4:3 wide, evenly in the logarithm;
    what would be longer than the image is cut to it. Resized linearly, with
    antialiasing where that makes it smaller. Szegedy et al. 2015, arXiv:1409.4842.

    Example:
        >>> images = jnp.ones((2, 32, 32, 3), jnp.uint8)
        >>> random_resized_crop(jax.random.key(0), images, (24, 24)).shape
        (2, 24, 24, 3)
    """
    batch, rows, columns, channels = images.shape
    area_key, aspect_key, place_key = jax.random.split(key, 3)
    low, high = _AREAS
    area = jax.random.uniform(area_key, (batch,), minval=low, maxval=high)
    low, high = jnp.log(jnp.array(_ASPECTS))
    aspect = jnp.exp(jax.random.uniform(aspect_key, (batch,), minval=low, maxval=high))
    sides = jnp.array([[rows, columns]], jnp.float32)
    # Of a square of this area, as the image may be longer than it is wide.
    side = jnp.sqrt(area * rows * columns)
    cut = jnp.stack([side / jnp.sqrt(aspect), side * jnp.sqrt(aspect)], axis=1)
    cut = jnp.minimum(cut, sides)
    corner = jax.random.uniform(place_key, (batch, 2)) * (sides - cut)
    seen = (*(size or (rows, columns)), channels)

    def resize(image: Array, cut: Array, corner: Array) -> Array:
        scale = jnp.array(seen[:2], jnp.float32) / cut
        return jax.image.scale_and_translate(
            image.astype(jnp.float32), seen, (0, 1), scale, -corner * scale, "linear"
        )

    resized = jax.vmap(resize)(images, cut, corner)
    return _as_type(resized, images)


def cutout(
    key: PRNGKeyArray, images: ImageBatch, size: Size | None = None
) -> SeenBatch:
    """Blacken a square of half the shorter side, whose middle is anywhere in the image.

    DeVries & Taylor 2017, arXiv:1708.04552: 16 of CIFAR-10's 32 pixels, there filled
    with the mean.

    Example:
        >>> images = jnp.ones((1, 8, 8, 1), jnp.uint8)
        >>> int(cutout(jax.random.key(0), images).sum()) in range(64 - 16, 64)
        True
    """
    images = center_crop(images, size or images.shape[1:3])
    batch, rows, columns, _ = images.shape
    half = min(rows, columns) // 4
    middle = jax.random.randint(key, (batch, 2), 0, jnp.array([[rows, columns]]))

    def hidden(axis: int, length: int) -> Array:
        first = middle[:, axis, None] - half
        place = jnp.arange(length)[None]
        return (place >= first) & (place < first + 2 * half)

    black = hidden(0, rows)[:, :, None] & hidden(1, columns)[:, None]
    return jnp.where(black[..., None], jnp.zeros((), images.dtype), images)


def _as_type(changed: Float[Array, "..."], images: ImageBatch) -> SeenBatch:
    if images.dtype != jnp.uint8:
        return changed.astype(images.dtype)
    return jnp.clip(jnp.round(changed), 0, 255).astype(jnp.uint8)


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": none,
    "flip": flip,
    "crop": crop,
    "flip_crop": flip_crop,
    "random_resized_crop": random_resized_crop,
    "cutout": cutout,
}
