"""The VGG nets of the paper, and one of them for small images."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_image,
    check_names,
    halve_map,
    normalize,
    pool_to_size,
)
from init_study.theory import shaped_activation


class VGG(nn.Module):
    """VGG net: five stages of 3×3 convolutions, two hidden dense layers, a head.

    A stage ends with 2×2 max pooling, as long as there are two pixels; its width is 1,
    2, 4, 8 and 8 times the first's. The map is averaged to 7×7 pixels, which at
    224×224 it has, and dropout follows both hidden layers. Dense layers read the map
    by rows, columns and then channels; torchvision's read channels first.

    Attributes:
        num_classes: logits per image.
        stages: convolutions of each stage.
        width: channels of the first stage.
        dense: units of either hidden dense layer; 0 for neither.
        pooled: rows and columns of the map that the dense layers read.
        dropout: share of hidden units that a training step leaves out.
        activation: a name in `ACTIVATIONS`, `module:function`, or one of these shaped
            for the depth, `tat(NAME)` or `dks(NAME)`.
        norm: `none`, or `batch`, `layer` or `group` between convolution and activation;
            `batch` makes torchvision's `vgg16_bn` of `vgg16`. Convolutions have a bias
            in any case.
        dtype: that it computes in; parameters are float32.

    Reference: Simonyan & Zisserman 2015, Very deep convolutional networks for
    large-scale image recognition; `torchvision.models.vgg`.

    Example:
        >>> model = VGG(num_classes=10, stages=(1, 2), width=2, dense=8)
        >>> network = trace(model, (32, 32, 3))
        >>> [layer.kernel_shape[-1] for layer in network.layers]
        [2, 4, 4, 8, 8, 10]
    """

    num_classes: int
    stages: tuple[int, ...] = (1, 1, 2, 2, 2)
    width: int = 64
    dense: int = 4096
    pooled: int = 7
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
        if self.pooled > 1:
            name = f"a VGG net of {len(self.stages)} stages"
            check_image(name, images, 2 ** len(self.stages), "vgg11_small")
        hidden = 2 if self.dense else 0
        act = shaped_activation(self.activation, sum(self.stages) + hidden)
        x = images
        for stage, convolutions in enumerate(self.stages):
            for _ in range(convolutions):
                channels = self.width * min(2**stage, 8)
                x = nn.Conv(channels, (3, 3), dtype=self.dtype)(x)
                x = act(normalize(x, self.norm, train, self.dtype))
            if min(x.shape[1:3]) > 1:
                x = halve_map(x, "max")
        x = pool_to_size(x, self.pooled)
        x = x.reshape(len(x), -1)
        for _ in range(hidden):
            x = act(nn.Dense(self.dense, dtype=self.dtype)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x)


class VGG11(VGG):
    """VGG-11, the paper's net A: 8 convolutions and 3 dense layers.

    132,863,336 parameters for 1000 classes; 132,868,840 with batch norm.

    Example:
        >>> VGG11(num_classes=1000).stages
        (1, 1, 2, 2, 2)
    """


class VGG13(VGG):
    """VGG-13, the paper's net B: 10 convolutions and 3 dense layers.

    133,047,848 parameters for 1000 classes; 133,053,736 with batch norm.

    Example:
        >>> VGG13(num_classes=1000).stages
        (2, 2, 2, 2, 2)
    """

    stages: tuple[int, ...] = (2, 2, 2, 2, 2)


class VGG16(VGG):
    """VGG-16, the paper's net D: 13 convolutions and 3 dense layers.

    138,357,544 parameters for 1000 classes; 138,365,992 with batch norm.

    Example:
        >>> VGG16(num_classes=1000).stages
        (2, 2, 3, 3, 3)
    """

    stages: tuple[int, ...] = (2, 2, 3, 3, 3)


class VGG19(VGG):
    """VGG-19, the paper's net E: 16 convolutions and 3 dense layers.

    143,667,240 parameters for 1000 classes; 143,678,248 with batch norm.

    Example:
        >>> VGG19(num_classes=1000).stages
        (2, 2, 4, 4, 4)
    """

    stages: tuple[int, ...] = (2, 2, 4, 4, 4)


class VGG11Small(VGG):
    """VGG-11 for images of 28×28 or 32×32 pixels: its convolutions and one dense layer.

    Global average pooling takes the place of the hidden dense layers: 9,225,610
    parameters for 10 classes and 3 channels. It takes images of any size.

    Example:
        >>> model = VGG11Small(num_classes=10, width=2)
        >>> trace(model, (28, 28, 1)).layers[-1].kernel_shape
        (16, 10)
    """

    dense: int = 0
    pooled: int = 1
