"""Softmax regression: the convex net, where no start is a trap."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.models.parts import ComputeType


class Linear(nn.Module):
    """Softmax regression on the pixels: one dense layer, a convex problem.

    Attributes:
        num_classes: logits per image.
        dtype: that it computes in; parameters are float32.

    Example:
        >>> model = Linear(num_classes=10)
        >>> network = trace(model, (8, 8, 1))
        >>> [layer.kernel_shape for layer in network.layers]
        [(64, 10)]
    """

    num_classes: int
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`."""
        x = images.reshape(len(images), -1)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x)
