"""Integrals of several functions at once, refined where they are not smooth."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)
# A panel around a kink is halved until it is as narrow as floating point allows.
_NARROWEST = 1e-13
_NARROWEST_AT_ZERO = 1e-30
_MOST_PANELS = 100_000
_MANY_TOLERANCES = 1e3


class Integral(NamedTuple):
    """Of m functions.

    Attributes:
        value: NaN where the integral does not converge or a function is not finite.
        scale: sum of the panels' absolute integrals.
        ends: absolute integral over the outermost two panels.
        breaks: where panels had to be halved to the end: kinks and jumps.
    """

    value: Float[np.ndarray, " m"]
    scale: Float[np.ndarray, " m"]
    ends: Float[np.ndarray, " m"]
    breaks: Float[np.ndarray, " k"]


def integrate(
    function: Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, "n m"]],
    edges: Float[np.ndarray, " p"],
    tolerance: float,
) -> Integral:
    """Gauss-Legendre quadrature with 8 nodes a panel, all panels of a level at once.

    A panel counts as done when its halves together agree with it, to `tolerance` of
    the whole; otherwise the halves go on as panels of the next level.

    Args:
        function: from points to the values of m functions.
        edges: of the first panels, increasing; known kinks belong to them.
        tolerance: of one panel, relative to `scale`.
    """
    left, right = edges[:-1], edges[1:]
    coarse = _panels(function, left, right)
    ends = np.abs(coarse[[0, -1]]).sum(0)
    done, scale_done, doubt = (np.zeros(coarse.shape[1]) for _ in range(3))
    breaks, count = [], len(left)
    while len(left):
        middle = (left + right) / 2
        count += 2 * len(left)
        halves = _panels(
            function, np.concatenate([left, middle]), np.concatenate([middle, right])
        ).reshape(2, len(left), -1)
        fine = halves.sum(0)
        difference = np.abs(fine - coarse)
        scale = scale_done + np.abs(fine).sum(0)
        narrow = right - left <= np.maximum(
            _NARROWEST * np.abs(middle), _NARROWEST_AT_ZERO
        )
        # What is not finite cannot get better.
        good = (difference <= tolerance * scale) | ~np.isfinite(difference)
        stop = narrow | good.all(1) | (count > _MOST_PANELS)
        done += fine[stop].sum(0)
        scale_done += np.abs(fine[stop]).sum(0)
        doubt += difference[stop].sum(0)
        breaks.extend(middle[stop & narrow])
        go_on = ~stop
        coarse = np.concatenate(list(halves[:, go_on]))
        left, right = (
            np.concatenate([left[go_on], middle[go_on]]),
            np.concatenate([middle[go_on], right[go_on]]),
        )
    converged = doubt <= _MANY_TOLERANCES * tolerance * scale_done
    value = np.where(converged & np.isfinite(done), done, np.nan)
    return Integral(value, scale_done, ends, _distinct(np.array(breaks)))


def _panels(
    function: Callable[[np.ndarray], np.ndarray], left: np.ndarray, right: np.ndarray
) -> Float[np.ndarray, "p m"]:
    half = (right - left) / 2
    points = ((left + right) / 2)[:, None] + half[:, None] * NODES
    values = function(points.reshape(-1)).reshape(*points.shape, -1)
    return np.einsum("pnm,n,p->pm", values, WEIGHTS, half)


def _distinct(points: Float[np.ndarray, " n"]) -> Float[np.ndarray, " k"]:
    points = np.sort(points)
    near = np.diff(points) < 1e-10
    return points[np.concatenate([[True], ~near])] if len(points) else points
