"""What the frameworks do when nobody says anything."""

from math import sqrt

from init_study.initializers import (
    Initializer,
    uniform,
    variance_scaling,
    xavier_uniform,
)
from init_study.network import Layer
from init_study.schemes.per_layer import per_layer
from init_study.schemes.scheme import OWN, Rule, Scheme


def flax() -> Scheme:
    """Flax's default: LeCun's variance 1 / fan_in, truncated normal; zero biases.

    Halves the mean square of the signal at every ReLU.
    Source: `flax.linen.linear.default_kernel_init`.
    """
    law = variance_scaling(1.0, "fan_in", "truncated_normal")
    return per_layer(law, name="flax: lecun_normal, truncated")


def torch() -> Scheme:
    """PyTorch's default: U(±1/√fan_in) for kernels and for biases.

    Variance 1 / (3 fan_in), from `kaiming_uniform_(a=√5)`: divides the mean square of
    the signal by six at every ReLU; the random biases put a floor under it. PyTorch
    keeps transposed kernels as `[in, out, ...]` and counts their outputs as fan_in.
    Source: `reset_parameters` of `torch.nn.modules.conv._ConvNd` and `Linear`.
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
    Source: `kernel_initializer="glorot_uniform"` of `keras.layers.Conv2D` and `Dense`;
    `compute_fans` of `keras.src.initializers.random_initializers`.
    """
    return per_layer(xavier_uniform(), name="keras: xavier_uniform")


def module() -> Scheme:
    """What the module itself asks for: its own initializers, untouched."""
    return Scheme(rules=lambda network: {path: Rule(OWN) for path in network.shapes})
