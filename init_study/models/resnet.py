"""The residual nets of He et al. for CIFAR."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.errors import UserError
from init_study.models.parts import NORMS, ComputeType, check_names, conv_norm
from init_study.theory import shaped_activation


class ResNet(nn.Module):
    """Residual net: a 3×3 convolution, three stages of basic blocks, a dense head.

    A stage has n blocks of two 3×3 convolutions; the second and the third stage begin
    with stride 2 and have twice and four times the width. Global average pooling
    comes before the head. At stride 2, too, there is a pixel of padding on every side.

    Attributes:
        num_classes: logits per image.
        depth: layers with weights, shortcuts not counted: 6n+2.
        width: channels of the first stage.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        norm: `none`, `batch`, `layer` or `group`. Convolutions have a bias only with
            `none`.
        shortcut: where a block changes the shape: `B`, a 1×1 convolution with norm; or
            `A`, every second row and column, with zeros for the new channels, behind
            the others, as the reference's own CIFAR nets have it.
        dtype: that it computes in; parameters are float32.

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
    shortcut: str = "B"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or a depth that is not 6n+2.
        """
        check_names(self, norm=NORMS, shortcut=("A", "B"))
        self._check_depth()
        act = shaped_activation(self.activation)
        x = act(conv_norm(self, images, self.width, 3, train))
        for stage in range(3):
            for block in range((self.depth - 2) // 6):
                strides = 2 if stage > 0 and block == 0 else 1
                x = self._block(x, self.width * 2**stage, strides, train)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x.mean((1, 2)))

    def _block(
        self, x: Float[Array, "n h w c"], channels: int, strides: int, train: bool
    ) -> Float[Array, "n h2 w2 channels"]:
        act = shaped_activation(self.activation)
        y = act(conv_norm(self, x, channels, 3, train, strides=strides))
        y = conv_norm(self, y, channels, 3, train)
        if x.shape != y.shape and self.shortcut == "A":
            new = (0, channels - x.shape[-1])
            x = jnp.pad(x[:, ::strides, ::strides], [(0, 0)] * 3 + [new])
        elif x.shape != y.shape:
            x = conv_norm(self, x, channels, 1, train, strides=strides)
        return act(x + y)

    def _check_depth(self) -> None:
        if self.depth < 8 or (self.depth - 2) % 6:
            nearest = 6 * max(1, round((self.depth - 2) / 6)) + 2
            raise UserError(
                f"resnet of depth {self.depth}: the depth must be 6n+2 "
                f"(8, 14, 20, 26, ...); the nearest is {nearest}"
            )


class ResNet20CIFAR(ResNet):
    """ResNet-20 of the paper's CIFAR experiments, with shortcuts of zeros.

    269,722 parameters for 10 classes and 3 channels.

    Example:
        >>> ResNet20CIFAR(num_classes=10).shortcut
        'A'
    """

    depth: int = 20
    shortcut: str = "A"


class ResNet32CIFAR(ResNet):
    """ResNet-32 of the paper's CIFAR experiments, with shortcuts of zeros.

    464,154 parameters for 10 classes and 3 channels.

    Example:
        >>> ResNet32CIFAR(num_classes=10).shortcut
        'A'
    """

    depth: int = 32
    shortcut: str = "A"


class ResNet44CIFAR(ResNet):
    """ResNet-44 of the paper's CIFAR experiments, with shortcuts of zeros.

    658,586 parameters for 10 classes and 3 channels.

    Example:
        >>> ResNet44CIFAR(num_classes=10).shortcut
        'A'
    """

    depth: int = 44
    shortcut: str = "A"


class ResNet56CIFAR(ResNet):
    """ResNet-56 of the paper's CIFAR experiments, with shortcuts of zeros.

    853,018 parameters for 10 classes and 3 channels.

    Example:
        >>> ResNet56CIFAR(num_classes=10).shortcut
        'A'
    """

    depth: int = 56
    shortcut: str = "A"


class ResNet110CIFAR(ResNet):
    """ResNet-110 of the paper's CIFAR experiments, with shortcuts of zeros.

    1,727,962 parameters for 10 classes and 3 channels.

    Example:
        >>> ResNet110CIFAR(num_classes=10).shortcut
        'A'
    """

    depth: int = 110
    shortcut: str = "A"
