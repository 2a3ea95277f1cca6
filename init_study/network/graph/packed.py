"""`Packed`: a value as its parts, side by side along one axis."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Packed(NamedTuple):
    """A value as its parts.

    Attributes:
        parts: arrays, or in parts themselves.
        sets: the places of each along the axis, ascending.
        axis: the axis.
    """

    parts: tuple[Any, ...]
    sets: tuple[tuple[int, ...], ...]
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole."""
        size = sum(map(len, self.sets))
        return resize(self.parts[0].shape, self.axis, size)


def take(value: Any, axis: int, places: tuple[int, ...]) -> Any:
    """Take the places of a part along an axis; of one number for all, that number.

    Args:
        value: an array, or one in parts.
        axis: of it.
        places: along the axis, ascending.

    Example:
        >>> take(jnp.arange(4), 0, (1, 3)).tolist()
        [1, 3]
    """
    if isinstance(value, Packed):
        if value.axis == axis and places in value.sets:
            return value.parts[value.sets.index(places)]
        value = whole(value)
    if value.shape[axis] == 1:
        return value
    if places == tuple(range(places[0], places[-1] + 1)):
        return jax.lax.slice_in_dim(value, places[0], places[-1] + 1, axis=axis)
    return jnp.take(value, np.asarray(places), axis, mode="clip")


def resize(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    """Change one axis of a shape.

    Example:
        >>> resize((2, 3), 1, 5)
        (2, 5)
    """
    return (*shape[:axis], size, *shape[axis + 1 :])


def whole(value: Any) -> Any:
    """Put the parts of a value together.

    Example:
        >>> whole(Packed((jnp.zeros(1), jnp.ones(2)), ((0,), (1, 2)), 0)).tolist()
        [0.0, 1.0, 1.0]
    """
    if not isinstance(value, Packed):
        return value
    return join(value.parts, value.sets, value.axis)


def join(parts: Sequence[Any], sets: Sequence[tuple[int, ...]], axis: int) -> Any:
    """Put arrays together along an axis, each at places of its own.

    Args:
        parts: the arrays.
        sets: for each its places along the axis, ascending; all places, once.
        axis: the axis.

    Example:
        >>> join([jnp.array([1, 3]), jnp.array([2])], [(0, 2), (1,)], 0).tolist()
        [1, 2, 3]
    """
    whole = jnp.concatenate(parts, axis)
    order = np.argsort([place for places in sets for place in places])
    if (order == np.arange(len(order))).all():
        return whole
    return jnp.take(whole, order, axis, mode="clip")
