"""Convolutional nets without residual branches, and what is true of them."""

import flax.linen as nn
import jax.numpy as jnp
from zoo.residual_nets import HEAD, norm
from zoo.truth import Layer, Net


class DenseNet(nn.Module):
    """DenseNet-BC (Huang et al. 2017): concatenation, norm, ReLU, convolution."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.Conv(8, (3, 3), use_bias=False, name="stem")(x)
        for i in range(2):
            y = nn.relu(norm(train, f"bn{i}a")(x))
            y = nn.Conv(16, (1, 1), use_bias=False, name=f"narrow{i}")(y)
            y = nn.relu(norm(train, f"bn{i}b")(y))
            y = nn.Conv(4, (3, 3), use_bias=False, name=f"grow{i}")(y)
            x = jnp.concatenate([x, y], -1)
        x = nn.relu(norm(train, "bn_transition")(x))
        x = nn.Conv(8, (1, 1), use_bias=False, name="transition")(x)
        x = nn.relu(norm(train, "bn")(nn.avg_pool(x, (2, 2), (2, 2))))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


DENSENET = Net(
    DenseNet,
    (
        # Several norms read it, each with a scale of its own and ReLU behind.
        Layer("stem", (27, 72), "norm relu|?|norm ?", scale="*"),
        Layer("narrow0", (8, 16), "norm relu", scale="bn0b/scale"),
        Layer("grow0", (144, 36), "norm relu|?|norm ?", scale="*"),
        Layer("narrow1", (12, 16), "norm relu", scale="bn1b/scale"),
        Layer("grow1", (144, 36), "norm relu", scale="bn_transition/scale"),
        # A mean of four comes before the norm.
        Layer("transition", (16, 8), "norm relu|?|norm ?", scale="*"),
        HEAD,
    ),
)


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015)  that goes up by transposed convolutions."""

    @nn.compact
    def __call__(self, x, train=True):
        def block(x, filters, name):
            x = nn.Conv(filters, (3, 3), use_bias=False, name=f"conv_{name}")(x)
            return nn.relu(norm(train, f"bn_{name}")(x))

        top = block(x, 4, "down1")
        middle = block(nn.max_pool(top, (2, 2), (2, 2)), 8, "down2")
        x = block(nn.max_pool(middle, (2, 2), (2, 2)), 8, "bottom")
        x = nn.ConvTranspose(8, (2, 2), (2, 2), name="up2")(x)
        x = block(jnp.concatenate([middle, x], -1), 8, "up2")
        x = nn.ConvTranspose(4, (4, 4), (2, 2), name="up1")(x)
        x = block(jnp.concatenate([top, x], -1), 4, "up1")
        return nn.Dense(3, name="head")(x.mean((1, 2)))


UNET = Net(
    UNet,
    (
        Layer("conv_down1", (27, 36), "norm relu", scale="bn_down1/scale"),
        Layer("conv_down2", (36, 72), "norm relu", scale="bn_down2/scale"),
        Layer("conv_bottom", (72, 72), "norm relu", scale="bn_bottom/scale"),
        # Of the 2 × 2 taps one meets a pixel; each pixel feeds all 4.
        Layer("up2", (8, 32)),
        Layer("conv_up2", (144, 72), "norm relu", scale="bn_up2/scale"),
        # (4 / 2)² taps of 8 inputs; 16 of 4 outputs.
        Layer("up1", (32, 64)),
        Layer("conv_up1", (72, 36), "norm relu", scale="bn_up1/scale"),
        Layer("head", (4, 3)),
    ),
    shape=(16, 16, 3),
)


class Decoder(nn.Module):
    """A generator as in DCGAN, at odd kernels, and strides larger than the kernel."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.ConvTranspose(8, (3, 3), (2, 2), name="odd")(x))
        x = nn.relu(nn.ConvTranspose(6, (5, 4), (1, 2), name="wide")(x))
        x = nn.leaky_relu(nn.ConvTranspose(4, (1, 1), (2, 2), name="sparse")(x))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


DECODER = Net(
    Decoder,
    (
        # Taps per output are 4, 2, 2 and 1 in turn: 9 / 4.
        Layer("odd", (27 / 4, 72), "relu"),
        Layer("wide", (80, 120), "relu"),
        # Three of four outputs are nothing but the bias.
        Layer("sparse", (6 / 4, 4), "leaky"),
        Layer("head", (4, 3)),
    ),
    shape=(6, 6, 3),
)


class MobileNet(nn.Module):
    """MobileNet v1 (Howard et al. 2017): depthwise, then pointwise convolutions."""

    @nn.compact
    def __call__(self, x, train=True):
        for i, (strides, filters) in enumerate([(1, 8), (2, 16)]):
            groups = x.shape[-1]
            x = nn.Conv(
                groups,
                (3, 3),
                strides,
                feature_group_count=groups,
                use_bias=False,
                name=f"depthwise{i}",
            )(x)
            x = nn.relu6(norm(train, f"bn{i}a")(x))
            x = nn.Conv(filters, (1, 1), use_bias=False, name=f"pointwise{i}")(x)
            x = nn.relu6(norm(train, f"bn{i}b")(x))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


MOBILENET = Net(
    MobileNet,
    (
        Layer("depthwise0", (9, 9), "norm relu6", scale="bn0a/scale"),
        Layer("pointwise0", (3, 8), "norm relu6", scale="bn0b/scale"),
        Layer("depthwise1", (9, 9 / 4), "norm relu6", scale="bn1a/scale"),
        Layer("pointwise1", (8, 16), "norm relu6", scale="bn1b/scale"),
        Layer("head", (16, 3)),
    ),
)


class Context(nn.Module):
    """Multi-scale context by dilation (Yu & Koltun 2016)."""

    @nn.compact
    def __call__(self, x):
        for dilation in (1, 2, 3):
            layer = nn.Conv(6, (3, 3), kernel_dilation=dilation, name=f"d{dilation}")
            x = nn.leaky_relu(layer(x), 0.2)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


CONTEXT = Net(
    Context,
    (
        Layer("d1", (27, 54), "leaky2"),
        Layer("d2", (54, 54), "leaky2"),
        Layer("d3", (54, 54), "leaky2"),
        Layer("head", (6, 3)),
    ),
)


class Inception(nn.Module):
    """Inception branches: concatenated behind each ReLU; and before one norm."""

    @nn.compact
    def __call__(self, x, train=True):
        pool = {"strides": (1, 1), "padding": "SAME"}
        one = nn.relu(nn.Conv(4, (1, 1), name="one")(x))
        three = nn.relu(nn.Conv(2, (1, 1), name="reduce")(x))
        three = nn.relu(nn.Conv(4, (3, 3), name="three")(three))
        pooled = nn.max_pool(x, (3, 3), **pool)
        pooled = nn.relu(nn.Conv(4, (1, 1), name="pooled")(pooled))
        x = jnp.concatenate([one, three, pooled], -1)
        parts = [nn.Conv(4, (k, k), use_bias=False, name=f"k{k}")(x) for k in (1, 3)]
        x = nn.relu(norm(train, "bn")(jnp.concatenate(parts, -1)))
        parts = [nn.Conv(4, k, name=f"k{k[0]}{k[1]}")(x) for k in ((1, 3), (3, 1))]
        x = nn.relu(jnp.concatenate(parts, -1))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


INCEPTION = Net(
    Inception,
    (
        Layer("one", (3, 4), "relu"),
        Layer("reduce", (3, 2), "relu"),
        Layer("three", (18, 36), "relu"),
        Layer("pooled", (3, 4), "relu"),
        Layer("k1", (12, 4), "norm relu", scale="bn/scale"),
        Layer("k3", (108, 36), "norm relu", scale="bn/scale"),
        Layer("k13", (24, 12), "relu"),
        Layer("k31", (24, 12), "relu"),
        HEAD,
    ),
)


class Auxiliary(nn.Module):
    """GoogLeNet's auxiliary head (Szegedy et al. 2015), there in training alone."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.relu(nn.Conv(8, (3, 3), name="first")(x))
        aux = None
        if train or self.is_initializing():
            aux = nn.avg_pool(x, (4, 4), (4, 4))
            aux = nn.relu(nn.Conv(4, (1, 1), name="aux_conv")(aux))
            aux = nn.Dense(3, name="aux_head")(aux.reshape(len(aux), -1))
        x = nn.relu(nn.Conv(8, (3, 3), 2, name="second")(x))
        x = nn.Dense(3, name="head")(x.mean((1, 2)))
        return x if aux is None else (x, aux)


AUXILIARY = Net(
    Auxiliary,
    (
        Layer("first", (27, 72), "relu"),
        Layer("aux_conv", (8, 4), "relu"),
        Layer("aux_head", (16, 3)),
        Layer("second", (72, 18), "relu"),
        HEAD,
    ),
)


NETS = {
    "densenet": DENSENET,
    "unet": UNET,
    "decoder": DECODER,
    "mobilenet": MOBILENET,
    "context": CONTEXT,
    "inception": INCEPTION,
    "auxiliary": AUXILIARY,
}
