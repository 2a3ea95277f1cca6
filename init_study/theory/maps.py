"""What a layer of a wide random net does to variance and correlation.

Weights are independent with variance σ_w² / fan_in and biases with variance σ_b²; q is
the variance of the pre-activations, c the correlation of those of two inputs.
References: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017,
arXiv:1611.01232.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from math import inf, isnan, log, log10, nan
from typing import Any, cast

import numpy as np

from init_study.activations import Activation
from init_study.errors import UserError, check_number
from init_study.theory.evaluation import activation_name, evaluated
from init_study.theory.moments import (
    derivative_moment,
    mean,
    moments,
    pair_moments,
    second_moment,
)

# q beyond these bounds counts as zero and as infinite.
_SMALLEST_Q, _LARGEST_Q = 1e-8, 1e8
# Where φ is straight on either side of zero, to ten digits.
_ORIGIN_Q = 1e-20
_STATIONARY = 1e-10
# Of q, on the way to a fixed point; two that are closer may be missed.
_STRIDE = 1.25
_MARGINAL = 1e-7


def q_map(
    phi: Activation | str, q: float, sigma_w2: float = 1.0, sigma_b2: float = 0.0
) -> float:
    """σ_w² E[φ(√q z)²] + σ_b²: the variance after the next layer."""
    _check_variances(sigma_w2, sigma_b2)
    return sigma_w2 * second_moment(phi, q) + sigma_b2


def q_slope(phi: Activation | str, q: float, sigma_w2: float = 1.0) -> float:
    """The derivative of `q_map` by q: σ_w² E[(z² − 1) φ(√q z)²] / 2q.

    By Stein's lemma it is σ_w² (E[φ'²] + E[φ φ'']), without need of φ''.
    """
    _check_variances(sigma_w2, 0.0)
    second = second_moment(phi, q)
    return sigma_w2 * (moments(phi, q).weighted - second) / (2 * q)


def c_map(
    phi: Activation | str,
    c: float,
    q: float = 1.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> float:
    """(σ_w² E[φ(x) φ(y)] + σ_b²) / q_map: the correlation after the next layer.

    x and y are normal with variance q and correlation c. At c = 0 without bias it is
    E[φ]² / E[φ²].
    Raises: UserError if c is not in [−1, 1] or the activation is zero throughout.
    """
    variance = q_map(phi, q, sigma_w2, sigma_b2)
    product = mean(phi, q) ** 2 if c == 0 else pair_moments(phi, c, q)[0]
    if variance == 0:
        raise UserError(
            f"activation {activation_name(phi)!r} is zero at q={q:g}: there is no "
            "correlation"
        )
    return (sigma_w2 * product + sigma_b2) / variance


def chi1(phi: Activation | str, sigma_w2: float, q: float = 1.0) -> float:
    """σ_w² E[φ'(√q z)²]: how a gradient's mean square grows per layer, backwards.

    At a fixed point q it is also the slope of `c_map` at c = 1: above 1, two almost
    equal inputs drift apart (chaos); below 1, all inputs become alike (order).
    """
    _check_variances(sigma_w2, 0.0)
    return sigma_w2 * derivative_moment(phi, q)


def fixed_point_q(
    phi: Activation | str, sigma_w2: float, sigma_b2: float = 0.0, start: float = 1.0
) -> float:
    """The q that `q_map` keeps: the nearest to `start` on the side it moves to.

    0.0 where the signal dies out. It is never a q that layers swing around, as √q
    E[φ²] grows with q: the slope of the map is above −1/2.
    Raises: UserError if q grows without bound.
    """
    check_number("start", start, above=0)
    _check_variances(sigma_w2, sigma_b2)
    return _fixed_point_q(phi, float(sigma_w2), float(sigma_b2), float(start))


def fixed_point_c(
    phi: Activation | str, sigma_w2: float, sigma_b2: float = 0.0
) -> float:
    """The correlation that two different inputs tend to, at the fixed point of q.

    The map is convex on [0, 1], being a power series in c with coefficients ≥ 0. So c*
    is 1 where χ1 ≤ 1, and the only other root where χ1 > 1. It is also 1 for a linear
    net without a bias, where every correlation stays.
    Raises: UserError if there is no fixed point of q, or if it is zero.
    """
    q = _positive_fixed_point(phi, sigma_w2, sigma_b2)
    if chi1(phi, sigma_w2, q) <= 1 + _MARGINAL:
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
    return _root(change, 0.0, 1 - gap)


def edge_of_chaos(phi: Activation | str, q: float = 1.0) -> tuple[float, float]:
    """(σ_w², σ_b²) for which q is a fixed point with χ1 = 1.

    σ_w² = 1 / E[φ'²] and σ_b² = q − σ_w² E[φ²]. Signals keep the variance q if they
    have it; whether they return to it, `q_slope` tells: only below 1.
    Raises: UserError if σ_b² would be negative, or if φ' is zero or has no moment.
    References: the module's; Hayou et al. 2019, arXiv:1902.06853.
    """
    slope, sigma_b2 = derivative_moment(phi, q), _critical_bias(phi, q)
    if slope == 0:
        raise UserError(
            f"activation {activation_name(phi)!r} has no slope at q={q:g}: no gradient "
            "passes, whatever the weights"
        )
    if abs(sigma_b2) <= _near_zero(phi, q):
        sigma_b2 = 0.0
    if sigma_b2 < 0:
        where = [at for at in _scan(1e-4, 1e4) if _critical_bias(phi, at) >= 0]
        way_out = "none has one; use gain, without a bias"
        if where:
            way_out = f"use q={min(where, key=lambda at: abs(log(at / q))):.3g}"
        raise UserError(
            f"activation {activation_name(phi)!r} has no edge of chaos at q={q:g}: "
            f"the bias would need the variance {sigma_b2:.4g}; {way_out}"
        )
    return 1 / slope, sigma_b2


def critical_sigma_w2(phi: Activation | str) -> float | None:
    """The σ_w² where order becomes chaos without a bias; None where there is none.

    That is where signals come to a q* with χ1 = 1. For a homogeneous function, such as
    ReLU (2), this is any q. For one like tanh (1), q* is the limit 0: the signal then
    fades slowly, as 1 / depth. For one like sigmoid it is a positive q*. GELU and
    softplus have none: where χ1 = 1, their signal grows or fades away for good.
    """
    small = _at_origin(phi)
    if small is not None:
        return small
    biases = [(q, _critical_bias(phi, q)) for q in _scan(1e-2, 1e3)]
    clear = [(q, bias) for q, bias in biases if abs(bias) > _near_zero(phi, q)]
    for (low, before), (high, after) in pairwise(clear):
        if before * after < 0:
            q = _root(lambda at: _critical_bias(phi, at), low, high)
            sigma_w2 = 1 / derivative_moment(phi, q)
            if abs(q_slope(phi, q, sigma_w2)) < 1:
                return sigma_w2
    return None


def depth_scales(
    phi: Activation | str, sigma_w2: float, sigma_b2: float = 0.0
) -> tuple[float, float]:
    """(ξ_q, ξ_c): layers in which q − q* and c − c* fall by a factor e.

    ξ_q = −1 / log |dq_map/dq| at q*; ξ_c = −1 / log(σ_w² E[φ'(x) φ'(y)]) at c*. At the
    edge of chaos ξ_c is infinite: c − c* falls as a power of the depth instead.
    Raises: UserError if there is no fixed point of q.
    Reference: Schoenholz et al. 2017, arXiv:1611.01232, section 3.
    """
    at_zero = fixed_point_q(phi, sigma_w2, sigma_b2) == 0
    q = _SMALLEST_Q if at_zero else fixed_point_q(phi, sigma_w2, sigma_b2)
    slope = derivative_moment(phi, q)
    if not at_zero:
        slope = pair_moments(phi, fixed_point_c(phi, sigma_w2, sigma_b2), q)[1]
    return _scale(q_slope(phi, q, sigma_w2)), _scale(sigma_w2 * slope)


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
        if q < _SMALLEST_Q and sigma_b2 == 0 and _at_zero(phi) == 0:
            return 0.0
        if q < _SMALLEST_Q**2:
            return 0.0
    return _root(change, q, last)


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


def _critical_bias(phi: Activation | str, q: float) -> float:
    """σ_b² for which q is a fixed point with χ1 = 1; NaN if the moments are missing."""
    found = moments(phi, q)
    return q - found.second / found.derivative if found.derivative else nan


def _near_zero(phi: Activation | str, q: float) -> float:
    return 1e3 * evaluated(phi).tolerance * q


def _at_origin(phi: Activation | str) -> float | None:
    """1 / E[φ'²] for q → 0, if a signal with φ(0) = 0 does not grow from
    there: if σ_w² E[φ²] ≤ q."""
    if _at_zero(phi) != 0:
        return None
    slope = moments(phi, _ORIGIN_Q).derivative
    if not slope > _SMALLEST_Q:
        return None
    ratios = [second_moment(phi, q) / (slope * q) for q in (1e-6, 1e-4, 1e-2)]
    return 1 / slope if max(ratios) <= 1 + _MARGINAL else None


def _at_zero(phi: Activation | str) -> float:
    """φ(0)²."""
    return float(evaluated(phi).both(np.zeros(1))[0][0] ** 2)


def _root(change: Callable[[float], float], low: float, high: float) -> float:
    """Where a function is zero that has different signs at both ends."""
    # Imported here because it takes long, and initializers need it rarely.
    from scipy.optimize import brentq

    tight: dict[str, Any] = {"xtol": 1e-20, "rtol": 1e-13}
    return float(cast(float, brentq(change, low, high, **tight)))


def _scale(rate: float) -> float:
    size = abs(rate)
    if isnan(size) or size >= 1 - _MARGINAL:
        return nan if isnan(size) else inf
    return -1 / log(size) if size > 0 else 0.0


def _scan(low: float, high: float) -> list[float]:
    """Three points a decade."""
    return np.geomspace(low, high, round(3 * log10(high / low)) + 1).tolist()


def _check_variances(sigma_w2: float, sigma_b2: float) -> None:
    check_number("sigma_w2", sigma_w2, least=0)
    check_number("sigma_b2", sigma_b2, least=0)
