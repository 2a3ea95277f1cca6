"""How a kernel walks over images, and XLA's own convolution along it."""

from typing import NamedTuple

from jax import lax
from jaxtyping import Array

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


class Window(NamedTuple):
    """How a kernel walks over images; what `lax.conv_general_dilated` takes.

    Attributes:
        strides: of the window, in pixels.
        padding: rows above and below, columns left and right.
        input_dilation: above 1 it makes a transposed convolution.
        kernel_dilation: pixels from one tap to the next.
        blocked: asks for bands and blocks (`conv.blocks`) where they pay.
        winograd: asks for fewer multiplications (`conv.winograd`) where those pay.
    """

    strides: Pair
    padding: Pads
    input_dilation: Pair
    kernel_dilation: Pair
    blocked: bool = False
    winograd: bool = False


def span(size: int, dilation: int) -> int:
    """Count the pixels from the first tap or pixel to the last, both included.

    Example:
        >>> span(3, 1), span(3, 2), span(0, 2)
        (3, 5, 0)
    """
    return (size - 1) * dilation + 1 if size else 0


def outside(images: Array, padding: Pads, taps: Pair) -> Pair:
    """Find height and width of the output at stride 1, undilated.

    Example:
        >>> import jax.numpy as jnp
        >>> outside(jnp.zeros((1, 8, 9, 1)), ((1, 1), (0, 0)), (3, 3))
        (8, 7)
    """
    (top, bottom), (left, right) = padding
    _, height, width, _ = images.shape
    return height + top + bottom - taps[0] + 1, width + left + right - taps[1] + 1


def xla_convolution(
    images: Array, kernel: Array, window: Window, groups: int = 1
) -> Array:
    """Convolve by XLA's own operation, with the gradients that autodiff makes.

    Args:
        images: `[n, h, w, in]`.
        kernel: `[kh, kw, in / groups, out]`.
        window: how the kernel walks.
        groups: of channels.
    """
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
