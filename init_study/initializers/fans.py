"""A layer's fans, and the general law whose variance follows one of them."""

from math import prod, sqrt
from typing import SupportsIndex

from init_study.errors import UserError, check_number, unknown
from init_study.initializers.draws import DISTRIBUTIONS, Initializer, drawn

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
    """Any law of mean zero and variance scale / n, with n the layer's fan.

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

    Example:
        >>> law = variance_scaling(2.0, "fan_avg", "rademacher")  # ±√(2 / 8)
        >>> np.unique(law(jax.random.key(0), (4, 12))).tolist()
        [-0.5, 0.5]
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


def fans(shape: tuple[int, ...], groups: int = 1) -> tuple[int, int]:
    """Count the inputs that feed one output, and the outputs that one input feeds.

    Args:
        shape: `[..., in / groups, out]`, with the receptive field leading.
        groups: of a grouped convolution.

    Returns: (fan_in, fan_out), at stride 1.

    Raises: UserError if there are none: fewer than two axes, an axis whose size is no
        positive whole number, or outputs that do not divide into the groups.

    Example:
        >>> fans((3, 3, 16, 32)), fans((3, 3, 1, 32), groups=32)
        ((144, 288), (9, 9))
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
