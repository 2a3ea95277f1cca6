"""Laws that keep norms exactly: orthogonal matrices, and convolutions made of them.

Random ones follow Haar's measure, the uniform law on orthogonal matrices: the QR
decomposition of a Gaussian with the signs of R's diagonal made positive. Decompositions
run one member at a time under `vmap`: batched ones can hang on CPU.
"""

from math import prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, Inexact, PRNGKeyArray

from init_study.errors import UserError
from init_study.initializers.draws import (
    Initializer,
    Number,
    as_shape,
    check_scale,
    flat,
    is_traced,
    number_type,
    wide_type,
)
from init_study.initializers.fans import Fans, check_fans, fans, known_fans

# Gaussians this much taller than wide are so well conditioned that Cholesky's way to
# the same Q, a few matrix products, is exact too; it is several times faster. Between
# the two it takes a second round to be.
_TALL, _VERY_TALL = 2, 4


def orthogonal(
    gain: Number = 1.0,
    column_axis: int = -1,
    dtype: Any = None,
    *,
    scale: Number | None = None,
    groups: int = 1,
    fans: Fans = None,
) -> Initializer:
    """Orthogonal matrix `[fan_in, out]`, uniformly drawn (by Haar's measure).

    Preserves: a dense layer with in ≤ out keeps ‖x W‖ = gain ‖x‖; with in ≥ out, WᵀW is
    the identity times gain², and each output the mean square of the input times gain².
    Where out > fan_in outputs are smaller than that, by fan_in / out in mean square:
    see `scaled_orthogonal`. For convolutions the matrix is orthogonal, not the
    convolution itself: see `delta_orthogonal`. Groups are drawn each for itself. Where
    the operation has fewer inputs to an output than the kernel, as in transposed
    convolutions, its scheme multiplies by the root of their ratio.
    Use: in deep linear or tanh nets, and where in = out.
    When not: where layers widen; then `scaled_orthogonal`.

    Args:
        gain: the factor.
        column_axis: the axis of the outputs.
        dtype: of the result where none is asked for.
        scale: JAX's name of `gain`.
        groups: of a grouped convolution.
        fans: as of `variance_scaling`.

    Raises: UserError, when called, for a shape without fans.
    Reference: Saxe, McClelland & Ganguli 2014, arXiv:1312.6120.

    Example:
        >>> kernel = orthogonal()(jax.random.key(0), (4, 3))
        >>> bool(jnp.allclose(kernel.T @ kernel, jnp.eye(3), atol=1e-5))
        True
    """
    factor = either_name(gain, scale)
    return _orthogonal(lambda rows, columns: factor, groups, fans, column_axis, dtype)


def scaled_orthogonal(
    gain: Number = 1.0, groups: int = 1, fans: Fans = None
) -> Initializer:
    """Orthogonal matrix, times √(out / fan_in) where a layer widens (SUO).

    Preserves: every output has the mean square of the inputs times gain², whether the
    layer widens or narrows; fan_in Var(W) = gain².
    Use: as `orthogonal`, where layers widen.
    When not: for exact isometry of convolutions: see `delta_orthogonal`.
    Reference: Martens et al. 2021, arXiv:2110.01765 (scaled uniform orthogonal).

    Example:
        >>> kernel = scaled_orthogonal()(jax.random.key(0), (2, 8))
        >>> bool(jnp.allclose(kernel @ kernel.T, 4 * jnp.eye(2), atol=1e-5))
        True
    """
    check_scale("gain", gain)
    return _orthogonal(
        lambda rows, columns: gain * max(1.0, sqrt(columns / rows)), groups, fans
    )


def either_name(gain: Number, scale: Number | None) -> Number:
    """Choose the factor that was given, by our name or by JAX's.

    Example:
        >>> either_name(1.0, None), either_name(1.0, 3.0)
        (1.0, 3.0)
    """
    factor = gain if scale is None else scale
    check_scale("gain" if scale is None else "scale", factor)
    return factor


def thinning(shape: tuple[int, ...], groups: int, given: Fans) -> float:
    """Find what makes up for taps that an output does not have, on average.

    Args:
        shape: of the kernel.
        groups: of a grouped convolution.
        given: fans, as of `variance_scaling`.

    Example:
        >>> thinning((4, 4, 16, 8), 1, (64, 128))  # stride 2, transposed: √(256 / 64)
        2.0
    """
    counted, known = fans(shape, groups)[0], known_fans(given, shape, groups)[0]
    return sqrt(counted / known)


def _orthogonal(
    scale: Any,
    groups: int,
    known: Fans = None,
    column_axis: int = -1,
    dtype: Any = None,
) -> Initializer:
    check_fans(known)

    def init(key: PRNGKeyArray, shape: Any, dtype: Any = dtype) -> Array:
        kind, wide = number_type(dtype), wide_type(dtype)
        shape = as_shape(shape)
        if 0 in shape:
            return jnp.zeros(shape, kind)
        moved = _columns_last(shape, column_axis)
        fans(moved, groups)
        rows, columns = prod(moved[:-1]), moved[-1] // groups
        tall, narrow = max(rows, columns), min(rows, columns)
        normals = flat(jax.random.normal, key, groups * tall * narrow, wide)
        matrices = _haar_of_each(normals.reshape(groups, tall, narrow))
        if rows < columns:
            matrices = matrices.transpose(0, 2, 1)
        factor = scale(rows, columns) * thinning(moved, groups, known)
        if is_traced(factor):
            factor = factor.astype(wide)
        # Without the barrier a compiler merges the factor into the decomposition's
        # last step, and compiled numbers differ from others in the last bit.
        kernel = lax.optimization_barrier(matrices) * factor
        # Group by group along the outputs.
        kernel = kernel.transpose(1, 0, 2).reshape(moved)
        return jnp.moveaxis(kernel, -1, column_axis).astype(kind)

    return init


def _columns_last(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    if not -len(shape) <= axis < len(shape):
        raise UserError(f"column_axis={axis}: shape {shape} has no such axis")
    place = axis % len(shape)
    return (*shape[:place], *shape[place + 1 :], shape[place])


def _haar_of_each(
    normals: Inexact[Array, "groups tall narrow"],
) -> Inexact[Array, "groups tall narrow"]:
    if normals.shape[-1] == 1:
        norms = jnp.sqrt(jnp.sum(jnp.abs(normals) ** 2, 1, keepdims=True))
        return lax.optimization_barrier(normals) / norms.astype(normals.dtype)
    if len(normals) == 1:
        return haar(normals[0])[None]
    return lax.map(haar, normals)


# Compiled once per shape, outside of `jit` too: a loop over members is compiled anew at
# each call otherwise, which takes longer than all its decompositions.
@jax.jit
@sequential_vmap
def haar(
    normals: Inexact[Array, "tall narrow"],
) -> Inexact[Array, "tall narrow"]:
    """Find Q of the QR decomposition with a positive diagonal of R.

    Example:
        >>> haar(jnp.array([[-2.0, 0.0], [0.0, 3.0]])).tolist()
        [[-1.0, 0.0], [0.0, 1.0]]
    """
    tall, narrow = normals.shape
    if tall >= _TALL * narrow:
        q = _cholesky_q(normals)
        return q if tall >= _VERY_TALL * narrow else _cholesky_q(q)
    q, r = jnp.linalg.qr(normals)
    diagonal = jnp.diagonal(r)
    if jnp.iscomplexobj(q):
        return q * (diagonal / jnp.abs(diagonal).astype(q.dtype))[None]
    signs = jnp.where(diagonal < 0, -1.0, 1.0).astype(q.dtype)
    return q * signs[None]


def _cholesky_q(a: Inexact[Array, "tall narrow"]) -> Inexact[Array, "tall narrow"]:
    """Find the same Q as A R⁻¹, from AᴴA = RᴴR with a positive diagonal of R."""
    product = jnp.matmul(a.conj().T, a, precision=lax.Precision.HIGHEST)
    lower = jnp.linalg.cholesky(product)
    return lax.linalg.triangular_solve(
        lower, a, left_side=False, lower=True, transpose_a=True, conjugate_a=True
    )
