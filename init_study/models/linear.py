"""Softmax regression: the convex net, where no start is a trap."""

import flax.linen as nn
from jaxtyping import Array, Float


class Linear(nn.Module):
    """Softmax regression on the pixels: one dense layer, a convex problem.

    Attributes:
        num_classes: logits per image.

    Example:
        >>> model = Linear(num_classes=10)
        >>> network = trace(model, (8, 8, 1))
        >>> [layer.kernel_shape for layer in network.layers]
        [(64, 10)]
    """

    num_classes: int

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`."""
        return nn.Dense(self.num_classes)(images.reshape(len(images), -1))
