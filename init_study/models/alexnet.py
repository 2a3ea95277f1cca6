"""AlexNet as its paper has it, in torchvision's variant, and small."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from init_study.errors import UserError
from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_image,
    check_names,
    normalize,
    overlapping_pool,
    pool_to_size,
)
from init_study.theory import shaped_activation


class AlexNet(nn.Module):
    """AlexNet of the paper: two groups of channels, response normalization, dropout.

    Five convolutions, of 11×11 pixels at stride 4, 5×5, 3×3, 3×3 and 3×3; the second,
    fourth and fifth are in two groups, which were one per GPU. Local response
    normalization comes behind the first two activations, 3×3 max pooling at stride 2
    behind these and the last. Then two hidden dense layers with dropout, and a head:
    60,965,224 parameters for 1000 classes and images of 227×227 pixels. Images are
    padded by as little as makes the stride come out even, so 224×224 count as 227×227.

    Attributes:
        num_classes: logits per image.
        width: channels of the first convolution, a multiple of 6; those of the others
            keep their proportion, 8/3, 4, 4 and 8/3 of it.
        dense: units of either hidden dense layer.
        dropout: share of these that a training step leaves out.
        activation: a name in `ACTIVATIONS`, `module:function`, or one of these shaped
            for the depth, `tat(NAME)` or `dks(NAME)`.
        norm: `response`, the paper's, behind two activations; or `none`, `batch`,
            `layer` or `group`, between every convolution and its activation.
        kernel_size, stride: of the first convolution.
        dtype: that it computes in; parameters are float32.

    Reference: Krizhevsky, Sutskever & Hinton 2012, ImageNet classification with deep
    convolutional neural networks. The scheme `alexnet` is its initialization.

    Example:
        >>> model = AlexNet(num_classes=10, width=6, dense=8)
        >>> network = trace(model, (67, 67, 3))
        >>> [layer.groups for layer in network.layers]
        [1, 2, 1, 2, 2, 1, 1, 1]
    """

    num_classes: int
    width: int = 96
    dense: int = 4096
    dropout: float = 0.5
    activation: str = "relu"
    norm: str = "response"
    kernel_size: int = 11
    stride: int = 4
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name, a width that two groups cannot share, or
            an image that is too small.
        """
        check_names(self, norm=("response", *NORMS))
        if self.width < 6 or self.width % 6:
            raise UserError(
                f"alexnet of width {self.width}: the width must be a multiple of 6, "
                f"as {6 * max(1, round(self.width / 6))}"
            )
        # The pools need 15×15 pixels behind the first convolution.
        least = self.kernel_size + 13 * self.stride + 1
        instead = "cnn" if self.stride == 1 else "alexnet_small"
        check_image(type(self).__name__, images, least, instead)
        act = shaped_activation(self.activation, 7)
        x = images
        for index, share in enumerate((3, 8, 12, 12, 8)):
            x = act(self._conv(x, index, share * self.width // 3, train))
            if index < 2 and self.norm == "response":
                x = response_norm(x)
            if index in (0, 1, 4):
                x = overlapping_pool(x)
        x = x.reshape(len(x), -1)
        for _ in range(2):
            x = act(nn.Dense(self.dense, dtype=self.dtype)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x)

    def _conv(self, x: Array, index: int, channels: int, train: bool) -> Array:
        size = (self.kernel_size, 5, 3, 3, 3)[index]
        missing = [-(pixels - size) % self.stride for pixels in x.shape[1:3]]
        even = [(m // 2, m - m // 2) for m in missing]
        x = nn.Conv(
            channels,
            (size, size),
            strides=self.stride if index == 0 else 1,
            padding=even if index == 0 else size // 2,
            feature_group_count=2 if index in (1, 3, 4) else 1,
            dtype=self.dtype,
        )(x)
        norm = "none" if self.norm == "response" else self.norm
        return normalize(x, norm, train, self.dtype)


class AlexNetSmall(AlexNet):
    """AlexNet for images of 28×28 or 32×32 pixels, in sizes of ours.

    As `AlexNet`, but with a first convolution of 5×5 pixels at stride 1, half the
    channels and 512 dense units: 1,109,194 parameters for 10 classes and 32×32×3
    pixels. Images have at least 19×19.

    Example:
        >>> model = AlexNetSmall(num_classes=10, width=6, dense=8)
        >>> trace(model, (28, 28, 1)).layers[0].kernel_shape
        (5, 5, 1, 6)
    """

    width: int = 48
    dense: int = 512
    kernel_size: int = 5
    stride: int = 1


class AlexNetTorchvision(nn.Module):
    """AlexNet in torchvision's variant: one tower, no response normalization.

    Convolutions of 64, 192, 384, 256 and 256 channels without groups, average pooling
    to 6×6 pixels from whatever map there is, and dropout in front of both hidden dense
    layers: 61,100,840 parameters for 1000 classes. Dense layers read the map by rows,
    columns and then channels; torchvision's read channels first.

    Attributes:
        num_classes: logits per image.
        width: channels of the first convolution; the others have 3, 6, 4 and 4 times
            as many.
        dense: units of either hidden dense layer.
        dropout: share of inputs that a training step leaves out.
        activation: a name in `ACTIVATIONS`, `module:function`, or one of these shaped
            for the depth, `tat(NAME)` or `dks(NAME)`.
        norm: `none`, `batch`, `layer` or `group`, between convolution and activation.
        dtype: that it computes in; parameters are float32.

    Reference: Krizhevsky 2014, One weird trick for parallelizing convolutional neural
    networks, arXiv:1404.5997; `torchvision.models.alexnet`.

    Example:
        >>> model = AlexNetTorchvision(num_classes=10, width=2, dense=8)
        >>> network = trace(model, (64, 64, 3))
        >>> network.layers[5].kernel_shape  # 6 · 6 · 8 channels
        (288, 8)
    """

    num_classes: int
    width: int = 64
    dense: int = 4096
    dropout: float = 0.5
    activation: str = "relu"
    norm: str = "none"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or an image that is too small.
        """
        check_names(self, norm=NORMS)
        check_image("alexnet_torchvision", images, 63, "alexnet_small")
        act = shaped_activation(self.activation, 7)
        x = images
        for index, share in enumerate((1, 3, 6, 4, 4)):
            size = (11, 5, 3, 3, 3)[index]
            x = nn.Conv(
                share * self.width,
                (size, size),
                strides=4 if index == 0 else 1,
                padding=2 if index == 0 else size // 2,
                dtype=self.dtype,
            )(x)
            x = act(normalize(x, self.norm, train, self.dtype))
            if index in (0, 1, 4):
                x = overlapping_pool(x)
        x = pool_to_size(x, 6)
        x = x.reshape(len(x), -1)
        for _ in range(2):
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = act(nn.Dense(self.dense, dtype=self.dtype)(x))
        return nn.Dense(self.num_classes, dtype=self.dtype)(x)


def response_norm(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Divide each number by (2 + 10⁻⁴ s)^0.75, s the squares of it and its neighbours.

    Neighbours are the two channels before it and the two behind it at its pixel.

    Reference: Krizhevsky, Sutskever & Hinton 2012, section 3.3: k = 2, n = 5,
    α = 10⁻⁴, β = 0.75.

    Example:
        >>> x = jnp.array([0.0, 0.0, 3.0, 0.0, 0.0, 5.0]).reshape(1, 1, 1, 6)
        >>> bool(jnp.allclose(response_norm(x)[..., 2], 3 / (2 + 9e-4) ** 0.75))
        True
    """
    channels = x.shape[-1]
    # Padded first: a square of x itself would be taken for part of the activation.
    squares = jnp.square(jnp.pad(x, [(0, 0)] * 3 + [(2, 2)]))
    sums = sum(squares[..., i : i + channels] for i in range(5))
    # s^-0.75 by square roots: a power takes ten times as long on CPU.
    root = lax.rsqrt(2.0 + 1e-4 * sums)
    return x * root * jnp.sqrt(root)
