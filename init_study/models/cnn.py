"""The plain CNN: what depth, width and activation do, with nothing in between."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.errors import UserError
from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_names,
    halve_map,
    normalize,
)
from init_study.theory import shaped_activation

POOLINGS = ("max", "average", "stride", "none")
PADDINGS = ("same", "valid", "circular")


class CNN(nn.Module):
    """A plain CNN: 3×3 convolutions of one width, then a dense head.

    The map is halved after the first and the second convolution, as long as 4×4
    pixels are left, so that depth alone tells a shallow net from a deep one. Global
    average pooling comes before the head.

    Attributes:
        num_classes: logits per image.
        depth: number of convolutions.
        width: channels of each.
        activation: a name in `ACTIVATIONS`, `module:function`, or one of these shaped
            for the depth, `tat(NAME)` or `dks(NAME)`.
        norm: `none`, `batch`, `layer` or `group`, between convolution and activation.
        pooling: how the map is halved: `max`, `average`, `stride` (of the
            convolution) or `none` (it is not).
        padding: `same` (zeros), `valid` or `circular`.
        dtype: that it computes in; parameters are float32.

    Example:
        >>> model = CNN(num_classes=10, depth=2, width=4)
        >>> network = trace(model, (8, 8, 1))
        >>> [layer.kernel_shape for layer in network.layers]
        [(3, 3, 1, 4), (3, 3, 4, 4), (4, 10)]
    """

    num_classes: int
    depth: int = 4
    width: int = 16
    activation: str = "relu"
    norm: str = "none"
    pooling: str = "max"
    padding: str = "same"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or an image that is used up.
        """
        check_names(
            self,
            norm=NORMS,
            pooling=POOLINGS,
            padding=PADDINGS,
        )
        act = shaped_activation(self.activation, self.depth)
        x = images
        for index in range(self.depth):
            halve = index < 2 and self.pooling != "none" and min(x.shape[1:3]) >= 8
            self._check_size(images, x, index)
            strides = 2 if halve and self.pooling == "stride" else 1
            x = nn.Conv(
                self.width,
                (3, 3),
                strides=strides,
                padding=self.padding.upper(),
                dtype=self.dtype,
            )(x)
            x = normalize(x, self.norm, train, self.dtype)
            x = act(x)
            if halve and self.pooling != "stride":
                x = halve_map(x, self.pooling)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x.mean((1, 2)))

    def _check_size(self, images: Array, x: Array, index: int) -> None:
        if self.padding == "valid" and min(x.shape[1:3]) < 3:
            raise UserError(
                f"cnn of depth {self.depth} with padding='valid': images of "
                f"{images.shape[1]}×{images.shape[2]} are used up after {index} "
                "convolutions; use padding='same' or a smaller depth"
            )
