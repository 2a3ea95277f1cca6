"""Residual nets with norm and activation in front of convolutions, and a wide one."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_names,
    normalize,
    overlapping_pool,
)
from init_study.theory import shaped_activation


class PreactivationResNet(nn.Module):
    """Residual net whose sums are bare: norm and activation precede convolutions.

    The stem is a 7×7 convolution and 3×3 pooling, each of which halves the map, or one
    3×3 convolution. Then come stages of blocks, of which each but the first halves the
    map and doubles the width; a norm and an activation; average pooling and a dense
    head. Blocks are of two 3×3 convolutions, or bottlenecks of 1×1, 3×3 with the
    stride, and 1×1 of four times the width. Where a block changes the shape, its
    shortcut is a 1×1 convolution of what the branch's first convolution reads.

    Attributes:
        num_classes: logits per image.
        stages: blocks of each stage.
        bottleneck: whether blocks are bottlenecks.
        width: channels of the stem.
        widening: channels of the first stage for each of the stem's.
        large_images: whether the stem is the 7×7 convolution with pooling.
        dropout: share of what is left out in front of a basic block's second
            convolution in training.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        norm: `none`, `batch`, `layer` or `group`. Convolutions have a bias only with
            `none`.
        dtype: that it computes in; parameters are float32.

    Reference: He, Zhang, Ren & Sun 2016, Identity mappings in deep residual networks,
    arXiv:1603.05027.

    Example:
        >>> model = PreactivationResNet(num_classes=10, stages=(1, 1), width=2)
        >>> network = trace(model, (32, 32, 3))
        >>> [len(branch.layers) for branch in network.branches]
        [2, 2]
    """

    num_classes: int
    stages: tuple[int, ...] = (2, 2, 2, 2)
    bottleneck: bool = False
    width: int = 64
    widening: int = 1
    large_images: bool = True
    dropout: float = 0.0
    activation: str = "relu"
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
        if self.large_images:
            x = overlapping_pool(self._conv(images, self.width, 7, 2), padding=1)
        else:
            x = self._conv(images, self.width, 3, 1)
        for stage, blocks in enumerate(self.stages):
            for block in range(blocks):
                strides = 2 if stage > 0 and block == 0 else 1
                channels = self.width * self.widening * 2**stage
                x = self._block(x, channels, strides, train)
        x = self._norm_act(x, train)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x.mean((1, 2)))

    def _block(
        self, x: Float[Array, "n h w c"], channels: int, strides: int, train: bool
    ) -> Float[Array, "n h2 w2 c2"]:
        read = self._norm_act(x, train)
        if self.bottleneck:
            y = self._norm_act(self._conv(read, channels, 1, 1), train)
            y = self._norm_act(self._conv(y, channels, 3, strides), train)
            y = self._conv(y, 4 * channels, 1, 1)
        else:
            y = self._norm_act(self._conv(read, channels, 3, strides), train)
            y = nn.Dropout(self.dropout, deterministic=not train)(y)
            y = self._conv(y, channels, 3, 1)
        if strides > 1 or x.shape[-1] != y.shape[-1]:
            x = self._conv(read, y.shape[-1], 1, strides)
        return x + y

    def _norm_act(self, x: Float[Array, "n h w c"], train: bool) -> Array:
        act = shaped_activation(self.activation)
        return act(normalize(x, self.norm, train, self.dtype))

    def _conv(
        self, x: Float[Array, "n h w c"], channels: int, size: int, strides: int
    ) -> Float[Array, "n h2 w2 channels"]:
        return nn.Conv(
            channels,
            (size, size),
            strides=strides,
            padding=size // 2,
            use_bias=self.norm == "none",
            dtype=self.dtype,
        )(x)


class ResNet18V2(PreactivationResNet):
    """ResNet-18 with pre-activation: basic blocks, 11,687,720 parameters.

    Example:
        >>> ResNet18V2(num_classes=1000).stages
        (2, 2, 2, 2)
    """


class ResNet34V2(PreactivationResNet):
    """ResNet-34 with pre-activation: basic blocks, 21,795,880 parameters.

    Example:
        >>> ResNet34V2(num_classes=1000).stages
        (3, 4, 6, 3)
    """

    stages: tuple[int, ...] = (3, 4, 6, 3)


class ResNet50V2(PreactivationResNet):
    """ResNet-50 with pre-activation: bottlenecks, 25,549,352 parameters.

    Example:
        >>> ResNet50V2(num_classes=1000).stages
        (3, 4, 6, 3)
    """

    stages: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True


class ResNet101V2(PreactivationResNet):
    """ResNet-101 with pre-activation: bottlenecks, 44,541,480 parameters.

    Example:
        >>> ResNet101V2(num_classes=1000).stages
        (3, 4, 23, 3)
    """

    stages: tuple[int, ...] = (3, 4, 23, 3)
    bottleneck: bool = True


class ResNet152V2(PreactivationResNet):
    """ResNet-152 with pre-activation: bottlenecks, 60,185,128 parameters.

    Example:
        >>> ResNet152V2(num_classes=1000).stages
        (3, 8, 36, 3)
    """

    stages: tuple[int, ...] = (3, 8, 36, 3)
    bottleneck: bool = True


class WideResNet(PreactivationResNet):
    """Wide residual net 28-10 for CIFAR: 36,479,194 parameters for 10 classes.

    A 3×3 convolution of 16 channels, three stages of four basic blocks of 160, 320 and
    640, with pre-activation and without dropout by default; the paper's dropout is 0.3.
    The paper gives the count as 36.5 million.

    Reference: Zagoruyko & Komodakis 2016, Wide residual networks, arXiv:1605.07146.

    Example:
        >>> model = WideResNet(num_classes=10, stages=(1, 1), width=2, widening=3)
        >>> trace(model, (8, 8, 3)).layers[-1].kernel_shape
        (12, 10)
    """

    stages: tuple[int, ...] = (4, 4, 4)
    width: int = 16
    widening: int = 10
    large_images: bool = False
