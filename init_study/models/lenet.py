"""LeNet-5, with the activation free."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.errors import UserError, unknown
from init_study.models.parts import halve_map
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
        pooling: `max` or `average`; the original averages.

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
    pooling: str = "average"

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or an image that is too small.
        """
        if self.pooling not in ("max", "average"):
            raise unknown("pooling", self.pooling, ("max", "average"), "max, average")
        if min(images.shape[1:3]) < 16:
            raise UserError(
                f"lenet needs images of at least 16×16 pixels, not "
                f"{images.shape[1]}×{images.shape[2]}; use model=cnn"
            )
        act = shaped_activation(self.activation, 4)
        x = halve_map(act(nn.Conv(6, (5, 5))(images)), self.pooling)
        x = halve_map(act(nn.Conv(16, (5, 5), padding="VALID")(x)), self.pooling)
        x = x.reshape(x.shape[0], -1)
        x = act(nn.Dense(120)(x))
        x = act(nn.Dense(84)(x))
        return nn.Dense(self.num_classes)(x)
