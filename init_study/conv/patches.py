"""A convolution as one matrix product: every patch of the image by the kernel.

Under `vmap` over kernels this is a batched product, which accelerators are made for,
where XLA's own convolution becomes a grouped one. It costs memory: each pixel is
written once per tap.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from init_study.conv.window import Window, span


def convolution(images: Array, kernel: Array, window: Window) -> Array:
    """Convolve by a product of patches `[n, oh, ow, kh * kw * in]` and the kernel.

    Autodiff's gradients are products, too: no rule of its own is needed.

    Args:
        images: `[n, h, w, in]`.
        kernel: `[kh, kw, in, out]`.
        window: how the kernel walks; without input dilation.
    """
    n, _, _, channels = images.shape
    rows, columns = window.padding
    # Negative padding crops, as it does in XLA's convolution.
    edges = ((0, 0, 0), (*rows, 0), (*columns, 0), (0, 0, 0))
    padded = lax.pad(images, jnp.zeros((), images.dtype), edges)
    apart = window.kernel_dilation
    high, wide = (
        (size - span(taps, by)) // stride + 1
        for size, taps, by, stride in zip(
            padded.shape[1:3], kernel.shape, apart, window.strides, strict=False
        )
    )
    down, along = window.strides

    def seen_by(row: int, column: int) -> Array:
        top, left = row * apart[0], column * apart[1]
        bottom, right = top + (high - 1) * down + 1, left + (wide - 1) * along + 1
        start, stop = (0, top, left, 0), (n, bottom, right, channels)
        return lax.slice(padded, start, stop, (1, down, along, 1))

    taps = [(i, j) for i in range(kernel.shape[0]) for j in range(kernel.shape[1])]
    patches = jnp.concatenate([seen_by(*tap) for tap in taps], axis=3)
    return patches @ kernel.reshape(-1, kernel.shape[3])
