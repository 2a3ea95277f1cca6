"""Convolutions that keep norms exactly: by one tap, or by orthogonal factors."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError
from init_study.initializers.draws import (
    Initializer,
    Number,
    as_shape,
    check_scale,
    floating,
    number_type,
    wide_type,
)
from init_study.initializers.fans import Fans, check_fans, fans
from init_study.initializers.orthogonal import (
    either_name,
    haar,
    orthogonal,
    scaled_orthogonal,
    thinning,
)
from init_study.keys import threefry


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
    inner = orthogonal(either_name(gain, scale), column_axis, groups=groups)
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
        thinned = gain * thinning(as_shape(shape), groups, fans)
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
        kernel = haar(jax.random.normal(first, (outputs, outputs), wide))[:inputs]
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


def _lengthen(key: PRNGKeyArray, kernel: Array, axis: int) -> Array:
    """Add a tap along one axis: convolve with the two taps P and I − P."""
    size = kernel.shape[-1]
    base_key, mask_key = jax.random.split(key)
    base = haar(jax.random.normal(base_key, (size, size), kernel.dtype))
    kept = jax.random.bernoulli(mask_key, 0.5, (size,)).astype(kernel.dtype)
    projector = jnp.matmul(base * kept[None], base.T, precision=lax.Precision.HIGHEST)
    before = jnp.matmul(kernel, projector, precision=lax.Precision.HIGHEST)
    pad = [(0, 0)] * kernel.ndim

    def at(offset: int, taps: Array) -> Array:
        pad[axis] = (offset, 1 - offset)
        return jnp.pad(taps, pad)

    return at(0, before) + at(1, kernel - before)
