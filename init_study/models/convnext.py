"""ConvNeXt: blocks of large depthwise convolutions, in a transformer's layout."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_image,
    check_names,
    normalize,
)
from init_study.theory import shaped_activation


class ConvNeXt(nn.Module):
    """ConvNeXt-T: 18 blocks of a 7×7 depthwise convolution and two dense layers.

    A 4×4 convolution at stride 4; four stages of blocks, with a 2×2 convolution at
    stride 2 before each but the first, which doubles the width; average pooling, norm
    and a dense head: 28,589,128 parameters for 1000 classes. A block is a depthwise
    convolution, a norm, a dense layer of four times the width, an activation, a dense
    layer back, a learned scale of each channel, and the sum with what it read.

    Attributes:
        num_classes: logits per image.
        stages: blocks of each stage.
        width: channels of the first stage.
        branch_scale: where the learned scales begin.
        stochastic_depth: share of images that a training step leads past the last
            block; for those before it, it grows evenly from 0.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        norm: `none`, `batch`, `layer` or `group`. All layers have a bias.
        dtype: that it computes in; parameters are float32.

    Reference: Liu, Mao, Wu, Feichtenhofer, Darrell & Xie 2022, A ConvNet for the
    2020s, arXiv:2201.03545; `torchvision.models.convnext`. The scheme `convnext` is its
    initialization.

    Example:
        >>> model = ConvNeXt(num_classes=10, stages=(1, 1), width=4)
        >>> network = trace(model, (16, 16, 3))
        >>> [layer.kernel_shape for layer in network.layers[:4]]
        [(4, 4, 3, 4), (7, 7, 1, 4), (4, 16), (16, 4)]
    """

    num_classes: int
    stages: tuple[int, ...] = (3, 3, 9, 3)
    width: int = 96
    branch_scale: float = 1e-6
    stochastic_depth: float = 0.1
    activation: str = "gelu_exact"
    norm: str = "layer"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or an image that is too small.
        """
        check_names(self, norm=NORMS)
        stages = len(self.stages)
        least = 2 ** (stages + 1)
        check_image(f"a ConvNeXt of {stages} stages", images, least, "convmixer")
        x, before = self._patches(images, self.width, 4), 0
        x = normalize(x, self.norm, train, self.dtype)
        for stage, blocks in enumerate(self.stages):
            if stage > 0:
                x = normalize(x, self.norm, train, self.dtype)
                x = self._patches(x, self.width * 2**stage, 2)
            for _ in range(blocks):
                share = self.stochastic_depth * before / max(1, sum(self.stages) - 1)
                x = self._block(x, share, train)
                before += 1
        x = normalize(x.mean((1, 2), keepdims=True), self.norm, train, self.dtype)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x.reshape(len(x), -1))

    def _patches(
        self, x: Float[Array, "n h w c"], channels: int, size: int
    ) -> Float[Array, "n h2 w2 channels"]:
        patch = (size, size)
        return nn.Conv(
            channels, patch, strides=size, padding="VALID", dtype=self.dtype
        )(x)

    def _block(
        self, x: Float[Array, "n h w c"], share: float, train: bool
    ) -> Float[Array, "n h w c"]:
        channels = x.shape[-1]
        y = nn.Conv(channels, (7, 7), feature_group_count=channels, dtype=self.dtype)(x)
        y = normalize(y, self.norm, train, self.dtype)
        y = nn.Dense(4 * channels, dtype=self.dtype)(y)
        y = shaped_activation(self.activation)(y)
        y = nn.Dense(channels, dtype=self.dtype)(y)
        y = ChannelScale(self.branch_scale)(y)
        y = nn.Dropout(share, broadcast_dims=(1, 2, 3), deterministic=not train)(y)
        return x + y


class ChannelScale(nn.Module):
    """Multiply each channel by a learned number.

    Attributes:
        start: where all of them begin.

    Reference: Touvron et al. 2021, Going deeper with image transformers,
    arXiv:2103.17239: LayerScale.

    Example:
        >>> layer, x = ChannelScale(0.5), jnp.ones((1, 2))
        >>> layer.apply(layer.init(jax.random.key(0), x), x).tolist()
        [[0.5, 0.5]]
    """

    start: float

    @nn.compact
    def __call__(self, x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
        """Scale numbers `[..., channels]`."""
        start = nn.initializers.constant(self.start)
        scale = self.param("scale", start, x.shape[-1:], jnp.float32)
        return jnp.broadcast_to(scale.astype(x.dtype), x.shape) * x
