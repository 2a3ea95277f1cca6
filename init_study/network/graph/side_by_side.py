"""Kernels that are several, side by side: stacks that are mapped over.

`w` of parameters, `x` of the images, N parts of `o` outputs each:

    c = dot_general[batch=(0, 0)] x w      w of [N, in, o], as `nn.vmap` makes it
    c = conv_general_dilated[groups=N] x r r made of w of [N, height, width, in, o]
    c = dot_general x w                    w of [N, in, o]: all parts read the same
"""

from math import prod

import numpy as np
from jaxtyping import Int


def stacked_parts(
    places: Int[np.ndarray, "..."], leaf: tuple[int, ...], batches: int
) -> int:
    """Count the kernels that are stacked along axes of a parameter.

    Args:
        places: for each number of the kernel `[*spatial, in, out]` its place in the
            flat parameter.
        leaf: the shape of the parameter.
        batches: how many matrices a batched product multiplies with; else 1.

    Example:
        >>> stack = np.arange(24).reshape(2, 3, 4)
        >>> stacked_parts(stack.transpose(1, 0, 2).reshape(3, 8), (2, 3, 4), 1)
        2
        >>> stacked_parts(np.arange(24).reshape(3, 8), (3, 2, 4), 1)
        1
    """
    outputs = places.shape[-1]
    # A kernel of a convolution with an axis too many: a stack along any of them.
    stacked = len(leaf) == places.ndim + 1 > 3
    for axis in range(1, len(leaf)) if stacked else ():
        size = leaf[axis]
        owner = np.unravel_index(places.reshape(-1, outputs), leaf)[axis]
        if 1 < size and outputs % size == 0:
            if (owner == np.repeat(np.arange(size), outputs // size)).all():
                return size
    count = prod(leaf[: max(0, len(leaf) - places.ndim)])
    if count > 1 and count % batches == 0 and outputs % count == 0:
        owners = places.reshape(-1, count, outputs // count) // (places.size // count)
        if (owners == np.arange(count)[None, :, None]).all():
            return count
    return batches
