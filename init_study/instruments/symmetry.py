"""Copies among the filters of a layer, which stay copies however long they train."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def distinct_filters(kernel: Float[Array, "... out"]) -> Float[Array, ""]:
    """Compute the share of filters that are no exact copy of an earlier one.

    A filter is `kernel[..., j]`. Compared are two hashes of 32 bits of the numbers
    themselves: rounding plays no part, and two different filters are taken for one
    another about once in 2^64 pairs.

    Example:
        >>> kernel = jnp.array([[1.0, 1.0, 2.0, 1.0]])
        >>> float(jax.jit(distinct_filters)(kernel))
        0.5
    """
    numbers = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.float32)
    # Minus zero is zero.
    bits = jax.lax.bitcast_convert_type(numbers + 0.0, jnp.uint32)
    factors = jax.random.bits(jax.random.key(0), (2, len(numbers)), jnp.uint32) | 1
    first, second = (factors[:, :, None] * _mixed(bits)[None]).sum(1, dtype=jnp.uint32)
    order = jnp.lexsort((second, first))
    new = (jnp.diff(first[order]) != 0) | (jnp.diff(second[order]) != 0)
    return (1 + new.sum()) / kernel.shape[-1]


def _mixed(bits: Array) -> Array:
    """Mix the bits of each number, so that a difference in one shows in all.

    Without it two numbers that differ in the highest bit alone would have products that
    do too: products carry a difference upwards only.
    """
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x45D9F3B)
    return (bits ^ (bits >> 16)) * jnp.uint32(0x45D9F3B)
