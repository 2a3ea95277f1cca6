"""Copies among the filters of a layer, which stay copies however long they train."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from init_study.errors import UserError
from init_study.keys import fixed_key


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
    first, second = _hashes(kernel.reshape(-1, kernel.shape[-1]))
    order = jnp.lexsort((second, first))
    new = (jnp.diff(first[order]) != 0) | (jnp.diff(second[order]) != 0)
    return (1 + new.sum()) / kernel.shape[-1]


class Orbits(NamedTuple):
    """Groups of hidden units that a swap of two leaves as they are.

    Attributes:
        first: for each unit, the first one of its group.
        groups: how many groups there are; as many as units where all differ.
        largest: how many units are in the largest group; 1 where all differ.
    """

    first: Int[Array, " units"]
    groups: Int[Array, ""]
    largest: Int[Array, ""]


def symmetric_units(
    incoming: Sequence[Float[Array, "..."]], outgoing: Sequence[Float[Array, "..."]]
) -> Orbits:
    """Find the groups of hidden units with equal incoming and equal outgoing weights.

    To swap two such units changes no parameter, so their gradients are equal too:
    gradient descent, with momentum or Adam's steps, keeps them equal up to rounding,
    and a group is worth one unit for ever. Noise of their own, as dropout's, parts
    them. Copies that only `distinct_filters` sees, with unequal outgoing weights, get
    unequal gradients as a rule, and part at the first step.

    Symmetries that swap units of two layers at once are not looked for.

    Args:
        incoming: what belongs to each unit before its activation, units last: kernel
            `[..., units]`, bias and a norm's scale and shift `[units]`. A grouped
            convolution's units read different inputs: give one group at a time.
        outgoing: kernels that read the units, units next to last: `[..., units, out]`.
            A dense kernel after a flattened map is given as `[places, units, out]`.

    Returns: groups by exact equality, found as in `distinct_filters`.

    Raises: UserError if either is empty, or if they differ in the number of units.

    Cost: no pass; units² comparisons of hashes.

    Example:
        Three copies, of which the last goes out with another weight.

        >>> incoming, outgoing = jnp.ones((2, 3)), jnp.array([[1.0], [1.0], [2.0]])
        >>> orbits = symmetric_units([incoming], [outgoing])
        >>> orbits.first.tolist(), int(orbits.groups), int(orbits.largest)
        ([0, 0, 2], 2, 2)
    """
    columns = _columns(incoming, outgoing)
    first, second = (one[:, None] == one[None, :] for one in _hashes(columns))
    same = first & second
    firsts = jnp.argmax(same, axis=1)
    return Orbits(
        first=firsts,
        groups=jnp.sum(firsts == jnp.arange(columns.shape[1])),
        largest=jnp.max(jnp.sum(same, axis=1)),
    )


def _columns(
    incoming: Sequence[Array], outgoing: Sequence[Array]
) -> Float[Array, "n units"]:
    """Gather all that belongs to each unit in a column; refuse what does not fit."""
    if not incoming or not outgoing:
        side = "outgoing" if incoming else "incoming"
        raise UserError(
            f"no {side} weights: units are told apart by both sides; of a layer with "
            "only one, distinct_filters counts the copies"
        )
    flat = [x for x in outgoing if x.ndim < 2]
    if flat:
        raise UserError(
            f"an outgoing kernel of shape {flat[0].shape} has no axis of units: give "
            "[..., units, out]"
        )
    last = [*incoming, *(jnp.moveaxis(x, -2, -1) for x in outgoing)]
    counts = sorted({x.shape[-1] if x.ndim else 0 for x in last})
    if len(counts) > 1 or not counts[0]:
        raise UserError(
            f"the weights are of {' and '.join(map(str, counts))} units: give incoming "
            "ones as [..., units] and outgoing ones as [..., units, out]"
        )
    rows = [x.reshape(-1, counts[0]).astype(jnp.float32) for x in last]
    return jnp.concatenate(rows)


def _hashes(columns: Float[Array, "n columns"]) -> tuple[Array, Array]:
    """Compute two hashes of the numbers in each column."""
    numbers = columns.astype(jnp.float32)
    # Minus zero is zero.
    bits = jax.lax.bitcast_convert_type(numbers + 0.0, jnp.uint32)
    factors = jax.random.bits(fixed_key(0), (2, len(numbers)), jnp.uint32) | 1
    first, second = (factors[:, :, None] * _mixed(bits)[None]).sum(1, dtype=jnp.uint32)
    return first, second


def _mixed(bits: Array) -> Array:
    """Mix the bits of each number, so that a difference in one shows in all.

    Without it two numbers that differ in the highest bit alone would have products that
    do too: products carry a difference upwards only.
    """
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x45D9F3B)
    return (bits ^ (bits >> 16)) * jnp.uint32(0x45D9F3B)
