"""Softmax regression: the convex net, where no start is a trap."""

import flax.linen as nn
from jaxtyping import Array, Float


class Linear(nn.Module):
    """Softmax regression on the pixels: one dense layer, a convex problem."""

    num_classes: int

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        return nn.Dense(self.num_classes)(images.reshape(len(images), -1))
