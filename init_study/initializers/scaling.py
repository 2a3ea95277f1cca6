"""Named laws for linear layers, whose scale follows the width of the layer.

Every initializer is `(key, shape, dtype) -> Array`, JAX's own protocol, and works as
`kernel_init` of a Flax layer. Kernels are laid out `[height, width, in / groups, out]`
or `[in, out]`. `normal` laws are whole Gaussians, as in the papers; the cut-off ones
that some frameworks mean by the same name say `truncated`, and have this variance after
the cut. `gain` is a factor on the standard deviation; the other arguments are those of
`variance_scaling`.
"""

from typing import Any

from init_study.initializers.draws import (
    Initializer,
    Number,
    as_number,
    check_scale,
)
from init_study.initializers.fans import Axis, Fans, variance_scaling


def xavier_normal(
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    *,
    gain: Number = 1.0,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """Xavier's normal law, N(0, 2 / (fan_in + fan_out)): between both directions.

    Preserves: with in = out, the mean square forward and backward through linear
    layers, or through tanh near zero.
    Use: with linear or tanh layers of moderate depth.
    When not: with ReLU in deep nets without a norm: the signal halves per layer.
    Reference: Glorot & Bengio 2010, eq. 16, with a normal instead of a uniform law.

    Example:
        >>> kernel = xavier_normal()(jax.random.key(0), (150, 50))
        >>> round(float(kernel.std()), 2)  # √(2 / 200)
        0.1
    """
    return variance_scaling(
        squared(gain),
        "fan_avg",
        "normal",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def xavier_uniform(
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    *,
    gain: Number = 1.0,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """Xavier's uniform law, U(±√(6 / (fan_in + fan_out))), as in the paper.

    Use: as `xavier_normal`.
    When not: as `xavier_normal`.
    Reference: Glorot & Bengio 2010, eq. 16.

    Example:
        >>> kernel = xavier_uniform()(jax.random.key(0), (400, 200))
        >>> round(float(abs(kernel).max()), 2)  # √(6 / 600)
        0.1
    """
    return variance_scaling(
        squared(gain),
        "fan_avg",
        "uniform",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def xavier_truncated(
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    *,
    gain: Number = 1.0,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """Xavier's variance, normal cut off at two standard deviations.

    What Keras and JAX call `glorot_normal`.
    Use: to compare with nets made in Keras or JAX.
    When not: as `xavier_normal`.

    Example:
        >>> kernel = xavier_truncated()(jax.random.key(0), (150, 50))
        >>> round(float(kernel.std()), 2)  # √(2 / 200), after the cut
        0.1
    """
    return variance_scaling(
        squared(gain),
        "fan_avg",
        "truncated_normal",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def lecun_normal(
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    *,
    gain: Number = 1.0,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """LeCun's normal law, N(0, 1 / fan_in).

    Preserves: the mean square of the signal through linear layers; halves it at
    every ReLU.
    Use: with SELU, or in linear nets.
    When not: with ReLU in deep nets without a norm.
    Reference: LeCun et al. 1998, Efficient BackProp, section 4.6.

    Example:
        >>> kernel = lecun_normal()(jax.random.key(0), (100, 100))
        >>> round(float(kernel.std()), 2)  # √(1 / 100)
        0.1
    """
    return variance_scaling(
        squared(gain),
        "fan_in",
        "normal",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def lecun_uniform(
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    *,
    gain: Number = 1.0,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """LeCun's uniform law, U(±√(3 / fan_in)).

    Use: as `lecun_normal`.
    When not: as `lecun_normal`.

    Example:
        >>> kernel = lecun_uniform()(jax.random.key(0), (300, 100))
        >>> round(float(abs(kernel).max()), 2)  # √(3 / 300)
        0.1
    """
    return variance_scaling(
        squared(gain),
        "fan_in",
        "uniform",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def lecun_truncated(
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    *,
    gain: Number = 1.0,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """LeCun's variance, normal cut off at two standard deviations: Flax's default.

    Use: to compare with nets made in Flax.
    When not: as `lecun_normal`.

    Example:
        >>> kernel = lecun_truncated()(jax.random.key(0), (100, 100))
        >>> round(float(kernel.std()), 2)  # √(1 / 100), after the cut
        0.1
    """
    return variance_scaling(
        squared(gain),
        "fan_in",
        "truncated_normal",
        in_axis,
        out_axis,
        batch_axis,
        dtype,
        groups=groups,
        fans=fans,
    )


def squared(gain: Number) -> Any:
    """Square a gain: a factor on the standard deviation as one on the variance.

    Raises: UserError for a gain that is not a finite number of at least zero.

    Example:
        >>> squared(3.0)
        9.0
    """
    check_scale("gain", gain, least=0)
    factor = as_number(gain)
    return factor * factor
