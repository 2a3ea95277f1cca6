"""Random changes of training images that keep their label and their type. Pure.

Each maps a key and a batch to a batch of the same shape, drawing for every image
anew. Shifts and flips as in He et al. 2016, arXiv:1512.03385, section 4.2.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, Shaped

ImageBatch = Shaped[Array, "batch height width channels"]
Augmentation = Callable[[PRNGKeyArray, ImageBatch], ImageBatch]


def none(key: PRNGKeyArray, images: ImageBatch) -> ImageBatch:
    """Give the images as they are.

    Example:
        >>> none(jax.random.key(0), jnp.zeros((2, 8, 8, 1))).shape
        (2, 8, 8, 1)
    """
    del key
    return images


def flip(key: PRNGKeyArray, images: ImageBatch) -> ImageBatch:
    """Exchange left and right in every second image, on average.

    Example:
        >>> images = jnp.array([0, 1, 2]).reshape(1, 1, 3, 1)
        >>> flipped = flip(jax.random.key(0), images).ravel().tolist()
        >>> flipped in ([0, 1, 2], [2, 1, 0])
        True
    """
    mirrored = jax.random.bernoulli(key, 0.5, images.shape[:1])
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def crop(key: PRNGKeyArray, images: ImageBatch) -> ImageBatch:
    """Shift images by up to 4 pixels each way, with zeros behind.

    By 1 pixel at most if a side is 16 or less.

    Example:
        >>> crop(jax.random.key(0), jnp.ones((2, 32, 32, 3))).shape
        (2, 32, 32, 3)
    """
    batch, *image_shape = images.shape
    margin = 1 if min(image_shape[:2]) <= 16 else 4
    sides = ((margin, margin), (margin, margin))
    padded = jnp.pad(images, ((0, 0), *sides, (0, 0)))
    corners = jax.random.randint(key, (batch, 2), 0, 2 * margin + 1)

    def cut(image, corner):
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), image_shape)

    return jax.vmap(cut)(padded, corners)


def flip_crop(key: PRNGKeyArray, images: ImageBatch) -> ImageBatch:
    """Apply `flip`, then `crop`.

    Example:
        >>> flip_crop(jax.random.key(0), jnp.ones((2, 32, 32, 3))).shape
        (2, 32, 32, 3)
    """
    flip_key, crop_key = jax.random.split(key)
    return crop(crop_key, flip(flip_key, images))


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": none,
    "flip": flip,
    "crop": crop,
    "flip_crop": flip_crop,
}
