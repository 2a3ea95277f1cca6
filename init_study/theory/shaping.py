"""Activations shaped for a depth: shifted and scaled for well-behaved correlations.

φ̂(x) = γ (φ(α x + β) + δ), with the four numbers chosen for the map of correlations
between two inputs through all layers. The weights that go with it are orthogonal,
`scaled_delta_orthogonal` for convolutions, or of variance 1 / fan_in.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from math import sqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from init_study.activations import Activation, find_activation
from init_study.errors import UserError, check_count, check_number, unknown
from init_study.theory.evaluation import activation_name, evaluated
from init_study.theory.moments import derivative_moment
from init_study.theory.quadrature import integrate

_EDGES = np.linspace(-10.0, 10.0, 42)
_STARTS = [(a, b) for a in (1.0, 0.5, 0.2, 0.1, 2.0) for b in (0.0, 0.5, -0.5, 1.0)]
_SOLVED = 1e-7
# Beyond it functions are flat, or repeat themselves.
_FARTHEST = 20.0
_TINY = 1e-30


def dks(phi: Activation | str, depth: int, slope: float = 1.5) -> Activation:
    """Deep kernel shaping of an activation, for a chain of `depth` activations.

    At variance 1: the variance stays and its map has the slope 1; uncorrelated inputs
    stay uncorrelated; and the whole chain's correlation map has its largest slope,
    `slope`, at 1.
    Use: in deep plain nets without norms, with smooth functions.
    When not: with residual branches, whose sums it takes to be weighted.

    Args:
        phi: the activation, a function or its name.
        depth: activations in a row.
        slope: ζ of the paper.

    Raises: UserError if no shift and scale do that: for ReLU, and functions near it.
    Reference: Martens et al. 2021, arXiv:2110.01765.

    Example:
        >>> from init_study.theory import second_moment
        >>> shaped = dks("tanh", depth=20)
        >>> shaped.__name__, round(second_moment(shaped), 4)  # keeps the variance 1
        ('dks(tanh, 20)', 1.0)
    """
    check_count("depth", depth)
    check_number("slope", slope, above=1)
    if _is_rectifier(phi):
        raise UserError(
            f"dks({activation_name(phi)}): its scale can be taken out, and three "
            "numbers do not meet four conditions; use tat(relu), or a smooth activation"
        )
    return _shaped("dks", phi, depth, slope)


def tat(
    phi: Activation | str, depth: int, eta: float = 0.9, curvature: float = 0.3
) -> Activation:
    """Tailored activation transformation, for a chain of `depth` activations.

    ReLU becomes the leaky ReLU that brings uncorrelated inputs to the correlation `eta`
    after the chain. A smooth function keeps the variance, with the slope 1 in its map
    and in that of correlations, and the chain's second derivative of correlations at 1
    is `curvature`.
    Use: in deep plain nets without norms; with ReLU as well.
    When not: with residual branches, as `dks`.

    Args:
        phi: the activation, a function or its name.
        depth: activations in a row.
        eta: η of the paper, for ReLU.
        curvature: τ of the paper, for smooth functions.

    Raises: UserError if no shift and scale do that, as for small depths.
    Reference: Zhang, Botev & Martens 2022, arXiv:2203.08120.

    Example:
        >>> from init_study.theory import second_moment
        >>> shaped = tat("relu", depth=20)  # a leaky ReLU
        >>> shaped.__name__, round(second_moment(shaped), 4)
        ('tat(relu, 20)', 1.0)
    """
    check_count("depth", depth)
    check_number("eta", eta, above=0, most=1)
    check_number("curvature", curvature, above=0)
    if _is_rectifier(phi):
        return _tailored_relu(depth, eta)
    try:
        derivative_moment(_derivative(phi))
    except UserError as error:
        raise UserError(
            f"tat({activation_name(phi)}) is for functions with a second derivative: "
            f"{error}"
        ) from error
    return _shaped("tat", phi, depth, curvature)


def shaped_activation(text: str, depth: int | None = None) -> Activation:
    """Find an activation by name, shaped or not.

    Args:
        text: as of `find_activation`, or `tat(NAME)`, `dks(NAME)`, `tat(NAME, DEPTH)`.
        depth: of a model that is one chain; None where it is not, and the text has to
            say it.

    Raises: UserError for what cannot be read, is not there or cannot be shaped.

    Example:
        >>> shaped_activation("tat(relu)", depth=20).__name__
        'tat(relu, 20)'
    """
    call = re.fullmatch(r"(\w+)\(\s*([\w:.]+)\s*(?:,\s*(\d+)\s*)?\)", text.strip())
    if call is None:
        return find_activation(text)
    method, name, own_depth = call.groups()
    if method not in SHAPES:
        raise unknown("shape of activations", method, SHAPES, "tat(NAME) or dks(NAME)")
    layers = int(own_depth) if own_depth else depth
    if layers is None:
        raise UserError(
            f"activation {text!r} is for a plain chain of layers, and this is none: "
            f"say for how many activations in a row, as {method}({name}, 20)"
        )
    find_activation(name)
    return SHAPES[method](name, layers)


SHAPES: dict[str, Callable[..., Activation]] = {"dks": dks, "tat": tat}


def _is_rectifier(phi: Activation | str) -> bool:
    return activation_name(phi) in ("relu", "leaky_relu")


@lru_cache(maxsize=256)
def _tailored_relu(depth: int, eta: float) -> Activation:
    # Imported here because it takes long, and most nets need no shaping.
    from scipy.optimize import brentq

    def leaky(x: Array, slope: float) -> Array:
        scale = sqrt(2 / (1 + slope**2))
        return scale * jnp.where(x >= 0, x, slope * x)

    def excess(slope: float) -> float:
        correlation = 0.0
        for _ in range(depth):
            correlation = _leaky_c_map(correlation, slope)
        return correlation - eta

    if excess(0.0) < 0:
        raise UserError(
            f"tat(relu, {depth}): {depth} ReLUs bring uncorrelated inputs to the "
            f"correlation {excess(0.0) + eta:.3g} only, less than eta={eta:g}; that is "
            "shallow enough for a plain relu"
        )
    slope: Any = brentq(excess, 0.0, 1.0, xtol=1e-12) if eta < 1 else 0.0

    def function(x: ArrayLike) -> Array:
        return leaky(jnp.asarray(x), slope)

    function.__name__ = f"tat(relu, {depth})"
    return function


def _leaky_c_map(c: float, slope: float) -> float:
    """Map a correlation by a leaky ReLU: a mean of ReLU's map and the identity's."""
    share = (1 - slope) ** 2 / (1 + slope**2)
    angle = (sqrt(max(0.0, 1 - c * c)) - c * np.arccos(min(1.0, c))) / np.pi
    return float(c + share * angle)


@lru_cache(maxsize=256)
def _shaped(
    method: str, phi: Activation | str, depth: int, target: float
) -> Activation:
    from scipy.optimize import root

    inner = find_activation(phi) if isinstance(phi, str) else phi
    name = activation_name(phi)
    misses = _dks_misses if method == "dks" else _tat_misses

    def equations(guess: Float[np.ndarray, "2"]) -> Float[np.ndarray, "2"]:
        if not (np.abs(guess) < _FARTHEST).all():
            return np.full(2, _FARTHEST)
        return misses(phi, guess[0], guess[1], depth, target)[0]

    for start in _STARTS:
        found = root(equations, start, tol=1e-12)
        if np.abs(equations(found.x)).max() < _SOLVED:
            break
    else:
        raise UserError(
            f"{method}({name}, {depth}): no shift and scale of {name} has the maps "
            "that it asks for; take a smooth activation as tanh, or tat(relu)"
        )
    into, shift = found.x
    out_scale, out_shift = misses(phi, into, shift, depth, target)[1]
    numbers = tuple(float(n) for n in (into, shift, out_shift, out_scale))

    def function(x: ArrayLike) -> Array:
        into, shift, out_shift, out_scale = numbers
        return out_scale * (inner(into * jnp.asarray(x) + shift) + out_shift)

    function.__name__ = f"{method}({name}, {depth})"
    return function


def _dks_misses(
    phi: Activation | str, into: float, shift: float, depth: int, slope: float
) -> tuple[Float[np.ndarray, "2"], tuple[float, float]]:
    """Compute how far two of the four equations are from holding.

    Returns: the misses, and the scale and shift behind φ that make the others hold.
    """
    m = _moments_of(phi, into, shift)
    variance = max(m.second - m.mean**2, _TINY)
    fourth = m.weighted_second - 2 * m.mean * m.weighted + m.mean**2
    slopes = m.slope / variance - slope ** (1 / depth)
    misses = np.array([fourth / variance - 3, slopes * depth])
    return misses, (1 / sqrt(variance), -m.mean)


def _tat_misses(
    phi: Activation | str, into: float, shift: float, depth: int, curvature: float
) -> tuple[Float[np.ndarray, "2"], tuple[float, float]]:
    m = _moments_of(phi, into, shift)
    # By Poincaré's inequality the slope is never less than the variance.
    slope = max(m.slope, _TINY)
    left = sqrt(max(0.0, slope - m.second + m.mean**2))
    both = []
    for root_of_it in (left, -left):
        out_shift = root_of_it - m.mean
        fourth = m.weighted_second + 2 * out_shift * m.weighted + out_shift**2
        misses = np.array([fourth / slope - 3, m.bend / slope * depth - curvature])
        both.append((misses, (1 / sqrt(slope), out_shift)))
    return min(both, key=lambda option: np.abs(option[0]).sum())


class _Moments(NamedTuple):
    """Moments of ψ(z) = φ(α z + β).

    E[ψ], E[ψ²], E[z² ψ], E[z² ψ²], E[ψ'²], E[ψ''²].
    """

    mean: float
    second: float
    weighted: float
    weighted_second: float
    slope: float
    bend: float


def _moments_of(phi: Activation | str, into: float, shift: float) -> _Moments:
    function, derivative = evaluated(phi), evaluated(_derivative(phi))

    def integrands(z: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 6"]:
        value, slope = function.both(into * z + shift)
        bend = into**2 * derivative.both(into * z + shift)[1]
        density = np.exp(-(z**2) / 2) / sqrt(2 * np.pi)
        columns = (
            value,
            value**2,
            z**2 * value,
            (z * value) ** 2,
            (into * slope) ** 2,
            bend**2,
        )
        return np.stack(columns, 1) * density[:, None]

    # Where φ is not smooth, it mostly is so at 0.
    kink = np.clip(-shift / into if into else 0.0, -10.0, 10.0)
    edges = np.unique([*_EDGES, kink])
    tolerance = max(1e-11, function.tolerance)
    return _Moments(*integrate(integrands, edges, tolerance).value.tolist())


@lru_cache(maxsize=64)
def _derivative(phi: Activation | str) -> Activation:
    inner = find_activation(phi) if isinstance(phi, str) else phi

    def derivative(x: Array) -> Array:
        return jax.jvp(inner, (x,), (jnp.ones_like(x),))[1]

    derivative.__name__ = f"the derivative of {activation_name(phi)}"
    return derivative
