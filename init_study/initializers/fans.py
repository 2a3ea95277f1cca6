"""A layer's fans, and the general law whose variance follows one of them."""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any, SupportsIndex

from init_study.errors import UserError, check_number, unknown
from init_study.initializers.draws import (
    DISTRIBUTIONS,
    Initializer,
    Number,
    as_shape,
    check_scale,
    drawn,
    root,
)

Axis = int | Sequence[int]
Fans = tuple[float, float] | str | None

NOMINAL, OPERATION = "nominal", "operation"
MODES = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo_avg": lambda fan_in, fan_out: sqrt(fan_in * fan_out),
}


def variance_scaling(
    scale: Number = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
    dtype: Any = None,
    *,
    groups: int = 1,
    fans: Fans = None,
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
            `rademacher`, all with exactly this variance; the first three of complex
            numbers as well, where the uniform one is that of a disk.
        in_axis: axis of the inputs, or several.
        out_axis: axis of the outputs, or several.
        batch_axis: axes of kernels that are stacked; all others are taps.
        dtype: of the result where none is asked for.
        groups: of a grouped convolution; each input feeds out / groups outputs.
        fans: (fan_in, fan_out) that are known better than the shape tells them.

    Raises: UserError for an unknown mode or distribution, or for a negative scale;
        when called, for a shape without fans or a dtype that is not floating.

    Example:
        >>> law = variance_scaling(2.0, "fan_avg", "rademacher")  # ±√(2 / 8)
        >>> np.unique(law(jax.random.key(0), (4, 12))).tolist()
        [-0.5, 0.5]
    """
    check_scale("scale", scale, least=0)
    if mode not in MODES:
        raise unknown("mode", mode, MODES, ", ".join(MODES))
    if distribution not in DISTRIBUTIONS:
        names = ", ".join(DISTRIBUTIONS)
        raise unknown("distribution", distribution, DISTRIBUTIONS, names)
    check_fans(fans)

    def stddev(shape: tuple[int, ...]) -> Any:
        axes = (in_axis, out_axis, batch_axis)
        return root(scale / MODES[mode](*known_fans(fans, shape, groups, *axes)))

    return drawn(distribution, stddev, dtype, may_be_complex=True)


def known_fans(
    given: Fans,
    shape: tuple[int, ...],
    groups: int = 1,
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
) -> tuple[float, float]:
    """Choose the fans that are given; else those that the shape tells.

    Args:
        given: a pair, or None or `nominal`.
        shape: as of `fans`, and all the rest.
        groups: of a grouped convolution.
        in_axis: axis of the inputs, or several.
        out_axis: axis of the outputs, or several.
        batch_axis: axes of kernels that are stacked.

    Raises: UserError for a shape without fans, whatever is given.

    Example:
        >>> known_fans(None, (4, 4, 16, 8)), known_fans((64, 128), (4, 4, 16, 8))
        ((256, 128), (64, 128))
    """
    counted = fans(shape, groups, in_axis, out_axis, batch_axis)
    return counted if given is None or isinstance(given, str) else given


def check_fans(given: Any) -> None:
    """Check fans that were given.

    Raises: UserError for what is neither None, `nominal` nor two positive numbers.

    Example:
        >>> check_fans((64, 16.0))
    """
    if given is None or given == NOMINAL:
        return
    if not isinstance(given, tuple) or len(given) != 2:
        raise UserError(
            f"fans={given!r}: an initializer sees a shape alone, or is given "
            f"(fan_in, fan_out); a scheme counts what the operation does, and "
            f"fans={NOMINAL!r} what the kernel's shape says"
        )
    for name, value in zip(("fan_in", "fan_out"), given, strict=True):
        check_number(name, value, above=0)


def fans(
    shape: tuple[int, ...],
    groups: int = 1,
    in_axis: Axis = -2,
    out_axis: Axis = -1,
    batch_axis: Axis = (),
) -> tuple[float, float]:
    """Count the inputs that feed one output, and the outputs that one input feeds.

    Args:
        shape: `[..., in / groups, out]`, with the receptive field leading.
        groups: of a grouped convolution.
        in_axis: axis of the inputs, or several.
        out_axis: axis of the outputs, or several.
        batch_axis: axes of kernels that are stacked; all others are taps.

    Returns: (fan_in, fan_out), at stride 1.

    Raises: UserError if there are none: fewer than two axes, an axis whose size is no
        positive whole number or that is not there, or outputs that do not divide into
        the groups.

    Example:
        >>> fans((3, 3, 16, 32)), fans((3, 3, 1, 32), groups=32)
        ((144, 288), (9, 9))
        >>> fans((12, 3, 3, 16, 32), batch_axis=0)  # twelve layers in a stack
        (144, 288)
    """
    shape = as_shape(shape)
    plain = isinstance(in_axis, int) and in_axis == -2
    whole = all(isinstance(size, SupportsIndex) and size > 0 for size in shape)
    if not whole or (plain and len(shape) < 2):
        raise UserError(
            f"shape {shape} has no fans: a kernel [..., in, out] is needed, "
            "without empty axes; use zeros, constant, uniform or normal for others"
        )
    named = {"in_axis": in_axis, "out_axis": out_axis, "batch_axis": batch_axis}
    sizes = [_size_of(shape, name, axes) for name, axes in named.items()]
    inputs, outputs, stacked = sizes
    if groups < 1 or outputs % groups:
        raise UserError(f"{outputs} outputs do not divide into {groups} groups")
    total = prod(shape)
    return (
        _quotient(total, outputs * stacked),
        _quotient(total, inputs * stacked * groups),
    )


def _size_of(shape: tuple[int, ...], name: str, axes: Axis) -> int:
    listed = (axes,) if isinstance(axes, int) else tuple(axes)
    for axis in listed:
        if not -len(shape) <= axis < len(shape):
            raise UserError(f"{name}={axes!r}: shape {shape} has no axis {axis}")
    return prod(shape[axis] for axis in listed)


def _quotient(total: int, part: int) -> float:
    """Divide; a whole number where it is one, as it is unless axes are named twice."""
    return total / part if total % part else total // part
