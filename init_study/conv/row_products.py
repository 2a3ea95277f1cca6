"""A convolution as one product of row patches and the whole kernel.

The patches of a row, `kw` pixels side by side, are multiplied by all rows of the kernel
at once; every row of the result is then added to the output rows that see it. No row of
padding is multiplied, and the kernel's rows make up for few output channels. So the
images' gradient of LeNet's second layer, 14 × 14 × 6 from 10 × 10 × 16, takes half
of the time that bands of pixels take.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from init_study.conv.window import Pads, Window, outside

# A multiplication costs as much as this many of a convolution's, moves and sums
# included; measured.
_COST = 2.0


def is_cheaper(
    images: Array, kernel_shape: tuple[int, ...], window: Window, band: int
) -> bool:
    """Tell whether a convolution is faster this way than in bands of pixels.

    Args:
        images: `[n, h, w, in]`; only its shape counts.
        kernel_shape: `[kh, kw, in, out]`.
        window: how the kernel walks; False for strides and dilations.
        band: how many pixels of a row would become channels.

    Example:
        LeNet's second layer: the gradient of its images, and the layer itself.

        >>> full = Window((1, 1), ((4, 4), (4, 4)), (1, 1), (1, 1))
        >>> valid = full._replace(padding=((0, 0), (0, 0)))
        >>> is_cheaper(jnp.zeros((2, 10, 10, 16)), (5, 5, 16, 6), full, 4)
        True
        >>> is_cheaper(jnp.zeros((2, 14, 14, 6)), (5, 5, 6, 16), valid, 2)
        False
    """
    kh, kw, _, _ = kernel_shape
    ones = window.strides == window.input_dilation == window.kernel_dilation == (1, 1)
    if not ones or min(pad for pads in window.padding for pad in pads) < 0:
        return False
    rows, columns = outside(images, window.padding, (kh, kw))
    # Kernels as large as the image are those of a kernel's gradient.
    if min(rows, columns) <= 0 or max(kh, kw) > 7:
        return False
    # Multiplications by input and output channel, for each example.
    in_bands = rows * -(-columns // band) * band * kh * (kw + band - 1)
    in_rows = images.shape[1] * columns * kh * kw
    return _COST * in_rows < in_bands


def convolution(
    images: Float[Array, "n h w in"],
    kernel: Float[Array, "kh kw in out"],
    padding: Pads,
) -> Float[Array, "n oh ow out"]:
    """Convolve at stride 1, undilated.

    Args:
        images: a batch.
        kernel: of one group.
        padding: rows and columns on each side, none negative.

    Example:
        >>> images, kernel = jnp.ones((1, 2, 2, 1)), jnp.ones((3, 3, 1, 1))
        >>> convolution(images, kernel, ((2, 2), (2, 2)))[0, :, :, 0].tolist()[1]
        [2.0, 4.0, 4.0, 2.0]
    """
    kh, kw, channels_in, channels_out = kernel.shape
    n, height, _, _ = images.shape
    rows, columns = outside(images, padding, (kh, kw))
    (top, _), sides = padding
    padded = jnp.pad(images, ((0, 0), (0, 0), sides, (0, 0)))
    patches = [padded[:, :, left : left + columns] for left in range(kw)]
    wide = jnp.concatenate(patches, axis=3).reshape(-1, kw * channels_in)
    every_row = kernel.transpose(1, 2, 0, 3).reshape(kw * channels_in, -1)
    products = (wide @ every_row).reshape(n, height, columns, kh, channels_out)
    zero = jnp.zeros((), images.dtype)

    def on_rows_that_see_it(row: int) -> Array:
        """Bring the products by a row of the kernel to their output rows."""
        above = top - row
        around = (above, rows - height - above, 0)
        return lax.pad(
            products[:, :, :, row], zero, ((0, 0, 0), around, (0, 0, 0), (0, 0, 0))
        )

    return sum(map(on_rows_that_see_it, range(1, kh)), on_rows_that_see_it(0))
