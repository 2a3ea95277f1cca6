"""U-Net: a way down and a way up, which is joined by the maps of the way down."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.errors import SmallImages
from init_study.models.cnn import PADDINGS
from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_names,
    halve_map,
    normalize,
)
from init_study.theory import shaped_activation


class UNet(nn.Module):
    """U-Net: pairs of 3×3 convolutions, four halvings of the map, and four doublings.

    On the way down, max pooling halves the map and the width doubles. On the way up, a
    2×2 transposed convolution at stride 2 doubles the map and halves the width, and the
    map of the same level on the way down, cropped to its size, is joined to it. A 1×1
    convolution gives a score for each class and pixel: 31,030,658 parameters for 2
    classes and 1 channel. Convolutions are not padded, so that images must be large.

    It is a net for segmentation: that the map of scores is averaged to one logit for
    each class is ours.

    Attributes:
        num_classes: logits per image, or scores per pixel.
        depth: halvings of the map.
        width: channels of the first pair of convolutions.
        dropout: share of the smallest map that a training step leaves out; the paper
            names none.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`;
            behind 3×3 convolutions alone.
        norm: `none`, as in the paper, or `batch`, `layer` or `group` between 3×3
            convolution and activation. All layers have a bias.
        padding: `valid`, as in the paper, `same` (zeros) or `circular`.
        averaged: whether it gives logits; or else a map `[n, h2, w2, classes]`.
        dtype: that it computes in; parameters are float32.

    Reference: Ronneberger, Fischer & Brox 2015, U-Net: convolutional networks for
    biomedical image segmentation, arXiv:1505.04597, figure 1. Its initialization is
    `he_normal`.

    Example:
        >>> model = UNet(num_classes=2, depth=1, width=4, padding="same")
        >>> network = trace(model, (8, 8, 1))
        >>> [layer.kernel_shape[2:] for layer in network.layers[3:]]
        [(8, 8), (8, 4), (8, 4), (4, 4), (4, 2)]
    """

    num_classes: int
    depth: int = 4
    width: int = 64
    dropout: float = 0.5
    activation: str = "relu"
    norm: str = "none"
    padding: str = "valid"
    averaged: bool = True
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"] | Float[Array, "n h2 w2 classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or an image that is used up.
        """
        check_names(self, norm=NORMS, padding=PADDINGS)
        self._check_size(images)
        x, left = images, []
        for level in range(self.depth):
            x = self._pair(x, self.width * 2**level, train)
            left.append(x)
            x = halve_map(x, "max")
        x = self._pair(x, self.width * 2**self.depth, train)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        for level in reversed(range(self.depth)):
            channels, square = self.width * 2**level, (2, 2)
            x = nn.ConvTranspose(channels, square, square, dtype=self.dtype)(x)
            x = jnp.concatenate([_cropped(left[level], x.shape), x], -1)
            x = self._pair(x, channels, train)
        x = nn.Conv(self.num_classes, (1, 1), dtype=self.dtype)(x)
        return x.mean((1, 2)) if self.averaged else x

    def _pair(
        self, x: Float[Array, "n h w c"], channels: int, train: bool
    ) -> Float[Array, "n h2 w2 channels"]:
        act = shaped_activation(self.activation)
        for _ in range(2):
            x = nn.Conv(
                channels, (3, 3), padding=self.padding.upper(), dtype=self.dtype
            )(x)
            x = act(normalize(x, self.norm, train, self.dtype))
        return x

    def _check_size(self, images: Array) -> None:
        lost = 4 if self.padding == "valid" else 0
        least = _least_pixels(self.depth, lost)
        if min(images.shape[1:3]) < least:
            way_out = "use padding='same'" if lost else "use a smaller depth"
            raise SmallImages(
                f"unet of depth {self.depth} with padding={self.padding!r} uses up "
                f"images of {images.shape[1]}×{images.shape[2]} pixels; it needs at "
                f"least {least}×{least}; {way_out}",
                least,
            )


def _least_pixels(depth: int, lost: int) -> int:
    """Count the pixels that leave one, where each pair of convolutions loses some."""
    least = 1
    for _ in range(depth):
        least = (least + lost + 1) // 2
    least += lost
    for _ in range(depth):
        least = 2 * least + lost
    return least


def _cropped(
    x: Float[Array, "n h w c"], shape: tuple[int, ...]
) -> Float[Array, "n h2 w2 c"]:
    """Cut the middle out of a map, as large as another's shape."""
    top, left = ((x.shape[axis] - shape[axis]) // 2 for axis in (1, 2))
    return x[:, top : top + shape[1], left : left + shape[2]]
