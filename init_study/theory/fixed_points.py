"""Fixed points of a wide random net's maps, and how soon signals come to them.

Notation is that of `maps`: q* is the variance that layers keep, c* the correlation that
two different inputs tend to.
"""

from collections.abc import Callable
from functools import lru_cache
from math import inf, isnan, log, nan
from typing import Any, cast

import numpy as np

from init_study.activations import Activation
from init_study.errors import UserError, check_number
from init_study.theory.evaluation import activation_name, evaluated
from init_study.theory.maps import c_map, check_variances, chi1, q_slope
from init_study.theory.moments import derivative_moment, moments
from init_study.theory.pairs import pair_moments

# q beyond these bounds counts as zero and as infinite.
SMALLEST_Q, _LARGEST_Q = 1e-8, 1e8
# Slopes this close to 1 count as 1.
MARGINAL = 1e-7
_STATIONARY = 1e-10
# Of q, on the way to a fixed point; two that are closer may be missed.
_STRIDE = 1.25


def fixed_point_q(
    phi: Activation | str, sigma_w2: float, sigma_b2: float = 0.0, start: float = 1.0
) -> float:
    """Find the q that `q_map` keeps: the nearest to `start` on the side it moves to.

    0.0 where the signal dies out. It is never a q that layers swing around, as √q
    E[φ²] grows with q: the slope of the map is above −1/2.

    Args:
        phi: a function, or a name that `find_activation` knows.
        sigma_w2: σ_w², the variance of weights times fan_in.
        sigma_b2: σ_b², the variance of biases.
        start: the variance that the signal begins with.

    Raises: UserError if q grows without bound.

    Example:
        >>> round(fixed_point_q("relu", sigma_w2=1.0, sigma_b2=0.5), 6)  # q/2 + 1/2 = q
        1.0
    """
    check_number("start", start, above=0)
    check_variances(sigma_w2, sigma_b2)
    return _fixed_point_q(phi, float(sigma_w2), float(sigma_b2), float(start))


def fixed_point_c(
    phi: Activation | str, sigma_w2: float, sigma_b2: float = 0.0
) -> float:
    """Find the correlation that two different inputs tend to, at the fixed point of q.

    The map is convex on [0, 1], being a power series in c with coefficients ≥ 0. So c*
    is 1 where χ1 ≤ 1, and the only other root where χ1 > 1. It is also 1 for a linear
    net without a bias, where every correlation stays.

    Args:
        phi: a function, or a name that `find_activation` knows.
        sigma_w2: σ_w², the variance of weights times fan_in.
        sigma_b2: σ_b², the variance of biases.

    Raises: UserError if there is no fixed point of q, or if it is zero.

    Example:
        >>> fixed_point_c("relu", sigma_w2=1.0, sigma_b2=0.5)
        1.0
    """
    q = _positive_fixed_point(phi, sigma_w2, sigma_b2)
    if chi1(phi, sigma_w2, q) <= 1 + MARGINAL:
        return 1.0

    def change(c: float) -> float:
        return c_map(phi, c, q, sigma_w2, sigma_b2) - c

    if change(0.0) <= _STATIONARY:
        return 0.0
    gap = 0.1
    while change(1 - gap) >= 0:
        gap /= 10
        if gap < _STATIONARY:
            return 1.0
    return root_between(change, 0.0, 1 - gap)


def depth_scales(
    phi: Activation | str, sigma_w2: float, sigma_b2: float = 0.0
) -> tuple[float, float]:
    """Compute (ξ_q, ξ_c): the layers in which q − q* and c − c* fall by a factor e.

    ξ_q = −1 / log |dq_map/dq| at q*; ξ_c = −1 / log(σ_w² E[φ'(x) φ'(y)]) at c*. At the
    edge of chaos ξ_c is infinite: c − c* falls as a power of the depth instead.

    Args:
        phi: a function, or a name that `find_activation` knows.
        sigma_w2: σ_w², the variance of weights times fan_in.
        sigma_b2: σ_b², the variance of biases.

    Raises: UserError if there is no fixed point of q.
    Reference: Schoenholz et al. 2017, arXiv:1611.01232, section 3.

    Example:
        >>> scales = depth_scales("relu", sigma_w2=1.0, sigma_b2=0.5)
        >>> [round(scale, 3) for scale in scales]  # both slopes are 1/2: 1 / log(2)
        [1.443, 1.443]
    """
    at_zero = fixed_point_q(phi, sigma_w2, sigma_b2) == 0
    q = SMALLEST_Q if at_zero else fixed_point_q(phi, sigma_w2, sigma_b2)
    slope = derivative_moment(phi, q)
    if not at_zero:
        slope = pair_moments(phi, fixed_point_c(phi, sigma_w2, sigma_b2), q)[1]
    return _scale(q_slope(phi, q, sigma_w2)), _scale(sigma_w2 * slope)


def square_at_zero(phi: Activation | str) -> float:
    """Compute φ(0)²."""
    return float(evaluated(phi).both(np.zeros(1))[0][0] ** 2)


def root_between(change: Callable[[float], float], low: float, high: float) -> float:
    """Find where a function is zero that has different signs at both ends."""
    # Imported here because it takes long, and initializers need it rarely.
    from scipy.optimize import brentq

    tight: dict[str, Any] = {"xtol": 1e-20, "rtol": 1e-13}
    return float(cast(float, brentq(change, low, high, **tight)))


@lru_cache(maxsize=1024)
def _fixed_point_q(
    phi: Activation | str, sigma_w2: float, sigma_b2: float, start: float
) -> float:
    def change(q: float) -> float:
        second = moments(phi, q).second
        return inf if isnan(second) else sigma_w2 * second + sigma_b2 - q

    if abs(change(start)) <= _STATIONARY * start:
        return start
    grows = change(start) > 0
    q, last = start, start
    while (change(q) > 0) == grows:
        last, q = q, q * _STRIDE if grows else q / _STRIDE
        if q > _LARGEST_Q:
            raise UserError(
                f"activation {activation_name(phi)!r} with sigma_w2={sigma_w2:g}, "
                f"sigma_b2={sigma_b2:g}: the variance grows without bound; use a "
                "smaller sigma_w2"
            )
        if q < SMALLEST_Q and sigma_b2 == 0 and square_at_zero(phi) == 0:
            return 0.0
        if q < SMALLEST_Q**2:
            return 0.0
    return root_between(change, q, last)


def _positive_fixed_point(
    phi: Activation | str, sigma_w2: float, sigma_b2: float
) -> float:
    q = fixed_point_q(phi, sigma_w2, sigma_b2)
    if q == 0:
        raise UserError(
            f"activation {activation_name(phi)!r} with sigma_w2={sigma_w2:g}, "
            f"sigma_b2={sigma_b2:g}: the signal dies out and has no correlation; use a "
            "larger sigma_w2 or a bias"
        )
    return q


def _scale(rate: float) -> float:
    size = abs(rate)
    if isnan(size) or size >= 1 - MARGINAL:
        return nan if isnan(size) else inf
    return -1 / log(size) if size > 0 else 0.0
