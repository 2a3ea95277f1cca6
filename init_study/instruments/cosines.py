"""Cosines of the angles between many vectors, two by two."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.errors import UserError


class PairCosines(NamedTuple):
    """Cosines over all pairs of vectors, a vector with itself left out.

    Attributes:
        least: −1 where two are opposite.
        mean: over all pairs.
        greatest: 1 where two have one direction.
    """

    least: Float[Array, ""]
    mean: Float[Array, ""]
    greatest: Float[Array, ""]


def pair_cosines(vectors: Float[Array, "n p"]) -> PairCosines:
    """Compute the least, mean and greatest cosine over the pairs of n vectors.

    A vector of zeros has no direction: its pairs are left out.

    Args:
        vectors: one a row, of any length above zero that float32 can hold.

    Returns: from −1 to 1 up to rounding; NaN where fewer than two vectors have a
        direction, or a number is not finite.

    Raises: UserError for fewer than two vectors.

    Cost: n² · p multiplications.

    Example:
        >>> cosines = pair_cosines(jnp.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]))
        >>> [round(float(cosine), 3) for cosine in cosines]
        [0.0, 0.333, 1.0]
    """
    count = len(vectors)
    if count < 2:
        raise UserError(
            f"{count} vector has no pair: cosines need at least 2, so give more "
            "examples or filters"
        )
    units, nonzero = _directions(vectors.astype(jnp.float32))
    # The default on some accelerators keeps three digits.
    cosines = jnp.matmul(units, units.T, precision="highest")
    pairs = nonzero[:, None] & nonzero[None, :] & ~jnp.eye(count, dtype=bool)
    found = jnp.where(pairs.any(), 1.0, jnp.nan)
    return PairCosines(
        least=found * jnp.min(cosines, where=pairs, initial=2.0),
        mean=found * jnp.mean(cosines, where=pairs),
        greatest=found * jnp.max(cosines, where=pairs, initial=-2.0),
    )


def _directions(vectors: Array) -> tuple[Array, Array]:
    """Compute vectors of length 1 along the rows, and which rows are not zero.

    The greatest number goes first: squares of small numbers would vanish in float32.
    """
    largest = jnp.max(jnp.abs(vectors), axis=1, keepdims=True)
    nonzero = largest != 0
    scaled = vectors / jnp.where(nonzero, largest, 1.0)
    length = jnp.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / jnp.where(nonzero, length, 1.0), nonzero[:, 0]
