"""The edge of chaos: the weights and biases that lie between order and chaos.

Notation is that of `maps`.
"""

from itertools import pairwise
from math import log, log10, nan

import numpy as np

from init_study.activations import Activation
from init_study.errors import UserError, check_number
from init_study.theory.evaluation import activation_name, evaluated
from init_study.theory.fixed_points import (
    MARGINAL,
    SMALLEST_Q,
    fixed_point_q,
    root_between,
    square_at_zero,
)
from init_study.theory.moments import derivative_moment, moments

# Where φ is straight on either side of zero, to ten digits.
_ORIGIN_Q = 1e-20


def critical_variances(phi: Activation | str, q: float = 1.0) -> tuple[float, float]:
    """Find (σ_w², σ_b²) for which q is a fixed point with χ1 = 1.

    σ_w² = 1 / E[φ'²] and σ_b² = q − σ_w² E[φ²]. Signals keep the variance q if they
    have it; whether they return to it, `q_slope` tells: only below 1.

    Args:
        phi: a function, or a name that `find_activation` knows.
        q: the variance of pre-activations.

    Raises: UserError if σ_b² would be negative, or if φ' is zero or has no moment.
    References: the module's; Hayou et al. 2019, arXiv:1902.06853.

    Example:
        >>> sigma_w2, sigma_b2 = critical_variances("relu")
        >>> round(sigma_w2, 6), sigma_b2
        (2.0, 0.0)
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


def critical_at_bias(phi: Activation | str, sigma_b2: float) -> tuple[float, float]:
    """Find (σ_w², q) where χ1 = 1 for biases of a given variance.

    q is the fixed point there: the least one, if there are several, as far as q lies
    between 1e-4 and 1e4. Without a bias it is what `critical_sigma_w2` says, and 0
    where signals fade as 1 / depth.

    Args:
        phi: a function, or a name that `find_activation` knows.
        sigma_b2: σ_b², the variance of biases.

    Raises: UserError if there is none, as for ReLU with any bias.
    References: the module's; Schoenholz et al. 2017, arXiv:1611.01232.

    Example:
        >>> sigma_w2, q = critical_at_bias("tanh", 0.05)
        >>> round(sigma_w2, 4), round(critical_variances("tanh", q)[1], 6)
        (1.761, 0.05)
    """
    check_number("sigma_b2", sigma_b2, least=0)
    name = activation_name(phi)
    if sigma_b2 == 0:
        sigma_w2 = critical_sigma_w2(phi)
        if sigma_w2 is None:
            raise UserError(
                f"activation {name!r} has no edge of chaos without a bias; use one of "
                "a variance above 0, or gain"
            )
        return sigma_w2, fixed_point_q(phi, sigma_w2)
    if _is_broken(phi):
        derivative_moment(phi)  # Says why there is none.
    biases = [(q, _critical_bias(phi, q)) for q in _scan(1e-4, 1e4)]
    for (low, before), (high, after) in pairwise(biases):
        if (before - sigma_b2) * (after - sigma_b2) <= 0:
            q = root_between(lambda at: _critical_bias(phi, at) - sigma_b2, low, high)
            return 1 / derivative_moment(phi, q), q
    clear = [bias for q, bias in biases if bias > _near_zero(phi, q)]
    way_out = "use sigma_b2=0, or gain"
    if clear:
        way_out = f"it has one from sigma_b2={min(clear):.3g} to {max(clear):.3g}"
    raise UserError(
        f"activation {name!r} has no edge of chaos at sigma_b2={sigma_b2:g}; {way_out}"
    )


def critical_sigma_w2(phi: Activation | str) -> float | None:
    """Find the σ_w² where order becomes chaos without a bias; None where there is none.

    That is where signals come to a q* with χ1 = 1. For a homogeneous function, such as
    ReLU (2), this is any q. For one like tanh (1), q* is the limit 0: the signal then
    fades slowly, as 1 / depth. For one like sigmoid it is a positive q*. GELU and
    softplus have none: where χ1 = 1, their signal grows or fades away for good.

    Example:
        >>> round(critical_sigma_w2("tanh"), 6), critical_sigma_w2("softplus")
        (1.0, None)
    """
    if _is_broken(phi):
        return None
    small = _at_origin(phi)
    if small is not None:
        return small
    biases = [(q, _critical_bias(phi, q)) for q in _scan(1e-2, 1e3)]
    clear = [(q, bias) for q, bias in biases if abs(bias) > _near_zero(phi, q)]
    for (low, before), (high, after) in pairwise(clear):
        if before * after < 0:
            q = root_between(lambda at: _critical_bias(phi, at), low, high)
            found = moments(phi, q)
            if abs(found.weighted - found.second) / (2 * q * found.derivative) < 1:
                return 1 / found.derivative
    return None


def _critical_bias(phi: Activation | str, q: float) -> float:
    """Find σ_b² for which q is a fixed point with χ1 = 1; NaN without the moments."""
    found = moments(phi, q)
    return q - found.second / found.derivative if found.derivative else nan


def _is_broken(phi: Activation | str) -> bool:
    """Tell whether φ jumps, or its derivative is NaN: no E[φ'²], whatever q is."""
    return moments(phi).jump is not None or evaluated(phi).undefined_slope is not None


def _near_zero(phi: Activation | str, q: float) -> float:
    return 1e3 * evaluated(phi).tolerance * q


def _at_origin(phi: Activation | str) -> float | None:
    """Compute 1 / E[φ'²] for q → 0, if a signal does not grow from there.

    That is, if φ(0) = 0 and σ_w² E[φ²] ≤ q; else None.
    """
    if square_at_zero(phi) != 0:
        return None
    slope = moments(phi, _ORIGIN_Q).derivative
    if not slope > SMALLEST_Q:
        return None
    ratios = [moments(phi, q).second / (slope * q) for q in (1e-6, 1e-4, 1e-2)]
    return 1 / slope if all(ratio <= 1 + MARGINAL for ratio in ratios) else None


def _scan(low: float, high: float) -> list[float]:
    """Lay out three points a decade."""
    return np.geomspace(low, high, round(3 * log10(high / low)) + 1).tolist()
