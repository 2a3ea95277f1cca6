"""Units and maps: which units have stopped, and where a map's signal is strong."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from init_study.activations import Activation
from init_study.errors import UserError

# A unit this flat passes on less than a twentieth of a gradient.
FLAT_SLOPE = 0.05
# On a smaller map nothing lies away from the border.
_SMALLEST = 3


class UnitShares(NamedTuple):
    """Shares of a layer's units, by what they do on a batch.

    Attributes:
        dead: give zero, with slope zero, for all images and at all places.
        always_on: have a pre-activation above zero for all images and at all places.
        saturated: have a slope |φ'| below `FLAT_SLOPE` for most images and places;
            those that are dead are among them.
    """

    dead: Float[Array, ""]
    always_on: Float[Array, ""]
    saturated: Float[Array, ""]


def measure_units(
    outputs: Float[Array, "n *places channels"], activation: Activation
) -> UnitShares:
    """Compute the shares of a layer's units that are dead, always on or saturated.

    A dead unit passes on no gradient, so no step brings it back. One that is always on
    is linear on this batch where the activation is a rectifier. Only an activation with
    a flat part at zero has dead units; leaky ones have none.

    Args:
        outputs: of the layer, before its activation.
        activation: that follows; its slope is the one that JAX takes, which for
            `jnp.maximum(x, 0)` at zero is a half, and for `jax.nn.relu` zero.

    Returns: numbers from 0 to 1, NaN where an output is NaN.

    Raises: UserError for an empty batch.

    Cost: the activation and its slope, once.

    Example:
        The first unit is dead, the second always on, the third neither.

        >>> outputs = jnp.array([[-1.0, 1.0, 1.0], [-2.0, 3.0, -1.0]])
        >>> shares = measure_units(outputs, jax.nn.relu)
        >>> [round(float(share), 2) for share in shares]
        [0.33, 0.33, 0.33]
    """
    if not outputs.size:
        raise UserError(
            f"outputs of shape {outputs.shape} hold no number: give at least one image"
        )
    values, slopes = jax.jvp(activation, (outputs,), (jnp.ones_like(outputs),))
    rows = (-1, outputs.shape[-1])
    before, after, slopes = (x.reshape(rows) for x in (outputs, values, slopes))
    shares = UnitShares(
        dead=jnp.mean(((after == 0) & (slopes == 0)).all(0)),
        always_on=jnp.mean((before > 0).all(0)),
        saturated=jnp.mean(jnp.mean(jnp.abs(slopes) < FLAT_SLOPE, axis=0) > 0.5),
    )
    # Whatever is compared with NaN is false, and would pass for a healthy unit.
    broken = jnp.isnan(before).any()
    return UnitShares(*(jnp.where(broken, jnp.nan, share) for share in shares))


class MapSquares(NamedTuple):
    """Second moments E[h²] of a layer's output, by channel and by place.

    Attributes:
        channels: of each channel, over images and places.
        border: over the outermost ring of places, images and channels.
        centre: over the middle place of each axis, or its two middle ones, images and
            channels.
    """

    channels: Float[Array, " channels"]
    border: Float[Array, ""]
    centre: Float[Array, ""]


def map_squares(outputs: Float[Array, "n *places channels"]) -> MapSquares:
    """Compute a layer's second moments in each channel, at the border and the centre.

    Padding with zeros takes inputs away from the border's places, so `border` falls
    short of `centre`, by more with each layer.

    Args:
        outputs: of the layer, features last.

    Returns: in the squared units of the output; `border` and `centre` are NaN for a
        layer without places, or with fewer than 3 along some axis.

    Raises: UserError for an empty batch.

    Source: `qvalue` of init2winit's model debugger, which takes no places apart.

    Example:
        A map of ones with a 3 in the middle.

        >>> outputs = jnp.ones((1, 3, 3, 1)).at[0, 1, 1, 0].set(3.0)
        >>> squares = map_squares(outputs)
        >>> float(squares.border), float(squares.centre)
        (1.0, 9.0)
    """
    if not outputs.size:
        raise UserError(
            f"outputs of shape {outputs.shape} hold no number: give at least one image"
        )
    squares = outputs.astype(jnp.float32) ** 2
    channels = squares.mean(tuple(range(outputs.ndim - 1)))
    sizes = outputs.shape[1:-1]
    if not sizes or min(sizes) < _SMALLEST:
        nothing = jnp.float32(jnp.nan)
        return MapSquares(channels, nothing, nothing)
    ring = np.ones(sizes, bool)
    ring[(slice(1, -1),) * len(sizes)] = False
    middle = np.zeros(sizes, bool)
    middle[tuple(slice((size - 1) // 2, size // 2 + 1) for size in sizes)] = True
    places = squares.mean((0, -1))
    return MapSquares(channels, places[ring].mean(), places[middle].mean())
