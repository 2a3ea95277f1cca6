"""Laws whose scale follows the width of the layer.

Every initializer is `(key, shape, dtype) -> Array`, JAX's own protocol, and works as
`kernel_init` of a Flax layer. Kernels are laid out `[height, width, in / groups, out]`
or `[in, out]`. `normal` laws are whole Gaussians, as in the papers; the cut-off ones
that some frameworks mean by the same name say `truncated`, and have this variance after
the cut.
"""

from math import isfinite, prod, sqrt
from typing import SupportsIndex

import jax
from jaxtyping import Array

from init_study.activations import Activation
from init_study.errors import UserError, check_number, unknown
from init_study.initializers.draws import (
    DISTRIBUTIONS,
    Initializer,
    drawn,
)
from init_study.theory import gain as gain_of

MODES = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo_avg": lambda fan_in, fan_out: sqrt(fan_in * fan_out),
}


def variance_scaling(
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    groups: int = 1,
) -> Initializer:
    """Variance scale / n, with n the layer's fan.

    Preserves: the mean square of what passes forward (fan_in) or backward (fan_out)
    through a linear layer, times `scale`.
    Use: for a variance that no other name here has.
    When not: where a named law says the same: names are easier to compare.

    Args:
        scale: of the variance.
        mode: `fan_in`, `fan_out`, their mean `fan_avg` or geometric mean
            `fan_geo_avg`.
        distribution: `normal`, `truncated_normal`, `uniform`, `laplace` or
            `rademacher`, all with exactly this variance.
        groups: of a grouped convolution; each input feeds out / groups outputs.

    Raises: UserError for an unknown mode or distribution, or for a negative scale;
        when called, for a shape without fans or a dtype that is not floating.
    """
    check_number("scale", scale, least=0)
    if mode not in MODES:
        raise unknown("mode", mode, MODES, ", ".join(MODES))
    if distribution not in DISTRIBUTIONS:
        names = ", ".join(DISTRIBUTIONS)
        raise unknown("distribution", distribution, DISTRIBUTIONS, names)

    def stddev(shape: tuple[int, ...]) -> float:
        return sqrt(scale / MODES[mode](*fans(shape, groups)))

    return drawn(distribution, stddev)


def xavier_normal(groups: int = 1) -> Initializer:
    """N(0, 2 / (fan_in + fan_out)): a compromise between both directions.

    Preserves: with in = out, the mean square forward and backward through linear
    layers, or through tanh near zero.
    Use: with linear or tanh layers of moderate depth.
    When not: with ReLU in deep nets without a norm: the signal halves per layer.
    Reference: Glorot & Bengio 2010, eq. 16, with a normal instead of a uniform law.
    """
    return variance_scaling(1.0, "fan_avg", "normal", groups)


def xavier_uniform(groups: int = 1) -> Initializer:
    """U(±√(6 / (fan_in + fan_out))): Xavier's variance, uniform as in the paper.

    Use: as `xavier_normal`.
    When not: as `xavier_normal`.
    Reference: Glorot & Bengio 2010, eq. 16.
    """
    return variance_scaling(1.0, "fan_avg", "uniform", groups)


def xavier_truncated(groups: int = 1) -> Initializer:
    """Xavier's variance, normal cut off at two standard deviations.

    What Keras and JAX call `glorot_normal`.
    Use: to compare with nets made in Keras or JAX.
    When not: as `xavier_normal`.
    """
    return variance_scaling(1.0, "fan_avg", "truncated_normal", groups)


def he_normal(negative_slope: float = 0.0, groups: int = 1) -> Initializer:
    """N(0, 2 / ((1 + a²) fan_in)), a the negative slope of a leaky ReLU.

    Preserves: the mean square of the signal through layers of (leaky) ReLU.
    Use: with ReLU and its kin; what to try first.
    When not: on small zero-padded maps it loses signal at the border all the same;
    with GELU or tanh see `gain_normal`.
    Reference: He et al. 2015, arXiv:1502.01852, eq. 10 and 15.
    """
    return variance_scaling(_he_scale(negative_slope), "fan_in", "normal", groups)


def he_uniform(negative_slope: float = 0.0, groups: int = 1) -> Initializer:
    """U(±√(6 / ((1 + a²) fan_in))): He's variance, uniform.

    Use: as `he_normal`.
    When not: as `he_normal`.
    """
    return variance_scaling(_he_scale(negative_slope), "fan_in", "uniform", groups)


def he_truncated(negative_slope: float = 0.0, groups: int = 1) -> Initializer:
    """He's variance, normal cut off at two standard deviations.

    What Keras and JAX call `he_normal`.
    Use: to compare with nets made in Keras or JAX.
    When not: as `he_normal`.
    """
    scale = _he_scale(negative_slope)
    return variance_scaling(scale, "fan_in", "truncated_normal", groups)


def he_fan_out(negative_slope: float = 0.0, groups: int = 1) -> Initializer:
    """N(0, 2 / ((1 + a²) fan_out)): He's law for the way back.

    Preserves: the mean square of gradients through layers of (leaky) ReLU and stride 1.
    Use: where gradients matter more than signals, as in ResNets with norms.
    When not: behind strides: a stride s divides the true backward fan by s².
    Reference: He et al. 2015, arXiv:1502.01852, eq. 14.
    """
    return variance_scaling(_he_scale(negative_slope), "fan_out", "normal", groups)


def lecun_normal(groups: int = 1) -> Initializer:
    """N(0, 1 / fan_in).

    Preserves: the mean square of the signal through linear layers; halves it at
    every ReLU.
    Use: with SELU, or in linear nets.
    When not: with ReLU in deep nets without a norm.
    Reference: LeCun et al. 1998, Efficient BackProp, section 4.6.
    """
    return variance_scaling(1.0, "fan_in", "normal", groups)


def lecun_uniform(groups: int = 1) -> Initializer:
    """U(±√(3 / fan_in)): LeCun's variance, uniform.

    Use: as `lecun_normal`.
    When not: as `lecun_normal`.
    """
    return variance_scaling(1.0, "fan_in", "uniform", groups)


def lecun_truncated(groups: int = 1) -> Initializer:
    """LeCun's variance, normal cut off at two standard deviations: Flax's default.

    Use: to compare with nets made in Flax.
    When not: as `lecun_normal`.
    """
    return variance_scaling(1.0, "fan_in", "truncated_normal", groups)


def torch_kernel(groups: int = 1) -> Initializer:
    """U(±1/√fan_in): PyTorch's default kernel, variance 1 / (3 fan_in).

    Divides the mean square of the signal by six at every ReLU. The biases that belong
    to it are in the scheme `torch`.
    Use: to compare with nets made in PyTorch.
    When not: in deep nets without a norm.
    """
    return variance_scaling(1 / 3, "fan_in", "uniform", groups)


def gain_normal(
    activation: Activation | str = "relu", q: float = 1.0, groups: int = 1
) -> Initializer:
    """N(0, gain² / fan_in), with the gain of any activation: q / E[φ(√q z)²].

    Preserves: the mean square q of pre-activations through layers of this activation.
    That gradients are kept as well holds for ReLU and its kin only: see `theory.chi1`.
    Use: with any activation but ReLU, for which it is `he_normal`.
    When not: where gradients must keep their size at any depth: see the scheme of
    the edge of chaos in `docs/why/theory.md`.

    Args:
        activation: a name in `ACTIVATIONS`, `module:function`, or a JAX function.
        q: the mean square that is kept.
        groups: of a grouped convolution.

    Raises: UserError for an unknown activation or one without a finite gain.
    Reference: He et al. 2015, arXiv:1502.01852, eq. 7, for other functions than ReLU.
    """
    return variance_scaling(gain_of(activation, q) ** 2, "fan_in", "normal", groups)


def gain_uniform(
    activation: Activation | str = "relu", q: float = 1.0, groups: int = 1
) -> Initializer:
    """U(±gain √(3 / fan_in)): as `gain_normal`, uniform.

    Use: as `gain_normal`.
    When not: as `gain_normal`.
    """
    return variance_scaling(gain_of(activation, q) ** 2, "fan_in", "uniform", groups)


def mup_output(scale: float = 1.0, groups: int = 1) -> Initializer:
    """N(0, scale / fan_in²): the output layer of a net in maximal update form.

    Its outputs shrink as 1/√width at first, so that they stay bounded when it learns.
    Half of the method alone: learning rates must follow the width as well.
    Use: for the last layer, in studies over widths.
    When not: alone: without rates that follow the width it is a small head.
    Reference: Yang et al. 2022, arXiv:2203.03466, table 3.
    """
    check_number("scale", scale, least=0)
    return drawn("normal", lambda shape: sqrt(scale) / fans(shape, groups)[0])


def laplace(scale: float = 2.0, groups: int = 1) -> Initializer:
    """Laplace's law, variance scale / fan_in: heavier tails, the same variance.

    A control: what the shape of a law does beyond its variance. He's variance by
    default.
    Use: as a control.
    When not: to gain accuracy: nothing promises that.
    """
    return variance_scaling(scale, "fan_in", "laplace", groups)


def rademacher(scale: float = 2.0, groups: int = 1) -> Initializer:
    """±√(scale / fan_in), either sign: no tails at all, the same variance.

    A control as `laplace`. Every output has exactly the norm √scale.
    Use: as a control.
    When not: as `laplace`.
    """
    return variance_scaling(scale, "fan_in", "rademacher", groups)


def student_t(df: float = 5.0, scale: float = 2.0, groups: int = 1) -> Initializer:
    """Student's t law with `df` degrees of freedom, variance scale / fan_in.

    A control as `laplace`, with tails that fall as a power: single large weights.
    Use: as a control.
    When not: as `laplace`; a single weight may rule a small layer.

    Raises: UserError for df of 2 or less, which has no variance.
    """
    check_number("scale", scale, least=0)
    if not (df > 2 and isfinite(df)):
        raise UserError(f"df={df!r}: Student's law has a variance only above df=2")

    def draw(key: Array, shape: tuple[int, ...], dtype: type) -> Array:
        return jax.random.t(key, df, shape, dtype)

    return drawn(
        (draw, sqrt(df / (df - 2))), lambda shape: sqrt(scale / fans(shape, groups)[0])
    )


def ternary(density: float = 0.1, scale: float = 2.0, groups: int = 1) -> Initializer:
    """0, or ±√(scale / (density fan_in)) with probability `density`.

    A control as `laplace`: most weights are absent, the variance is the same.
    Use: as a control.
    When not: as `laplace`.

    Raises: UserError for a density outside (0, 1].
    """
    check_number("scale", scale, least=0)
    if not 0 < density <= 1:
        raise UserError(f"density={density!r} is not in (0, 1]")

    def draw(key: Array, shape: tuple[int, ...], dtype: type) -> Array:
        place = jax.random.uniform(key, shape, dtype)
        sign = jax.numpy.where(place < density / 2, -1.0, 1.0)
        return jax.numpy.where(place < density, sign, 0.0).astype(dtype)

    return drawn(
        (draw, sqrt(density)), lambda shape: sqrt(scale / fans(shape, groups)[0])
    )


def fans(shape: tuple[int, ...], groups: int = 1) -> tuple[int, int]:
    """Inputs that feed one output, and outputs that one input feeds, at stride 1.

    Args:
        shape: `[..., in / groups, out]`, with the receptive field leading.
        groups: of a grouped convolution.

    Raises: UserError if there are none: fewer than two axes, an axis whose size is no
        positive whole number, or outputs that do not divide into the groups.
    """
    if len(shape) < 2 or not all(isinstance(n, SupportsIndex) and n > 0 for n in shape):
        raise UserError(
            f"shape {tuple(shape)} has no fans: a kernel [..., in, out] is needed, "
            "without empty axes; use zeros, constant, uniform or normal for others"
        )
    if groups < 1 or shape[-1] % groups:
        raise UserError(f"{shape[-1]} outputs do not divide into {groups} groups")
    field = prod(shape[:-2])
    return field * shape[-2], field * shape[-1] // groups


def _he_scale(negative_slope: float) -> float:
    check_number("negative_slope", negative_slope)
    slope = float(negative_slope)
    return 2.0 / (1.0 + slope * slope)
