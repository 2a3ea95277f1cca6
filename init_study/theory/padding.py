"""What zero padding takes from a signal on its way through convolutions."""

import numpy as np
from jaxtyping import Float

from init_study.errors import UserError, unknown

_PADDINGS = ("same", "valid", "circular")
_LONGEST_AXIS = 4096


def padding_gain(
    height: int,
    width: int,
    kernel: int | tuple[int, int],
    padding: str = "same",
    layers: int = 1,
) -> float:
    """Compute the factor on the signal's mean square that padding costs a convolution.

    With independent weights of variance 1 / fan_in, a pixel's mean square is the
    average of those under the kernel, and zero beyond the border. For one layer of a
    constant map this is the share of taps that fall inside: (1 − 2/(3n))² for 3×3 on
    n×n. The border is darker from then on, so it loses less: over many layers the
    geometric mean tends to the largest eigenvalue of the averaging,
    ((1 + 2 cos(π/(n+1))) / 3)² for 3×3. Exact for wide layers of stride 1 where the
    activation is homogeneous, as ReLU is, and the weights have its gain.

    Args:
        height: of the map, in pixels.
        width: of the map, in pixels.
        kernel: its size, or (height, width).
        padding: `same` (zeros), or `valid` or `circular`, which lose nothing.
        layers: how many convolutions of this kind follow each other; the factor is the
            geometric mean over them.

    Raises: UserError for sizes that are not positive whole numbers or an unknown
        padding.

    Example:
        >>> round(padding_gain(4, 4, 3), 4)  # (1 − 2/12)²
        0.6944
    """
    sizes = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
    for size in (height, width, *sizes):
        if not isinstance(size, int) or not 1 <= size <= _LONGEST_AXIS:
            raise UserError(f"{size!r} is not a size from 1 to {_LONGEST_AXIS}")
    if len(sizes) != 2:
        raise UserError(f"kernel={kernel} is not a size or a pair of sizes")
    if not isinstance(layers, int) or layers < 1:
        raise UserError(f"layers={layers!r} is not a number of layers, at least 1")
    if padding not in _PADDINGS:
        raise unknown("padding", padding, _PADDINGS, ", ".join(_PADDINGS))
    if padding != "same":
        return 1.0
    return _axis_gain(height, sizes[0], layers) * _axis_gain(width, sizes[1], layers)


def _axis_gain(size: int, kernel: int, layers: int) -> float:
    average = _averaging(size, kernel)
    energy, log_total = np.ones(size), 0.0
    for _ in range(layers):
        energy = average @ energy
        # Kept at mean 1, or a thousand layers would underflow.
        log_total += np.log(energy.mean())
        energy /= energy.mean()
    return float(np.exp(log_total / layers))


def _averaging(size: int, kernel: int) -> Float[np.ndarray, "n n"]:
    """Make a matrix whose row i has 1 / kernel at the pixels under the kernel at i."""
    before = (kernel - 1) // 2
    offset = np.arange(size)[None, :] - np.arange(size)[:, None] + before
    return ((offset >= 0) & (offset < kernel)) / kernel
