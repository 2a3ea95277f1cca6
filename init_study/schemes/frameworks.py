"""Defaults of frameworks and recipes of well-known models, from their own sources."""

from math import erf, exp, pi, sqrt

from init_study.errors import check_number
from init_study.initializers import (
    Initializer,
    constant,
    normal,
    uniform,
    variance_scaling,
    xavier_uniform,
    zeros,
)
from init_study.network import Layer, Network, Path
from init_study.schemes.per_layer import per_layer
from init_study.schemes.residual import last_scales
from init_study.schemes.scheme import OWN, Rule, Scheme, override

# Of a standard normal law cut off at ±2.
_CUT_VARIANCE = 1 - 4 * exp(-2) / sqrt(2 * pi) / erf(sqrt(2))


def flax() -> Scheme:
    """Flax's default: LeCun's variance 1 / fan_in, truncated normal; zero biases.

    Halves the mean square of the signal at every ReLU.
    Use: to compare with a Flax net as it comes.
    When not: in deep ReLU nets without a norm.
    Source: `flax.linen.linear.default_kernel_init`.

    Example:
        >>> explain(nn.Dense(3), jnp.ones((2, 5)), flax())["kernel"]
        'flax: lecun_normal, truncated; 5 in, 3 out; linear'
    """
    law = variance_scaling(1.0, "fan_in", "truncated_normal")
    return per_layer(law, name="flax: lecun_normal, truncated")


def torch() -> Scheme:
    """PyTorch's default: U(±1/√fan_in) for kernels and for biases.

    Variance 1 / (3 fan_in), from `kaiming_uniform_(a=√5)`: divides the mean square of
    the signal by six at every ReLU; the random biases put a floor under it. PyTorch
    keeps transposed kernels as `[in, out, ...]` and counts their outputs as fan_in.
    Use: to compare with a PyTorch net as it comes.
    When not: in deep ReLU nets without a norm.
    Source: `reset_parameters` of `torch.nn.modules.conv._ConvNd` and `Linear`.

    Example:
        >>> network = trace(nn.Dense(50), (100,))
        >>> bias = torch()(jax.random.key(0), network)["bias"]
        >>> bool((abs(bias) < 0.1).all() and bias.any())  # 1 / √100
        True
    """

    def law(layer: Layer) -> Initializer:
        transposed = layer.kind == "conv_transpose"
        return uniform(1.0 / sqrt(layer.fan_out if transposed else layer.fan_in))

    return per_layer(law, law, name="torch: uniform(1/√fan_in)")


def keras() -> Scheme:
    """Keras's default: Glorot uniform, zero biases.

    Halves the mean square of the signal at every ReLU where in = out. Keras knows of
    no groups: it counts all outputs in fan_out, which makes grouped kernels smaller
    than `xavier_uniform` does.
    Use: to compare with a Keras net as it comes.
    When not: in deep ReLU nets without a norm.
    Source: `kernel_initializer="glorot_uniform"` of `keras.layers.Conv2D` and `Dense`;
    `compute_fans` of `keras.src.initializers.random_initializers`.

    Example:
        >>> explain(nn.Dense(3), jnp.ones((2, 5)), keras())
        {'bias': 'zeros', 'kernel': 'keras: xavier_uniform; 5 in, 3 out; linear'}
    """
    return per_layer(xavier_uniform(), name="keras: xavier_uniform")


def haiku() -> Scheme:
    """Haiku's default: a normal law of variance 1 / fan_in, cut off and not rescaled.

    The cut at two standard deviations leaves 0.774 / fan_in; zero biases.
    Use: to compare with a Haiku net as it comes.
    When not: in deep ReLU nets without a norm.
    Source: `w_init` of `haiku.Conv2D` and `haiku.Linear`; `TruncatedNormal`.

    Example:
        >>> explain(nn.Dense(3), jnp.ones((2, 5)), haiku())["kernel"]
        'haiku: truncated normal, not rescaled; 5 in, 3 out; linear'
    """
    law = variance_scaling(_CUT_VARIANCE, "fan_in", "truncated_normal")
    return per_layer(law, name="haiku: truncated normal, not rescaled")


def tensorflow1(scale: float = 2.0) -> Scheme:
    """TensorFlow 1's variance scaling: cut off at two deviations, not rescaled.

    Variance 0.774 scale / fan_in instead of scale / fan_in; zero biases. With the
    default scale 2 it is what He's initialization was there.
    Use: to repeat papers whose code was TensorFlow 1.
    When not: for new work: the missing factor adds up over layers.
    Source: tensorflow/tensorflow#16344. Layers without an initializer had Glorot's
    uniform law, as `keras` here.

    Example:
        >>> network = trace(nn.Dense(100), (200,))
        >>> kernel = tensorflow1()(jax.random.key(0), network)["kernel"]
        >>> round(float(kernel.std()), 2)  # √(0.774 · 2 / 200)
        0.09
    """
    check_number("scale", scale, least=0)
    law = variance_scaling(scale * _CUT_VARIANCE, "fan_in", "truncated_normal")
    return per_layer(law, name=f"tensorflow1: truncated, scale {scale:g}, not rescaled")


def alexnet() -> Scheme:
    """AlexNet's recipe: N(0, 0.01²) for kernels, and biases of 1 in half of the layers.

    One in the second, fourth and fifth convolution and in the hidden dense layers, so
    that their ReLUs begin with positive inputs; zero in the others.
    Use: to repeat AlexNet.
    When not: for other widths than its own: its scale is fixed.
    Reference: Krizhevsky, Sutskever & Hinton 2012, section 5.

    Example:
        >>> net = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)])
        >>> said = explain(net, jnp.ones((2, 5)), alexnet())
        >>> said["layers_0/bias"], said["layers_2/bias"]
        ('constant(1)', 'constant(0)')
    """

    def rules(network: Network) -> dict[Path, Rule]:
        convolutions = [layer for layer in network.layers if layer.kind != "dense"]
        ones = [c for n, c in enumerate(convolutions, 1) if n in (2, 4, 5)]
        dense = [layer for layer in network.layers if layer.kind == "dense"]
        raised = {layer.bias for layer in (*ones, *dense[:-1])}
        found = {c.kernel: Rule("normal(0.01)", normal(0.01)) for c in network.layers}
        for layer in network.layers:
            if layer.bias is not None:
                value = 1.0 if layer.bias in raised else 0.0
                found[layer.bias] = Rule(f"constant({value:g})", constant(value))
        return found

    return Scheme(rules=rules)


def torchvision_vgg() -> Scheme:
    """Torchvision's VGG recipe: He normal by fan_out, N(0, 0.01²) for dense layers.

    Zero biases. Its fan_out counts all outputs, grouped or not.
    Use: to repeat torchvision's VGG.
    When not: where dense layers are hidden ones and wide: 0.01 is not He's scale.
    Source: `torchvision.models.vgg.VGG.__init__`.

    Example:
        >>> network = trace(nn.Dense(100), (100,))
        >>> kernel = torchvision_vgg()(jax.random.key(0), network)["kernel"]
        >>> round(float(kernel.std()), 3)
        0.01
    """

    def law(layer: Layer) -> Initializer:
        if layer.kind == "dense":
            return normal(0.01)
        return variance_scaling(2.0, "fan_out", "normal")

    return per_layer(law, name="torchvision_vgg: he_normal by fan_out, dense 0.01")


def timm_resnet() -> Scheme:
    """Timm's ResNet recipe: He normal by fan_out, the last norm of each branch at zero.

    Dense layers and the biases of convolutions are PyTorch's default. Its fan_out
    counts all outputs, grouped or not.
    Use: to repeat timm's ResNets.
    When not: for nets without residual branches and norms.
    Source: `init_weights` of `timm.models.resnet.ResNet`.

    Example:
        >>> from init_study.models import ResNet
        >>> network = trace(ResNet(num_classes=2, depth=8), (8, 8, 3))
        >>> said = timm_resnet().explain(network)
        >>> ["/".join(path) for path, text in said.items() if text == "zeros"]
        ['BatchNorm_2/scale', 'BatchNorm_4/scale', 'BatchNorm_7/scale']
    """
    default = torch()

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        law = variance_scaling(2.0, "fan_out", "normal")
        rule = Rule("timm_resnet: he_normal by fan_out", law)
        found = {c.kernel: rule for c in network.layers if c.kind != "dense"}
        scales = [scale for branch in last_scales(network) for scale in branch]
        return {**found, **{scale: Rule("zeros", zeros()) for scale in scales}}

    return override(default, change)


def timm_efficientnet() -> Scheme:
    """Timm's EfficientNet recipe: N(0, 2 / fan_out), U(±1/√out) for dense layers.

    Zero biases. The fan_out of a grouped convolution is right here, unlike in
    PyTorch's own functions.
    Use: to repeat timm's EfficientNets and MobileNets.
    When not: without norms.
    Source: `_init_weight_goog` of `timm.models._efficientnet_builder`.

    Example:
        >>> network = trace(nn.Dense(100), (5,))
        >>> kernel = timm_efficientnet()(jax.random.key(0), network)["kernel"]
        >>> round(float(abs(kernel).max()), 2)  # 1 / √100
        0.1
    """

    def law(layer: Layer) -> Initializer:
        if layer.kind == "dense":
            return uniform(1.0 / sqrt(layer.kernel_shape[-1]))
        return variance_scaling(2.0, "fan_out", "normal", groups=layer.groups)

    return per_layer(law, name="timm_efficientnet: he_normal by fan_out of the group")


def convnext() -> Scheme:
    """ConvNeXt's recipe: N(0, 0.02²) for all kernels, zero biases.

    Written as `trunc_normal_(std=0.02)`, whose bounds are ±2 and not ±2 deviations: at
    a hundred deviations they cut nothing off.
    Use: to repeat ConvNeXt.
    When not: without norms: its scale is fixed.
    Source: `torchvision.models.convnext.ConvNeXt.__init__`.

    Example:
        >>> explain(nn.Dense(3), jnp.ones((2, 5)), convnext())
        {'bias': 'zeros', 'kernel': 'convnext: normal(0.02); 5 in, 3 out; linear'}
    """
    return per_layer(normal(0.02), name="convnext: normal(0.02)")


def module() -> Scheme:
    """Module's own initializers, untouched.

    Use: as the baseline that a module's author chose.
    When not: to compare across modules: each has its own.

    Example:
        >>> net = nn.Dense(3, kernel_init=nn.initializers.ones)
        >>> network = trace(net, (2,))
        >>> module()(jax.random.key(0), network)["kernel"].tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    return Scheme(rules=lambda network: {path: Rule(OWN) for path in network.shapes})
