"""Batches of a data set that lies on the device as a whole."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int, UInt8


class Examples(NamedTuple):
    """Labelled images on the device, and the statistics of the training part.

    A whole part of a data set, or the batch of one step.
    """

    images: UInt8[Array, "n h w c"]
    labels: Int[Array, " n"]
    mean: Float[Array, " c"]
    std: Float[Array, " c"]


# (what one call holds, place of the seed, place of the step in the call) -> its batch.
Feed = Callable[[Any, Int[Array, ""], Int[Array, ""]], Examples]


class Resident(NamedTuple):
    """What one call holds: the data, and which of them each step sees."""

    examples: Examples
    indices: Int[Array, "seeds most_steps batch"]


def from_resident(
    shared: Resident, seed_slot: Int[Array, ""], place: Int[Array, ""]
) -> Examples:
    """Gather the batch of one seed's step on the device."""
    chosen = shared.indices[seed_slot][place]
    whole = shared.examples
    return whole._replace(images=whole.images[chosen], labels=whole.labels[chosen])
