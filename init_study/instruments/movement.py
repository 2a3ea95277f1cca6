"""Movement: how far parameters have gone from one state of a network to another."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.errors import UserError
from init_study.instruments.tensors import named_tensors, whole_length


class Moved(NamedTuple):
    """How far one tensor, or all of them as one vector, has moved.

    Attributes:
        distance: ‖after − before‖.
        ratio: ‖after − before‖ / ‖before‖; infinite for what has left zero, NaN for
            what has stayed there.
        cosine: between the two; NaN where one is zero.
        angle: between the two, in radians; it tells small turns apart, which the cosine
            does not. NaN where one is zero.
    """

    distance: Float[Array, ""]
    ratio: Float[Array, ""]
    cosine: Float[Array, ""]
    angle: Float[Array, ""]


class Movement(NamedTuple):
    """How far the parameters of a network have moved.

    Attributes:
        tensors: of each tensor, by its path.
        whole: of all of them as one vector.
    """

    tensors: dict[str, Moved]
    whole: Moved


def measure_movement(before: Any, after: Any) -> Movement:
    """Compute how far parameters have moved, for each tensor and for all of them.

    Between two states that are a step apart, the ratio is the update-to-weight ratio,
    and the angle the angular update, which alone counts where a norm follows. Between
    the start and a later state they say how far training has come.

    Args:
        before: parameters.
        after: parameters of the same tree and shapes.

    Returns: distances in the units of the parameters, angles from 0 to π; NaN where a
        number is not finite.

    Raises: UserError if the trees or shapes differ.

    Source: UpdateSize and Distance of cockpit.

    Cost: no pass.

    Example:
        From (3, 4) to (3, 0) it is 4, and 4 / 5 of the weights.

        >>> before, after = {"w": jnp.array([3.0, 4.0])}, {"w": jnp.array([3.0, 0.0])}
        >>> moved = measure_movement(before, after).tensors["w"]
        >>> [round(float(number), 3) for number in moved]
        [4.0, 0.8, 0.6, 0.927]
    """
    first, second = named_tensors(before), named_tensors(after)
    shapes = [{n: x.shape for n, x in state.items()} for state in (first, second)]
    if shapes[0] != shapes[1]:
        differ = sorted(n for n, _ in shapes[0].items() ^ shapes[1].items())[0]
        raise UserError(
            f"{differ!r} is {shapes[0].get(differ, 'absent')} before and "
            f"{shapes[1].get(differ, 'absent')} after: give two states of one network"
        )
    tensors = {name: _moved([first[name]], [second[name]]) for name in first}
    return Movement(tensors, _moved([*first.values()], [second[n] for n in first]))


def _moved(before: Sequence[Array], after: Sequence[Array]) -> Moved:
    old, new = ([x.astype(jnp.float32) for x in state] for state in (before, after))
    differences = jax.tree.map(jnp.subtract, new, old)
    size, later = whole_length(old), whole_length(new)
    old, new = [x / size for x in old], [x / later for x in new]
    # Kahan's: a dot product's rounding would hide an angle below a thousandth.
    apart = whole_length(jax.tree.map(jnp.subtract, new, old))
    along = whole_length(jax.tree.map(jnp.add, new, old))
    angle = 2 * jnp.arctan2(apart, along)
    distance = whole_length(differences)
    return Moved(distance, distance / size, jnp.cos(angle), angle)
