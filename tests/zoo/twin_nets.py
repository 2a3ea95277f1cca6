"""Nets of the zoo again, for NNX, Haiku and Equinox: the same is true of them."""

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
from flax import nnx
from zoo.block_nets import CONVNEXT
from zoo.convolution_nets import DECODER, MOBILENET
from zoo.residual_nets import SE_RESNET, THREE_PATHS
from zoo.token_nets import EXPERTS, HEADS, D
from zoo.token_nets import NETS as TOKEN_NETS
from zoo.truth import residual


class NnxConvNeXtBlock(nnx.Module):
    """As `ConvNeXtBlock`."""

    def __init__(self, dim, rngs):
        depthwise = {"feature_group_count": dim, "rngs": rngs}
        self.dwconv = nnx.Conv(dim, dim, (5, 5), **depthwise)
        self.ln = nnx.LayerNorm(dim, rngs=rngs)
        self.up = nnx.Linear(dim, 4 * dim, rngs=rngs)
        self.down = nnx.Linear(4 * dim, dim, rngs=rngs)
        self.gamma = nnx.Param(jnp.full((1, 1, 1, dim), 0.1))
        self.drop = nnx.Dropout(0.2, broadcast_dims=(1, 2, 3), rngs=rngs)

    def __call__(self, x):
        y = self.down(nnx.gelu(self.up(self.ln(self.dwconv(x)))))
        return residual(x, self.drop(y * self.gamma[...]))


class NnxConvNeXt(nnx.Module):
    """ConvNeXt in NNX."""

    def __init__(self, *, rngs):
        self.stem = nnx.Conv(3, 8, (1, 1), rngs=rngs)
        self.ln = nnx.LayerNorm(8, rngs=rngs)
        self.b0, self.b1 = NnxConvNeXtBlock(8, rngs), NnxConvNeXtBlock(8, rngs)
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        x = self.b1(self.b0(self.ln(self.stem(x))))
        return self.head(x.mean((1, 2)))


class NnxSEBlock(nnx.Module):
    """As `SEBlock`."""

    def __init__(self, inputs, filters, strides, rngs):
        def conv(inputs, size, strides=1):
            shape = (inputs, filters, (size, size))
            return nnx.Conv(*shape, strides=strides, use_bias=False, rngs=rngs)

        self.bn1, self.bn2 = (nnx.BatchNorm(filters, rngs=rngs) for _ in range(2))
        self.conv1, self.conv2 = conv(inputs, 3, strides), conv(filters, 3)
        self.fc1 = nnx.Linear(filters, filters // 2, rngs=rngs)
        self.fc2 = nnx.Linear(filters // 2, filters, rngs=rngs)
        self.projects = strides > 1
        if self.projects:
            self.proj = conv(inputs, 1, strides)
            self.bn_proj = nnx.BatchNorm(filters, rngs=rngs)

    def __call__(self, x):
        y = self.bn2(self.conv2(nnx.relu(self.bn1(self.conv1(x)))))
        gate = nnx.sigmoid(self.fc2(nnx.relu(self.fc1(y.mean((1, 2))))))
        y = y * gate[:, None, None]
        if self.projects:
            x = self.bn_proj(self.proj(x))
        return nnx.relu(residual(x, y))


class NnxSEResNet(nnx.Module):
    """Squeeze-and-excitation ResNet in NNX."""

    def __init__(self, *, rngs):
        self.stem = nnx.Conv(3, 4, (3, 3), use_bias=False, rngs=rngs)
        self.bn = nnx.BatchNorm(4, rngs=rngs)
        self.b0, self.b1 = NnxSEBlock(4, 4, 1, rngs), NnxSEBlock(4, 8, 2, rngs)
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        x = self.b1(self.b0(nnx.relu(self.bn(self.stem(x)))))
        return self.head(x.mean((1, 2)))


def haiku_packed(x):
    """Packed attention in Haiku."""
    x = hk.Conv2D(D, 2, 2, name="patch")(x).reshape(len(x), -1, D)
    y = hk.LayerNorm(-1, True, True, name="ln")(x)
    parts = jnp.split(hk.Linear(3 * D, name="qkv")(y), 3, -1)
    heads = (*x.shape[:2], HEADS, D // HEADS)
    query, key, value = (part.reshape(heads) for part in parts)
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", query, key) / 2)
    y = jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(x.shape)
    x = residual(x, hk.Linear(D, name="out")(y))
    return hk.Linear(3, name="head")(x.mean(1))


def haiku_mobilenet(x, is_training):
    """MobileNet in Haiku."""

    def then(x, name):
        norm = hk.BatchNorm(True, True, 0.9, name=name)
        return jax.nn.relu6(norm(x, is_training))

    for i, (strides, filters) in enumerate([(1, 8), (2, 16)]):
        groups = {"feature_group_count": x.shape[-1], "with_bias": False}
        name = f"depthwise{i}"
        x = hk.Conv2D(x.shape[-1], 3, strides, name=name, **groups)(x)
        x = then(x, f"bn{i}a")
        x = hk.Conv2D(filters, 1, with_bias=False, name=f"pointwise{i}")(x)
        x = then(x, f"bn{i}b")
    return hk.Linear(3, name="head")(x.mean((1, 2)))


def haiku_decoder(x):
    """The decoder in Haiku."""
    x = jax.nn.relu(hk.Conv2DTranspose(8, 3, 2, name="odd")(x))
    x = jax.nn.relu(hk.Conv2DTranspose(6, (5, 4), (1, 2), name="wide")(x))
    x = jax.nn.leaky_relu(hk.Conv2DTranspose(4, 1, 2, name="sparse")(x))
    return hk.Linear(3, name="head")(x.mean((1, 2)))


class EquinoxExperts(eqx.Module):
    """The experts in Equinox, which sees one image at a time."""

    embed: eqx.nn.Linear
    ln: eqx.nn.LayerNorm
    router: eqx.nn.Linear
    up: jax.Array
    down: jax.Array
    head: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.embed = eqx.nn.Linear(48, D, key=keys[0])
        self.ln = eqx.nn.LayerNorm(D)
        self.router = eqx.nn.Linear(D, 3, use_bias=False, key=keys[1])
        self.up, self.down = jnp.ones((3, D, 12)), jnp.ones((3, 12, D))
        self.head = eqx.nn.Linear(D, 3, key=keys[2])

    def __call__(self, x):
        x = self.embed(x.reshape(-1))
        y = self.ln(x)
        gates = jax.nn.softmax(self.router(y))
        y = jax.nn.gelu(jnp.einsum("d,edf->ef", y, self.up))
        y = jnp.einsum("ef,efd->ed", y, self.down)
        return self.head(residual(x, jnp.einsum("e,ed->d", gates, y)))


class EquinoxPaths(eqx.Module):
    """The sum of three paths in Equinox, channels first."""

    convs: dict[str, eqx.nn.Conv2d]
    head: eqx.nn.Linear

    def __init__(self, key):
        places = [f"{i}{path}" for i in range(2) for path in "abc"]
        keys = iter(jax.random.split(key, 14))
        sizes = {f"in{place}": (8, 4, 1) for place in places}
        sizes |= {f"out{place}": (4, 8, 3) for place in places}
        sizes["stem"] = (3, 8, 3)
        self.convs = {
            name: eqx.nn.Conv2d(*size, padding=size[-1] // 2, key=next(keys))
            for name, size in sizes.items()
        }
        self.head = eqx.nn.Linear(8, 3, key=next(keys))

    def __call__(self, x):
        x = jax.nn.relu(self.convs["stem"](jnp.moveaxis(x, -1, 0)))
        for i in range(2):
            paths = [
                self.convs[f"out{i}{path}"](jax.nn.relu(self.convs[f"in{i}{path}"](x)))
                for path in "abc"
            ]
            x = jax.nn.relu(residual(x, paths[0] + paths[1] + paths[2]))
        return self.head(x.mean((1, 2)))


def same(name):
    return name


def among_convs(name):
    return name if name in ("head", "") else f"convs/{name}"


NETS = {
    "nnx_convnext": CONVNEXT.renamed(lambda: NnxConvNeXt, same),
    "nnx_se_resnet": SE_RESNET.renamed(lambda: NnxSEResNet, same),
    "haiku_packed": TOKEN_NETS["packed_by_split"].renamed(
        lambda: hk.transform(haiku_packed), same
    ),
    "haiku_mobilenet": MOBILENET.renamed(
        lambda: hk.transform_with_state(haiku_mobilenet), same
    ),
    "haiku_decoder": DECODER.renamed(lambda: hk.transform(haiku_decoder), same),
    "equinox_experts": EXPERTS.renamed(lambda: EquinoxExperts, same),
    "equinox_paths": THREE_PATHS.renamed(lambda: EquinoxPaths, among_convs),
}
