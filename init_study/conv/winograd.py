"""Convolutions with fewer multiplications: Winograd's minimal filtering.

A tile of 6 × 6 pixels and a kernel of 3 × 3 taps are polynomials in two variables;
their product is known from its values at 6 × 6 points, so 36 multiplications make
4 × 4 outputs that would take 144. The sums over channels become 36 matrix products.
Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016; the
points are those of Barabasz et al., "Error analysis and improving the accuracy of
Winograd convolution for deep neural networks", ACM TOMS 2020.
"""

from fractions import Fraction
from functools import cache
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from init_study.conv.window import Pads, Window, outside

# One point more, infinity, goes without saying. 1/2 and -2 in the place of 2 and -2
# halve the error.
_POINTS = (Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2))
_TILE = len(_POINTS) + 1
# A transformed number costs as much as this many multiplications; measured.
_TRANSFORM_COST = 25
# Of a block's transform: what a core's cache holds beside all else.
_CACHED_BYTES = 1_500_000


class _Transforms(NamedTuple):
    """Three matrices that correlate along one axis with few multiplications.

    `y = outputs @ ((taps @ kernel) * (inputs @ x))`.
    """

    inputs: Float[np.ndarray, "tile tile"]
    taps: Float[np.ndarray, "tile taps"]
    outputs: Float[np.ndarray, "made tile"]


@cache
def transforms(taps: int) -> _Transforms:
    """Make Toom and Cook's interpolation for so many taps, exact until it is rounded.

    Example:
        Tiles of 6 pixels, kernels of 3 taps, 4 outputs.

        >>> made = transforms(3)
        >>> made.inputs.shape, made.taps.shape, made.outputs.shape
        ((6, 6), (6, 3), (4, 6))
    """
    made = _TILE - taps + 1
    others = [[q for q in _POINTS if q != p] for p in _POINTS]
    scale = [prod(p - q for q in rest) for p, rest in zip(_POINTS, others, strict=True)]
    inputs = [[*_with_roots(rest), Fraction(0)] for rest in others]
    inputs.append(_with_roots(list(_POINTS)))
    outputs = [[p**i for p in _POINTS] + [i == made - 1] for i in range(made)]
    kernel = [
        [p**i / by for i in range(taps)] for p, by in zip(_POINTS, scale, strict=True)
    ]
    kernel.append([Fraction(i == taps - 1) for i in range(taps)])
    as_floats = (np.array(m, float) for m in (inputs, kernel, outputs))
    return _Transforms(*as_floats)


def _with_roots(roots: list[Fraction]) -> list[Fraction]:
    """Multiply out the monic polynomial with these roots, the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        scaled = [*(root * c for c in coefficients), Fraction(0)]
        coefficients = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients


def pays(images: Array, kernel_shape: tuple[int, ...], window: Window) -> bool:
    """Tell whether a convolution and its kernel's gradient are faster this way.

    False too for what this module does not do: strides, dilations, other kernels than
    3 to 5 taps wide, and half precision, whose error it would multiply. A batch that
    is no multiple of a few examples (a prime number) fits no cache, and does not pay.

    Args:
        images: `[n, h, w, in]`; only shape and type count.
        kernel_shape: `[kh, kw, in, out]`.
        window: how the kernel walks.

    Example:
        At 64 channels transforms are few beside products; at 4 they are most of it.

        >>> window = Window((1, 1), ((1, 1), (1, 1)), (1, 1), (1, 1))
        >>> [pays(jnp.zeros((8, 16, 16, n)), (3, 3, n, n), window) for n in (64, 4)]
        [True, False]
    """
    kh, kw, channels_in, channels_out = kernel_shape
    ones = window.strides == window.input_dilation == window.kernel_dilation == (1, 1)
    if not ones or not {kh, kw} <= {3, 4, 5} or images.dtype.itemsize < 4:
        return False
    made = outside(images, window.padding, (kh, kw))
    if min(made) <= 0 or not jnp.issubdtype(images.dtype, jnp.floating):
        return False
    rows, columns = _tiles(images, window.padding, (kh, kw))
    block = _block(images, rows * columns, max(channels_in, channels_out))
    if block * rows * columns < 32:
        return False
    # Multiplications for each tile, against those of the plain convolution; a tenth
    # less, or it is not worth the rounding.
    products = channels_in * channels_out
    sums = _TRANSFORM_COST * (channels_in + channels_out)
    return (
        rows * columns * _TILE**2 * (products + sums)
        < 0.9 * kh * kw * prod(made) * products
    )


def convolution(
    images: Float[Array, "n h w in"],
    kernel: Float[Array, "kh kw in out"],
    padding: Pads,
) -> Float[Array, "n oh ow out"]:
    """Convolve at stride 1 by kernels of 3 to 5 taps a side.

    Args:
        images: a batch.
        kernel: of one group, undilated.
        padding: rows and columns on each side.

    Example:
        >>> images, kernel = jnp.ones((1, 6, 6, 2)), jnp.ones((3, 3, 2, 1))
        >>> out = convolution(images, kernel, ((0, 0), (0, 0)))
        >>> out.shape, float(out[0, 0, 0, 0].round(3))
        ((1, 4, 4, 1), 18.0)
    """
    taps = kernel.shape[0], kernel.shape[1]
    height, width = outside(images, padding, taps)
    tiles = _tiles(images, padding, taps)
    spread = np.kron(transforms(taps[0]).taps, transforms(taps[1]).taps)
    flat = kernel.reshape(taps[0] * taps[1], -1)
    seen = _exact(jnp.asarray(spread, kernel.dtype), flat)
    seen = seen.reshape(-1, *kernel.shape[2:])

    def of(images: Array) -> Array:
        values = _of_images(images, padding, taps, tiles)
        products = _dot(values, seen, ((2,), (1,)))
        grid = len(images), *tiles
        return _to_outputs(products, taps, grid)[:, :height, :width]

    block = _block(images, tiles[0] * tiles[1], max(kernel.shape[2:]))
    out = lax.map(of, _blocks(images, block))
    return out.reshape(len(images), *out.shape[2:])


def kernel_gradient(
    images: Float[Array, "n h w in"],
    cotangent: Float[Array, "n oh ow out"],
    padding: Pads,
    taps: tuple[int, int],
) -> Float[Array, "kh kw in out"]:
    """Compute the gradient of `convolution` by its kernel, summed at the 36 points.

    Args:
        images: that were convolved.
        cotangent: of the output.
        padding: rows and columns on each side.
        taps: height and width of the kernel.
    """
    tiles = _tiles(images, padding, taps)
    channels = images.shape[3], cotangent.shape[3]

    def add(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        values = _of_images(pair[0], padding, taps, tiles)
        changes = _of_cotangent(pair[1], taps, tiles)
        sums = _dot(values, changes, ((1,), (1,)))
        return total + sums, None

    block = _block(images, tiles[0] * tiles[1], max(channels))
    zeros = jnp.zeros((_TILE**2, *channels), images.dtype)
    total, _ = lax.scan(add, zeros, (_blocks(images, block), _blocks(cotangent, block)))
    gather = np.kron(transforms(taps[0]).taps, transforms(taps[1]).taps).T
    flat = _exact(jnp.asarray(gather, images.dtype), total.reshape(_TILE**2, -1))
    return flat.reshape(*taps, *channels)


def _exact(transform: Array, numbers: Array) -> Array:
    """Transform numbers with all their digits, whatever products are set to."""
    return jnp.matmul(transform, numbers, precision="highest")


def _tiles(images: Array, padding: Pads, taps: tuple[int, int]) -> tuple[int, int]:
    """Count rows and columns of tiles that cover the output, the last ones in part."""
    height, width = outside(images, padding, taps)
    return -(-height // (_TILE - taps[0] + 1)), -(-width // (_TILE - taps[1] + 1))


def _block(images: Array, tiles: int, channels: int) -> int:
    """Choose how many examples' transform stays in a core's cache."""
    examples, size = len(images), images.dtype.itemsize
    fitting = _CACHED_BYTES // max(1, _TILE**2 * tiles * channels * size)
    return next(
        b for b in range(max(1, min(examples, fitting)), 0, -1) if examples % b == 0
    )


def _blocks(array: Array, block: int) -> Array:
    return array.reshape(-1, block, *array.shape[1:])


def _of_images(
    images: Array, padding: Pads, taps: tuple[int, int], tiles: tuple[int, int]
) -> Float[Array, "36 tiles in"]:
    """Evaluate tiles, which overlap by `taps - 1` pixels, at the points."""
    (top, _), (left, _) = padding
    _, height, width, channels = images.shape
    steps = _TILE - taps[0] + 1, _TILE - taps[1] + 1
    bottom = tiles[0] * steps[0] + taps[0] - 1 - top - height
    right = tiles[1] * steps[1] + taps[1] - 1 - left - width
    around = ((0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0))
    padded = lax.pad(images, jnp.zeros((), images.dtype), around)
    by_rows = _combine(
        transforms(taps[0]).inputs, _every(padded, 1, steps[0], tiles[0], _TILE), 0
    )
    both = _combine(
        transforms(taps[1]).inputs, _every(by_rows, 3, steps[1], tiles[1], _TILE), 1
    )
    return both.reshape(_TILE**2, -1, channels)


def _of_cotangent(
    cotangent: Array, taps: tuple[int, int], tiles: tuple[int, int]
) -> Float[Array, "36 tiles out"]:
    """Bring a cotangent to the points: the transpose of `_to_outputs`."""
    _, height, width, channels = cotangent.shape
    made = _TILE - taps[0] + 1, _TILE - taps[1] + 1
    below, beside = tiles[0] * made[0] - height, tiles[1] * made[1] - width
    padded = jnp.pad(cotangent, ((0, 0), (0, below), (0, beside), (0, 0)))
    rows, columns = transforms(taps[0]).outputs.T, transforms(taps[1]).outputs.T
    by_rows = _combine(rows, _every(padded, 1, made[0], tiles[0], made[0]), 0)
    both = _combine(columns, _every(by_rows, 3, made[1], tiles[1], made[1]), 1)
    return both.reshape(_TILE**2, -1, channels)


def _to_outputs(
    products: Float[Array, "36 tiles out"],
    taps: tuple[int, int],
    grid: tuple[int, int, int],
) -> Float[Array, "n oh ow out"]:
    """Bring products at the points to pixels; the last rows may be too many."""
    n, rows, columns = grid
    at = products.reshape(_TILE, _TILE, n, rows, columns, -1)
    down = _combine(transforms(taps[0]).outputs, list(at), 3)
    pixels = _combine(transforms(taps[1]).outputs, list(down), 4)
    made = pixels.shape[2], pixels.shape[4]
    return pixels.reshape(n, rows * made[0], columns * made[1], -1)


def _dot(a: Array, b: Array, summed: Any) -> Array:
    """Multiply matrices at each point, in full precision: what cancels is large."""
    return lax.dot_general(a, b, (summed, ((0,), (0,))), precision="highest")


def _every(array: Array, axis: int, step: int, count: int, first: int) -> list[Array]:
    """Take every `step`-th place along an axis, from each of the first so many on."""
    reach = step * (count - 1) + 1
    return [
        lax.slice_in_dim(array, start, start + reach, step, axis)
        for start in range(first)
    ]


def _combine(
    matrix: Float[np.ndarray, "out in"], arrays: list[Array], axis: int
) -> Array:
    """Sum whole arrays by the rows of a small matrix; zeros are left out."""
    rows = []
    for row in matrix.tolist():
        terms = [_times(c, a) for c, a in zip(row, arrays, strict=True) if c]
        rows.append(sum(terms[1:], terms[0]))
    return jnp.stack(rows, axis)


def _times(factor: float, array: Array) -> Array:
    return array if factor == 1 else -array if factor == -1 else factor * array
