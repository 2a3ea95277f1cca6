"""Gaussian moments of an activation at two correlated inputs: the double integral."""

from functools import lru_cache
from math import sqrt

import numpy as np
from jaxtyping import Float

from init_study.activations import Activation
from init_study.errors import UserError, check_number
from init_study.theory.evaluation import activation_name, evaluated
from init_study.theory.moments import moments, panel_edges, root_density
from init_study.theory.quadrature import integrate

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
# Relative to E[φ²], against the same with half as many points.
_STABLE = 1e-7
_MOST_OUTER_PANELS = 4000
_MOST_INNER_POINTS = 1_000_000


def pair_moments(
    phi: Activation | str, c: float, q: float = 1.0
) -> tuple[float, float]:
    """Compute E[φ(x) φ(y)] and E[φ'(x) φ'(y)] of a pair of pre-activations.

    They have the variance q and the correlation c.

    NaN for one that does not exist. The outer integral, over x, is adaptive; the inner
    one, over y given x, breaks at the kinks of φ and is refined until it is stable.

    Raises: UserError as `moments` does, and if c is not between −1 and 1.

    Example:
        >>> product, slopes = pair_moments("relu", -1.0)
        >>> round(product, 6), round(slopes, 6)  # one of x and −x is always cut off
        (0.0, 0.0)
    """
    check_number("c", c, least=-1, most=1)
    alone = moments(phi, q)
    if c == 1:
        return alone.second, alone.derivative
    return _pair_moments(phi, float(c), float(q))


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
    """Integrate over x = √q z outside and, given it, y = √q (c z + s e) inside."""
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
        weights = (half * _WEIGHTS).reshape(len(z), -1) * root_density(e) ** 2
        both = function.both((root * (c * z[:, None] + s * e)).reshape(-1))
        return np.stack([(weights * v.reshape(e.shape)).sum(1) for v in both], 1)

    def in_parts(z: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        points = len(z) * len(_NODES) * (len(steps) + len(kinks))
        parts = np.array_split(z, points // _MOST_INNER_POINTS + 1)
        return np.concatenate([inner(part) for part in parts])

    def outer(z: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        both = np.stack(function.both(root * z), 1)
        return exists * both * in_parts(z) * root_density(z)[:, None] ** 2

    edges = np.unique(np.concatenate([panel_edges(radius), kinks, -kinks]))
    floor = np.nan_to_num([alone.second, alone.derivative])
    tolerance = max(_STABLE / 100, function.tolerance)
    return integrate(outer, edges, tolerance, floor, _MOST_OUTER_PANELS).value
