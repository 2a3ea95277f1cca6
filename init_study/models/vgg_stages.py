"""A small net in VGG's manner, none of its paper's: pairs of 3×3 convolutions."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.errors import SmallImages
from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_names,
    halve_map,
    normalize,
)
from init_study.theory import shaped_activation


class VGGStages(nn.Module):
    """VGG-like net: stages of two 3×3 convolutions, halved by pooling, a dense head.

    The width doubles from stage to stage, up to eight times the first. Global average
    pooling takes the place of the original's two wide dense layers. The defaults are
    32-32-M-64-64-M-128-128-M. The paper's own nets are `VGG11` to `VGG19`.

    Attributes:
        num_classes: logits per image.
        depth: number of stages.
        width: channels of the first stage.
        activation: a name in `ACTIVATIONS`, `module:function`, or one of these shaped
            for the depth, `tat(NAME)` or `dks(NAME)`.
        norm: `none`, `batch`, `layer` or `group`, between convolution and
            activation. Convolutions have a bias only with `none`.
        pooling: `max` or `average`.
        dtype: that it computes in; parameters are float32.

    Reference: Simonyan & Zisserman 2015, Very deep convolutional networks for
    large-scale image recognition.

    Example:
        >>> model = VGGStages(num_classes=10, depth=2, width=4)
        >>> network = trace(model, (8, 8, 1))
        >>> [layer.kernel_shape[-1] for layer in network.layers]
        [4, 4, 8, 8, 10]
    """

    num_classes: int
    depth: int = 3
    width: int = 32
    activation: str = "relu"
    norm: str = "batch"
    pooling: str = "max"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or an image that is too small.
        """
        check_names(self, norm=NORMS, pooling=("max", "average"))
        self._check_size(images)
        act = shaped_activation(self.activation, 2 * self.depth)
        x = images
        for stage in range(self.depth):
            channels = self.width * min(2**stage, 8)
            for _ in range(2):
                bias = self.norm == "none"
                x = nn.Conv(channels, (3, 3), use_bias=bias, dtype=self.dtype)(x)
                x = act(normalize(x, self.norm, train, self.dtype))
            x = halve_map(x, self.pooling)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x.mean((1, 2)))

    def _check_size(self, images: Array) -> None:
        least = min(images.shape[1:3])
        if least < 2**self.depth:
            most = max(least.bit_length() - 1, 0)
            way_out = f"use depth={most} or less" if most else "use model=cnn"
            raise SmallImages(
                f"vgg_stages of depth {self.depth} halves the image {self.depth} "
                f"times; {images.shape[1]}×{images.shape[2]} pixels are too few; "
                f"{way_out}",
                2**self.depth,
            )
