"""Residual nets as the field's public code has them, and what is true of them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from zoo.truth import Branch, Layer, Net, residual

HEAD = Layer("head", (8, 3))


def norm(train, name, **more):
    return nn.BatchNorm(use_running_average=not train, name=name, **more)


class FlaxBlock(nn.Module):
    """Flax's examples/imagenet: `axis_name`, the last norm's scale begins at zero."""

    filters: int
    strides: int = 1

    @nn.compact
    def __call__(self, x, train):
        start, s = nn.initializers.zeros_init(), self.strides
        y = nn.Conv(self.filters, (3, 3), s, use_bias=False)(x)
        y = nn.relu(norm(train, "BatchNorm_0", axis_name="batch")(y))
        y = nn.Conv(self.filters, (3, 3), use_bias=False)(y)
        y = norm(train, "BatchNorm_1", axis_name="batch", scale_init=start)(y)
        if x.shape != y.shape:
            x = nn.Conv(self.filters, (1, 1), s, use_bias=False, name="conv_proj")(x)
            x = norm(train, "norm_proj", axis_name="batch")(x)
        return nn.relu(residual(x, y))


class FlaxResNet(nn.Module):
    """Flax's examples/imagenet/models.py: ResNet v1 with a norm over devices."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.Conv(4, (3, 3), use_bias=False, name="conv_init")(x)
        x = nn.relu(norm(train, "bn_init", axis_name="batch")(x))
        x = FlaxBlock(4, name="block_0")(x, train)
        x = FlaxBlock(8, 2, name="block_1")(x, train)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


def _in_block(name, fans, then, norm):
    return Layer(name, fans, then, scale=f"{norm}/scale")


FLAX_RESNET = Net(
    FlaxResNet,
    (
        Layer("conv_init", (27, 36), "norm relu", scale="bn_init/scale"),
        _in_block("block_0/Conv_0", (36, 36), "norm relu", "block_0/BatchNorm_0"),
        _in_block("block_0/Conv_1", (36, 36), "norm", "block_0/BatchNorm_1"),
        # At stride 2 a number feeds 9 / 4 of the windows.
        _in_block("block_1/Conv_0", (36, 18), "norm relu", "block_1/BatchNorm_0"),
        _in_block("block_1/Conv_1", (72, 72), "norm", "block_1/BatchNorm_1"),
        _in_block("block_1/conv_proj", (4, 2), "norm", "block_1/norm_proj"),
        HEAD,
    ),
    (
        Branch(
            "block_0/Conv_0 block_0/Conv_1",
            "block_0/Conv_1",
            scales="block_0/BatchNorm_1/scale",
        ),
        Branch(
            "block_1/Conv_0 block_1/Conv_1",
            "block_1/Conv_1",
            "block_1/conv_proj",
            "block_1/BatchNorm_1/scale",
        ),
    ),
    refuses={
        name: "the last norm's scale is zero already, by the net itself"
        for name in ("zero_branch", "fixup", "skipinit", "rezero")
    },
)


class StdConv(nn.Conv):
    """A convolution with standardized kernel, as in big_vision's models/bit.py."""

    def param(self, name, *args, **kwargs):
        kernel = super().param(name, *args, **kwargs)
        if name == "kernel":
            kernel = kernel - kernel.mean((0, 1, 2), keepdims=True)
            kernel = kernel / (kernel.std((0, 1, 2), keepdims=True) + 1e-10)
        return kernel


class BiT(nn.Module):
    """Big Transfer: pre-activation, group norm, standardized kernels, a zero head."""

    @nn.compact
    def __call__(self, x):
        x = StdConv(8, (3, 3), name="root")(x)
        for i in range(2):
            y = nn.relu(nn.GroupNorm(2, name=f"gn{i}a")(x))
            y = StdConv(8, (3, 3), name=f"conv{i}a")(y)
            y = nn.relu(nn.GroupNorm(2, name=f"gn{i}b")(y))
            x = residual(x, StdConv(8, (3, 3), name=f"conv{i}b")(y))
        x = nn.relu(nn.GroupNorm(2, name="gn")(x)).mean((1, 2))
        return nn.Dense(3, name="head", kernel_init=nn.initializers.zeros)(x)


BIT = Net(
    BiT,
    (
        # Read by the sum as it is, and by the block's norm.
        Layer("root", (27, 72), "linear|?", free=True),
        Layer("conv0a", (72, 72), "norm relu", scale="gn0b/scale", free=True),
        Layer("conv0b", (72, 72), "linear", free=True),
        Layer("conv1a", (72, 72), "norm relu", scale="gn1b/scale", free=True),
        Layer("conv1b", (72, 72), "linear", free=True),
        HEAD,
    ),
    tuple(Branch(f"conv{i}a conv{i}b", f"conv{i}b") for i in range(2)),
)


class SEBlock(nn.Module):
    """Squeeze and excitation behind the last norm, as in timm's seresnet."""

    filters: int
    strides: int = 1

    @nn.compact
    def __call__(self, x, train):
        f, s = self.filters, self.strides
        y = nn.Conv(f, (3, 3), s, use_bias=False, name="conv1")(x)
        y = nn.relu(norm(train, "bn1")(y))
        y = nn.Conv(f, (3, 3), use_bias=False, name="conv2")(y)
        y = norm(train, "bn2")(y)
        gate = nn.relu(nn.Dense(f // 2, name="fc1")(y.mean((1, 2))))
        gate = nn.sigmoid(nn.Dense(f, name="fc2")(gate))
        y = y * gate[:, None, None]
        if x.shape != y.shape:
            x = nn.Conv(f, (1, 1), s, use_bias=False, name="proj")(x)
            x = norm(train, "bn_proj")(x)
        return nn.relu(residual(x, y))


class SEResNet(nn.Module):
    """Squeeze-and-excitation ResNet (Hu et al. 2018)."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.Conv(4, (3, 3), use_bias=False, name="stem")(x)
        x = nn.relu(norm(train, "bn")(x))
        x = SEBlock(4, name="b0")(x, train)
        x = SEBlock(8, 2, name="b1")(x, train)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


SE_RESNET = Net(
    SEResNet,
    (
        Layer("stem", (27, 36), "norm relu", scale="bn/scale"),
        Layer("b0/conv1", (36, 36), "norm relu", scale="b0/bn1/scale"),
        # The gate multiplies it, and what the gate is made of reads it.
        Layer("b0/conv2", (36, 36), "norm|norm ?", scale="b0/bn2/scale"),
        Layer("b0/fc1", (4, 2), "relu"),
        Layer("b0/fc2", (2, 4), "sigmoid"),
        Layer("b1/conv1", (36, 18), "norm relu", scale="b1/bn1/scale"),
        Layer("b1/conv2", (72, 72), "norm|norm ?", scale="b1/bn2/scale"),
        Layer("b1/fc1", (8, 4), "relu"),
        Layer("b1/fc2", (4, 8), "sigmoid"),
        Layer("b1/proj", (4, 2), "norm", scale="b1/bn_proj/scale"),
        HEAD,
    ),
    tuple(
        Branch(
            f"b{i}/conv1 b{i}/conv2 b{i}/fc1 b{i}/fc2",
            f"b{i}/conv2",
            ("", "b1/proj")[i],
            f"b{i}/bn2/scale",
        )
        for i in range(2)
    ),
)


class ResNeXt(nn.Module):
    """ResNeXt (Xie et al. 2017) with its grouped convolution, figure 3c."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.relu(nn.Conv(8, (3, 3), name="stem")(x))
        y = nn.Conv(4, (1, 1), use_bias=False, name="reduce")(x)
        y = nn.relu(norm(train, "bn1")(y))
        y = nn.Conv(4, (3, 3), feature_group_count=2, use_bias=False, name="group")(y)
        y = nn.relu(norm(train, "bn2")(y))
        y = nn.Conv(8, (1, 1), use_bias=False, name="expand")(y)
        x = nn.relu(residual(x, norm(train, "bn3")(y)))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


RESNEXT = Net(
    ResNeXt,
    (
        Layer("stem", (27, 72), "relu"),
        Layer("reduce", (8, 4), "norm relu", scale="bn1/scale"),
        # Two groups of 2 inputs and 2 outputs.
        Layer("group", (18, 18), "norm relu", scale="bn2/scale"),
        Layer("expand", (4, 8), "norm", scale="bn3/scale"),
        HEAD,
    ),
    (Branch("reduce group expand", "expand", scales="bn3/scale"),),
)


class ThreePaths(nn.Module):
    """ResNeXt's other form, figure 3a: a sum of paths of their own, without norms."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3), name="stem")(x))
        for i in range(2):
            paths = []
            for path in "abc":
                y = nn.relu(nn.Conv(4, (1, 1), name=f"in{i}{path}")(x))
                paths.append(nn.Conv(8, (3, 3), name=f"out{i}{path}")(y))
            x = nn.relu(residual(x, sum(paths[1:], paths[0])))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


def _paths(word, i):
    return " ".join(f"{word}{i}{path}" for path in "abc")


THREE_PATHS = Net(
    ThreePaths,
    (
        Layer("stem", (27, 72), "relu"),
        *(
            layer
            for i in range(2)
            for path in "abc"
            for layer in (
                Layer(f"in{i}{path}", (8, 4), "relu"),
                Layer(f"out{i}{path}", (36, 72)),
            )
        ),
        HEAD,
    ),
    tuple(
        Branch(
            " ".join(f"in{i}{path} out{i}{path}" for path in "abc"), _paths("out", i)
        )
        for i in range(2)
    ),
)


class StochasticDepth(nn.Module):
    """Stochastic depth (Huang et al. 2016) with a random stream of its own."""

    @nn.compact
    def __call__(self, x, deterministic=False):
        x = nn.Conv(8, (3, 3), name="stem")(x)
        for i in range(2):
            y = nn.Conv(4, (3, 3), name=f"conv{i}a")(nn.relu(x))
            y = nn.Conv(8, (3, 3), name=f"conv{i}b")(nn.relu(y))
            if not deterministic:
                keep, key = 1 - 0.2 * (i + 1), self.make_rng("stochastic_depth")
                kept = jax.random.bernoulli(key, keep, (len(x), 1, 1, 1))
                y = jnp.where(kept, y / keep, jnp.zeros_like(y))
            x = residual(x, y)
        return nn.Dense(3, name="head")(nn.relu(x).mean((1, 2)))


STOCHASTIC_DEPTH = Net(
    StochasticDepth,
    (
        Layer("stem", (27, 72), "linear|?"),
        *(
            layer
            for i in range(2)
            for layer in (
                Layer(f"conv{i}a", (72, 36), "relu"),
                Layer(f"conv{i}b", (36, 72), "linear|scaled"),
            )
        ),
        HEAD,
    ),
    tuple(Branch(f"conv{i}a conv{i}b", f"conv{i}b") for i in range(2)),
)


NETS = {
    "flax_resnet": FLAX_RESNET,
    "bit": BIT,
    "se_resnet": SE_RESNET,
    "resnext": RESNEXT,
    "three_paths": THREE_PATHS,
    "stochastic_depth": STOCHASTIC_DEPTH,
}
