"""One net on inputs of different laws, all standardized: does an initializer mind?"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.models import CNN

Images = Float[Array, "n h w c"]


class PixelInputs(nn.Module):
    """The plain CNN on the pixels as they are: half of them are black."""

    num_classes: int

    @nn.compact
    def __call__(self, images: Images, train: bool = False) -> Array:
        return CNN(self.num_classes)(images, train)


class BinaryInputs(nn.Module):
    """The plain CNN on two values, −1 and 1: which side of the mean a pixel is on."""

    num_classes: int

    @nn.compact
    def __call__(self, images: Images, train: bool = False) -> Array:
        return CNN(self.num_classes)(jnp.where(images > 0, 1.0, -1.0), train)


class HeavyTailedInputs(nn.Module):
    """The plain CNN on cubes of the pixels, of about unit variance."""

    num_classes: int

    @nn.compact
    def __call__(self, images: Images, train: bool = False) -> Array:
        cubes = images**3
        return CNN(self.num_classes)(cubes / jnp.std(cubes), train)
