"""GoogLeNet as its paper has it, and in torchvision's variant."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.models.alexnet import response_norm
from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_names,
    normalize,
    pool_to_size,
)
from init_study.theory import shaped_activation

# Of table 1 of the paper, for a width of 64: of each module of each stage the channels
# of 1×1, those that 3×3 reads and gives, those that 5×5 reads and gives, and those
# behind the pooling.
_INCEPTIONS = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


class GoogLeNet(nn.Module):
    """GoogLeNet: nine inception modules, with two auxiliary heads in training.

    Convolutions of 7×7 pixels at stride 2, 1×1 and 3×3, then modules that join what
    1×1, 3×3 and 5×5 convolutions and a pooling give of the same map. The map is halved
    by max pooling four times, as long as there are two pixels. Average pooling, dropout
    and a dense head follow: 6,998,552 parameters for 1000 classes.

    Two heads of further 6,379,728 parameters read the maps of the modules 4a and 4d: a
    1×1 convolution and two dense layers. In training the
    net gives `(logits, auxiliary1, auxiliary2)`, in evaluation logits alone; a study
    trains on the first. In front of these heads the map is averaged to 4×4 pixels,
    which is ours: the paper's windows of 5×5 at stride 3 do so at 14×14 pixels only.

    Attributes:
        num_classes: logits per image.
        width: channels of the first convolution; all others keep their proportion,
            rounded down.
        modules: at most so many of each of the three stages.
        auxiliary: whether there are auxiliary heads; where stages have fewer than four
            modules, there is the first alone.
        dense: units of the hidden dense layer of each.
        dropout: share of inputs of the head that a training step leaves out.
        auxiliary_dropout: the same for the last layer of the auxiliary heads.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        norm: `response`, the paper's, in front of and behind the second and third
            convolution; or `none`, `batch`, `layer` or `group`, between every
            convolution and its activation. Convolutions have a bias only with
            `response` and `none`.
        kernel_size: of the larger convolution of a module.
        last_pool: rows and columns of the window of the last pooling.
        dtype: that it computes in; parameters are float32.

    Reference: Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke &
    Rabinovich 2015, Going deeper with convolutions, arXiv:1409.4842, table 1. Response
    normalization has the constants of `AlexNet`, as the paper names none.

    Example:
        >>> model = GoogLeNet(num_classes=10, width=8, auxiliary=False)
        >>> network = trace(model, (32, 32, 3))
        >>> [layer.kernel_shape for layer in network.layers[3:6]]
        [(1, 1, 24, 8), (1, 1, 24, 12), (3, 3, 12, 16)]
    """

    num_classes: int
    width: int = 64
    modules: int = 5
    auxiliary: bool = True
    dense: int = 1024
    dropout: float = 0.4
    auxiliary_dropout: float = 0.7
    activation: str = "relu"
    norm: str = "response"
    kernel_size: int = 5
    last_pool: int = 3
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"] | tuple[Float[Array, "n classes"], ...]:
        """Compute the logits of images `[n, height, width, channels]`.

        Returns: logits; in training, in front of those of both auxiliary heads.

        Raises: UserError for an unknown name.
        """
        check_names(self, norm=("response", *NORMS))
        x = _pool(_conv(self, images, self.width, 7, train, strides=2))
        x = _conv(self, self._response_norm(x), self.width, 1, train)
        x = _conv(self, x, 3 * self.width, 3, train)
        x = _pool(self._response_norm(x))
        heads = []
        for stage, modules in enumerate(_INCEPTIONS):
            if stage > 0:
                x = _pool(x, (3, 3, self.last_pool)[stage])
            for index, channels in enumerate(modules[: self.modules]):
                x = self._inception(x, channels, train)
                if self.auxiliary and stage == 1 and index in (0, 3):
                    heads.append(self._auxiliary(x, len(heads) + 1, train))
        x = nn.Dropout(self.dropout, deterministic=not train)(x.mean((1, 2)))
        logits = nn.Dense(self.num_classes, dtype=self.dtype)(x)
        return (logits, *heads) if train and heads else logits

    def _inception(
        self, x: Float[Array, "n h w c"], channels: tuple[int, ...], train: bool
    ) -> Float[Array, "n h w c2"]:
        one, three_in, three, five_in, five, pooled = (
            max(1, c * self.width // 64) for c in channels
        )
        parts = [_conv(self, x, one, 1, train)]
        y = _conv(self, x, three_in, 1, train)
        parts.append(_conv(self, y, three, 3, train))
        y = _conv(self, x, five_in, 1, train)
        parts.append(_conv(self, y, five, self.kernel_size, train))
        y = nn.max_pool(x, (3, 3), padding="SAME")
        parts.append(_conv(self, y, pooled, 1, train))
        return jnp.concatenate(parts, -1)

    def _auxiliary(
        self, x: Float[Array, "n h w c"], number: int, train: bool
    ) -> Float[Array, "n classes"] | None:
        head = _AuxiliaryHead(
            num_classes=self.num_classes,
            channels=2 * self.width,
            dense=self.dense,
            dropout=self.auxiliary_dropout,
            activation=self.activation,
            norm=self.norm,
            dtype=self.dtype,
            name=f"auxiliary{number}",
        )
        # Its parameters shall be there whichever call they are made for.
        return head(x, train) if train or self.is_initializing() else None

    def _response_norm(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        return response_norm(x) if self.norm == "response" else x


class GoogLeNetTorchvision(GoogLeNet):
    """GoogLeNet in torchvision's variant: batch norm, and 3×3 for 5×5 pixels.

    The last pooling has windows of 2×2 pixels. 6,624,904 parameters for 1000 classes,
    and 13,004,888 with the auxiliary heads. Their hidden dense layer reads the map by
    rows, columns and then channels; torchvision's reads channels first.

    Reference: `torchvision.models.googlenet`.

    Example:
        >>> GoogLeNetTorchvision(num_classes=1000).norm
        'batch'
    """

    dropout: float = 0.2
    norm: str = "batch"
    kernel_size: int = 3
    last_pool: int = 2


class _AuxiliaryHead(nn.Module):
    """A head that reads the map of an inception module, for training alone."""

    num_classes: int
    channels: int
    dense: int
    dropout: float
    activation: str
    norm: str
    dtype: ComputeType

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], train: bool
    ) -> Float[Array, "n classes"]:
        x = _conv(self, pool_to_size(x, 4), self.channels, 1, train)
        x = nn.Dense(self.dense, dtype=self.dtype)(x.reshape(len(x), -1))
        x = shaped_activation(self.activation)(x)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x)


def _conv(
    net: GoogLeNet | _AuxiliaryHead,
    x: Float[Array, "n h w c"],
    channels: int,
    size: int,
    train: bool,
    strides: int = 1,
) -> Float[Array, "n h2 w2 channels"]:
    """Convolve, norm and activate, as the fields of the net say."""
    norm = "none" if net.norm == "response" else net.norm
    x = nn.Conv(
        channels,
        (size, size),
        strides=strides,
        padding=size // 2,
        use_bias=norm == "none",
        dtype=net.dtype,
    )(x)
    x = normalize(x, norm, train, net.dtype, epsilon=1e-3)
    return shaped_activation(net.activation)(x)


def _pool(x: Float[Array, "n h w c"], size: int = 3) -> Float[Array, "n h2 w2 c"]:
    """Take the maximum at every second pixel, the last included; a pixel is kept."""
    if min(x.shape[1:3]) < 2:
        return x
    pads: Any = [(0, (size - pixels) % 2) for pixels in x.shape[1:3]]
    return nn.max_pool(x, (size, size), strides=(2, 2), padding=pads)
