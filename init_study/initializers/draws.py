"""Standard draws, scaled: what all random laws are made of.

Numbers are drawn in float32 and cast afterwards: draws in bfloat16 are biased. Compiled
or not, alone or under `vmap`, a key gives the same bits; to rounding only where matrix
products (`orthogonal` and its kin, `gaussian_field`) or several functions of a draw
(`student_t`, `gabor`) make a number.
"""

from collections.abc import Callable
from math import erf, exp, pi, prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError

Initializer = Callable[..., Array]

_CUT = 2.0
# Of a standard normal cut off at ±c: variance 1 − 2 c φ(c) / (Φ(c) − Φ(−c)).
_CUT_STDDEV = sqrt(
    1 - 2 * _CUT * exp(-(_CUT**2) / 2) / sqrt(2 * pi) / erf(_CUT / sqrt(2))
)


def drawn(
    distribution: str | tuple[Callable[..., Array], float],
    stddev: Callable[[tuple[int, ...]], float],
) -> Initializer:
    """Make an initializer of standard draws in float32, scaled, then cast.

    Args:
        distribution: in `DISTRIBUTIONS`, or a draw `(key, shape, dtype)` and its
            standard deviation.
        stddev: of the result, from the shape.

    Example:
        >>> law = drawn("rademacher", lambda shape: 1 / shape[0])
        >>> np.unique(law(jax.random.key(0), (4, 100))).tolist()
        [-0.25, 0.25]
    """
    named = isinstance(distribution, str)
    draw, standard = DISTRIBUTIONS[distribution] if named else distribution

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        kind, wide = floating(dtype), wide_type(dtype)
        factor = stddev(tuple(shape)) / standard
        # The same numbers as in this shape, several times faster to compile.
        numbers = draw(key, (prod(shape),), wide)
        # Without the barrier a compiler merges the factor into the draw's own
        # constants, and compiled numbers differ from others in the last bit.
        numbers = jax.lax.optimization_barrier(numbers)
        return (numbers * factor).reshape(shape).astype(kind)

    return init


def _cut_normal(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
    return jax.random.truncated_normal(key, -_CUT, _CUT, shape, dtype)


def _symmetric_uniform(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
    return jax.random.uniform(key, shape, dtype, -1.0, 1.0)


def _signs(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
    return jax.random.rademacher(key, shape, dtype)


def wide_type(dtype: Any) -> Any:
    """Choose the type to compute in: float64 for float64, float32 for all others."""
    return jnp.float64 if floating(dtype) == jnp.float64 else jnp.float32


def floating(dtype: Any) -> Any:
    """Normalize a floating type; None is float32.

    Raises: UserError for a type that is not a floating one.
    """
    kind = jnp.dtype(jnp.float32 if dtype is None else dtype)
    if not jnp.issubdtype(kind, jnp.floating):
        raise UserError(f"dtype {kind} is not a floating one; use float32 or bfloat16")
    return kind


# A standard draw, and its standard deviation.
DISTRIBUTIONS: dict[str, tuple[Callable[..., Array], float]] = {
    "normal": (jax.random.normal, 1.0),
    "truncated_normal": (_cut_normal, _CUT_STDDEV),
    "uniform": (_symmetric_uniform, 1 / sqrt(3)),
    "laplace": (jax.random.laplace, sqrt(2)),
    "rademacher": (_signs, 1.0),
}
