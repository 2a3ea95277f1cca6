"""The same net from draws with and without their signs: do they have to cancel?

A law of mean zero and the sizes of its draws have the same mean square: only the mean
differs. Drawn by the nets themselves, scheme `module`.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.initializers import Initializer, normal, uniform

# The size of He's law for a 3×3 convolution of 16 by 16 channels.
_STD = 0.118


class FourConvolutions(nn.Module):
    """The plain net of four 3×3 convolutions, with a law for all of its kernels."""

    num_classes: int
    law: Initializer

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        x = images
        for index in range(4):
            x = nn.relu(nn.Conv(16, (3, 3), kernel_init=self.law)(x))
            if index == 0:
                x = nn.max_pool(x, (2, 2), (2, 2))
        return nn.Dense(self.num_classes, kernel_init=self.law)(x.mean((1, 2)))


def signed_uniform(num_classes: int) -> FourConvolutions:
    """Make the net from a uniform law of mean zero."""
    return FourConvolutions(num_classes, uniform(_STD * 3**0.5))


def signed_gaussian(num_classes: int) -> FourConvolutions:
    """Make the net from a Gaussian law of mean zero."""
    return FourConvolutions(num_classes, normal(_STD))


def one_sided_uniform(num_classes: int) -> FourConvolutions:
    """Make the net from the sizes of uniform draws."""
    return FourConvolutions(num_classes, _without_sign(uniform(_STD * 3**0.5)))


def one_sided_gaussian(num_classes: int) -> FourConvolutions:
    """Make the net from the sizes of Gaussian draws."""
    return FourConvolutions(num_classes, _without_sign(normal(_STD)))


def _without_sign(law: Initializer) -> Initializer:
    def init(key: Array, shape: tuple[int, ...], dtype: type = jnp.float32) -> Array:
        return jnp.abs(law(key, shape, dtype))

    return init
