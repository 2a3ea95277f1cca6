"""LeNet-5, with the activation free."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_image,
    check_names,
    halve_map,
    normalize,
)
from init_study.theory import shaped_activation


class LeNet(nn.Module):
    """LeNet-5 for images of at least 16×16 pixels.

    Two 5×5 convolutions (6 and 16 channels) with 2×2 pooling, then dense layers of
    120 and 84. The original's sparse connections and Gaussian output units are not
    kept, as in every present-day LeNet.

    Attributes:
        num_classes: logits per image.
        activation: a name in `ACTIVATIONS`, `module:function`, or one of these shaped
            for the depth, `tat(NAME)` or `dks(NAME)`; the original has tanh.
        norm: `none`, as in the original, or `batch`, `layer` or `group` between
            convolution and activation. All layers have a bias.
        pooling: `max` or `average`; the original averages.
        dtype: that it computes in; parameters are float32.

    Reference: LeCun et al. 1998, Gradient-based learning applied to document
    recognition.

    Example:
        >>> model = LeNet(num_classes=10)
        >>> network = trace(model, (28, 28, 1))
        >>> [layer.kernel_shape for layer in network.layers if layer.kind == "dense"]
        [(400, 120), (120, 84), (84, 10)]
    """

    num_classes: int
    activation: str = "tanh"
    norm: str = "none"
    pooling: str = "average"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or an image that is too small.
        """
        check_names(self, norm=NORMS, pooling=("max", "average"))
        check_image("lenet", images, 16, "cnn")
        act = shaped_activation(self.activation, 4)
        x = images
        for channels, padding in ((6, "SAME"), (16, "VALID")):
            x = nn.Conv(channels, (5, 5), padding=padding, dtype=self.dtype)(x)
            x = act(normalize(x, self.norm, train, self.dtype))
            x = halve_map(x, self.pooling)
        x = x.reshape(x.shape[0], -1)
        for units in (120, 84):
            x = act(nn.Dense(units, dtype=self.dtype)(x))
        return nn.Dense(self.num_classes, dtype=self.dtype)(x)
