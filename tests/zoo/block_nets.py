"""Nets whose branches are more than convolutions, and what is true of them."""

import flax.linen as nn
import jax.numpy as jnp
from zoo.residual_nets import HEAD, norm
from zoo.truth import Branch, Layer, Net, residual


class ConvNeXtBlock(nn.Module):
    """Depthwise, norm, two dense layers, layer scale, stochastic depth."""

    dim: int

    @nn.compact
    def __call__(self, x, train):
        y = nn.Conv(self.dim, (5, 5), feature_group_count=self.dim, name="dwconv")(x)
        y = nn.Dense(4 * self.dim, name="up")(nn.LayerNorm(name="ln")(y))
        y = nn.Dense(self.dim, name="down")(nn.gelu(y))
        gamma = self.param("gamma", nn.initializers.constant(0.1), (self.dim,))
        y = y * jnp.expand_dims(gamma, (0, 1, 2))
        drop = nn.Dropout(0.2, broadcast_dims=(1, 2, 3), deterministic=not train)
        return residual(x, drop(y))


class ConvNeXt(nn.Module):
    """ConvNeXt (Liu et al. 2022) as in its Flax ports."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.LayerNorm(name="ln")(nn.Conv(8, (1, 1), name="stem")(x))
        for i in range(2):
            x = ConvNeXtBlock(8, name=f"b{i}")(x, train)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


CONVNEXT = Net(
    ConvNeXt,
    (
        Layer("stem", (3, 8), "norm", scale="ln/scale"),
        *(
            layer
            for i in range(2)
            for layer in (
                Layer(f"b{i}/dwconv", (25, 25), "norm", scale=f"b{i}/ln/scale"),
                Layer(f"b{i}/up", (8, 32), "gelu"),
                Layer(f"b{i}/down", (32, 8), scale=f"b{i}/gamma"),
            )
        ),
        HEAD,
    ),
    tuple(
        Branch(f"b{i}/dwconv b{i}/up b{i}/down", f"b{i}/down", scales=f"b{i}/gamma")
        for i in range(2)
    ),
    # Whether a scale without a norm is a gamma is a matter of words.
    refuses={"zero_gamma": "the branch ends with layer scale and no norm"},
)


class ConvMixer(nn.Module):
    """ConvMixer (Trockman & Kolter 2022): the branch ends in GELU and a norm."""

    @nn.compact
    def __call__(self, x, train=True):
        x = norm(train, "bn")(nn.gelu(nn.Conv(8, (2, 2), 2, name="patch")(x)))
        for i in range(2):
            y = nn.Conv(8, (3, 3), feature_group_count=8, name=f"depth{i}")(x)
            x = residual(x, norm(train, f"bn{i}a")(nn.gelu(y)))
            y = nn.Conv(8, (1, 1), name=f"point{i}")(x)
            x = norm(train, f"bn{i}b")(nn.gelu(y))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


CONVMIXER = Net(
    ConvMixer,
    (
        # The windows do not overlap: each number feeds one of them.
        Layer("patch", (12, 8), "gelu"),
        *(
            layer
            for i in range(2)
            for layer in (
                Layer(f"depth{i}", (9, 9), "gelu"),
                Layer(f"point{i}", (8, 8), "gelu"),
            )
        ),
        HEAD,
    ),
    # Zero goes through GELU and a norm whose shift is zero.
    tuple(Branch(f"depth{i}", f"depth{i}", scales=f"bn{i}a/scale") for i in range(2)),
    refuses={
        name: "what follows the branch's layer is not linear"
        for name in ("zero_branch", "fixup", "zero_gamma", "depth_scaled")
    },
)


class MBConv(nn.Module):
    """Expand, depthwise, squeeze and excite, project: EfficientNet's block."""

    @nn.compact
    def __call__(self, x, train):
        y = nn.Conv(16, (1, 1), use_bias=False, name="expand")(x)
        y = nn.silu(norm(train, "bn1")(y))
        depthwise = {"feature_group_count": 16, "use_bias": False}
        y = nn.silu(norm(train, "bn2")(nn.Conv(16, (3, 3), name="dw", **depthwise)(y)))
        s = y.mean((1, 2), keepdims=True)
        s = nn.sigmoid(nn.Conv(16, (1, 1), name="fc2")(self.squeeze(s)))
        y = nn.Conv(8, (1, 1), use_bias=False, name="project")(y * s)
        y = norm(train, "bn3")(y)
        return residual(x, nn.Dropout(0.1, (1, 2, 3), deterministic=not train)(y))

    def squeeze(self, s):
        return nn.silu(nn.Conv(2, (1, 1), name="fc1")(s))


class EfficientNet(nn.Module):
    """EfficientNet (Tan & Le 2019): MBConv blocks behind a strided stem."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.Conv(8, (3, 3), 2, use_bias=False, name="stem")(x)
        x = nn.silu(norm(train, "bn")(x))
        for i in range(2):
            x = MBConv(name=f"b{i}")(x, train)
        x = nn.Dropout(0.2, deterministic=not train)(x.mean((1, 2)))
        return nn.Dense(3, name="head")(x)


EFFICIENTNET = Net(
    EfficientNet,
    (
        Layer("stem", (27, 18), "norm silu", scale="bn/scale"),
        *(
            layer
            for b in ("b0", "b1")
            for layer in (
                Layer(f"{b}/expand", (8, 16), "norm silu", scale=f"{b}/bn1/scale"),
                Layer(f"{b}/dw", (9, 9), "norm silu", scale=f"{b}/bn2/scale"),
                Layer(f"{b}/fc1", (16, 2), "silu"),
                Layer(f"{b}/fc2", (2, 16), "sigmoid"),
                Layer(f"{b}/project", (16, 8), "norm", scale=f"{b}/bn3/scale"),
            )
        ),
        HEAD,
    ),
    tuple(
        Branch(
            f"{b}/expand {b}/dw {b}/fc1 {b}/fc2 {b}/project",
            f"{b}/project",
            scales=f"{b}/bn3/scale",
        )
        for b in ("b0", "b1")
    ),
)


class FiLM(nn.Module):
    """FiLM (Perez et al. 2018): a summary scales and shifts a normalized branch."""

    @nn.compact
    def __call__(self, x):
        told = nn.relu(nn.Dense(8, name="cond")(x.mean((1, 2))))
        x = nn.Conv(8, (3, 3), name="stem")(x)
        for i in range(2):
            y = nn.relu(nn.Conv(8, (1, 1), name=f"point{i}")(x))
            y = nn.Conv(8, (3, 3), name=f"conv{i}")(y)
            y = nn.LayerNorm(use_bias=False, use_scale=False, name=f"ln{i}")(y)
            film = nn.Dense(16, name=f"film{i}")(told)[:, None, None]
            gamma, beta = jnp.split(film, 2, -1)
            x = residual(x, nn.relu(y * (1 + gamma) + beta))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


FILM = Net(
    FiLM,
    (
        Layer("cond", (3, 8), "relu"),
        Layer("stem", (27, 72), "linear|?"),
        *(
            layer
            for i in range(2)
            for layer in (
                Layer(f"point{i}", (8, 8), "relu"),
                Layer(f"conv{i}", (72, 72), "norm|norm ?"),
                # A factor 1 + gamma; a summand.
                Layer(f"film{i}", (8, 16), "linear|plus1|?;linear|?", parts="2"),
            )
        ),
        HEAD,
    ),
    # The summand is zero without conv and beta: with conv at zero, beta is left.
    tuple(
        Branch(f"point{i} conv{i}|point{i} conv{i} film{i}", f"conv{i}|conv{i} film{i}")
        for i in range(2)
    ),
    refuses={
        name: "a shift from elsewhere is added on the branch"
        for name in ("zero_branch", "fixup", "depth_scaled")
    },
)


class SwiGLU(nn.Module):
    """LLaMA's feed-forward block: RMS norm, silu(gate) times value, down."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8, name="embed")(x.reshape(len(x), -1, x.shape[-1]))
        for i in range(2):
            y = nn.RMSNorm(name=f"rms{i}")(x)
            gate = nn.silu(nn.Dense(12, use_bias=False, name=f"gate{i}")(y))
            value = nn.Dense(12, use_bias=False, name=f"value{i}")(y)
            y = nn.Dense(8, use_bias=False, name=f"down{i}")(gate * value)
            x = residual(x, y)
        x = nn.RMSNorm(name="rms")(x)
        return nn.Dense(3, name="head")(x.mean(1))


SWIGLU = Net(
    SwiGLU,
    (
        Layer("embed", (3, 8), "linear|?"),
        *(
            layer
            for i in range(2)
            for layer in (
                Layer(f"gate{i}", (8, 12), "silu"),
                Layer(f"value{i}", (8, 12), "linear|?"),
                Layer(f"down{i}", (12, 8)),
            )
        ),
        HEAD,
    ),
    tuple(Branch(f"gate{i} value{i} down{i}", f"down{i}") for i in range(2)),
)


class ReZero(nn.Module):
    """ReZero (Bachlechner et al. 2021): a trained number on each branch, at zero."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(8, name="embed")(x.reshape(len(x), -1)))
        for i in range(2):
            alpha = self.param(f"alpha{i}", nn.initializers.zeros_init(), ())
            y = nn.relu(nn.Dense(8, name=f"first{i}")(x))
            x = residual(x, alpha * nn.Dense(8, name=f"second{i}")(y))
        return nn.Dense(3, name="head")(x)


REZERO = Net(
    ReZero,
    (
        Layer("embed", (12, 8), "relu"),
        *(
            layer
            for i in range(2)
            for layer in (
                Layer(f"first{i}", (8, 8), "relu"),
                Layer(f"second{i}", (8, 8), scale=f"alpha{i}"),
            )
        ),
        HEAD,
    ),
    tuple(
        Branch(f"first{i} second{i}", f"second{i}", scales=f"alpha{i}")
        for i in range(2)
    ),
    (2, 2, 3),
    # Two zeros in series never move.
    refuses={
        name: "its branches are zero already, by a number of the net's own"
        for name in ("zero_branch", "zero_gamma", "fixup", "skipinit", "rezero")
    },
)


NETS = {
    "convnext": CONVNEXT,
    "convmixer": CONVMIXER,
    "efficientnet": EFFICIENTNET,
    "film": FILM,
    "swiglu": SWIGLU,
    "rezero": REZERO,
}
