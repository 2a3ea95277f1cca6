"""The residual nets of He et al. for ImageNet, from 18 to 152 layers."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_names,
    conv_norm,
    overlapping_pool,
)
from init_study.theory import shaped_activation


class ImageNetResNet(nn.Module):
    """Residual net for ImageNet: a 7×7 convolution, stages of blocks, a dense head.

    The 7×7 convolution and the 3×3 pooling behind it each halve the map, as does every
    stage but the first, which also doubles the width. A basic block has two 3×3
    convolutions; a bottleneck has 1×1, 3×3 and 1×1, the last of four times the width,
    and strides in its 3×3 convolution, as torchvision has it (in the paper, in the
    first 1×1). Where a block changes the shape, its shortcut is a 1×1 convolution with
    norm, the paper's option B. No branch begins at zero: schemes do that.

    Attributes:
        num_classes: logits per image.
        stages: blocks of each stage.
        bottleneck: whether blocks are bottlenecks.
        width: channels of the first stage.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        norm: `none`, `batch`, `layer` or `group`. Convolutions have a bias only with
            `none`.
        dtype: that it computes in; parameters are float32.

    Reference: He, Zhang, Ren & Sun 2016, Deep residual learning for image recognition,
    table 1; `torchvision.models.resnet`.

    Example:
        >>> model = ImageNetResNet(num_classes=10, stages=(1, 1), width=2)
        >>> network = trace(model, (32, 32, 3))
        >>> [layer.kernel_shape for layer in network.layers if len(layer.strides) < 2]
        [(4, 10)]
        >>> [len(branch.layers) for branch in network.branches]
        [2, 2]
    """

    num_classes: int
    stages: tuple[int, ...] = (2, 2, 2, 2)
    bottleneck: bool = False
    width: int = 64
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
        act = shaped_activation(self.activation)
        x = act(conv_norm(self, images, self.width, 7, train, strides=2))
        x = overlapping_pool(x, padding=1)
        for stage, blocks in enumerate(self.stages):
            for block in range(blocks):
                strides = 2 if stage > 0 and block == 0 else 1
                x = self._block(x, self.width * 2**stage, strides, train)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x.mean((1, 2)))

    def _block(
        self, x: Float[Array, "n h w c"], channels: int, strides: int, train: bool
    ) -> Float[Array, "n h2 w2 c2"]:
        act = shaped_activation(self.activation)
        if self.bottleneck:
            y = act(conv_norm(self, x, channels, 1, train))
            y = act(conv_norm(self, y, channels, 3, train, strides=strides))
            y = conv_norm(self, y, 4 * channels, 1, train)
        else:
            y = act(conv_norm(self, x, channels, 3, train, strides=strides))
            y = conv_norm(self, y, channels, 3, train)
        if strides > 1 or x.shape[-1] != y.shape[-1]:
            x = conv_norm(self, x, y.shape[-1], 1, train, strides=strides)
        return act(x + y)


class ResNet18(ImageNetResNet):
    """ResNet-18: basic blocks; 11,689,512 parameters for 1000 classes.

    Example:
        >>> ResNet18(num_classes=1000).stages
        (2, 2, 2, 2)
    """


class ResNet34(ImageNetResNet):
    """ResNet-34: basic blocks; 21,797,672 parameters for 1000 classes.

    Example:
        >>> ResNet34(num_classes=1000).stages
        (3, 4, 6, 3)
    """

    stages: tuple[int, ...] = (3, 4, 6, 3)


class ResNet50(ImageNetResNet):
    """ResNet-50: bottlenecks; 25,557,032 parameters for 1000 classes.

    Example:
        >>> ResNet50(num_classes=1000).stages
        (3, 4, 6, 3)
    """

    stages: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True


class ResNet101(ImageNetResNet):
    """ResNet-101: bottlenecks; 44,549,160 parameters for 1000 classes.

    Example:
        >>> ResNet101(num_classes=1000).stages
        (3, 4, 23, 3)
    """

    stages: tuple[int, ...] = (3, 4, 23, 3)
    bottleneck: bool = True


class ResNet152(ImageNetResNet):
    """ResNet-152: bottlenecks; 60,192,808 parameters for 1000 classes.

    Example:
        >>> ResNet152(num_classes=1000).stages
        (3, 8, 36, 3)
    """

    stages: tuple[int, ...] = (3, 8, 36, 3)
    bottleneck: bool = True
