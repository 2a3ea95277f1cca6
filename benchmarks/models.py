"""Nets that only the benchmarks train."""

import flax.linen as nn
from jaxtyping import Array, Float


class Small(nn.Module):
    """The two-convolution net of most tutorials: 32 and 64 channels, dense 128.

    Plain Flax, `nn.max_pool` included: what a user's own module looks like.
    """

    num_classes: int

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n classes"]:
        x = nn.max_pool(nn.relu(nn.Conv(32, (3, 3))(images)), (2, 2), (2, 2))
        x = nn.max_pool(nn.relu(nn.Conv(64, (3, 3))(x)), (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(128)(x))
        return nn.Dense(self.num_classes)(x)
