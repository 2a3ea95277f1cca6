"""Integrals of several functions at once, refined where they are not smooth."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


def _lobatto(n: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Compute Gauss-Lobatto nodes and weights on [−1, 1], both ends included."""
    legendre = np.polynomial.Legendre.basis(n - 1)
    nodes = np.concatenate([[-1.0], np.sort(legendre.deriv().roots().real), [1.0]])
    return nodes, 2 / (n * (n - 1) * legendre(nodes) ** 2)


def _antiderivative(nodes: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n n"]:
    """Make a matrix from values at nodes to integrals from −1 to each node.

    Exact for polynomials of the nodes' degree.
    """
    legendre = np.polynomial.legendre
    size = np.eye(len(nodes))
    integrals = legendre.legval(nodes, legendre.legint(size, lbnd=-1, axis=0))
    return np.linalg.solve(legendre.legvander(nodes, len(nodes) - 1).T, integrals)


# With the ends: a kink between an end and the first node inside would go unseen.
_NODES, _WEIGHTS = _lobatto(10)
_ANTIDERIVATIVE = _antiderivative(_NODES)
# A panel around a kink is halved until it is as narrow as floating point allows.
_NARROWEST = 1e-13
_NARROWEST_AT_ZERO = 1e-30
_MANY_TOLERANCES = 1e3
# In widths of a first panel: narrower ones are there because of a break.
_AT_BREAK = 1e-3


class Integral(NamedTuple):
    """Integrals of m functions, and where they are not smooth.

    Attributes:
        value: NaN where the integral does not converge or a function is not finite.
        scale: sum of the panels' absolute integrals.
        ends: absolute integral over the outermost two panels.
        breaks: where the functions are not smooth, or steeper than the first panels
            resolve: a mesh for others to use, empty if the first panels were enough.
        panels: the final ones, left and right ends, in no order.
    """

    value: Float[np.ndarray, " m"]
    scale: Float[np.ndarray, " m"]
    ends: Float[np.ndarray, " m"]
    breaks: Float[np.ndarray, " k"]
    panels: Float[np.ndarray, "p 2"]


def integrate(
    function: Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, "n m"]],
    edges: Float[np.ndarray, " p"],
    tolerance: float,
    floor: Float[np.ndarray, " m"] | float = 0.0,
    most_panels: int = 100_000,
) -> Integral:
    """Integrate by Gauss-Lobatto quadrature, 10 nodes a panel, a level at a time.

    A panel counts as done when its halves together agree with it, to `tolerance` of
    the whole; otherwise the halves go on as panels of the next level.

    Args:
        function: from points to the values of m functions.
        edges: of the first panels, increasing; known kinks belong to them.
        tolerance: of one panel, relative to `scale`.
        floor: the least that `scale` counts as, where the whole may be tiny.
        most_panels: after which the rest is taken as it is.

    Example:
        >>> square = lambda x: x[:, None] ** 2
        >>> integrate(square, np.array([0.0, 3.0]), 1e-10).value.round(6).tolist()
        [9.0]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _integrate(function, edges, tolerance, floor, most_panels)


def _integrate(
    function: Callable[[np.ndarray], np.ndarray],
    edges: np.ndarray,
    tolerance: float,
    floor: np.ndarray | float,
    most_panels: int,
) -> Integral:
    left, right = edges[:-1], edges[1:]
    coarse = _panels(function, left, right)
    ends = np.abs(coarse[[0, -1]]).sum(0)
    widest = (right - left).max()
    done, scale_done, doubt = (np.zeros(coarse.shape[1]) for _ in range(3))
    stopped, count = [], len(left)
    while len(left):
        middle = (left + right) / 2
        count += 2 * len(left)
        halves = _panels(
            function, np.concatenate([left, middle]), np.concatenate([middle, right])
        ).reshape(2, len(left), -1)
        fine = halves.sum(0)
        difference = np.abs(fine - coarse)
        scale = np.maximum(floor, scale_done + np.abs(fine).sum(0))
        narrow = right - left <= np.maximum(
            _NARROWEST * np.abs(middle), _NARROWEST_AT_ZERO
        )
        # What is not finite cannot get better.
        good = (difference <= tolerance * scale) | ~np.isfinite(difference)
        stop = narrow | good.all(1) | (count > most_panels)
        done += fine[stop].sum(0)
        scale_done += np.abs(fine[stop]).sum(0)
        doubt += difference[stop].sum(0)
        stopped.append(np.stack([left, right], 1)[stop])
        go_on = ~stop
        coarse = np.concatenate(list(halves[:, go_on]))
        left, right = (
            np.concatenate([left[go_on], middle[go_on]]),
            np.concatenate([middle[go_on], right[go_on]]),
        )
    allowed = _MANY_TOLERANCES * tolerance * np.maximum(floor, scale_done)
    converged = doubt <= allowed
    value = np.where(converged & np.isfinite(done), done, np.nan)
    panels = np.concatenate(stopped)
    return Integral(value, scale_done, ends, _breaks(panels, widest), panels)


def misfits(
    both: Callable[[Float[np.ndarray, " n"]], tuple[np.ndarray, np.ndarray]],
    left: Float[np.ndarray, " p"],
    right: Float[np.ndarray, " p"],
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """Compare what a function rises within panels with the integral of its derivative.

    Both at the nodes of the quadrature, so a jump cannot hide in a panel however the
    two ends lie.

    Args:
        both: from points to a function's values and its derivative's.
        left: ends of the panels.
        right: their other ends.

    Returns: the largest difference in each panel, and the largest value there.

    Example:
        >>> step = lambda x: (np.sign(x), 0 * x)
        >>> ends = np.array([-1.0, 1.0]), np.array([1.0, 2.0])
        >>> difference, size = misfits(step, *ends)
        >>> difference.tolist(), size.tolist()
        ([2.0, 0.0], [1.0, 1.0])
    """
    points, half = _points(left, right)
    values, slopes = (part.reshape(points.shape) for part in both(points.reshape(-1)))
    with np.errstate(over="ignore", invalid="ignore"):
        risen = half[:, None] * (slopes @ _ANTIDERIVATIVE)
        difference = np.abs(values - values[:, :1] - risen).max(1)
        return difference, np.abs(values).max(1)


def _panels(
    function: Callable[[np.ndarray], np.ndarray], left: np.ndarray, right: np.ndarray
) -> Float[np.ndarray, "p m"]:
    points, half = _points(left, right)
    values = function(points.reshape(-1)).reshape(*points.shape, -1)
    return np.einsum("pnm,n,p->pm", values, _WEIGHTS, half)


def _points(
    left: np.ndarray, right: np.ndarray
) -> tuple[Float[np.ndarray, "p 10"], Float[np.ndarray, " p"]]:
    """Lay out the nodes of panels; beside them stand half their widths."""
    half = (right - left) / 2
    return ((left + right) / 2)[:, None] + half[:, None] * _NODES, half


def _breaks(panels: Float[np.ndarray, "p 2"], widest: float) -> Float[np.ndarray, " k"]:
    """Find the edges of panels that were halved.

    Of those crowded around a kink, only the middle of the narrowest.
    """
    panels = panels[panels[:, 0].argsort()]
    widths = panels[:, 1] - panels[:, 0]
    edges = panels[(widths < 0.75 * widest) & (widths >= _AT_BREAK * widest)]
    crowded = panels[widths < _AT_BREAK * widest]
    starts = np.flatnonzero(np.diff(crowded[:, 0]) > 10 * _AT_BREAK * widest) + 1
    groups = [group for group in np.split(crowded, starts) if len(group)]
    kinks = [group[np.diff(group).argmin()].mean() for group in groups]
    return np.unique(np.concatenate([edges.reshape(-1), np.array(kinks)]))
