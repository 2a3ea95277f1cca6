"""One convolution, three forms: XLA's own, canonical, and banded for few channels."""

from functools import partial
from math import gcd
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from init_study.errors import unknown

FORMS = {
    "xla": "XLA's own convolution and gradients",
    "canonical": "gradients in the layout that XLA's CPU backend is fast in",
    "banded": "canonical, and neighbouring pixels as channels where channels are few",
}

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


class _Window(NamedTuple):
    """How a kernel walks over images; what `lax.conv_general_dilated` takes."""

    strides: Pair
    padding: Pads
    input_dilation: Pair
    kernel_dilation: Pair
    banded: bool


def convolve(
    images: Float[Array, "n h w in"],
    kernel: Float[Array, "kh kw in_per_group out"],
    strides: Pair = (1, 1),
    padding: Pads | str = "VALID",
    input_dilation: Pair = (1, 1),
    kernel_dilation: Pair = (1, 1),
    groups: int = 1,
    form: str = "banded",
) -> Float[Array, "n oh ow out"]:
    """2-D convolution: `lax.conv_general_dilated` of NHWC images by an HWIO kernel.

    Equal to it up to the rounding of float32 sums. Reverse mode, `vmap`, reverse over
    reverse and forward over reverse work; plain forward mode (`jax.jvp` of the
    function itself) is refused unless `form="xla"`.

    Args:
        images: any floating type, the kernel's.
        kernel: its third axis is `in / groups`.
        strides: of the window, in pixels.
        padding: `SAME`, `VALID` or rows and columns added on each side.
        input_dilation: above 1 it makes a transposed convolution.
        kernel_dilation: pixels from one tap to the next.
        groups: of channels, as XLA's `feature_group_count`.
        form: in `FORMS`.

    Raises: UserError for a form that is not there.
    """
    if form not in FORMS:
        raise unknown("form of convolution", form, FORMS, ", ".join(FORMS))
    if isinstance(padding, str):
        padding = _explicit(padding, images, kernel, strides, kernel_dilation)
    window = _Window(
        strides, padding, input_dilation, kernel_dilation, form == "banded"
    )
    if form == "xla":
        return _xla(images, kernel, window, groups)
    if groups > 1:
        return _grouped(images, kernel, window, groups)
    if kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0)):
        if input_dilation == (1, 1):
            return _product(images, kernel, strides)
    return _convolve(images, kernel, window)


def _explicit(
    padding: str, images: Array, kernel: Array, strides: Pair, dilation: Pair
) -> Pads:
    spans = [_span(size, by) for size, by in zip(kernel.shape, dilation, strict=False)]
    pads = lax.padtype_to_pads(images.shape[1:3], spans, strides, padding)
    (top, bottom), (left, right) = pads
    return (int(top), int(bottom)), (int(left), int(right))


def _span(size: int, dilation: int) -> int:
    """Pixels from the first tap or pixel to the last."""
    return (size - 1) * dilation + 1 if size else 0


def _xla(images: Array, kernel: Array, window: _Window, groups: int = 1) -> Array:
    return lax.conv_general_dilated(
        images,
        kernel,
        window.strides,
        window.padding,
        window.input_dilation,
        window.kernel_dilation,
        _LAYOUT,
        groups,
    )


def _product(images: Array, kernel: Array, strides: Pair) -> Array:
    """A 1×1 kernel: one matrix product over all the pixels that strides keep."""
    if strides != (1, 1):
        images = images[:, :: strides[0], :: strides[1]]
    return images @ kernel[0, 0]


# ------------------------------------------------------------- the canonical form


def _primal(images: Array, kernel: Array, window: _Window) -> Array:
    band = _band(images, kernel, window) if window.banded else 1
    if band == 1:
        return _xla(images, kernel, window)
    return _banded(images, kernel, window, band)


_convolve = jax.custom_vjp(_primal, nondiff_argnums=(2,))


def _forward(
    images: Array, kernel: Array, window: _Window
) -> tuple[Array, tuple[Array, Array]]:
    return _primal(images, kernel, window), (images, kernel)


def _backward(
    window: _Window, saved: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    """Both gradients as ordinary convolutions in the fast layout.

    The paddings are those of jax's own transposition rules. The barrier keeps XLA
    from folding the kernel's turn back into the convolution's layout. Nothing here has
    a rule of its own, so that forward mode over this reverse mode is possible.
    """
    images, kernel = saved
    inside = [
        _span(size, by)
        for size, by in zip(images.shape[1:3], window.input_dilation, strict=True)
    ]
    taps = [
        _span(size, by)
        for size, by in zip(kernel.shape[:2], window.kernel_dilation, strict=True)
    ]
    outside = [
        _span(size, by)
        for size, by in zip(cotangent.shape[1:3], window.strides, strict=True)
    ]

    def around_cotangent(axis: int) -> Pair:
        before = taps[axis] - 1 - window.padding[axis][0]
        after = inside[axis] + taps[axis] - 1 - outside[axis] - before
        return before, after

    def around_images(axis: int) -> Pair:
        before = window.padding[axis][0]
        return before, outside[axis] + taps[axis] - inside[axis] - 1 - before

    turned = lax.optimization_barrier(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))
    to_images = window._replace(
        strides=window.input_dilation,
        padding=(around_cotangent(0), around_cotangent(1)),
        input_dilation=window.strides,
    )
    images_gradient = _primal(cotangent, turned, to_images)

    channels_first = _transpose(images, (3, 1, 2, 0))
    as_kernel = _transpose(cotangent, (1, 2, 0, 3))
    to_kernel = window._replace(
        strides=window.kernel_dilation,
        padding=(around_images(0), around_images(1)),
        kernel_dilation=window.strides,
    )
    kernel_gradient = _primal(channels_first, as_kernel, to_kernel)
    return images_gradient, kernel_gradient.transpose(1, 2, 0, 3)


_convolve.defvjp(_forward, _backward)


def _transpose(array: Array, axes: tuple[int, ...]) -> Array:
    """The transpose of what is in memory.

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


# ---------------------------------------------------------------- the banded form


def _band(images: Array, kernel: Array, window: _Window) -> int:
    """How many neighbouring pixels of a row become channels; 1 leaves all as it is.

    A convolution with few output channels leaves most of a vector register empty.
    `b` pixels side by side, as `b` times as many channels, cost `(kw + b - 1) / kw`
    times the multiplications and fill it. Measured on AVX-512 (docs/execution.md):
    it pays up to 32 channels in all, and to 64 where the input has at most 4, too few
    to work on otherwise.
    """
    _, kw, channels_in, channels_out = kernel.shape
    only_padding = (1, 1)
    plain = (
        window.strides[1] == 1
        and window.input_dilation == only_padding
        and window.kernel_dilation == only_padding
    )
    width = images.shape[2] + sum(window.padding[1]) - kw + 1
    # Wide kernels are the cotangents of a kernel's gradient: no room for a band.
    if not plain or not 1 < kw <= 7:
        return 1
    most = 64 if channels_in <= 4 else 32
    fitting = (b for b in (4, 2) if b * channels_out <= most and 2 * b <= width)
    return next(fitting, 1)


def _banded(images: Array, kernel: Array, window: _Window, band: int) -> Array:
    """Column `j` of a band sees the kernel moved by `j` pixels, zeros elsewhere."""
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
    out = _xla(
        images,
        lax.optimization_barrier(wide),
        window._replace(strides=(window.strides[0], band), padding=padding),
    )
    out = out.reshape(*out.shape[:2], bands * band, channels_out)
    return out[:, :, :width]


# ------------------------------------------------------------------------- groups


def _grouped(images: Array, kernel: Array, window: _Window, groups: int) -> Array:
    """Depthwise as shifted products; else several groups at a time, as blocks of a
    kernel that is zero between groups."""
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups
    if inputs == 1 and window.input_dilation == (1, 1):
        return _depthwise(jnp.repeat(images, outputs, axis=3), kernel, window)
    together = gcd(groups, max(1, 32 // inputs))
    blocks = groups // together
    return jnp.concatenate(
        [
            _convolve(x, _block_diagonal(k, together), window)
            for x, k in zip(
                jnp.split(images, blocks, axis=3),
                jnp.split(kernel, blocks, axis=3),
                strict=True,
            )
        ],
        axis=3,
    )


def _block_diagonal(kernel: Array, groups: int) -> Array:
    """`[kh, kw, in, groups · out]` to `[kh, kw, groups · in, groups · out]`."""
    if groups == 1:
        return kernel
    kh, kw, inputs, outputs = kernel.shape
    per_group = kernel.reshape(kh, kw, inputs, groups, outputs // groups)
    only_own = jnp.eye(groups, dtype=kernel.dtype)
    blocks = jnp.einsum("hwigo,fg->hwfigo", per_group, only_own)
    return blocks.reshape(kh, kw, groups * inputs, outputs)


def _depthwise(images: Array, kernel: Array, window: _Window) -> Array:
    """One kernel per channel: a sum of products, tap by tap; nothing to multiply as
    matrices."""
    padded = lax.pad(
        images,
        jnp.zeros((), images.dtype),
        [(0, 0, 0), *((low, high, 0) for low, high in window.padding), (0, 0, 0)],
    )
    kh, kw = kernel.shape[:2]
    counts = [
        (size - _span(taps, by)) // stride + 1
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


def _taken(padded: Array, counts: list[int], window: _Window, i: int, j: int) -> Array:
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
