"""DenseNet for CIFAR: every layer reads the maps of all before it in its block."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.errors import UserError
from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_image,
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
        depth: layers with weights: 3n+4, or 6n+4 with bottlenecks.
        width: channels of the first convolution.
        growth: channels that each layer of a block adds.
        bottleneck: whether a 1×1 convolution of four times as many channels as
            `growth` comes before the 3×3 one of each layer, with a norm of its own.
        compression: share of their channels that convolutions between blocks keep.
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
    bottleneck: bool = False
    compression: float = 1.0
    dropout: float = 0.0
    activation: str = "relu"
    norm: str = "batch"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name, a depth that cannot be or an image that
            is too small.
        """
        check_names(self, norm=NORMS)
        self._check(images)
        x = self._conv(images, self.width, 3)
        for block in range(3):
            if block > 0:
                kept = max(1, int(self.compression * x.shape[-1]))
                x = self._layer(x, kept, 1, train)
                x = halve_map(x, "average")
            for _ in range((self.depth - 4) // (6 if self.bottleneck else 3)):
                new = x
                if self.bottleneck:
                    new = self._layer(new, 4 * self.growth, 1, train)
                new = self._layer(new, self.growth, 3, train)
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
        step = 6 if self.bottleneck else 3
        if self.depth < step + 4 or (self.depth - 4) % step:
            nearest = step * max(1, round((self.depth - 4) / step)) + 4
            raise UserError(
                f"a dense net of depth {self.depth}: the depth must be {step}n+4 "
                f"({step + 4}, {2 * step + 4}, {3 * step + 4}, ...); the nearest is "
                f"{nearest}"
            )
        check_image("a dense net, which halves them twice,", images, 4, "cnn")


class DenseNetBC(DenseNet):
    """DenseNet-BC-100 for CIFAR: bottlenecks, and half of the channels kept.

    769,162 parameters for 10 classes and 3 channels. The paper says 0.8 million. The
    first convolution has 24 channels, twice as many as a layer adds.

    Example:
        >>> model = DenseNetBC(num_classes=10, depth=10, width=4, growth=2)
        >>> network = trace(model, (8, 8, 3))
        >>> [layer.kernel_shape[2:] for layer in network.layers[1:5]]
        [(4, 8), (8, 2), (6, 3), (3, 8)]
    """

    depth: int = 100
    width: int = 24
    bottleneck: bool = True
    compression: float = 0.5
