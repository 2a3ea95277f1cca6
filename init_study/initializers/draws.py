"""Standard draws, scaled: what all random laws are made of.

Numbers are drawn by Threefry in float32 and cast afterwards: draws in bfloat16 are
biased, and other generators give other numbers alone than under `vmap`. Compiled or
not, alone or under `vmap`, a key gives the same bits; to rounding only where matrix
products (`orthogonal` and its kin, `gaussian_field`) or several functions of a draw
(`student_t`, `gabor`, complex numbers) make a number.
"""

import math
from collections.abc import Callable
from functools import partial
from math import erf, exp, inf, pi, prod
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array

from init_study.errors import UserError, check_number
from init_study.keys import threefry

Initializer = Callable[..., Array]
Number = float | np.number | Array

_CUT = 2.0
# Of a standard normal cut off at ±c: variance 1 − 2 c φ(c) / (Φ(c) − Φ(−c)).
_CUT_STDDEV = math.sqrt(
    1 - 2 * _CUT * exp(-(_CUT**2) / 2) / math.sqrt(2 * pi) / erf(_CUT / math.sqrt(2))
)
# Of a complex one cut off at modulus c, its square exponential: 1 − c² / (e^(c²) − 1).
_COMPLEX_CUT_STDDEV = math.sqrt(1 - _CUT**2 / math.expm1(_CUT**2))
# Sizes in which numbers are drawn: powers of the one, then multiples of the other.
_STEP, _LARGE = 4, 4**9


def drawn(
    distribution: str | tuple[Callable[..., Array], float],
    stddev: Callable[[tuple[int, ...]], Any],
    dtype: Any = None,
    may_be_complex: bool = False,
) -> Initializer:
    """Make an initializer of standard draws in float32, scaled, then cast.

    Args:
        distribution: in `DISTRIBUTIONS`, or a real draw `(key, shape, dtype)` and its
            standard deviation.
        stddev: of the result, from the shape; it may be traced.
        dtype: of the result where none is asked for; JAX's default if None.
        may_be_complex: whether complex types have this law too.

    Example:
        >>> law = drawn("rademacher", lambda shape: 1 / shape[0])
        >>> np.unique(law(jax.random.key(0), (4, 100))).tolist()
        [-0.25, 0.25]
    """

    def init(key: Array, shape: Any, dtype: Any = dtype) -> Array:
        kind = number_type(dtype) if may_be_complex else floating(dtype)
        draw, standard = _standard(distribution, kind)
        shape = as_shape(shape)
        if 0 in shape:
            return jnp.zeros(shape, kind)
        factor = stddev(shape) / standard
        wide = wide_type(kind)
        if is_traced(factor):
            factor = factor.astype(wide)
        # The same numbers as in this shape, several times faster to compile.
        return _scaled(draw(threefry(key), prod(shape), wide), factor, shape, kind)

    return init


@partial(jax.jit, static_argnums=(2, 3))
def _scaled(numbers: Array, factor: Any, shape: tuple[int, ...], kind: Any) -> Array:
    # Without the barrier a compiler merges the factor into the draw's own constants,
    # and compiled numbers differ from others in the last bit.
    numbers = lax.optimization_barrier(lax.slice_in_dim(numbers, 0, prod(shape)))
    return (numbers * factor).reshape(shape).astype(kind)


def _standard(
    distribution: str | tuple[Callable[..., Array], float], kind: Any
) -> tuple[Callable[..., Array], float]:
    """Choose the draw `(key, count, dtype)` and its standard deviation."""
    if not isinstance(distribution, str):
        draw, standard = distribution
        return lambda key, count, dtype: draw(key, (count,), dtype), standard
    is_complex = jnp.issubdtype(kind, jnp.complexfloating)
    table = COMPLEX_DISTRIBUTIONS if is_complex else DISTRIBUTIONS
    if distribution not in table:
        raise _no_floating(kind, f"the law {distribution} is real")
    draw, standard = table[distribution]
    return lambda key, count, dtype: _at_least(draw, key, count, dtype), standard


def flat(draw: Callable[..., Array], key: Array, count: int, dtype: Any) -> Array:
    """Draw so many standard numbers `[count]`, in a size that many counts share.

    Every number depends on its place alone, so that those of a longer draw begin with
    these, if Threefry is partitionable, as it is by default: a program is compiled for
    each size, and few sizes serve a network.

    Example:
        >>> key = jax.random.key(0)
        >>> some = flat(jax.random.normal, jax.random.clone(key), 5, jnp.float32)
        >>> bool((some == jax.random.normal(key, (5,))).all())
        True
    """
    numbers = _at_least(draw, key, count, dtype)
    return numbers if len(numbers) == count else lax.slice_in_dim(numbers, 0, count)


def _at_least(draw: Callable[..., Array], key: Array, count: int, dtype: Any) -> Array:
    config: Any = jax.config
    size = _size(count) if config.jax_threefry_partitionable else count
    return draw(threefry(key), (size,), dtype)


def _size(count: int) -> int:
    size = 1
    while size < min(count, _LARGE):
        size *= _STEP
    return size if count <= _LARGE else -(-count // _LARGE) * _LARGE


def as_shape(shape: Any) -> tuple[int, ...]:
    """Normalize a shape; a number alone is the only axis.

    Example:
        >>> as_shape(3), as_shape([2, 3])
        ((3,), (2, 3))
    """
    return (int(shape),) if isinstance(shape, SupportsIndex) else tuple(shape)


def check_scale(name: str, value: Any, least: float = -inf) -> None:
    """Check a number as `check_number` does; a traced one has no value yet.

    Raises: UserError for a number that is not finite, or below `least`.

    Example:
        >>> check_scale("stddev", 0.1, least=0)
    """
    if not is_traced(value):
        check_number(name, value, least=least)


def is_traced(value: Any) -> bool:
    """Say whether a number has no value yet, being an argument of a traced function.

    Example:
        >>> is_traced(0.1)
        False
    """
    return isinstance(value, Tracer)


def as_number(value: Any) -> Any:
    """Make a float of a number; a traced one stays as it is.

    Example:
        >>> as_number(2)
        2.0
    """
    return value if is_traced(value) else float(value)


def root(value: Any) -> Any:
    """Take the square root, of a number at once and of a traced one later.

    Example:
        >>> root(4.0)
        2.0
    """
    return jnp.sqrt(value) if is_traced(value) else math.sqrt(value)


def _cut_normal(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    return jax.random.truncated_normal(key, -_CUT, _CUT, shape, dtype)


def _symmetric_uniform(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    return jax.random.uniform(key, shape, dtype, -1.0, 1.0)


def _signs(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    return jax.random.rademacher(key, shape, dtype)


def _disk(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Draw from the uniform law on a disk of radius √2."""
    squares, turns = _polar(key, shape, dtype)
    return jnp.sqrt(2 * squares) * turns


def _cut_complex_normal(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    squares, turns = _polar(key, shape, dtype)
    kept = -math.expm1(-(_CUT**2))
    return jnp.sqrt(-jnp.log1p(-kept * squares)) * turns


def _polar(key: Array, shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array]:
    """Draw uniform numbers, and points on the unit circle, both complex in type."""
    radius_key, angle_key = jax.random.split(key)
    real = jnp.finfo(dtype).dtype
    squares = jax.random.uniform(radius_key, shape, real).astype(dtype)
    angles = 2 * pi * jax.random.uniform(angle_key, shape, real)
    return squares, lax.complex(jnp.cos(angles), jnp.sin(angles))


def wide_type(dtype: Any) -> Any:
    """Choose the type to compute in: single precision, but double for double."""
    kind = number_type(dtype)
    double = kind in (jnp.float64, jnp.complex128)
    if jnp.issubdtype(kind, jnp.complexfloating):
        return jnp.complex128 if double else jnp.complex64
    return jnp.float64 if double else jnp.float32


def number_type(dtype: Any) -> Any:
    """Normalize a real or complex floating type; None is JAX's default.

    Raises: UserError for a type that is not a floating one.
    """
    kind = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    if not jnp.issubdtype(kind, jnp.inexact):
        raise _no_floating(kind)
    return kind


def floating(dtype: Any) -> Any:
    """Normalize a real floating type; None is JAX's default.

    Raises: UserError for a type that is not a floating one, or complex.
    """
    kind = number_type(dtype)
    if jnp.issubdtype(kind, jnp.complexfloating):
        raise _no_floating(kind, "this law is real")
    return kind


def _no_floating(kind: Any, why: str = "") -> UserError:
    reason = f"; {why}" if why else ""
    return UserError(
        f"dtype {kind} is not a floating one; use float32 or bfloat16{reason}"
    )


# A standard draw, and its standard deviation.
DISTRIBUTIONS: dict[str, tuple[Callable[..., Array], float]] = {
    "normal": (jax.random.normal, 1.0),
    "truncated_normal": (_cut_normal, _CUT_STDDEV),
    "uniform": (_symmetric_uniform, 1 / math.sqrt(3)),
    "laplace": (jax.random.laplace, math.sqrt(2)),
    "rademacher": (_signs, 1.0),
}
COMPLEX_DISTRIBUTIONS: dict[str, tuple[Callable[..., Array], float]] = {
    "normal": (jax.random.normal, 1.0),
    "truncated_normal": (_cut_complex_normal, _COMPLEX_CUT_STDDEV),
    "uniform": (_disk, 1.0),
}
