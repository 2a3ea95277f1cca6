"""DenseNet for CIFAR: every layer reads the maps of all before it in its block."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.errors import UserError
from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_names,
    halve_map,
    normalize,
)
from init_study.theory import shaped_activation


class DenseNet(nn.Module):
    """DenseNet-40 for CIFAR: three blocks of layers that read all maps before them.

    A 3×3 convolution of 16 channels; three blocks of 12 layers, each of norm,
    activation and a 3×3 convolution whose 12 channels join those that it read; between
    blocks norm, activation, a 1×1 convolution of as many channels as it reads, and
    average pooling; norm, activation, global average pooling and a dense head:
    1,019,722 parameters for 10 classes and 3 channels. The paper says 1.0 million.

    Attributes:
        num_classes: logits per image.
        depth: layers with weights: 3n+4.
        width: channels of the first convolution.
        growth: channels that each layer of a block adds.
        dropout: share that a training step leaves out behind each convolution but the
            first; the paper's is 0.2 for data without augmentation.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        norm: `none`, `batch`, `layer` or `group`. Convolutions have a bias only with
            `none`.
        dtype: that it computes in; parameters are float32.

    Reference: Huang, Liu, van der Maaten & Weinberger 2017, Densely connected
    convolutional networks, arXiv:1608.06993, section 3 and table 2.

    Example:
        >>> model = DenseNet(num_classes=10, depth=7, width=4, growth=2)
        >>> network = trace(model, (8, 8, 3))
        >>> [layer.kernel_shape[2:] for layer in network.layers[1:5]]
        [(4, 2), (6, 6), (6, 2), (8, 8)]
    """

    num_classes: int
    depth: int = 40
    width: int = 16
    growth: int = 12
    dropout: float = 0.0
    activation: str = "relu"
    norm: str = "batch"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name, a depth that is not 3n+4 or an image
            that is too small.
        """
        check_names(self, norm=NORMS)
        self._check(images)
        x = self._conv(images, self.width, 3)
        for block in range(3):
            if block > 0:
                x = self._layer(x, x.shape[-1], 1, train)
                x = halve_map(x, "average")
            for _ in range((self.depth - 4) // 3):
                new = self._layer(x, self.growth, 3, train)
                x = jnp.concatenate([x, new], -1)
        x = self._norm_act(x, train)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x.mean((1, 2)))

    def _layer(
        self, x: Float[Array, "n h w c"], channels: int, size: int, train: bool
    ) -> Float[Array, "n h w channels"]:
        x = self._conv(self._norm_act(x, train), channels, size)
        return nn.Dropout(self.dropout, deterministic=not train)(x)

    def _norm_act(self, x: Float[Array, "n h w c"], train: bool) -> Array:
        act = shaped_activation(self.activation)
        return act(normalize(x, self.norm, train, self.dtype))

    def _conv(
        self, x: Float[Array, "n h w c"], channels: int, size: int
    ) -> Float[Array, "n h w channels"]:
        return nn.Conv(
            channels,
            (size, size),
            use_bias=self.norm == "none",
            dtype=self.dtype,
        )(x)

    def _check(self, images: Array) -> None:
        if self.depth < 7 or (self.depth - 4) % 3:
            nearest = 3 * max(1, round((self.depth - 4) / 3)) + 4
            raise UserError(
                f"densenet40 of depth {self.depth}: the depth must be 3n+4 "
                f"(7, 10, 13, ...); the nearest is {nearest}"
            )
        if min(images.shape[1:3]) < 4:
            raise UserError(
                "densenet40 halves the image twice and needs at least 4×4 pixels, not "
                f"{images.shape[1]}×{images.shape[2]}; use model=cnn"
            )
