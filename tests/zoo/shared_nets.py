"""Nets that use kernels twice, and nets with kernels that read no images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from zoo.residual_nets import HEAD
from zoo.token_nets import PATCH, EncoderBlock, encoder, encoder_branches, tokens
from zoo.truth import Branch, Layer, Net, residual


class TiedEncoder(nn.Module):
    """A transformer of one block that runs twice (Lan et al. 2020, ALBERT)."""

    @nn.compact
    def __call__(self, x):
        x, block = tokens(x), EncoderBlock(name="block")
        for _ in range(2):
            x, _ = block(x)
        return nn.Dense(3, name="head")(nn.LayerNorm(name="ln")(x).mean(1))


TIED_ENCODER = Net(
    TiedEncoder,
    (PATCH, *(layer._replace(uses=2) for layer in encoder("block")), HEAD),
    encoder_branches("block") * 2,
)


class TimeBlock(nn.Module):
    """A block of DDPM's U-Net: the time is added between two convolutions."""

    filters: int

    @nn.compact
    def __call__(self, x, time):
        y = nn.silu(nn.GroupNorm(2, name="gn1")(x))
        y = nn.Conv(self.filters, (3, 3), name="conv1")(y)
        time = nn.Dense(self.filters, name="time")(nn.silu(time))
        y = nn.silu(nn.GroupNorm(2, name="gn2")(y + time[:, None, None]))
        y = nn.Conv(self.filters, (3, 3), name="conv2")(y)
        if x.shape[-1] != self.filters:
            x = nn.Conv(self.filters, (1, 1), name="proj")(x)
        return residual(x, y)


class TimedUNet(nn.Module):
    """A small U-Net of a diffusion model, at one time (Ho et al. 2020)."""

    @nn.compact
    def __call__(self, x):
        phases = 0.5 * jnp.exp(-jnp.arange(4.0))
        time = jnp.concatenate([jnp.sin(phases), jnp.cos(phases)])[None]
        time = nn.Dense(12, name="time1")(nn.silu(nn.Dense(12, name="time0")(time)))
        skip = x = TimeBlock(8, name="down")(nn.Conv(8, (3, 3), name="stem")(x), time)
        x = TimeBlock(8, name="middle")(nn.avg_pool(x, (2, 2), (2, 2)), time)
        x = jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
        x = TimeBlock(8, name="up")(jnp.concatenate([x, skip], -1), time)
        x = nn.silu(nn.GroupNorm(2, name="gn")(x))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


def _time_block(name, inputs):
    return (
        Layer(
            f"{name}/conv1", (9 * inputs, 72), "norm silu", scale=f"{name}/gn2/scale"
        ),
        Layer(f"{name}/conv2", (72, 72)),
    )


TIMED_UNET = Net(
    TimedUNet,
    (
        # A norm and a sum read it.
        Layer("stem", (27, 72), "?"),
        *_time_block("down", 8),
        *_time_block("middle", 8),
        *_time_block("up", 16),
        Layer("up/proj", (16, 8)),
        HEAD,
    ),
    tuple(
        Branch(f"{name}/conv1 {name}/conv2", f"{name}/conv2", around)
        for name, around in (("down", ""), ("middle", ""), ("up", "up/proj"))
    ),
)


class VectorQuantizer(nn.Module):
    """An encoder whose outputs are rounded to a code book (van den Oord et al. 2017).

    Gradients go straight through; a loss comes beside the logits.
    """

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3), 2, name="encoder")(x))
        x = nn.Conv(4, (1, 1), name="before")(x)
        codes = self.param("codes", nn.initializers.uniform(0.1), (4, 16))
        flat = x.reshape(-1, 4)
        lengths = (flat**2).sum(1, keepdims=True) + (codes**2).sum(0, keepdims=True)
        places = jnp.argmin(lengths - 2 * flat @ codes, 1)
        near = codes.T[places].reshape(x.shape)
        loss = ((jax.lax.stop_gradient(x) - near) ** 2).mean()
        x = x + jax.lax.stop_gradient(near - x)
        x = nn.relu(nn.Conv(8, (3, 3), name="decoder")(x))
        return nn.Dense(3, name="head")(x.mean((1, 2))), {"loss": loss}


VECTOR_QUANTIZER = Net(
    VectorQuantizer,
    (
        Layer("encoder", (27, 72 / 4), "relu"),
        Layer("before", (8, 4)),
        Layer("decoder", (36, 72), "relu"),
        HEAD,
    ),
)

NETS = {
    "tied_encoder": TIED_ENCODER,
    "timed_unet": TIMED_UNET,
    "vector_quantizer": VECTOR_QUANTIZER,
}
