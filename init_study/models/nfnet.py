"""NFNet: residual branches of standardized kernels, in the place of norms."""

from math import sqrt

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from init_study.activations import Activation
from init_study.errors import UserError
from init_study.models.parts import ComputeType
from init_study.theory import mean, second_moment, shaped_activation


class NFNet(nn.Module):
    """NFNet-F0: 12 residual blocks without norms, whose variances are known beforehand.

    Four 3×3 convolutions, the first and the last at stride 2; four stages of blocks, a
    1×1 convolution of twice the width, average pooling, dropout and a dense head:
    71,489,284 parameters for 1000 classes. The paper says 71.5 million.

    A block divides what it reads by the standard deviation that it has at the start;
    its branch is a 1×1 convolution, two of 3×3 in groups, a 1×1 one and a gate for each
    channel that two dense layers make of the channels' means, times `alpha` and a
    learned number. The first block of a stage but the first's halves the map, its
    shortcut by average pooling, and a shortcut that changes the width has a 1×1
    convolution. Convolutions are `StandardizedConv`; activations are scaled to give the
    variance 1 for inputs of variance 1.

    Attributes:
        num_classes: logits per image.
        stages: blocks of each of four stages.
        width: channels of the first stage; the others have 2, 6 and 6 times as many.
        group_width: channels of a group of the 3×3 convolutions; half the width, if
            that is less.
        alpha: that branches are multiplied by.
        branch_scale: where the learned numbers on branches begin.
        squeeze: hidden units of the gate for each channel.
        stochastic_depth: share of images that a training step leads past the block
            behind the last; for those before it, it grows evenly from 0. Branches
            that are kept are scaled up to make up for it, which is ours.
        dropout: share of inputs of the head that a training step leaves out.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        dtype: that it computes in; parameters are float32.

    Reference: Brock, De, Smith & Simonyan 2021, High-performance large-scale image
    recognition without normalization, arXiv:2102.06171, and their code in
    github.com/google-deepmind/deepmind-research/tree/master/nfnets.

    Example:
        >>> model = NFNet(num_classes=10, stages=(1, 1), width=8, group_width=2)
        >>> network = trace(model, (16, 16, 3))
        >>> [layer.groups for layer in network.layers if layer.groups > 1]
        [2, 2, 4, 4]
    """

    num_classes: int
    stages: tuple[int, ...] = (1, 2, 6, 3)
    width: int = 256
    group_width: int = 128
    alpha: float = 0.2
    branch_scale: float = 0.0
    squeeze: float = 0.5
    stochastic_depth: float = 0.1
    dropout: float = 0.2
    activation: str = "gelu"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name, no width, or too many stages.
        """
        self._check()
        act, x = scaled_to_unit_variance(self.activation), images
        for share, strides in ((16, 2), (8, 1), (4, 1)):
            x = act(self._conv(x, max(1, self.width // share), 3, strides))
        x = self._conv(x, self.width // 2, 3, 2)
        variance, before = 1.0, 0
        for stage, blocks in enumerate(self.stages):
            for block in range(blocks):
                strides = 2 if stage > 0 and block == 0 else 1
                read = act(x) / sqrt(variance)
                shortcut = self._shortcut(x, read, self._channels(stage), strides)
                y = self._branch(read, self._channels(stage), strides)
                share = self.stochastic_depth * before / sum(self.stages)
                x = shortcut + self._scaled(y, share, train)
                variance = (1.0 if block == 0 else variance) + self.alpha**2
                before += 1
        x = act(self._conv(x, 2 * x.shape[-1], 1)).mean((1, 2))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        small = nn.initializers.normal(0.01)
        return nn.Dense(self.num_classes, kernel_init=small, dtype=self.dtype)(x)

    def _channels(self, stage: int) -> int:
        return self.width * (1, 2, 6, 6)[stage]

    def _conv(
        self,
        x: Float[Array, "n h w c"],
        channels: int,
        size: int,
        strides: int = 1,
        groups: int = 1,
    ) -> Float[Array, "n h2 w2 channels"]:
        return StandardizedConv(channels, size, strides, groups, self.dtype)(x)

    def _shortcut(
        self,
        x: Float[Array, "n h w c"],
        read: Float[Array, "n h w c"],
        channels: int,
        strides: int,
    ) -> Float[Array, "n h2 w2 channels"]:
        if strides == 1 and x.shape[-1] == channels:
            return x
        if strides > 1:
            window = (strides, strides)
            read = nn.avg_pool(read, window, window, "SAME")
        return self._conv(read, channels, 1)

    def _branch(
        self, x: Float[Array, "n h w c"], channels: int, strides: int
    ) -> Float[Array, "n h2 w2 channels"]:
        act = scaled_to_unit_variance(self.activation)
        group_width = min(self.group_width, self.width // 2)
        groups = channels // 2 // group_width
        x = act(self._conv(x, groups * group_width, 1))
        for step in (strides, 1):
            x = act(self._conv(x, x.shape[-1], 3, step, groups))
        x = self._conv(x, channels, 1)
        hidden = max(1, int(self.squeeze * channels))
        gate = nn.relu(nn.Dense(hidden, dtype=self.dtype)(x.mean((1, 2))))
        gate = jax.nn.sigmoid(nn.Dense(channels, dtype=self.dtype)(gate))
        # A gate is 1/2 at the start.
        return 2 * gate[:, None, None] * x

    def _scaled(
        self, y: Float[Array, "n h w c"], share: float, train: bool
    ) -> Float[Array, "n h w c"]:
        y = nn.Dropout(share, broadcast_dims=(1, 2, 3), deterministic=not train)(y)
        return self.alpha * BranchScale(self.branch_scale)(y)

    def _check(self) -> None:
        if self.width < 2:
            raise UserError(
                f"nfnet_f0 of width {self.width}: use a width of at least 2"
            )
        if len(self.stages) > 4:
            raise UserError(
                f"nfnet_f0 has four stages at most, not {len(self.stages)}: "
                "stages=(1, 2, 6, 3)"
            )


class StandardizedConv(nn.Module):
    """Convolution whose kernel has mean 0 and variance 1 / fan_in for each channel.

    Whatever the kernel's own scale: it is standardized in each call, times a learned
    gain of each channel, which begins at 1.

    Attributes:
        channels: of the output.
        size: rows and columns of the kernel.
        strides: of the window.
        groups: of channels.
        dtype: that it computes in; parameters are float32.

    Reference: Brock, De & Smith 2021, Characterizing signal propagation to close the
    performance gap in unnormalized ResNets, arXiv:2101.08692: scaled weight
    standardization.

    Example:
        >>> x = jnp.zeros((1, 5, 5, 2)).at[0, 2, 2].set(1.0)
        >>> y, variables = StandardizedConv(1, 3).init_with_output(jax.random.key(0), x)
        >>> jax.tree.map(jnp.shape, variables["params"])["kernel"]
        (3, 3, 2, 1)
    """

    channels: int
    size: int
    strides: int = 1
    groups: int = 1
    dtype: ComputeType = None

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 channels"]:
        """Convolve maps `[n, height, width, channels]`, padded with zeros."""
        shape = (self.size, self.size, x.shape[-1] // self.groups, self.channels)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        gain = self.param("gain", nn.initializers.ones, self.channels)
        bias = self.param("bias", nn.initializers.zeros, self.channels)
        fan_in = shape[0] * shape[1] * shape[2]
        energy = kernel.var((0, 1, 2), keepdims=True) * fan_in
        scale = jax.lax.rsqrt(jnp.maximum(energy, 1e-4)) * gain[None, None, None]
        kernel = (kernel - kernel.mean((0, 1, 2), keepdims=True)) * scale
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        strides = (self.strides, self.strides)
        y = jax.lax.conv_general_dilated(
            x,
            kernel,
            strides,
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=self.groups,
        )
        return y + bias[None, None, None]


class BranchScale(nn.Module):
    """Multiply a map by one learned number.

    Attributes:
        start: where it begins.

    Reference: De & Smith 2020, arXiv:2002.10444: SkipInit.

    Example:
        >>> layer, x = BranchScale(0.5), jnp.ones((1, 2))
        >>> layer.apply(layer.init(jax.random.key(0), x), x).tolist()
        [[0.5, 0.5]]
    """

    start: float

    @nn.compact
    def __call__(self, x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
        """Scale numbers of any shape."""
        scale = self.param("scale", nn.initializers.constant(self.start), ())
        return jnp.broadcast_to(scale.astype(x.dtype), x.shape) * x


def scaled_to_unit_variance(activation: str) -> Activation:
    """Scale an activation so that its variance is 1 for normal inputs of variance 1.

    Args:
        activation: a name, as of `shaped_activation`.

    Reference: Brock, De & Smith 2021, arXiv:2101.08692, section 4.1.

    Example:
        >>> act = scaled_to_unit_variance("relu")
        >>> round(float(act(jnp.array(1.0))), 3)  # √(2 / (1 - 1 / π))
        1.713
    """
    phi = shaped_activation(activation)
    gamma = 1 / sqrt(second_moment(phi) - mean(phi) ** 2)
    return lambda x: gamma * phi(x)
