"""Gaussian moments of an activation: what one layer does to a signal.

z is N(0, 1) throughout, q the variance of the pre-activation x = √q z, and φ any
elementwise JAX function, or the name of one: `relu`, or `module:function`. Moments are
numbers in float64 with at least six correct digits, by quadrature that finds the
function's kinks by itself; derivatives are JAX's. A moment that does not exist is an
error, never a number.
"""

from functools import lru_cache
from math import isnan, pi, sqrt
from typing import NamedTuple, NoReturn

import numpy as np
from jaxtyping import Float

from init_study.activations import Activation
from init_study.errors import UserError, check_number
from init_study.theory.evaluation import Evaluated, activation_name, evaluated
from init_study.theory.quadrature import integrate

# How far out z goes: beyond 38 its density is below the smallest float64.
_RADII = (10.0, 20.0, 38.0)
_PANELS_PER_UNIT = 2
_NEGLIGIBLE = 1e-12
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
# The double integral: relative to E[φ²], against the same with half as many points.
_STABLE = 1e-7
_MOST_OUTER_PANELS = 4000
_MOST_INNER_POINTS = 1_000_000
# Off the round numbers, where functions have their kinks, or no value: 0 of sin(x)/x.
_OFFSET = sqrt(2) / 10


class Moments(NamedTuple):
    """Of φ(√q z); NaN where there is none.

    Attributes:
        mean: E[φ].
        second: E[φ²].
        weighted: E[z² φ²], for the derivative of E[φ²] by q.
        derivative: E[φ'²].
        breaks: the z where φ or φ' is not smooth, or steep.
        radius: beyond it nothing counts.
    """

    mean: float
    second: float
    weighted: float
    derivative: float
    breaks: tuple[float, ...]
    radius: float


def mean(phi: Activation | str, q: float = 1.0) -> float:
    """E[φ(√q z)].

    Raises: UserError if it does not exist.
    """
    return _existing("mean", "E[φ]", phi, q)


def second_moment(phi: Activation | str, q: float = 1.0) -> float:
    """E[φ(√q z)²]: what a layer's weights of variance 1 / fan_in make of q.

    Raises: UserError if it does not exist.
    """
    return _existing("second", "E[φ²]", phi, q)


def derivative_moment(phi: Activation | str, q: float = 1.0) -> float:
    """E[φ'(√q z)²].

    Raises: UserError if it does not exist, as for a function that jumps.
    """
    return _existing("derivative", "E[φ'²]", phi, q)


def gain(phi: Activation | str, q: float = 1.0) -> float:
    """√(q / E[φ(√q z)²]), which is 1 / √E[φ(z)²] at q = 1.

    Preserves: with weights of standard deviation gain / √fan_in and no bias, the mean
    square q of the pre-activations from one wide layer to the next.
    Raises: UserError if the second moment is zero or does not exist.
    Reference: He et al. 2015, arXiv:1502.01852, for ReLU: √2.
    """
    second = second_moment(phi, q)
    if second == 0:
        raise UserError(
            f"activation {activation_name(phi)!r} is zero at q={q:g}: no gain can keep "
            "a signal that is gone"
        )
    return sqrt(q / second)


def moments(phi: Activation | str, q: float = 1.0) -> Moments:
    """All of them at once.

    Raises: UserError if q is not a positive number or φ is not a function that can be
        evaluated.
    """
    check_number("q", q, above=0)
    return _moments(phi, float(q))


def pair_moments(
    phi: Activation | str, c: float, q: float = 1.0
) -> tuple[float, float]:
    """E[φ(x) φ(y)] and E[φ'(x) φ'(y)], x and y of variance q and correlation c.

    NaN for one that does not exist. The outer integral, over x, is adaptive; the inner
    one, over y given x, breaks at the kinks of φ and is refined until it is stable.

    Raises: as `moments` does, and if c is not between −1 and 1.
    """
    check_number("c", c, least=-1, most=1)
    alone = moments(phi, q)
    if c == 1:
        return alone.second, alone.derivative
    return _pair_moments(phi, float(c), float(q))


def _existing(field: str, symbol: str, phi: Activation | str, q: float) -> float:
    value = getattr(moments(phi, q), field)
    if isnan(value):
        _say_why(evaluated(phi), symbol, field == "derivative", q)
    return value


@lru_cache(maxsize=4096)
def _moments(phi: Activation | str, q: float) -> Moments:
    function, root = evaluated(phi), sqrt(q)

    def integrands(z: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 5"]:
        values, slopes = function.both(root * z)
        density = _root_density(z)
        with np.errstate(over="ignore", invalid="ignore"):
            value, slope = values * density, slopes * density
            # The last one only so that its jumps are found.
            columns = value * density, value**2, (z * value) ** 2, slope**2
            return np.stack([*columns, slope * density], 1)

    found, scale, radius = np.full(5, np.nan), np.full(5, np.nan), _RADII[0]
    part = integrate(integrands, _edges(radius), function.tolerance)
    for radius in _RADII:
        if radius > _RADII[0]:
            part = integrate(integrands, _edges(radius), function.tolerance)
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
    if _jumps(function, root, sqrt(second), part.breaks):
        derivative = np.nan
    return Moments(
        first, second, weighted, derivative, tuple(part.breaks.tolist()), radius
    )


@lru_cache(maxsize=4096)
def _pair_moments(phi: Activation | str, c: float, q: float) -> tuple[float, float]:
    alone = moments(phi, q)
    exists = ~np.isnan([alone.second, alone.derivative])
    scale = np.abs(np.where(exists, [alone.second, alone.derivative], 1.0))
    before = np.full(2, np.nan)
    for panels_per_unit in (1, 2, 4, 8):
        now = np.where(exists, _double_integral(phi, c, q, panels_per_unit), 0.0)
        if (np.abs(now - before) <= _STABLE * scale).all():
            return tuple(np.where(exists, now, np.nan).tolist())
        before = now
    raise UserError(
        f"activation {activation_name(phi)!r} is too rough at q={q:g}, c={c:g} for its "
        "correlation map; use a smaller q"
    )


def _double_integral(
    phi: Activation | str, c: float, q: float, panels_per_unit: int
) -> Float[np.ndarray, "2"]:
    """Over x = √q z outside and, given it, y = √q (c z + s e) inside."""
    function, alone, root = evaluated(phi), moments(phi, q), sqrt(q)
    radius, kinks = alone.radius, np.array(alone.breaks)
    exists = ~np.isnan([alone.second, alone.derivative])
    # At s = 0 there is nothing to integrate over; this is as good as zero.
    s = max(sqrt((1 - c) * (1 + c)), 1e-8)
    steps = np.linspace(-radius, radius, int(2 * radius * panels_per_unit) + 1)

    def inner(z: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        own = np.clip((kinks - c * z[:, None]) / s, -radius, radius)
        grid = np.broadcast_to(steps, (len(z), len(steps)))
        edges = np.sort(np.concatenate([grid, own], 1), 1)
        half = np.diff(edges)[..., None] / 2
        e = (edges[:, :-1, None] + half + half * _NODES).reshape(len(z), -1)
        weights = (half * _WEIGHTS).reshape(len(z), -1) * _root_density(e) ** 2
        both = function.both((root * (c * z[:, None] + s * e)).reshape(-1))
        return np.stack([(weights * v.reshape(e.shape)).sum(1) for v in both], 1)

    def in_parts(z: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        points = len(z) * len(_NODES) * (len(steps) + len(kinks))
        parts = np.array_split(z, points // _MOST_INNER_POINTS + 1)
        return np.concatenate([inner(part) for part in parts])

    def outer(z: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        both = np.stack(function.both(root * z), 1)
        return exists * both * in_parts(z) * _root_density(z)[:, None] ** 2

    edges = np.unique(np.concatenate([_edges(radius), kinks, -kinks]))
    floor = np.nan_to_num([alone.second, alone.derivative])
    tolerance = max(_STABLE / 100, function.tolerance)
    return integrate(outer, edges, tolerance, floor, _MOST_OUTER_PANELS).value


def _edges(radius: float) -> Float[np.ndarray, " p"]:
    return (
        np.linspace(-radius, radius, int(2 * radius * _PANELS_PER_UNIT) + 1) + _OFFSET
    )


def _root_density(z: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Its square is the normal density; φ² times the density would overflow sooner."""
    return np.exp(-(z**2) / 4) / (2 * pi) ** 0.25


def _jumps(
    function: Evaluated, root: float, size: float, z: Float[np.ndarray, " n"]
) -> bool:
    """Whether φ is discontinuous at one of these places, so that φ' has a spike that
    no quadrature sees."""
    if not len(z):
        return False
    step = 1e3 * function.tolerance
    below, above = (function.both(root * (z + side)) for side in (-step, step))
    steepest = np.maximum(np.abs(above[1]), np.abs(below[1]))
    with np.errstate(invalid="ignore"):
        change = np.abs(above[0] - below[0]) - 4 * step * root * steepest
    return bool((np.exp(-(z**2) / 4) * change > 1e-5 * size).any())


def _say_why(function: Evaluated, symbol: str, of_slope: bool, q: float) -> NoReturn:
    x = sqrt(q) * np.linspace(-_RADII[0], _RADII[0], 4001)
    numbers = function.both(x)[int(of_slope)]
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        undefined = bad[np.isnan(numbers[bad])]
        bad = undefined if len(undefined) else bad
        nearest = bad[np.abs(x[bad]).argmin()]
        what = "its derivative" if of_slope else "it"
        reason = f"{what} is {numbers[nearest]} at x={x[nearest]:g}"
    elif of_slope:
        reason = "it jumps, or its derivative grows too fast"
    else:
        reason = "it grows too fast, or varies too fast to integrate"
    raise UserError(
        f"activation {function.name!r} has no {symbol} at q={q:g} that float64 can "
        f"hold: {reason}"
    )
