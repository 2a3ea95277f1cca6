"""Laws with a fixed scale, and laws whose scale follows the width of the layer.

Every initializer is `(key, shape, dtype) -> Array`, JAX's own protocol, and works as
`kernel_init` of a Flax layer. Kernels are laid out `[height, width, in / groups, out]`
or `[in, out]`. Numbers are drawn in float32 and cast afterwards: draws in bfloat16 are
biased. Compiled or not, alone or under `vmap`, a key gives the same bits.

`normal` laws are whole Gaussians, as in the papers; the cut-off ones that some
frameworks mean by the same name say `truncated_normal`.
"""

from collections.abc import Callable
from math import erf, exp, inf, isfinite, pi, prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError, unknown

Initializer = Callable[..., Array]

MODES = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo_avg": lambda fan_in, fan_out: sqrt(fan_in * fan_out),
}
_CUT = 2.0
# Of a standard normal cut off at ±c: variance 1 − 2 c φ(c) / (Φ(c) − Φ(−c)).
_CUT_STDDEV = sqrt(
    1 - 2 * _CUT * exp(-(_CUT**2) / 2) / sqrt(2 * pi) / erf(_CUT / sqrt(2))
)


def zeros() -> Initializer:
    """All zero. Symmetric: units that begin alike stay alike."""
    return constant(0.0)


def constant(value: float = 0.1) -> Initializer:
    """All `value`. Symmetric like zeros: every kernel keeps rank one."""
    _check_number("value", value)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        del key
        return jnp.full(shape, float(value), _floating(dtype))

    return init


def uniform(scale: float = 0.05) -> Initializer:
    """U(−scale, scale), whatever the width. Variance scale² / 3.

    Symmetric, unlike `jax.nn.initializers.uniform`, which draws from [0, scale) and
    so has a positive mean.
    """
    _check_number("scale", scale, least=0)
    return _drawn("uniform", lambda shape: scale / sqrt(3))


def normal(stddev: float = 0.02) -> Initializer:
    """N(0, stddev²), whatever the width."""
    _check_number("stddev", stddev, least=0)
    return _drawn("normal", lambda shape: stddev)


def truncated_normal(stddev: float = 0.02) -> Initializer:
    """A normal law cut off at two standard deviations, then rescaled.

    The result has exactly the standard deviation `stddev`, unlike
    `jax.nn.initializers.truncated_normal`, whose argument is that of the normal law
    before the cut.
    """
    _check_number("stddev", stddev, least=0)
    return _drawn("truncated_normal", lambda shape: stddev)


def variance_scaling(
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    groups: int = 1,
) -> Initializer:
    """Variance scale / n, with n the layer's fan.

    Preserves: the mean square of what passes forward (fan_in) or backward (fan_out)
    through a linear layer, times `scale`.

    Args:
        scale: of the variance.
        mode: `fan_in`, `fan_out`, their mean `fan_avg` or geometric mean
            `fan_geo_avg`.
        distribution: `normal`, `truncated_normal` (both with this variance exactly)
            or `uniform`.
        groups: of a grouped convolution; each input feeds out / groups outputs.

    Raises: UserError for an unknown mode or distribution, or for a negative scale;
        when called, for a shape without fans or a dtype that is not floating.
    """
    _check_number("scale", scale, least=0)
    if mode not in MODES:
        raise unknown("mode", mode, MODES, ", ".join(MODES))
    if distribution not in _DISTRIBUTIONS:
        names = ", ".join(_DISTRIBUTIONS)
        raise unknown("distribution", distribution, _DISTRIBUTIONS, names)

    def stddev(shape: tuple[int, ...]) -> float:
        return sqrt(scale / MODES[mode](*fans(shape, groups)))

    return _drawn(distribution, stddev)


def xavier_normal(groups: int = 1) -> Initializer:
    """N(0, 2 / (fan_in + fan_out)): a compromise between both directions.

    Preserves: with in = out, the mean square forward and backward through linear
    layers, or through tanh near zero.
    Reference: Glorot & Bengio 2010, eq. 16, with a normal instead of a uniform law.
    """
    return variance_scaling(1.0, "fan_avg", "normal", groups)


def xavier_uniform(groups: int = 1) -> Initializer:
    """U(±√(6 / (fan_in + fan_out))): Xavier's variance, uniform as in the paper.

    Reference: Glorot & Bengio 2010, eq. 16.
    """
    return variance_scaling(1.0, "fan_avg", "uniform", groups)


def he_normal(negative_slope: float = 0.0, groups: int = 1) -> Initializer:
    """N(0, 2 / ((1 + a²) fan_in)), a the negative slope of a leaky ReLU.

    Preserves: the mean square of the signal through layers of (leaky) ReLU.
    Reference: He et al. 2015, arXiv:1502.01852, eq. 10 and 15.
    """
    return variance_scaling(_he_scale(negative_slope), "fan_in", "normal", groups)


def he_uniform(negative_slope: float = 0.0, groups: int = 1) -> Initializer:
    """U(±√(6 / ((1 + a²) fan_in))): He's variance, uniform."""
    return variance_scaling(_he_scale(negative_slope), "fan_in", "uniform", groups)


def lecun_normal(groups: int = 1) -> Initializer:
    """N(0, 1 / fan_in).

    Preserves: the mean square of the signal through linear layers; halves it at
    every ReLU.
    Reference: LeCun et al. 1998, Efficient BackProp, section 4.6.
    """
    return variance_scaling(1.0, "fan_in", "normal", groups)


def lecun_uniform(groups: int = 1) -> Initializer:
    """U(±√(3 / fan_in)): LeCun's variance, uniform."""
    return variance_scaling(1.0, "fan_in", "uniform", groups)


def fans(shape: tuple[int, ...], groups: int = 1) -> tuple[int, int]:
    """Inputs that feed one output, and outputs that one input feeds, at stride 1.

    Args:
        shape: `[..., in / groups, out]`, with the receptive field leading.
        groups: of a grouped convolution.

    Raises: UserError if there are none: fewer than two axes, an axis of size zero, or
        outputs that do not divide into the groups.
    """
    if len(shape) < 2 or 0 in shape:
        raise UserError(
            f"shape {tuple(shape)} has no fans: a kernel [..., in, out] is needed, "
            "without empty axes; use zeros, constant, uniform or normal for others"
        )
    if groups < 1 or shape[-1] % groups:
        raise UserError(f"{shape[-1]} outputs do not divide into {groups} groups")
    field = prod(shape[:-2])
    return field * shape[-2], field * shape[-1] // groups


def _he_scale(negative_slope: float) -> float:
    _check_number("negative_slope", negative_slope)
    slope = float(negative_slope)
    return 2.0 / (1.0 + slope * slope)


def _drawn(
    distribution: str, stddev: Callable[[tuple[int, ...]], float]
) -> Initializer:
    """Standard draws in float32, scaled, then cast."""
    draw, standard = _DISTRIBUTIONS[distribution]

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        kind = _floating(dtype)
        factor = stddev(tuple(shape)) / standard
        # A float64 net gets float64 numbers; smaller types get cast ones.
        wide = kind if kind == jnp.float64 else jnp.float32
        # The same numbers as in this shape, several times faster to compile.
        numbers = draw(key, (prod(shape),), wide)
        # Without the barrier a compiler merges the factor into the draw's own
        # constants, and compiled numbers differ from others in the last bit.
        numbers = jax.lax.optimization_barrier(numbers)
        return (numbers * factor).reshape(shape).astype(kind)

    return init


def _cut_normal(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
    return jax.random.truncated_normal(key, -_CUT, _CUT, shape, dtype)


def _symmetric_uniform(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
    return jax.random.uniform(key, shape, dtype, -1.0, 1.0)


def _floating(dtype: Any) -> Any:
    kind = jnp.dtype(jnp.float32 if dtype is None else dtype)
    if not jnp.issubdtype(kind, jnp.floating):
        raise UserError(f"dtype {kind} is not a floating one; use float32 or bfloat16")
    return kind


def _check_number(name: str, value: float, least: float = -inf) -> None:
    try:
        fits = isfinite(value) and value >= least
    except (TypeError, OverflowError):
        fits = False
    if not fits:
        bound = "" if least == -inf else f" of at least {least}"
        raise UserError(f"{name}={value!r} is not a finite number{bound}")


# A standard draw, and its standard deviation.
_DISTRIBUTIONS: dict[str, tuple[Callable[..., Array], float]] = {
    "normal": (jax.random.normal, 1.0),
    "truncated_normal": (_cut_normal, _CUT_STDDEV),
    "uniform": (_symmetric_uniform, 1 / sqrt(3)),
}
