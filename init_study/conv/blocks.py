"""A convolution cut to the machine: bands of pixels, blocks of examples.

Neither changes what is computed, only in which order it is summed.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from init_study.conv import row_products
from init_study.conv.window import Window, xla_convolution

# Of a block's cotangent: what a core's cache holds beside all else.
_CACHED_BYTES = 600_000


def apply(images: Array, kernel: Array, window: Window) -> Array:
    """Convolve, in bands or by rows where the window asks for blocks and they pay.

    Args:
        images: `[n, h, w, in]`.
        kernel: `[kh, kw, in, out]`.
        window: how the kernel walks.
    """
    band = _band(images, kernel, window) if window.blocked else 1
    if window.blocked and row_products.is_cheaper(images, kernel.shape, window, band):
        return row_products.convolution(images, kernel, window.padding)
    if band == 1:
        return xla_convolution(images, kernel, window)
    return _banded(images, kernel, window, band)


def _band(images: Array, kernel: Array, window: Window) -> int:
    """Choose how many neighbouring pixels of a row become channels; 1 changes nothing.

    A convolution with few output channels leaves most of a vector register empty.
    `b` pixels side by side, as `b` times as many channels, cost `(kw + b - 1) / kw`
    times the multiplications and fill it. Measured on AVX-512 (docs/why/execution.md):
    it pays up to 32 channels in all, and to 64 where the input has at most 4, too few
    to work on otherwise.
    """
    _, kw, channels_in, channels_out = kernel.shape
    undilated = window.input_dilation == window.kernel_dilation == (1, 1)
    width = images.shape[2] + sum(window.padding[1]) - kw + 1
    # Wide kernels are the cotangents of a kernel's gradient: no room for a band.
    if window.strides[1] > 1 or not undilated or not 1 < kw <= 7:
        return 1
    most = 64 if channels_in <= 4 else 32
    fitting = (b for b in (4, 2) if b * channels_out <= most and 2 * b <= width)
    return next(fitting, 1)


def _banded(images: Array, kernel: Array, window: Window, band: int) -> Array:
    """Convolve with pixels side by side as channels.

    Column `j` of a band sees the kernel moved by `j` pixels, zeros elsewhere.
    """
    kh, kw, channels_in, channels_out = kernel.shape
    moved = [
        jnp.pad(kernel, ((0, 0), (j, band - 1 - j), (0, 0), (0, 0)))
        for j in range(band)
    ]
    wide = jnp.stack(moved, 3).reshape(kh, kw + band - 1, channels_in, -1)
    top_and_bottom, (left, right) = window.padding
    width = images.shape[2] + left + right - kw + 1
    bands = -(-width // band)
    padding = top_and_bottom, (left, right + bands * band - width)
    out = xla_convolution(
        images,
        lax.optimization_barrier(wide),
        window._replace(strides=(window.strides[0], band), padding=padding),
    )
    out = out.reshape(*out.shape[:2], bands * band, channels_out)
    return out[:, :, :width]


def block_size(cotangent: Array) -> int:
    """Choose from how many examples at a time a kernel's gradient is computed.

    The cotangent is the kernel of that convolution, and one of several megabytes is
    read from memory again and again; one of half a megabyte stays in a core's cache.
    With fewer than 32 channels cutting costs more than it saves.

    Args:
        cotangent: `[n, oh, ow, out]`, of the convolution's output.

    Example:
        32 · 32 · 32 numbers of 4 bytes are 131 kB an example: no block of 8 is small
        enough. Of 8 · 8 · 32 numbers 32 examples are 262 kB.

        >>> [block_size(jnp.zeros((64, size, size, 32))) for size in (32, 8)]
        [64, 32]
    """
    n, height, width, channels = cotangent.shape
    fitting = (
        b
        for b in (32, 16, 8)
        if n % b == 0 and height * width * channels * b * 4 <= _CACHED_BYTES
    )
    return next(fitting, n) if channels >= 32 else n


def summed_over_blocks(
    images: Array, cotangent: Array, window: Window, block: int
) -> Array:
    """Sum a kernel's gradient over blocks of examples.

    Args:
        images: `[n, h, w, in]`, that were convolved.
        cotangent: `[n, oh, ow, out]`, of the output.
        window: of the convolution that makes the gradient: strides and kernel dilation
            exchanged.
        block: examples in a block; it divides n.

    Returns: `[in, kh, kw, out]`.
    """

    def of(images: Array, cotangent: Array) -> Array:
        channels_first = _transpose(images, (3, 1, 2, 0))
        as_kernel = _transpose(cotangent, (1, 2, 0, 3))
        return apply(channels_first, as_kernel, window)

    if block >= len(images):
        return of(images, cotangent)
    blocks = [x.reshape(-1, block, *x.shape[1:]) for x in (images, cotangent)]

    def add(total: Array, pair: list[Array]) -> tuple[Array, None]:
        return total + of(*pair), None

    shape = jax.eval_shape(of, *(x[0] for x in blocks))
    return lax.scan(add, jnp.zeros(shape.shape, shape.dtype), blocks)[0]


def _transpose(array: Array, axes: tuple[int, ...]) -> Array:
    """Transpose what is in memory, not what would make it once more.

    Left alone, XLA fuses all that made the array into the transposing loop, and
    computes it once more there: in a residual network every block before this one.
    What a branch takes must be in memory, and that a number times zero is not one is
    true (of NaN too) without the compiler's knowing it.
    """
    always = array.ravel()[0] * 0 != 1
    return lax.cond(
        always,
        lambda x: x.transpose(axes),
        lambda x: jnp.zeros_like(x).transpose(axes),
        array,
    )
