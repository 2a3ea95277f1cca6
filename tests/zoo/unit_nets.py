"""Nets with units, norms and weights of their own, and what is true of them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from zoo.residual_nets import HEAD
from zoo.truth import Layer, Net


class GLU(nn.Module):
    """Gated convolutions (Dauphin et al. 2017): half of a layer gates the other."""

    @nn.compact
    def __call__(self, x):
        for i in range(2):
            x = nn.glu(nn.Conv(16, (3, 3), name=f"conv{i}")(x))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


GLU_NET = Net(
    GLU,
    (
        Layer("conv0", (27, 144), "linear|?;sigmoid|?", parts="2"),
        Layer("conv1", (72, 144), "linear|?;sigmoid|?", parts="2"),
        HEAD,
    ),
)


class Maxout(nn.Module):
    """Maxout (Goodfellow et al. 2013) over pieces, over halves, and of two layers."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(16, (3, 3), name="pieces")(x)
        x = x.reshape(*x.shape[:-1], 8, 2).max(-1)
        first, second = jnp.split(nn.Conv(16, (3, 3), name="halves")(x), 2, -1)
        x = jnp.maximum(first, second)
        first = nn.Conv(8, (1, 1), name="one")(x)
        x = jnp.maximum(first, nn.Conv(8, (1, 1), name="other")(x))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


MAXOUT = Net(
    Maxout,
    (
        # The larger of two is no function of one number, however they are written.
        Layer("pieces", (27, 144), "?", parts="1|2"),
        Layer("halves", (72, 144), "?", parts="1|2"),
        Layer("one", (8, 8), "?"),
        Layer("other", (8, 8), "?"),
        HEAD,
    ),
)


class Parametric(nn.Module):
    """PReLU (He et al. 2015), a swish with a slope that is learned, and CReLU."""

    @nn.compact
    def __call__(self, x):
        x = nn.PReLU(name="prelu")(nn.Conv(8, (3, 3), name="first")(x))
        x = nn.Conv(8, (3, 3), name="second")(x)
        beta = self.param("beta", nn.initializers.ones, ())
        x = x * nn.sigmoid(beta * x)
        x = nn.Conv(4, (3, 3), name="third")(x)
        x = nn.relu(jnp.concatenate([x, -x], -1))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


PARAMETRIC = Net(
    Parametric,
    (
        # At their start: a slope of 0.01, a beta of 1.
        Layer("first", (27, 72), "leaky", scale="*"),
        Layer("second", (72, 72), "silu", scale="*"),
        # Each number goes on as two.
        Layer("third", (72, 36), "?"),
        HEAD,
    ),
)


class ResponseNorm(nn.Module):
    """Filter response norm and thresholded linear units (Singh & Krishnan 2020)."""

    @nn.compact
    def __call__(self, x):
        for i in range(2):
            x = nn.Conv(8, (3, 3), name=f"conv{i}")(x)
            square = jnp.square(x).mean((1, 2), keepdims=True)
            x = x * jax.lax.rsqrt(square + 1e-6)
            x = self.across(f"gamma{i}", 1.0) * x + self.across(f"beta{i}", 0.0)
            x = jnp.maximum(x, self.across(f"tau{i}", 0.0))
        return nn.Dense(3, name="head")(x.mean((1, 2)))

    def across(self, name, start):
        return self.param(name, nn.initializers.constant(start), (1, 1, 1, 8))


RESPONSE_NORM = Net(
    ResponseNorm,
    (
        # The threshold begins at zero.
        Layer("conv0", (27, 72), "norm relu", scale="gamma0"),
        Layer("conv1", (72, 72), "norm relu", scale="gamma1"),
        HEAD,
    ),
)


class VirtualNorm(nn.Module):
    """Virtual batch norm (Salimans et al. 2016): statistics of a batch kept aside."""

    @nn.compact
    def __call__(self, x):
        for i in range(2):
            x = nn.Conv(8, (3, 3), use_bias=False, name=f"conv{i}")(x)
            x = nn.leaky_relu(self.normalize(x, f"{i}"), 0.2)
        return nn.Dense(3, name="head")(x.mean((1, 2)))

    def normalize(self, x, name):
        one = (1, 1, 1, x.shape[-1])
        kept = self.variable("reference", f"mean{name}", jnp.zeros, one)
        kept_square = self.variable("reference", f"square{name}", jnp.ones, one)
        # The image itself is one of 33.
        new = 1 / 33
        mean = new * x.mean((1, 2), keepdims=True) + (1 - new) * kept.value
        square = jnp.square(x).mean((1, 2), keepdims=True)
        square = new * square + (1 - new) * kept_square.value
        x = (x - mean) * jax.lax.rsqrt(square - jnp.square(mean) + 1e-5)
        scale = self.param(f"scale{name}", nn.initializers.ones, one)
        return x * scale + self.param(f"shift{name}", nn.initializers.zeros, one)


VIRTUAL_NORM = Net(
    VirtualNorm,
    (
        Layer("conv0", (27, 72), "norm leaky2", scale="scale0"),
        Layer("conv1", (72, 72), "norm leaky2", scale="scale1"),
        HEAD,
    ),
)


class RootMeanSquare(nn.Module):
    """RMS norm (Zhang & Sennrich 2019) right behind layers, as in conv codecs."""

    @nn.compact
    def __call__(self, x):
        for i in range(2):
            x = nn.Conv(8, (3, 3), use_bias=False, name=f"conv{i}")(x)
            x = nn.relu(nn.RMSNorm(name=f"rms{i}")(x))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


ROOT_MEAN_SQUARE = Net(
    RootMeanSquare,
    (
        Layer("conv0", (27, 72), "norm relu", scale="rms0/scale"),
        Layer("conv1", (72, 72), "norm relu", scale="rms1/scale"),
        HEAD,
    ),
)


class Spectral(nn.Module):
    """A discriminator as in SNGAN (Miyato et al. 2018): kernels over their norm."""

    @nn.compact
    def __call__(self, x, train=True):
        for i, strides in enumerate((1, 2)):
            layer = nn.SpectralNorm(nn.Conv(8, (3, 3), strides, name=f"conv{i}"))
            x = nn.leaky_relu(layer(x, update_stats=train), 0.1)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


SPECTRAL = Net(
    Spectral,
    (
        Layer("conv0", (27, 72), "leaky1", free=True),
        Layer("conv1", (72, 18), "leaky1", free=True),
        HEAD,
    ),
)


class EqualConv(nn.Conv):
    """A convolution whose kernel is drawn at 1 and multiplied by √(2 / fan)."""

    def param(self, name, *args, **kwargs):
        value = super().param(name, *args, **kwargs)
        return value * (2 / value[..., 0].size) ** 0.5 if name == "kernel" else value


class Equalized(nn.Module):
    """Equalized learning rate, as in ProGAN and StyleGAN (Karras et al. 2018)."""

    @nn.compact
    def __call__(self, x):
        for i in range(2):
            x = nn.leaky_relu(EqualConv(8, (3, 3), name=f"conv{i}")(x), 0.2)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


EQUALIZED = Net(
    Equalized,
    (
        Layer("conv0", (27, 72), "leaky2", times=(2 / 27) ** 0.5),
        Layer("conv1", (72, 72), "leaky2", times=(2 / 72) ** 0.5),
        HEAD,
    ),
)


class TiedAutoencoder(nn.Module):
    """An autoencoder that decodes by its encoder's kernels, and a classifier."""

    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)
        outer = self.param("outer", nn.initializers.lecun_normal(), (48, 12))
        inner = self.param("inner", nn.initializers.lecun_normal(), (12, 6))
        code = jnp.tanh(jnp.tanh(x @ outer) @ inner)
        decoded = jnp.tanh(code @ inner.T) @ outer.T
        both = jnp.concatenate([code, decoded], -1)
        return nn.Dense(3, name="head")(both)


TIED = Net(
    TiedAutoencoder,
    (
        # As they are read first; behind the outer one there are two things.
        Layer("outer", (48, 12), "tanh|?", uses=2),
        Layer("inner", (12, 6), "tanh", uses=2),
        Layer("head", (54, 3)),
    ),
    shape=(4, 4, 3),
)


class Ensemble(nn.Module):
    """Dense layers side by side by `nn.vmap`, as in ensembles of critics."""

    axis: int = 0

    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)
        for name, in_axes in (("first", None), ("second", 0)):
            many = nn.vmap(
                nn.Dense,
                variable_axes={"params": self.axis},
                split_rngs={"params": True},
                in_axes=in_axes,
                axis_size=3,
            )
            x = nn.relu(many(6, name=name)(x))
        return nn.Dense(3, name="head")(x.mean(0))


def ensemble(axis):
    layers = (
        Layer("first", (12, 18), "relu", parts="3"),
        Layer("second", (6, 18), "relu", parts="3", apart=True),
        Layer("head", (6, 3)),
    )
    refuses = {"lsuv": "three kernels are mapped over"}
    return Net(lambda: Ensemble(axis), layers, (), (2, 2, 3), refuses)


NETS = {
    "glu": GLU_NET,
    "maxout": MAXOUT,
    "parametric": PARAMETRIC,
    "response_norm": RESPONSE_NORM,
    "virtual_norm": VIRTUAL_NORM,
    "root_mean_square": ROOT_MEAN_SQUARE,
    "spectral": SPECTRAL,
    "equalized": EQUALIZED,
    "tied": TIED,
    "ensemble": ensemble(0),
    "ensemble_stored_last": ensemble(-1),
}
