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
    floating,
    number_type,
    threefry,
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
    factor = _factor(gain, scale)
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


def delta_orthogonal(
    gain: Number = 1.0,
    column_axis: int = -1,
    dtype: Any = None,
    *,
    scale: Number | None = None,
    groups: int = 1,
    tap: tuple[int, ...] | None = None,
) -> Initializer:
    """Orthogonal matrix at the kernel's centre, zero elsewhere.

    Preserves: ‖W*x‖ = gain ‖x‖ for every image where in ≤ out, if the stride is 1 and
    the tap stays inside (SAME or circular padding, a transposed convolution): an exact
    isometry at any depth. Where in > out no kernel can do that; then its columns are
    orthonormal, so that every output has the mean square of the inputs times gain².
    A scheme takes the tap that leaves the image in place, for any padding. In a bare
    kernel the centre is tap (k − 1) // 2, which SAME padding leaves in place.
    Use: in very deep nets without norms; it loses nothing at borders.
    When not: behind strides, which drop pixels that a single tap cannot bring back.
    Kernel layout: [height, width, in / groups, out], or [in, out].

    Args:
        gain: the factor.
        column_axis: the axis of the outputs, in a kernel without groups.
        dtype: of the result where none is asked for.
        scale: JAX's name of `gain`.
        groups: of a grouped convolution.
        tap: the place of the matrix; the centre if None.

    Reference: Xiao et al. 2018, arXiv:1806.05393, algorithm 2.

    Example:
        >>> kernel = delta_orthogonal()(jax.random.key(0), (3, 3, 4, 8))
        >>> np.argwhere(np.any(kernel, (2, 3))).tolist()  # the taps in use
        [[1, 1]]
    """
    inner = orthogonal(_factor(gain, scale), column_axis, groups=groups)
    return at_centre(inner, tap, dtype)


def scaled_delta_orthogonal(
    gain: Number = 1.0,
    groups: int = 1,
    tap: tuple[int, ...] | None = None,
    fans: Fans = None,
) -> Initializer:
    """Scaled orthogonal matrix at the kernel's centre, zero elsewhere.

    The matrix is that of `scaled_orthogonal`, the tap that of `delta_orthogonal`.
    Preserves: every output has the mean square of the inputs times gain², also where
    the layer widens.
    Use: as `delta_orthogonal`, where layers widen.
    When not: where an isometry is wanted: a widening layer gains √(out / in).
    Reference: Martens et al. 2021, arXiv:2110.01765 (SUO-delta).

    Example:
        >>> kernel = scaled_delta_orthogonal()(jax.random.key(0), (3, 3, 2, 8))
        >>> centre = kernel[1, 1]
        >>> bool(jnp.allclose(centre @ centre.T, 4 * jnp.eye(2), atol=1e-5))
        True
    """
    check_scale("gain", gain)
    check_fans(fans)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        thinned = gain * _thinning(as_shape(shape), groups, fans)
        return at_centre(scaled_orthogonal(thinned, groups), tap)(key, shape, dtype)

    return init


def orthogonal_convolution(gain: Number = 1.0) -> Initializer:
    """Orthogonal convolution with all taps in use.

    The product of an orthogonal matrix and of k − 1 factors per axis, each a
    convolution of two taps P and I − P with a random projector P.
    Preserves: ‖W*x‖ = gain ‖x‖ for every image with circular padding and stride 1.
    Use: for isometry with all taps in use, under circular padding.
    When not: with zero padding, where borders lose; where layers narrow.
    Kernel layout: [height, width, in, out], in ≤ out; without groups.

    Raises: UserError, when called, for another layout, with both numbers.
    Reference: Xiao et al. 2018, arXiv:1806.05393, algorithm 1, with factors along one
    axis at a time.

    Example:
        >>> law = orthogonal_convolution()
        >>> layer = nn.Conv(6, (3, 3), padding="CIRCULAR", kernel_init=law)
        >>> images = jnp.ones((1, 5, 5, 4))  # of norm √100
        >>> outputs, _ = layer.init_with_output(jax.random.key(0), images)
        >>> round(float(jnp.linalg.norm(outputs)), 3)
        10.0
    """
    check_scale("gain", gain)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        kind, wide = floating(dtype), wide_type(dtype)
        fans(shape)
        inputs, outputs = shape[-2:]
        if inputs > outputs:
            raise UserError(
                f"orthogonal_convolution keeps norms, which {inputs} inputs and "
                f"{outputs} outputs do not allow (shape {tuple(shape)}); use "
                "delta_orthogonal, which says what it does there"
            )
        first, *rest = jax.random.split(
            threefry(key), 1 + sum(size - 1 for size in shape[:-2])
        )
        kernel = _haar(jax.random.normal(first, (outputs, outputs), wide))[:inputs]
        kernel = kernel.reshape(*(1 for _ in shape[:-2]), inputs, outputs)
        for axis, size in enumerate(shape[:-2]):
            for _ in range(size - 1):
                kernel = _lengthen(rest.pop(), kernel, axis)
        return (lax.optimization_barrier(kernel) * gain).astype(kind)

    return init


def at_centre(
    inner: Initializer, tap: tuple[int, ...] | None = None, dtype: Any = None
) -> Initializer:
    """Put the inner law's matrix `[in / groups, out]` at one tap.

    All other taps are zero.

    Args:
        inner: the law.
        tap: its place along each spatial axis; the centre if None.
        dtype: of the result where none is asked for.
    """

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = dtype) -> Array:
        if 0 in shape:
            return jnp.zeros(shape, number_type(dtype))
        fans(shape)
        matrix = inner(key, tuple(shape[-2:]), dtype)
        centre = tuple((size - 1) // 2 for size in shape[:-2])
        place = centre if tap is None else tap
        fits = len(place) == len(centre) and all(
            0 <= at < size for at, size in zip(place, shape, strict=False)
        )
        if not fits:
            raise UserError(f"tap={tap}: a kernel {tuple(shape)} has no such tap")
        return jnp.zeros(shape, matrix.dtype).at[place].set(matrix)

    return init


def _factor(gain: Number, scale: Number | None) -> Number:
    """Choose the one of two names that was given."""
    factor = gain if scale is None else scale
    check_scale("gain" if scale is None else "scale", factor)
    return factor


def _thinning(shape: tuple[int, ...], groups: int, given: Fans) -> float:
    """Find what makes up for taps that an output does not have, on average."""
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
        rows, _ = fans(shape, groups) if moved == shape else (prod(moved[:-1]), 0)
        columns = moved[-1] // groups
        tall, narrow = max(rows, columns), min(rows, columns)
        normals = flat(jax.random.normal, key, groups * tall * narrow, wide)
        matrices = _haar_of_each(normals.reshape(groups, tall, narrow))
        if rows < columns:
            matrices = matrices.transpose(0, 2, 1)
        factor = scale(rows, columns) * _thinning(shape, groups, known)
        if isinstance(factor, jax.core.Tracer):
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
        return _haar(normals[0])[None]
    return lax.map(_haar, normals)


# Compiled once per shape, outside of `jit` too: a loop over members is compiled anew at
# each call otherwise, which takes longer than all its decompositions.
@jax.jit
@sequential_vmap
def _haar(normals: Inexact[Array, "tall narrow"]) -> Inexact[Array, "tall narrow"]:
    """Find Q of the QR decomposition with a positive diagonal of R."""
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


def _lengthen(key: PRNGKeyArray, kernel: Array, axis: int) -> Array:
    """Add a tap along one axis: convolve with the two taps P and I − P."""
    size = kernel.shape[-1]
    base_key, mask_key = jax.random.split(key)
    base = _haar(jax.random.normal(base_key, (size, size), kernel.dtype))
    kept = jax.random.bernoulli(mask_key, 0.5, (size,)).astype(kernel.dtype)
    projector = jnp.matmul(base * kept[None], base.T, precision=lax.Precision.HIGHEST)
    before = jnp.matmul(kernel, projector, precision=lax.Precision.HIGHEST)
    pad = [(0, 0)] * kernel.ndim

    def at(offset: int, taps: Array) -> Array:
        pad[axis] = (offset, 1 - offset)
        return jnp.pad(taps, pad)

    return at(0, before) + at(1, kernel - before)
