"""The residual nets of He et al. for CIFAR."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.errors import UserError
from init_study.models.parts import NORMS, check_names, normalize
from init_study.theory import shaped_activation


class ResNet(nn.Module):
    """Residual net: a 3×3 convolution, three stages of basic blocks, a dense head.

    A stage has n blocks of two 3×3 convolutions; the second and the third stage begin
    with stride 2 and have twice and four times the width. Global average pooling
    comes before the head. Where a block changes the shape, its shortcut is a 1×1
    convolution with norm: option B of the reference, whose own CIFAR nets pad with
    zeros (option A). Images are padded by one pixel on every side at stride 2, too.

    Attributes:
        num_classes: logits per image.
        depth: layers with weights, shortcuts not counted: 6n+2.
        width: channels of the first stage.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        norm: `none`, `batch`, `layer` or `group`. Convolutions have a bias only with
            `none`.

    Reference: He, Zhang, Ren & Sun 2016, Deep residual learning for image recognition.

    Example:
        >>> model = ResNet(num_classes=10, depth=8)
        >>> network = trace(model, (8, 8, 3))
        >>> len(network.branches), network.layers[-1].kernel_shape
        (3, (64, 10))
    """

    num_classes: int
    depth: int = 20
    width: int = 16
    activation: str = "relu"
    norm: str = "batch"

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or a depth that is not 6n+2.
        """
        check_names(self, norm=NORMS)
        self._check_depth()
        act = shaped_activation(self.activation)
        x = act(self._conv_norm(images, self.width, 3, 1, train))
        for stage in range(3):
            for block in range((self.depth - 2) // 6):
                strides = 2 if stage > 0 and block == 0 else 1
                x = self._block(x, self.width * 2**stage, strides, train)
        return nn.Dense(self.num_classes)(x.mean((1, 2)))

    def _block(
        self, x: Float[Array, "n h w c"], channels: int, strides: int, train: bool
    ) -> Float[Array, "n h2 w2 channels"]:
        act = shaped_activation(self.activation)
        y = act(self._conv_norm(x, channels, 3, strides, train))
        y = self._conv_norm(y, channels, 3, 1, train)
        if x.shape != y.shape:
            x = self._conv_norm(x, channels, 1, strides, train)
        return act(x + y)

    def _conv_norm(
        self,
        x: Float[Array, "n h w c"],
        channels: int,
        size: int,
        strides: int,
        train: bool,
    ) -> Float[Array, "n h2 w2 channels"]:
        x = nn.Conv(
            channels,
            (size, size),
            strides=strides,
            padding=size // 2,
            use_bias=self.norm == "none",
        )(x)
        return normalize(x, self.norm, train)

    def _check_depth(self) -> None:
        if self.depth < 8 or (self.depth - 2) % 6:
            nearest = 6 * max(1, round((self.depth - 2) / 6)) + 2
            raise UserError(
                f"resnet of depth {self.depth}: the depth must be 6n+2 "
                f"(8, 14, 20, 26, ...); the nearest is {nearest}"
            )
