"""MobileNetV2: inverted residuals of depthwise convolutions."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.models.parts import NORMS, ComputeType, check_names, conv_norm
from init_study.theory import shaped_activation

# Of table 2 of the paper: expansion, channels for each 32 of the stem, blocks, stride.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Module):
    """MobileNetV2: 17 inverted residuals between a 3×3 convolution and a 1×1 one.

    A block widens by a 1×1 convolution, filters each channel by itself with 3×3 pixels,
    and narrows by another 1×1 without an activation; where it keeps the shape, it is
    added to what it read. The first of them does not widen. The map is halved five
    times; then come average pooling, dropout and a dense head: 3,504,872 parameters
    for 1000 classes.

    Attributes:
        num_classes: logits per image.
        width: channels of the stem; all others keep their proportion, rounded down.
        blocks: at most so many of each of the seven stages.
        dropout: share of inputs of the head that a training step leaves out.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        norm: `none`, `batch`, `layer` or `group`. Convolutions have a bias only with
            `none`.
        dtype: that it computes in; parameters are float32.

    Reference: Sandler, Howard, Zhu, Zhmoginov & Chen 2018, MobileNetV2: inverted
    residuals and linear bottlenecks, arXiv:1801.04381; torchvision's `mobilenet_v2`.

    Example:
        >>> model = MobileNetV2(num_classes=10, width=4, blocks=1)
        >>> network = trace(model, (32, 32, 3))
        >>> [layer.groups for layer in network.layers if layer.fan_in == 9]
        [4, 12, 18, 24, 48, 72, 120]
    """

    num_classes: int
    width: int = 32
    blocks: int = 4
    dropout: float = 0.2
    activation: str = "relu6"
    norm: str = "batch"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name.
        """
        check_names(self, norm=NORMS)
        act = shaped_activation(self.activation)
        x = act(conv_norm(self, images, self.width, 3, train, strides=2))
        for expansion, channels, blocks, stride in _STAGES:
            for block in range(min(blocks, self.blocks)):
                out = max(1, channels * self.width // 32)
                strides = stride if block == 0 else 1
                x = self._block(x, expansion, out, strides, train)
        x = act(conv_norm(self, x, 40 * self.width, 1, train))
        x = nn.Dropout(self.dropout, deterministic=not train)(x.mean((1, 2)))
        return nn.Dense(self.num_classes, dtype=self.dtype)(x)

    def _block(
        self,
        x: Float[Array, "n h w c"],
        expansion: int,
        channels: int,
        strides: int,
        train: bool,
    ) -> Float[Array, "n h2 w2 channels"]:
        act = shaped_activation(self.activation)
        wide, y = expansion * x.shape[-1], x
        if expansion > 1:
            y = act(conv_norm(self, y, wide, 1, train))
        y = act(conv_norm(self, y, wide, 3, train, strides=strides, groups=wide))
        y = conv_norm(self, y, channels, 1, train)
        return x + y if x.shape == y.shape else y
