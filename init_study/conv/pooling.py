"""Pooling whose gradients stay fast inside loops on CPU.

XLA's gradient of max pooling, `select_and_scatter`, is a scalar loop on CPU. Here a
maximum is taken over shifted views of the image, and its gradient by comparing them.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from init_study.conv.window import Pads, Pair

_NO_PADS: Pads = ((0, 0), (0, 0))


def max_pool(
    images: Float[Array, "n h w c"],
    window: Pair,
    strides: Pair,
    padding: Pads = _NO_PADS,
) -> Float[Array, "n oh ow c"]:
    """Take the largest value of every window; padding never wins.

    The gradient goes to the first of several largest values, row by row, as XLA's
    `select_and_scatter` and PyTorch have it. Windows may overlap. A map that no window
    fits into gives an empty one.

    Args:
        images: any floating type.
        window: height and width, in pixels.
        strides: of the window, in pixels.
        padding: rows and columns on each side.

    Example:
        >>> image = jnp.arange(16.0).reshape(1, 4, 4, 1)
        >>> max_pool(image, (2, 2), (2, 2))[0, :, :, 0].tolist()
        [[5.0, 7.0], [13.0, 15.0]]
    """
    padded = [
        size + sum(pads) for size, pads in zip(images.shape[1:3], padding, strict=True)
    ]
    fits = all(size >= own for size, own in zip(padded, window, strict=True))
    if not fits or 0 in images.shape:
        made = [
            max(0, (size - own) // stride + 1)
            for size, own, stride in zip(padded, window, strides, strict=True)
        ]
        return jnp.full((len(images), *made, images.shape[3]), -jnp.inf, images.dtype)
    return _max_pool(images, window, strides, padding)


def sum_pool(
    images: Float[Array, "n h w c"], window: Pair
) -> Float[Array, "n oh ow c"]:
    """Sum every window; windows lie side by side, and a rest is dropped.

    Args:
        images: any floating type.
        window: height and width, in pixels.

    Example:
        >>> sum_pool(jnp.ones((1, 4, 5, 1)), (2, 2))[0, :, :, 0].tolist()
        [[4.0, 4.0], [4.0, 4.0]]
    """
    n, height, width, channels = images.shape
    rows, columns = height // window[0], width // window[1]
    kept = images[:, : rows * window[0], : columns * window[1]]
    blocks = kept.reshape(n, rows, window[0], columns, window[1], channels)
    return blocks.sum((2, 4))


def _primal(images: Array, window: Pair, strides: Pair, padding: Pads) -> Array:
    lowest = jnp.array(-jnp.inf, images.dtype)
    pads = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
    padded = images if padding == _NO_PADS else lax.pad(images, lowest, pads)
    views = _views(padded, window, strides)
    largest = views[0]
    for view in views[1:]:
        largest = jnp.maximum(largest, view)
    return largest


_max_pool = jax.custom_vjp(_primal, nondiff_argnums=(1, 2, 3))


def _forward(
    images: Array, window: Pair, strides: Pair, padding: Pads
) -> tuple[Array, tuple[Array, Array]]:
    largest = _primal(images, window, strides, padding)
    return largest, (images, largest)


def _backward(
    window: Pair,
    strides: Pair,
    padding: Pads,
    saved: tuple[Array, Array],
    cotangent: Array,
) -> tuple[Array]:
    images, largest = saved
    (top, bottom), (left, right) = padding
    lowest = jnp.array(-jnp.inf, images.dtype)
    pads = [(0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0)]
    padded = images if padding == _NO_PADS else lax.pad(images, lowest, pads)
    is_first = _first_of([v == largest for v in _views(padded, window, strides)])
    parts = [jnp.where(first, cotangent, 0) for first in is_first]
    if window == strides:
        gradient = _side_by_side(parts, window, padded.shape)
    else:
        gradient = _overlapping(parts, window, strides, padded.shape)
    height, width = padded.shape[1:3]
    return (gradient[:, top : height - bottom, left : width - right],)


_max_pool.defvjp(_forward, _backward)


def _views(padded: Array, window: Pair, strides: Pair) -> list[Array]:
    """Cut out what each pixel of the window sees at all its places, row by row."""
    n, height, width, channels = padded.shape
    rows = (height - window[0]) // strides[0] + 1
    columns = (width - window[1]) // strides[1] + 1
    if window == strides:
        kept = padded[:, : rows * window[0], : columns * window[1]]
        blocks = kept.reshape(n, rows, window[0], columns, window[1], channels)
        return [
            blocks[:, :, i, :, j] for i in range(window[0]) for j in range(window[1])
        ]
    return [
        lax.slice(
            padded,
            (0, i, j, 0),
            (
                n,
                i + (rows - 1) * strides[0] + 1,
                j + (columns - 1) * strides[1] + 1,
                channels,
            ),
            (1, *strides, 1),
        )
        for i in range(window[0])
        for j in range(window[1])
    ]


def _first_of(equal: list[Bool[Array, "..."]]) -> list[Bool[Array, "..."]]:
    """Keep the first of several equal largest values: only one gets the gradient."""
    firsts, earlier = [], jnp.zeros_like(equal[0])
    for is_largest in equal:
        firsts.append(is_largest & ~earlier)
        earlier |= is_largest
    return firsts


def _side_by_side(
    parts: list[Array], window: Pair, shape: tuple[int, ...]
) -> Float[Array, "n h w c"]:
    """Interleave the parts of a gradient where every pixel is in one window."""
    n, rows, columns, channels = parts[0].shape
    across = [
        jnp.stack(parts[i * window[1] : (i + 1) * window[1]], 3)
        for i in range(window[0])
    ]
    kept = jnp.stack(across, 2).reshape(
        n, rows * window[0], columns * window[1], channels
    )
    below, beyond = shape[1] - kept.shape[1], shape[2] - kept.shape[2]
    return jnp.pad(kept, ((0, 0), (0, below), (0, beyond), (0, 0)))


def _overlapping(
    parts: list[Array], window: Pair, strides: Pair, shape: tuple[int, ...]
) -> Float[Array, "n h w c"]:
    """Add up the parts of a gradient where a pixel is in several windows."""
    _, rows, columns, _ = parts[0].shape
    zero = jnp.zeros((), parts[0].dtype)
    gradient = jnp.zeros(shape, parts[0].dtype)
    for place, part in enumerate(parts):
        i, j = divmod(place, window[1])
        below = shape[1] - i - ((rows - 1) * strides[0] + 1)
        beyond = shape[2] - j - ((columns - 1) * strides[1] + 1)
        spread = [
            (0, 0, 0),
            (i, below, strides[0] - 1),
            (j, beyond, strides[1] - 1),
            (0, 0, 0),
        ]
        gradient += lax.pad(part, zero, spread)
    return gradient
