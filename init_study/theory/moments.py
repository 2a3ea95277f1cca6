"""Gaussian moments of an activation: what one layer does to a signal.

z is N(0, 1) throughout, q the variance of the pre-activation x = √q z, and φ any
elementwise JAX function, or the name of one: `relu`, or `module:function`. Moments are
numbers in float64 with at least six correct digits, by quadrature that finds the
function's kinks by itself; derivatives are JAX's. A moment that does not exist is an
error, never a number.
"""

from functools import lru_cache
from math import isnan, pi, sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.activations import Activation
from init_study.errors import UserError, check_number
from init_study.theory.evaluation import activation_name, evaluated
from init_study.theory.jumps import find_jump
from init_study.theory.quadrature import integrate

# How far out z goes: beyond 38 its density is below the smallest float64, beyond 53 the
# root of it, with which functions are squared.
_RADII = (10.0, 20.0, 38.0, 53.0)
# Jumps count as far out as there is a density.
_JUMPS_RADIUS = 38.0
_PANELS_PER_UNIT = 2
_NEGLIGIBLE = 1e-12
# Off the round numbers, where functions have their kinks, or no value: 0 of sin(x)/x.
_OFFSET = sqrt(2) / 10


class Moments(NamedTuple):
    """Moments of φ(√q z); NaN where there is none.

    Attributes:
        mean: E[φ].
        second: E[φ²].
        weighted: E[z² φ²], for the derivative of E[φ²] by q.
        derivative: E[φ'²].
        breaks: the z where φ or φ' is not smooth, or steep.
        radius: beyond it nothing counts.
        jump: an x where φ is not continuous, so that there is no E[φ'²]; or None.
    """

    mean: float
    second: float
    weighted: float
    derivative: float
    breaks: tuple[float, ...]
    radius: float
    jump: float | None = None


def mean(phi: Activation | str, q: float = 1.0) -> float:
    """Compute the mean E[φ(√q z)].

    Args:
        phi: a function, or a name that `find_activation` knows.
        q: the variance of pre-activations.

    Raises: UserError if it does not exist.

    Example:
        >>> round(mean("relu"), 4)  # 1 / √(2π)
        0.3989
    """
    return _existing("mean", "E[φ]", phi, q)


def second_moment(phi: Activation | str, q: float = 1.0) -> float:
    """Compute E[φ(√q z)²]: what a layer's weights of variance 1 / fan_in make of q.

    Args:
        phi: a function, or a name that `find_activation` knows.
        q: the variance of pre-activations.

    Raises: UserError if it does not exist.

    Example:
        >>> round(second_moment("relu", q=3.0), 6)  # q / 2
        1.5
    """
    return _existing("second", "E[φ²]", phi, q)


def weighted_moment(phi: Activation | str, q: float = 1.0) -> float:
    """Compute E[z² φ(√q z)²], which tells how E[φ²] changes with q.

    Args:
        phi: a function, or a name that `find_activation` knows.
        q: the variance of pre-activations.

    Raises: UserError if it does not exist.

    Example:
        >>> round(weighted_moment("linear", q=2.0), 6)  # q E[z⁴]
        6.0
    """
    return _existing("weighted", "E[z² φ²]", phi, q)


def derivative_moment(phi: Activation | str, q: float = 1.0) -> float:
    """Compute E[φ'(√q z)²]: what a layer does to a gradient's mean square.

    Args:
        phi: a function, or a name that `find_activation` knows.
        q: the variance of pre-activations.

    Raises: UserError if it does not exist, as for a function that jumps.

    Example:
        >>> round(derivative_moment("relu"), 6)  # the share of positive inputs
        0.5
    """
    return _existing("derivative", "E[φ'²]", phi, q)


def gain(phi: Activation | str, q: float = 1.0) -> float:
    """Compute the gain √(q / E[φ(√q z)²]), which is 1 / √E[φ(z)²] at q = 1.

    Preserves: with weights of standard deviation gain / √fan_in and no bias, the mean
    square q of the pre-activations from one wide layer to the next.

    Args:
        phi: a function, or a name that `find_activation` knows.
        q: the variance of pre-activations.

    Raises: UserError if the second moment is zero or does not exist.
    Reference: He et al. 2015, arXiv:1502.01852, for ReLU: √2.

    Example:
        >>> round(gain("relu"), 4), round(gain("tanh"), 4)
        (1.4142, 1.5925)
    """
    second = second_moment(phi, q)
    if second == 0:
        raise UserError(
            f"activation {activation_name(phi)!r} is zero at q={q:g}: no gain can keep "
            "a signal that is gone"
        )
    return sqrt(q / second)


def moments(phi: Activation | str, q: float = 1.0) -> Moments:
    """Compute all moments of an activation at once.

    Raises: UserError if q is not a positive number or φ is not a function that can be
        evaluated.

    Example:
        >>> found = moments("linear", q=2.0)
        >>> round(found.second, 6), round(found.weighted, 6)  # q, and q E[z⁴]
        (2.0, 6.0)
    """
    check_number("q", q, above=0)
    return _moments(phi, float(q))


def _existing(field: str, symbol: str, phi: Activation | str, q: float) -> float:
    value = getattr(moments(phi, q), field)
    if isnan(value):
        reason = _reason(phi, q, of_slope=field == "derivative")
        raise UserError(
            f"activation {activation_name(phi)!r} has no {symbol} at q={q:g} that "
            f"float64 can hold: {reason}"
        )
    return value


@lru_cache(maxsize=4096)
def _moments(phi: Activation | str, q: float) -> Moments:
    function, root = evaluated(phi), sqrt(q)

    def integrands(z: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 5"]:
        values, slopes = function.both(root * z)
        density = root_density(z)
        with np.errstate(over="ignore", invalid="ignore"):
            value, slope = values * density, slopes * density
            # The last one only so that its jumps are found.
            columns = value * density, value**2, (z * value) ** 2, slope**2
            return np.stack([*columns, slope * density], 1)

    found, scale, radius = np.full(5, np.nan), np.full(5, np.nan), _RADII[0]
    part = integrate(integrands, panel_edges(radius), function.tolerance)
    for radius in _RADII:
        if radius > _RADII[0]:
            part = integrate(integrands, panel_edges(radius), function.tolerance)
        # All zero so far: what there is may lie further out.
        settled = (part.ends <= _NEGLIGIBLE * part.scale) & (part.scale > 0)
        settled |= (part.scale == 0) & (radius == _RADII[-1])
        found = np.where(settled, part.value, found)
        scale = np.where(settled, part.scale, scale)
        if not np.isnan(found[:-1]).any() or not np.isfinite(part.scale).any():
            break
    first, second, weighted, derivative, _ = found.tolist()
    if abs(first) <= 10 * function.tolerance * scale[0]:
        first = 0.0
    size = 0.0 if isnan(second) else sqrt(second)
    jump = find_jump(function, root, size, _with_the_rest(part.panels, radius))
    if jump is not None or function.undefined_slope is not None:
        derivative = np.nan
    breaks = tuple(part.breaks.tolist())
    return Moments(first, second, weighted, derivative, breaks, radius, jump)


def panel_edges(radius: float) -> Float[np.ndarray, " p"]:
    """Lay out the edges of an integral's first panels, from −radius to radius."""
    return (
        np.linspace(-radius, radius, int(2 * radius * _PANELS_PER_UNIT) + 1) + _OFFSET
    )


def root_density(z: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Compute the root of the normal density.

    φ² times the density itself would overflow sooner.
    """
    return np.exp(-(z**2) / 4) / (2 * pi) ** 0.25


def _with_the_rest(
    panels: Float[np.ndarray, "p 2"], radius: float
) -> Float[np.ndarray, "n 2"]:
    """Add panels on either side of an integral's, as far out as jumps count."""
    edges = panel_edges(_JUMPS_RADIUS)
    low, high = panel_edges(radius)[[0, -1]]
    outer = np.stack([edges[:-1], edges[1:]], 1)
    outside = (outer[:, 1] <= low + 1e-9) | (outer[:, 0] >= high - 1e-9)
    return np.concatenate([panels, outer[outside]])


def _reason(phi: Activation | str, q: float, of_slope: bool) -> str:
    """Say why a moment does not exist: of φ or, if `of_slope`, of φ'."""
    function = evaluated(phi)
    if of_slope:
        jump = moments(phi, q).jump
        if jump is not None:
            return f"it jumps at x={jump:.4g}"
        if function.undefined_slope is not None:
            return f"its derivative is nan at x={function.undefined_slope:g}"
    x = sqrt(q) * np.linspace(-_RADII[0], _RADII[0], 4001)
    numbers = function.both(x)[int(of_slope)]
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        undefined = bad[np.isnan(numbers[bad])]
        bad = undefined if len(undefined) else bad
        nearest = bad[np.abs(x[bad]).argmin()]
        what = "its derivative" if of_slope else "it"
        return f"{what} is {numbers[nearest]} at x={x[nearest]:g}"
    what = "its derivative" if of_slope else "it"
    return f"{what} grows too fast, or varies too fast to integrate"
