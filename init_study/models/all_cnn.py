"""The all convolutional net: strides in the place of pooling, no dense layer."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_image,
    check_names,
    normalize,
)
from init_study.theory import shaped_activation


class AllCNN(nn.Module):
    """All-CNN-C for CIFAR: nine convolutions, two of them at stride 2, and a mean.

    Three of 3×3 pixels and 96 channels, then four of 192, the third and the sixth at
    stride 2; then two of 1×1, of 192 channels and of one per class, whose map is
    averaged: 1,369,738 parameters for 10 classes and 3 channels. Dropout is on the
    images and behind the convolutions at stride 2. The seventh convolution is not
    padded, so that 32×32 pixels end as 6×6.

    Attributes:
        num_classes: logits per image.
        width: channels of the first three convolutions; the others have twice as many.
        image_dropout: share of the images' numbers that a training step leaves out.
        dropout: share of the maps behind strides that it leaves out.
        activation: a name in `ACTIVATIONS`, `module:function`, or one of these shaped
            for the depth, `tat(NAME)` or `dks(NAME)`; behind the last convolution, too.
        norm: `none`, `batch`, `layer` or `group`, between each convolution but the last
            and its activation.
        dtype: that it computes in; parameters are float32.

    Reference: Springenberg, Dosovitskiy, Brox & Riedmiller 2015, Striving for
    simplicity: the all convolutional net, arXiv:1412.6806, tables 1 and 2.

    Example:
        >>> network = trace(AllCNN(num_classes=10, width=2), (16, 16, 3))
        >>> [layer.output_shape for layer in network.layers[-2:]]
        [(2, 2, 4), (2, 2, 10)]
    """

    num_classes: int
    width: int = 96
    image_dropout: float = 0.2
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
        check_image("all_cnn_c", images, 9, "cnn")
        act = shaped_activation(self.activation, 9)
        x = nn.Dropout(self.image_dropout, deterministic=not train)(images)
        for index in range(8):
            channels = self.width * (1 if index < 3 else 2)
            size, strides = (1 if index == 7 else 3), (2 if index in (2, 5) else 1)
            x = nn.Conv(
                channels,
                (size, size),
                strides=strides,
                padding=0 if index == 6 else size // 2,
                dtype=self.dtype,
            )(x)
            x = act(normalize(x, self.norm, train, self.dtype))
            if strides == 2:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = act(nn.Conv(self.num_classes, (1, 1), dtype=self.dtype)(x))
        return x.mean((1, 2))
