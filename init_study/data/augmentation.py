"""Random changes of training images that keep their label. Pure, uint8 to uint8.

Each maps a key and a batch to a batch of the same shape, drawing for every image
anew. Shifts and flips as in He et al. 2016, arXiv:1512.03385, section 4.2.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, UInt8

ImageBatch = UInt8[Array, "batch height width channels"]
Augmentation = Callable[[PRNGKeyArray, ImageBatch], ImageBatch]


def none(key: PRNGKeyArray, images: ImageBatch) -> ImageBatch:
    """The images as they are."""
    del key
    return images


def flip(key: PRNGKeyArray, images: ImageBatch) -> ImageBatch:
    """Every second image, on average, with left and right exchanged."""
    mirrored = jax.random.bernoulli(key, 0.5, images.shape[:1])
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def crop(key: PRNGKeyArray, images: ImageBatch) -> ImageBatch:
    """Shifted by up to 4 pixels each way (1 if a side is 16 or less), zeros behind."""
    batch, *image_shape = images.shape
    margin = 1 if min(image_shape[:2]) <= 16 else 4
    sides = ((margin, margin), (margin, margin))
    padded = jnp.pad(images, ((0, 0), *sides, (0, 0)))
    corners = jax.random.randint(key, (batch, 2), 0, 2 * margin + 1)

    def cut(image, corner):
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), image_shape)

    return jax.vmap(cut)(padded, corners)


def flip_crop(key: PRNGKeyArray, images: ImageBatch) -> ImageBatch:
    """`flip`, then `crop`."""
    flip_key, crop_key = jax.random.split(key)
    return crop(crop_key, flip(flip_key, images))


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": none,
    "flip": flip,
    "crop": crop,
    "flip_crop": flip_crop,
}
