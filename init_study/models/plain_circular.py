"""The plain nets of ten to ten thousand layers, whose convolutions wrap around."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.models.parts import NORMS, ComputeType, check_names, normalize
from init_study.theory import shaped_activation


class PlainCircular(nn.Module):
    """Plain net of tanh and 3×3 convolutions of one width that wrap around the map.

    As its authors train it, without norm, pooling or shortcuts: a convolution, two at
    stride 2, all three padded with zeros; then `depth` convolutions with circular
    padding, which keep the energy of a map whatever its size; the mean over pixels, and
    a dense head. Their default of 50 layers has 1,921,546 parameters for 10 classes and
    1 channel. Ours is that a map of less than 8×8 pixels is not halved further.

    Compilation takes longer the deeper the net, unless it is `scanned`.

    Attributes:
        num_classes: logits per image.
        depth: convolutions with circular padding; three come before them.
        width: channels of every convolution.
        activation: a name in `ACTIVATIONS`, `module:function`, or one of these shaped
            for the depth, `tat(NAME)` or `dks(NAME)`.
        norm: `none`, `batch`, `layer` or `group`, between convolution and activation.
            All layers have a bias.
        scanned: whether the circular convolutions are one layer that runs `depth` times
            over stacked parameters, of shapes `[depth, ...]`; it compiles as fast at
            any depth.
        dtype: that it computes in; parameters are float32.

    Reference: Xiao, Bahri, Sohl-Dickstein, Schoenholz & Pennington 2018, Dynamical
    isometry and a mean field theory of CNNs, arXiv:1806.05393; the layers are those of
    its authors' notebook in github.com/brain-research/mean-field-cnns. The
    initializer of its circular convolutions is `delta_orthogonal`.

    Example:
        >>> model = PlainCircular(num_classes=10, depth=2, width=4)
        >>> network = trace(model, (28, 28, 1))
        >>> [layer.output_shape[0] for layer in network.layers[:-1]]
        [28, 14, 7, 7, 7]
    """

    num_classes: int
    depth: int = 50
    width: int = 64
    activation: str = "tanh"
    norm: str = "none"
    scanned: bool = False
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name.
        """
        check_names(self, norm=NORMS)
        act = shaped_activation(self.activation, 3 + self.depth)
        x = images
        for index in range(3):
            strides = 2 if index > 0 and min(x.shape[1:3]) >= 8 else 1
            x = act(_conv_norm(self, x, train, strides, "SAME"))
        if self.scanned:
            layers: Any = nn.scan(
                _Scanned,
                variable_axes={"params": 0, "batch_stats": 0},
                split_rngs={"params": True},
                length=self.depth,
            )
            fields = (self.width, act, self.norm, train, self.dtype)
            x, _ = layers(*fields, name="layers")(x, None)
        else:
            for _ in range(self.depth):
                x = act(_conv_norm(self, x, train))
        return nn.Dense(self.num_classes, dtype=self.dtype)(x.mean((1, 2)))


class _Scanned(nn.Module):
    """One of the equal layers, in the form that a loop over their parameters takes."""

    width: int
    act: Callable[[Array], Array]
    norm: str
    train: bool
    dtype: ComputeType

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], _: None
    ) -> tuple[Float[Array, "n h w c"], None]:
        return self.act(_conv_norm(self, x, self.train)), None


def _conv_norm(
    module: Any,
    x: Float[Array, "n h w c"],
    train: bool,
    strides: int = 1,
    padding: str = "CIRCULAR",
) -> Float[Array, "n h2 w2 width"]:
    size = (3, 3)
    x = nn.Conv(
        module.width, size, strides=strides, padding=padding, dtype=module.dtype
    )(x)
    return normalize(x, module.norm, train, module.dtype)
