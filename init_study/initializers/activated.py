"""Named laws for layers with an activation, whose scale follows the layer's width.

Kernels and arguments are as in `init_study.initializers.scaling`.
"""

from typing import Any

from init_study.activations import Activation
from init_study.errors import UserError
from init_study.initializers.draws import (
    Initializer,
    Number,
    as_number,
    check_scale,
    drawn,
    root,
)
from init_study.initializers.fans import (
    Axis,
    Fans,
    check_fans,
    known_fans,
    variance_scaling,
)
from init_study.initializers.scaling import squared
from init_study.theory import gain as gain_of


def he_normal(
    negative_slope: Number = 0.0,
    gain: Number = 1.0,
    *,
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """He's normal law, N(0, 2 / ((1 + a²) fan_in)), a the slope of a leaky ReLU.

    Preserves: the mean square of the signal through layers of (leaky) ReLU.
    Use: with ReLU and its kin; what to try first.
    When not: on small zero-padded maps it loses signal at the border all the same;
    with GELU or tanh see `gain_normal`.
    Reference: He et al. 2015, arXiv:1502.01852, eq. 10 and 15.

    Example:
        >>> layer = nn.Conv(100, (5, 5), kernel_init=he_normal())
        >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 8, 8, 8)))
        >>> kernel = variables["params"]["kernel"]
        >>> kernel.shape, round(float(kernel.std()), 2)  # √(2 / (5 · 5 · 8))
        ((5, 5, 8, 100), 0.1)
    """
    return variance_scaling(
        _he_scale(negative_slope, gain),
        "fan_in",
        "normal",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def he_uniform(
    negative_slope: Number = 0.0,
    gain: Number = 1.0,
    *,
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """He's uniform law, U(±√(6 / ((1 + a²) fan_in))), a the slope of a leaky ReLU.

    Use: as `he_normal`.
    When not: as `he_normal`.

    Example:
        >>> kernel = he_uniform()(jax.random.key(0), (600, 100))
        >>> round(float(abs(kernel).max()), 2)  # √(6 / 600)
        0.1
    """
    return variance_scaling(
        _he_scale(negative_slope, gain),
        "fan_in",
        "uniform",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def he_truncated(
    negative_slope: Number = 0.0,
    gain: Number = 1.0,
    *,
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """He's variance, normal cut off at two standard deviations.

    What Keras and JAX call `he_normal`.
    Use: to compare with nets made in Keras or JAX.
    When not: as `he_normal`.

    Example:
        >>> kernel = he_truncated()(jax.random.key(0), (200, 100))
        >>> round(float(kernel.std()), 2)  # √(2 / 200), after the cut
        0.1
    """
    return variance_scaling(
        _he_scale(negative_slope, gain),
        "fan_in",
        "truncated_normal",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def he_fan_out(
    negative_slope: Number = 0.0,
    gain: Number = 1.0,
    *,
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """He's normal law for the way back, N(0, 2 / ((1 + a²) fan_out)).

    Preserves: the mean square of gradients through layers of (leaky) ReLU. As a scheme
    at any stride s, which divides the backward fan by s²; a bare initializer does not
    know of it.
    Use: where gradients matter more than signals, as in ResNets with norms.
    When not: where the way forward matters more: then `he_normal`.
    Reference: He et al. 2015, arXiv:1502.01852, eq. 14.

    Example:
        >>> kernel = he_fan_out()(jax.random.key(0), (100, 200))
        >>> round(float(kernel.std()), 2)  # √(2 / 200)
        0.1
    """
    return variance_scaling(
        _he_scale(negative_slope, gain),
        "fan_out",
        "normal",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def torch_kernel(groups: int = 1) -> Initializer:
    """PyTorch's default kernel, U(±1/√fan_in), of variance 1 / (3 fan_in).

    Divides the mean square of the signal by six at every ReLU. The biases that belong
    to it are in the scheme `torch`.
    Use: to compare with nets made in PyTorch.
    When not: in deep nets without a norm.

    Example:
        >>> kernel = torch_kernel()(jax.random.key(0), (100, 100))
        >>> round(float(abs(kernel).max()), 2)  # 1 / √100
        0.1
    """
    return variance_scaling(1 / 3, "fan_in", "uniform", groups=groups)


def gain_normal(
    activation: Activation | str = "relu",
    q: float = 1.0,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """Gaussian law for any activation φ, N(0, gain² / fan_in), gain² = q / E[φ(√q z)²].

    Preserves: the mean square q of pre-activations through layers of this activation.
    That gradients are kept as well holds for ReLU and its kin only: see `theory.chi1`.
    Use: with any activation but ReLU, for which it is `he_normal`.
    When not: where gradients must keep their size at any depth: see the scheme of
    the edge of chaos in `docs/why/theory.md`.

    Args:
        activation: a name in `ACTIVATIONS`, `module:function`, or a JAX function.
        q: the mean square that is kept.
        groups: of a grouped convolution.
        fans: as of `variance_scaling`.

    Raises: UserError for an unknown activation or one without a finite gain.
    Reference: He et al. 2015, arXiv:1502.01852, eq. 7, for other functions than ReLU.

    Example:
        >>> kernel = gain_normal("tanh")(jax.random.key(0), (100, 100))
        >>> round(float(kernel.std()), 2)  # 1.59 / √100
        0.16
    """
    scale = gain_of(activation, q) ** 2
    return variance_scaling(scale, "fan_in", "normal", groups=groups, fans=fans)


def gain_uniform(
    activation: Activation | str = "relu",
    q: float = 1.0,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """Uniform law for any activation, U(±gain √(3 / fan_in)), gain as of `gain_normal`.

    Use: as `gain_normal`.
    When not: as `gain_normal`.

    Example:
        >>> kernel = gain_uniform("relu")(jax.random.key(0), (600, 100))
        >>> round(float(abs(kernel).max()), 2)  # √2 · √(3 / 600)
        0.1
    """
    scale = gain_of(activation, q) ** 2
    return variance_scaling(scale, "fan_in", "uniform", groups=groups, fans=fans)


def mup_output(scale: Number = 1.0, groups: int = 1, fans: Fans = None) -> Initializer:
    """Output layer of a net in maximal update form: N(0, scale / fan_in²).

    Its outputs shrink as 1/√width at first, so that they stay bounded when it learns.
    Half of the method alone: learning rates must follow the width as well.
    Use: for the last layer, in studies over widths.
    When not: alone: without learning rates that follow the width it is a small head.
    Reference: Yang et al. 2022, arXiv:2203.03466, table 3.

    Example:
        >>> kernel = mup_output()(jax.random.key(0), (10, 1000))
        >>> round(float(kernel.std()), 2)  # 1 / 10
        0.1
    """
    check_scale("scale", scale, least=0)
    check_fans(fans)
    return drawn(
        "normal", lambda shape: root(scale) / known_fans(fans, shape, groups)[0]
    )


def _he_scale(negative_slope: Any, gain: Any) -> Any:
    """Find fan · variance; a slope of -2 is JAX's first argument, an axis."""
    if isinstance(negative_slope, int) and negative_slope < -1:
        raise UserError(
            f"negative_slope={negative_slope!r} looks like an axis; write "
            f"in_axis={negative_slope!r}, or a slope with its point"
        )
    check_scale("negative_slope", negative_slope)
    slope = as_number(negative_slope)
    return 2.0 / (1.0 + slope * slope) * squared(gain)
