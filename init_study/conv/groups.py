"""Grouped convolutions by means of ungrouped ones."""

from functools import partial

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from init_study.conv.window import Window, span


def block_diagonal(kernel: Array, groups: int) -> Array:
    """`[kh, kw, in, groups · out]` to `[kh, kw, groups · in, groups · out]`."""
    if groups == 1:
        return kernel
    kh, kw, inputs, outputs = kernel.shape
    per_group = kernel.reshape(kh, kw, inputs, groups, outputs // groups)
    only_own = jnp.eye(groups, dtype=kernel.dtype)
    blocks = jnp.einsum("hwigo,fg->hwfigo", per_group, only_own)
    return blocks.reshape(kh, kw, groups * inputs, outputs)


def depthwise(images: Array, kernel: Array, window: Window) -> Array:
    """One kernel per channel: a sum of products, tap by tap; nothing to multiply as
    matrices."""
    padded = lax.pad(
        images,
        jnp.zeros((), images.dtype),
        [(0, 0, 0), *((low, high, 0) for low, high in window.padding), (0, 0, 0)],
    )
    kh, kw = kernel.shape[:2]
    counts = [
        (size - span(taps, by)) // stride + 1
        for size, taps, by, stride in zip(
            padded.shape[1:3],
            (kh, kw),
            window.kernel_dilation,
            window.strides,
            strict=True,
        )
    ]
    take = partial(_taken, padded, counts, window)
    products = [take(i, j) * kernel[i, j, 0] for i in range(kh) for j in range(kw)]
    return sum(products[1:], start=products[0])


def _taken(padded: Array, counts: list[int], window: Window, i: int, j: int) -> Array:
    """What tap `(i, j)` sees at every place of the window."""
    starts = [i * window.kernel_dilation[0], j * window.kernel_dilation[1]]
    stops = [
        start + (count - 1) * stride + 1
        for start, count, stride in zip(starts, counts, window.strides, strict=True)
    ]
    return lax.slice(
        padded,
        (0, *starts, 0),
        (padded.shape[0], *stops, padded.shape[3]),
        (1, *window.strides, 1),
    )
