"""Which examples a step sees, and what the network gets to see of them. All pure."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int32, PRNGKeyArray, Shaped, UInt8

from init_study.errors import UserError


def batch_indices(
    key: PRNGKeyArray,
    first_step: int | Int32[Array, ""],
    num_steps: int,
    num_examples: int,
    batch_size: int,
    count: int | Int32[Array, ""] | None = None,
) -> Int32[Array, "num_steps batch"]:
    """Choose the examples of each step from `first_step` on.

    Epochs without replacement: step s lies in epoch s // (num_examples // batch_size),
    whose order is the permutation of `fold_in(key, epoch)`; what is left at the end of
    an order is dropped. So a row depends on the key and its step alone, not on how
    the steps are cut into calls. Only `key`, `first_step` and `count` may be traced.

    Args:
        key: of `jax.random.key`.
        first_step: of the first row.
        num_steps: rows of the result.
        num_examples: of the training part.
        batch_size: examples of a step.
        count: rows that are computed, the others are zeros; by default all.

    Raises: UserError if a batch is larger than the data; TypeError for a key that is
        not from `jax.random.key`.

    Example:
        >>> rows = batch_indices(jax.random.key(0), 0, 2, num_examples=6, batch_size=3)
        >>> sorted(rows.ravel().tolist())
        [0, 1, 2, 3, 4, 5]
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise TypeError(f"a key of jax.random.key is needed, not dtype {key.dtype}")
    if batch_size > num_examples:
        raise UserError(
            f"batch_size={batch_size} is larger than the training part, which has "
            f"{num_examples} examples; use at most {num_examples}"
        )
    steps_per_epoch = num_examples // batch_size
    first = jnp.asarray(first_step, jnp.int32)

    def order_of(epoch: Array) -> Array:
        return epoch_order(key, epoch, num_examples)

    def advance(row: Array, carry: tuple[Array, Array, Array]) -> Any:
        epoch, order, rows = carry
        new_epoch = (first + row) // steps_per_epoch
        # The permutation is the expensive part: drawn once an epoch, then carried.
        order = jax.lax.cond(new_epoch == epoch, lambda _: order, order_of, new_epoch)
        start = (first + row) % steps_per_epoch * batch_size
        batch = jax.lax.dynamic_slice_in_dim(order, start, batch_size)
        return new_epoch, order, rows.at[row].set(batch)

    epoch = first // steps_per_epoch
    rows = jnp.zeros((num_steps, batch_size), jnp.int32)
    stop = jnp.int32(num_steps if count is None else count)
    return jax.lax.fori_loop(0, stop, advance, (epoch, order_of(epoch), rows))[2]


def epoch_order(
    key: PRNGKeyArray, epoch: int | Int32[Array, ""], num_examples: int
) -> Int32[Array, " num_examples"]:
    """Draw the order in which an epoch sees the examples: one permutation of them all.

    Example:
        >>> sorted(epoch_order(jax.random.key(0), 0, num_examples=4).tolist())
        [0, 1, 2, 3]
    """
    return jax.random.permutation(jax.random.fold_in(key, epoch), num_examples)


class Orders(NamedTuple):
    """The orders in which streams see a training part.

    Attributes:
        of_epoch: (stream, epoch) -> the places of all examples, on the host.
        streams: how many there are.
        batch_size: examples of a step.
        num_examples: of the training part.
    """

    of_epoch: Callable[[int, int], Int[np.ndarray, " num_examples"]]
    streams: int
    batch_size: int
    num_examples: int

    def rows(self, step: int) -> Int[np.ndarray, "streams batch"]:
        """Find the examples of a step, by the rule of `batch_indices`.

        Example:
            >>> orders = Orders(lambda stream, epoch: np.arange(5) + epoch, 1, 2, 5)
            >>> orders.rows(1).tolist(), orders.rows(2).tolist()
            ([[2, 3]], [[1, 2]])
        """
        epoch, place = divmod(step, self.num_examples // self.batch_size)
        chosen = slice(place * self.batch_size, (place + 1) * self.batch_size)
        streams = range(self.streams)
        return np.stack([self.of_epoch(stream, epoch)[chosen] for stream in streams])


def center_crop(
    images: Shaped[Array, "*batch height width channels"], size: Sequence[int]
) -> Shaped[Array, "*batch rows columns channels"]:
    """Cut the middle out of images that are larger than what the network sees.

    An odd row or column more is cut off at the end.

    Args:
        images: of at least that size.
        size: rows and columns; what follows in it does not count.

    Example:
        >>> images = jnp.arange(9).reshape(1, 3, 3, 1)
        >>> center_crop(images, (1, 3)).ravel().tolist()
        [3, 4, 5]
    """
    for axis, length in zip((-3, -2), size, strict=False):
        start = (images.shape[axis] - length) // 2
        images = jax.lax.slice_in_dim(images, start, start + length, axis=axis)
    return images


def standardize(
    images: UInt8[Array, "*batch height width channels"]
    | Float[Array, "*batch height width channels"],
    mean: Float32[Array, " channels"],
    std: Float32[Array, " channels"],
) -> Float32[Array, "*batch height width channels"]:
    """Give channels mean 0 and variance 1 over the images behind `mean` and `std`.

    (images / 255 − mean) / std for uint8, (images − mean) / std for floats.

    Example:
        >>> images = jnp.array([0, 255], jnp.uint8).reshape(2, 1, 1, 1)
        >>> standardize(images, jnp.array([0.5]), jnp.array([0.5])).ravel().tolist()
        [-1.0, 1.0]
    """
    scaled = images.astype(jnp.float32)
    if images.dtype == jnp.uint8:
        scaled = scaled / 255
    leading = range(images.ndim - 1)
    return (scaled - jnp.expand_dims(mean, leading)) / jnp.expand_dims(std, leading)
