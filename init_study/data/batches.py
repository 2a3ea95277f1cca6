"""Which examples a step sees, and what the network gets to see of them. All pure."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32, PRNGKeyArray, UInt8

from init_study.errors import UserError


def batch_indices(
    key: PRNGKeyArray,
    first_step: int | Int32[Array, ""],
    num_steps: int,
    num_examples: int,
    batch_size: int,
) -> Int32[Array, "num_steps batch"]:
    """The examples of each step from `first_step` on.

    Epochs without replacement: step s lies in epoch s // (num_examples // batch_size),
    whose order is the permutation of `fold_in(key, epoch)`; what is left at the end of
    an order is dropped. So a row depends on the key and its step alone, not on how
    the steps are cut into calls. Only `key` and `first_step` may be traced.

    Raises: UserError if a batch is larger than the data; TypeError for a key that is
    not from `jax.random.key`.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise TypeError(f"a key of jax.random.key is needed, not dtype {key.dtype}")
    if batch_size > num_examples:
        raise UserError(
            f"batch_size={batch_size} is larger than the training part, which has "
            f"{num_examples} examples; use at most {num_examples}"
        )
    steps_per_epoch = num_examples // batch_size

    def order_of(epoch):
        return jax.random.permutation(jax.random.fold_in(key, epoch), num_examples)

    def advance(carry, step):
        epoch, order = carry
        new_epoch = step // steps_per_epoch
        # The permutation is the expensive part: drawn once an epoch, then carried.
        order = jax.lax.cond(new_epoch == epoch, lambda _: order, order_of, new_epoch)
        start = step % steps_per_epoch * batch_size
        batch = jax.lax.dynamic_slice_in_dim(order, start, batch_size)
        return (new_epoch, order), batch

    steps = jnp.asarray(first_step, jnp.int32) + jnp.arange(num_steps, dtype=jnp.int32)
    first_epoch = jnp.asarray(first_step, jnp.int32) // steps_per_epoch
    return jax.lax.scan(advance, (first_epoch, order_of(first_epoch)), steps)[1]


def standardize(
    images: UInt8[Array, "*batch height width channels"],
    mean: Float32[Array, " channels"],
    std: Float32[Array, " channels"],
) -> Float32[Array, "*batch height width channels"]:
    """(images / 255 − mean) / std, channel by channel: zero mean and unit variance
    over the images that `mean` and `std` were taken from."""
    return (images.astype(jnp.float32) / 255 - mean) / std
