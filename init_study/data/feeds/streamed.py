"""Batches of a data set that does not lie on a device: gathered on the host, in time.

Which examples a step sees is what it is for a set on the device (`data.batches`), so
both feeds give the same bits. One batch serves all members of its seed.
"""

from typing import NamedTuple

from jaxtyping import Array, Float, Int, UInt8

from init_study.data.feeds.resident import Examples


class Streamed(NamedTuple):
    """The batches of some steps, on the device.

    Attributes:
        images: of each stream and step. Seeds that see the data in the same order
            share a stream.
        labels: likewise.
        mean, std: of the training part, as in `Examples`.
        stream_of_seed: the place of each seed's stream.
    """

    images: UInt8[Array, "streams steps batch h w c"] | Float[Array, "..."]
    labels: Int[Array, "streams steps batch"]
    mean: Float[Array, " c"]
    std: Float[Array, " c"]
    stream_of_seed: Int[Array, " seeds"]


def from_streamed(
    shared: Streamed, seed_slot: Int[Array, ""], place: Int[Array, ""]
) -> Examples:
    """Take the batch of one seed's step out of a block.

    Args:
        shared: the block.
        seed_slot: place of the seed among the study's seeds.
        place: of the step in the block.

    Example:
        >>> import jax.numpy as jnp
        >>> images, labels = jnp.zeros((1, 2, 1, 8, 8, 1)), jnp.array([[[4], [5]]])
        >>> block = Streamed(images, labels, *jnp.zeros((2, 1)), jnp.array([0, 0]))
        >>> from_streamed(block, jnp.array(1), jnp.array(1)).labels.tolist()
        [5]
    """
    stream = shared.stream_of_seed[seed_slot]
    return Examples(
        shared.images[stream, place],
        shared.labels[stream, place],
        shared.mean,
        shared.std,
    )
