"""`convolve`: one convolution in five forms, named in `FORMS`.

XLA's CPU backend is fast in one layout only, and inside loops nothing brings the
gradients of autodiff into it. So `canonical`, `blocked` and `winograd` have a gradient
rule of their own, `_backward`, in which both gradients are convolutions in that layout.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from init_study.conv import blocks, patches, winograd
from init_study.conv.groups import block_diagonal, depthwise
from init_study.conv.window import Pads, Pair, Window, span, xla_convolution
from init_study.errors import UserError, unknown

FORMS = {
    "xla": "XLA's own convolution and gradients",
    "canonical": "gradients in the layout that XLA's CPU backend is fast in",
    "blocked": "canonical, cut to fill vector registers and to stay in a core's cache",
    "winograd": "blocked, with fewer multiplications where there are many channels",
    "patches": "one matrix product of patches and kernel, batched under vmap",
}
_NAMED_PADDINGS = ("SAME", "SAME_LOWER", "VALID")
# Channels of several groups that are convolved as one, zeros between them.
_CHANNELS_TOGETHER = 32


def default_form(platform: str) -> str:
    """Name the form that is used where none is asked for.

    On CPU and GPU it is the one that was fastest on more nets (docs/why/execution.md).
    On a TPU nothing is measured, and XLA's own is kept.

    Args:
        platform: as of `jax.default_backend()`.

    Example:
        >>> default_form("cpu"), default_form("gpu"), default_form("tpu")
        ('winograd', 'patches', 'xla')
    """
    return {"cpu": "winograd", "gpu": "patches"}.get(platform, "xla")


def check_form(form: str | None) -> str:
    """Check a form's name, or choose the default one for None.

    Raises: UserError for one that is not there.

    Example:
        >>> check_form("canonical")
        'canonical'
    """
    if form is None:
        return default_form(jax.default_backend())
    if form not in FORMS:
        raise unknown("form of convolution", form, FORMS, ", ".join(FORMS))
    return form


def convolve(
    images: Float[Array, "n h w in"],
    kernel: Float[Array, "kh kw in_per_group out"],
    strides: Pair = (1, 1),
    padding: Pads | str = "VALID",
    input_dilation: Pair = (1, 1),
    kernel_dilation: Pair = (1, 1),
    groups: int = 1,
    form: str | None = None,
) -> Float[Array, "n oh ow out"]:
    """Convolve NHWC images by an HWIO kernel, as `lax.conv_general_dilated` does.

    Equal to it up to the rounding of float32 sums, with `form="winograd"` up to a few
    millionths of the largest output. An image that holds an infinity or NaN spoils
    outputs in all of the tile, band or group that it is in. Reverse mode, `vmap`,
    reverse over reverse and forward over reverse work; plain forward mode (`jax.jvp`)
    needs the form `xla` or `patches`.

    Args:
        images: any floating type, the kernel's.
        kernel: its third axis is `in / groups`.
        strides: of the window, in pixels.
        padding: `SAME`, `SAME_LOWER`, `VALID` or rows and columns added on each side.
        input_dilation: above 1 it makes a transposed convolution.
        kernel_dilation: pixels from one tap to the next.
        groups: of channels, as XLA's `feature_group_count`.
        form: in `FORMS`; by default the fastest known for the platform.

    Raises: UserError for a form that is not there, for padding by name with an input
        dilation, which XLA does not define either, and for shapes and types that XLA
        refuses.

    Example:
        Each output is the sum of the 2 × 2 ones that a kernel of ones sees.

        >>> convolve(jnp.ones((1, 3, 3, 1)), jnp.ones((2, 2, 1, 1))).ravel().tolist()
        [4.0, 4.0, 4.0, 4.0]
    """
    form = check_form(form)
    pads = _explicit(padding, images, kernel, strides, input_dilation, kernel_dilation)
    window = Window(
        _pair(strides),
        pads,
        _pair(input_dilation),
        _pair(kernel_dilation),
        blocked=form in ("blocked", "winograd"),
        winograd=form == "winograd",
    )
    made = _output_shape(images, kernel, window, groups)
    if form == "xla" or 0 in (*images.shape, *kernel.shape, *made):
        return xla_convolution(images, kernel, window, groups)
    return _by_form(images, kernel, window, groups, form)


def _by_form(
    images: Array, kernel: Array, window: Window, groups: int, form: str
) -> Array:
    """Convolve in another form than XLA's, or in a simpler one that serves."""
    dilated = window.input_dilation != (1, 1)
    # Patches with zeros between their pixels, or of all groups, are mostly waste.
    if form == "patches" and (groups > 1 or dilated):
        return xla_convolution(images, kernel, window, groups)
    if groups > 1:
        return _grouped(images, kernel, window, groups)
    padded = window.padding != ((0, 0), (0, 0))
    if kernel.shape[:2] == (1, 1) and not dilated and not padded:
        return _product(images, kernel, window.strides)
    if form == "patches":
        return patches.convolution(images, kernel, window)
    return _convolve(images, kernel, window)


def _output_shape(
    images: Array, kernel: Array, window: Window, groups: int
) -> tuple[int, ...]:
    """Find the output's shape by asking XLA, which refuses what cannot be."""
    convolution = partial(xla_convolution, window=window, groups=groups)
    try:
        if not jnp.issubdtype(images.dtype, jnp.floating):
            raise TypeError("images are not of a floating type")
        return jax.eval_shape(convolution, images, kernel).shape
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"images {images.dtype}{list(images.shape)} cannot be convolved by a "
            f"kernel {kernel.dtype}{list(kernel.shape)} with groups={groups}: "
            f"{reason}; give [n, h, w, in] and [kh, kw, in / groups, out] of one "
            "floating type"
        ) from None


def _explicit(
    padding: Any,
    images: Array,
    kernel: Array,
    strides: Pair,
    input_dilation: Pair,
    kernel_dilation: Pair,
) -> Pads:
    """Write padding by name as rows and columns."""
    if isinstance(padding, str):
        if padding.upper() not in _NAMED_PADDINGS:
            ways = f"{', '.join(_NAMED_PADDINGS)} or ((top, bottom), (left, right))"
            raise unknown("padding", padding, _NAMED_PADDINGS, ways)
        if tuple(input_dilation) != (1, 1):
            raise UserError(
                f"padding {padding!r} has no meaning with input dilation "
                f"{tuple(input_dilation)}; give ((top, bottom), (left, right))"
            )
        sizes = zip(kernel.shape, kernel_dilation, strict=False)
        spans = [span(size, by) for size, by in sizes]
        padding = lax.padtype_to_pads(images.shape[1:3], spans, strides, padding)
    (top, bottom), (left, right) = padding
    return (int(top), int(bottom)), (int(left), int(right))


def _pair(given: Pair) -> Pair:
    first, second = given
    return int(first), int(second)


def _product(images: Array, kernel: Array, strides: Pair) -> Array:
    """Convolve by a 1×1 kernel: one matrix product over all pixels that are kept."""
    if strides != (1, 1):
        images = images[:, :: strides[0], :: strides[1]]
    return images @ kernel[0, 0]


def _apply(images: Array, kernel: Array, window: Window) -> Array:
    """Convolve in the form that pays among those that the window allows."""
    if window.winograd and winograd.pays(images, kernel.shape, window):
        return winograd.convolution(images, kernel, window.padding)
    return blocks.apply(images, kernel, window)


_convolve = jax.custom_vjp(_apply, nondiff_argnums=(2,))


def _forward(
    images: Array, kernel: Array, window: Window
) -> tuple[Array, tuple[Array, Array]]:
    with jax.named_scope("convolution"):
        return _apply(images, kernel, window), (images, kernel)


def _backward(
    window: Window, saved: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    """Compute both gradients as ordinary convolutions in the fast layout.

    The paddings are those of jax's own transposition rules. The barrier keeps XLA
    from folding the kernel's turn back into the convolution's layout. Nothing here has
    a rule of its own, so that forward mode over this reverse mode is possible.
    """
    images, kernel = saved
    # Pixels from first to last: of the dilated input, of the dilated kernel, and of the
    # output with its strides between.
    inside = [
        span(size, by)
        for size, by in zip(images.shape[1:3], window.input_dilation, strict=True)
    ]
    reach = [
        span(size, by)
        for size, by in zip(kernel.shape[:2], window.kernel_dilation, strict=True)
    ]
    outside = [
        span(size, by)
        for size, by in zip(cotangent.shape[1:3], window.strides, strict=True)
    ]

    def around_cotangent(axis: int) -> Pair:
        before = reach[axis] - 1 - window.padding[axis][0]
        after = inside[axis] + reach[axis] - 1 - outside[axis] - before
        return before, after

    def around_images(axis: int) -> Pair:
        before = window.padding[axis][0]
        return before, outside[axis] + reach[axis] - inside[axis] - 1 - before

    turned = lax.optimization_barrier(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))
    to_images = window._replace(
        strides=window.input_dilation,
        padding=(around_cotangent(0), around_cotangent(1)),
        input_dilation=window.strides,
    )
    with jax.named_scope("images_gradient"):
        images_gradient = _apply(cotangent, turned, to_images)

    to_kernel = window._replace(
        strides=window.kernel_dilation,
        padding=(around_images(0), around_images(1)),
        kernel_dilation=window.strides,
    )
    with jax.named_scope("kernel_gradient"):
        if window.winograd and winograd.pays(images, kernel.shape, window):
            taps = kernel.shape[0], kernel.shape[1]
            kernel_gradient = winograd.kernel_gradient(
                images, cotangent, window.padding, taps
            )
        else:
            block = blocks.block_size(cotangent) if window.blocked else len(images)
            summed = blocks.summed_over_blocks(images, cotangent, to_kernel, block)
            kernel_gradient = summed.transpose(1, 2, 0, 3)
    return images_gradient, kernel_gradient


_convolve.defvjp(_forward, _backward)


def _grouped(images: Array, kernel: Array, window: Window, groups: int) -> Array:
    """Convolve groups: depthwise as shifted products, others several at a time.

    Those are blocks of a kernel that is zero between groups.
    """
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups
    if inputs == 1 and window.input_dilation == (1, 1):
        return depthwise(jnp.repeat(images, outputs, axis=3), kernel, window)
    most = max(1, _CHANNELS_TOGETHER // inputs)
    together = next(n for n in range(min(most, groups), 0, -1) if groups % n == 0)
    parts = groups // together
    return jnp.concatenate(
        [
            _convolve(x, block_diagonal(k, together), window)
            for x, k in zip(
                jnp.split(images, parts, axis=3),
                jnp.split(kernel, parts, axis=3),
                strict=True,
            )
        ],
        axis=3,
    )
