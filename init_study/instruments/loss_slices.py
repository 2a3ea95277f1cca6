"""Slices: a loss along lines through parameters, and between two members."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import traverse_util
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.errors import UserError
from init_study.instruments.curvature import check_differentiable
from init_study.instruments.tensors import whole_length
from init_study.network import Network, Params


class Barrier(NamedTuple):
    """The loss on the line between two members.

    Attributes:
        losses: at each place of the line.
        height: the most by which the loss is above the straight line between those of
            both ends; NaN where a loss is not finite, and 0 where it is never above.
        place: where that is.
    """

    losses: Float[Array, " alphas"]
    height: Float[Array, ""]
    place: Float[Array, ""]


def loss_slice(
    loss: Callable[[Any], Array],
    params: Any,
    direction: Any,
    alphas: Float[Array, " alphas"],
) -> Float[Array, " alphas"]:
    """Compute a loss along a line, L(θ + α d).

    Args:
        loss: from parameters to a number.
        params: θ, a tree.
        direction: d, a tree like it.
        alphas: where on the line.

    Raises: UserError if the loss is no number, or there are no parameters.
    Reference: Goodfellow, Vinyals & Saxe 2015, arXiv:1412.6544.
    Cost: 1 F for each α.

    Example:
        >>> square = lambda w: (w**2).sum()
        >>> alphas = jnp.array([-1.0, 0.0, 2.0])
        >>> loss_slice(square, jnp.ones(2), jnp.ones(2), alphas).tolist()
        [0.0, 2.0, 18.0]
    """
    check_differentiable(loss, params)

    def at(alpha: Float[Array, ""]) -> Array:
        def moved(leaf: Array, along: Array) -> Array:
            return leaf + alpha.astype(leaf.dtype) * along

        return loss(jax.tree.map(moved, params, direction))

    return lax.map(at, alphas)


def filter_direction(network: Network, params: Params, key: PRNGKeyArray) -> Params:
    """Draw a random direction whose filters are as long as those of the parameters.

    Each filter, the weights of one output of a layer, is a normal draw times ‖w‖ / ‖d‖
    of that filter, so that slices of nets whose scales differ can be compared. What is
    no kernel does not move.

    Args:
        network: a traced network.
        params: its parameters.
        key: of the draw.

    Reference: Li et al. 2018, arXiv:1712.09913, and `loss-landscape`, which leaves out
    biases and norms with `biasbn`.

    Example:
        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(2), (1, 1, 3))
        >>> weights = {"kernel": jnp.array([[3.0, 0.0]] * 3), "bias": jnp.ones(2)}
        >>> made = filter_direction(network, {"Dense_0": weights}, jax.random.key(0))
        >>> (made["Dense_0"]["kernel"] ** 2).sum(0).round().tolist()
        [27.0, 0.0]
    """
    flat: Any = traverse_util.flatten_dict(params)
    made = {path: jnp.zeros_like(leaf) for path, leaf in flat.items()}
    for place, layer in enumerate(network.layers):
        stored = flat[layer.kernel]
        kernel = layer.plain(stored)
        drawn = jax.random.normal(jax.random.fold_in(key, place), kernel.shape)
        axes = tuple(range(kernel.ndim - 1))
        lengths, own = (jnp.linalg.norm(_rows(x), axis=0) for x in (kernel, drawn))
        scaled = drawn * jnp.expand_dims(lengths / own, axes)
        made[layer.kernel] = layer.stored(scaled).reshape(stored.shape)
    return traverse_util.unflatten_dict(made)


def _rows(kernel: Array) -> Array:
    return kernel.reshape(-1, kernel.shape[-1]).astype(jnp.float32)


def descent_direction(loss: Callable[[Any], Array], params: Any) -> Any:
    """Compute the direction of steepest descent, as long as the parameters are.

    Args:
        loss: from parameters to a number.
        params: a tree.

    Returns: −∇L · ‖θ‖ / ‖∇L‖; NaN where the gradient is zero.

    Raises: UserError if the loss is no number, or there are no parameters.
    Cost: 1 F + 1 B.

    Example:
        >>> descent_direction(lambda w: 7 * w[0], jnp.array([3.0, 4.0])).tolist()
        [-5.0, -0.0]
    """
    check_differentiable(loss, params)
    slopes = jax.grad(loss)(params)
    sizes = [whole_length(jax.tree.leaves(tree)) for tree in (params, slopes)]
    factor = -sizes[0] / sizes[1]
    return jax.tree.map(lambda leaf: leaf * factor.astype(leaf.dtype), slopes)


def loss_barrier(
    loss: Callable[[Any], Array],
    first: Any,
    second: Any,
    alphas: Float[Array, " alphas"] | None = None,
) -> Barrier:
    """Compute the loss between two members, and how high its barrier is.

    The height is max over α of L((1 − α) θ_1 + α θ_2) − (1 − α) L(θ_1) − α L(θ_2).

    Args:
        loss: from parameters to a number.
        first: θ_1, at α = 0.
        second: θ_2, at α = 1; a tree like it.
        alphas: places, 25 from 0 to 1 by default.

    Raises: UserError if the loss is no number, there are no parameters, or the members
        differ in shape.
    Reference: Frankle et al. 2020, arXiv:1912.05671; Entezari et al. 2022,
    arXiv:2110.06296, for this height.
    Cost: 1 F for each α, and 2 F.

    Example:
        Two minima of (u v − 1)² / 2 with a saddle between them.

        >>> loss = lambda w: (w[0] * w[1] - 1) ** 2 / 2
        >>> found = loss_barrier(loss, jnp.ones(2), -jnp.ones(2))
        >>> float(found.height), float(found.place)
        (0.5, 0.5)
    """
    shapes = [jax.tree.map(jnp.shape, one) for one in (first, second)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"members of shapes {shapes[0]} and {shapes[1]} have no line between them; "
            "give two members of one network"
        )
    places = jnp.linspace(0.0, 1.0, 25) if alphas is None else alphas
    way = jax.tree.map(jnp.subtract, second, first)
    losses = loss_slice(loss, first, way, places)
    ends = loss(first), loss(second)
    above = losses - ((1 - places) * ends[0] + places * ends[1])
    highest = jnp.argmax(above)
    finite = jnp.isfinite(losses).all()
    height = jnp.where(finite, jnp.maximum(above[highest], 0.0), jnp.nan)
    return Barrier(losses, height, places[highest])
