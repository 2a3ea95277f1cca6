"""Batches of a data set that lies on the device as a whole."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int, UInt8


class Examples(NamedTuple):
    """Labelled images on the device, and the statistics of the training part.

    A whole part of a data set, or the batch of one step.
    """

    images: UInt8[Array, "n h w c"] | Float[Array, "n h w c"]
    labels: Int[Array, " n"]
    mean: Float[Array, " c"]
    std: Float[Array, " c"]


# (what one call holds, place of the seed, place of the step in the call) -> its batch.
Feed = Callable[[Any, Int[Array, ""], Int[Array, ""]], Examples]


class Resident(NamedTuple):
    """The data set on the device, and the examples that each step of a call sees."""

    examples: Examples
    indices: Int[Array, "seeds most_steps batch"]


def from_resident(
    shared: Resident, seed_slot: Int[Array, ""], place: Int[Array, ""]
) -> Examples:
    """Gather the batch of one seed's step on the device.

    Args:
        shared: what the call holds.
        seed_slot: place of the seed among the study's seeds.
        place: of the step in the call.

    Example:
        >>> import jax.numpy as jnp
        >>> images, labels = jnp.zeros((4, 8, 8, 1)), jnp.arange(4)
        >>> whole = Examples(images, labels, jnp.zeros(1), jnp.ones(1))
        >>> shared = Resident(whole, indices=jnp.array([[[2, 0]]]))
        >>> from_resident(shared, jnp.array(0), jnp.array(0)).labels.tolist()
        [2, 0]
    """
    chosen = shared.indices[seed_slot][place]
    whole = shared.examples
    return whole._replace(images=whole.images[chosen], labels=whole.labels[chosen])
