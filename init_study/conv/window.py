"""How a kernel walks over images, and XLA's own convolution along it."""

from typing import NamedTuple

from jax import lax
from jaxtyping import Array

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


class Window(NamedTuple):
    """How a kernel walks over images; what `lax.conv_general_dilated` takes.

    `blocked` asks for bands and blocks (`conv.blocks`) where they pay, `winograd` for
    fewer multiplications (`conv.winograd`) where those do.
    """

    strides: Pair
    padding: Pads
    input_dilation: Pair
    kernel_dilation: Pair
    blocked: bool = False
    winograd: bool = False


def span(size: int, dilation: int) -> int:
    """Pixels from the first tap or pixel to the last."""
    return (size - 1) * dilation + 1 if size else 0


def xla_convolution(
    images: Array, kernel: Array, window: Window, groups: int = 1
) -> Array:
    """`[n, h, w, in]` by `[kh, kw, in / groups, out]`; autodiff's own gradients."""
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
