"""Grouped convolutions by means of ungrouped ones."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from init_study.conv.window import Window, span


def block_diagonal(kernel: Array, groups: int) -> Array:
    """Write a grouped kernel as one of a single group, zero between the groups.

    Args:
        kernel: `[kh, kw, in, groups · out]`.
        groups: how many there are.

    Returns: `[kh, kw, groups · in, groups · out]`.

    Example:
        >>> kernel = jnp.array([3.0, 5.0]).reshape(1, 1, 1, 2)
        >>> block_diagonal(kernel, 2)[0, 0].tolist()
        [[3.0, 0.0], [0.0, 5.0]]
    """
    if groups == 1:
        return kernel
    kh, kw, inputs, outputs = kernel.shape
    per_group = kernel.reshape(kh, kw, inputs, groups, outputs // groups)
    only_own = jnp.eye(groups, dtype=kernel.dtype)
    # Gradients go back through it: they are sums, which lose nothing here.
    blocks = jnp.einsum("hwigo,fg->hwfigo", per_group, only_own, precision="highest")
    return blocks.reshape(kh, kw, groups * inputs, outputs)


def _depthwise(images: Array, kernel: Array, window: Window) -> Array:
    """Convolve each channel by a kernel of its own, `[kh, kw, 1, channels]`.

    It is a sum of products, tap by tap; there is nothing to multiply as matrices.
    """
    products = [
        seen * jnp.expand_dims(kernel[i, j, 0], (0, 1, 2))
        for (i, j), seen in _seen(images, kernel.shape, window).items()
    ]
    return sum(products[1:], start=products[0])


depthwise = jax.custom_vjp(_depthwise, nondiff_argnums=(2,))


def _forward(
    images: Array, kernel: Array, window: Window
) -> tuple[Array, tuple[Array, Array]]:
    return _depthwise(images, kernel, window), (images, kernel)


def _backward(
    window: Window, saved: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    """Compute both gradients of `depthwise`.

    The kernel's is added up example by example, pixel by pixel, and over pixels at
    last: XLA's own reduction of a product over all but the channels is a tenth as fast.
    """
    images, kernel = saved

    def of_images(images: Array) -> Array:
        return _depthwise(images, kernel, window)

    kh, kw = kernel.shape[:2]
    # Many small numbers: half precision would lose them.
    wide = cotangent.dtype if cotangent.dtype.itemsize > 4 else jnp.float32

    def add(totals: list[Array], pair: tuple[Array, Array]) -> tuple[list[Array], None]:
        image, change = pair
        seen = _seen(image[None], kernel.shape, window).values()
        return [
            total + (view[0] * change).astype(wide)
            for total, view in zip(totals, seen, strict=True)
        ], None

    zeros = [jnp.zeros(cotangent.shape[1:], wide)] * (kh * kw)
    totals, _ = lax.scan(add, zeros, (images, cotangent))
    kernel_gradient = jnp.stack([total.sum((0, 1)) for total in totals])
    (images_gradient,) = jax.linear_transpose(of_images, images)(cotangent)
    kernel_gradient = kernel_gradient.astype(kernel.dtype)
    return images_gradient, kernel_gradient.reshape(kernel.shape)


depthwise.defvjp(_forward, _backward)


def _seen(
    images: Array, kernel_shape: tuple[int, ...], window: Window
) -> dict[tuple[int, int], Array]:
    """Cut out what each tap sees at every place of the window."""
    padded = lax.pad(
        images,
        jnp.zeros((), images.dtype),
        [(0, 0, 0), *((low, high, 0) for low, high in window.padding), (0, 0, 0)],
    )
    kh, kw = kernel_shape[:2]
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
    taps = [(i, j) for i in range(kh) for j in range(kw)]
    return {tap: _taken(padded, counts, window, *tap) for tap in taps}


def _taken(padded: Array, counts: list[int], window: Window, i: int, j: int) -> Array:
    """Cut out what tap `(i, j)` sees at every place of the window."""
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
