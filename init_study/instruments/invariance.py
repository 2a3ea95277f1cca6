"""Invariance: which scales a network does not feel, and how loud a branch is."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from init_study.errors import UserError, check_number
from init_study.instruments.tensors import named_tensors, whole_length


def scale_scores(
    function: Callable[[Any], Float[Array, "..."]], params: Any, factor: float = 2.0
) -> dict[str, Float[Array, ""]]:
    """Compute ‖f(cθ_l) − f(θ)‖ / ‖f(θ)‖ for each tensor θ_l: what its scale does.

    A kernel whose scale a norm takes away scores about 0, up to that norm's epsilon: at
    the start its scale sets the pace of learning, and nothing else. One that the output
    is linear in scores |c − 1|.

    Args:
        function: from parameters to the outputs for a fixed batch, a norm over the
            batch on that batch's statistics.
        params: of the network.
        factor: c.

    Returns: by the tensor's path. NaN for a tensor of zeros, which no factor moves, or
        where an output is not finite; infinite where the outputs were zero and are not
        any more, NaN where they stay zero.

    Raises: UserError for a tree without a tensor, and for a factor that is 1 or not a
        finite number.

    Cost: a pass forwards, and one for each tensor.

    Example:
        >>> def function(w):
        ...     return w["scale"] * w["kernel"] / jnp.linalg.norm(w["kernel"])
        >>> w = {"kernel": jnp.array([3.0, 4.0]), "scale": jnp.ones(2)}
        >>> {name: round(float(x), 3) for name, x in scale_scores(function, w).items()}
        {'kernel': 0.0, 'scale': 1.0}
    """
    check_number("factor", factor)
    if factor == 1:
        raise UserError("factor=1 changes no tensor: give another, such as 2")
    names = named_tensors(params)
    leaves, structure = jax.tree.flatten(params)
    before = function(params)

    # One program for all tensors: a net is compiled once, not once for each.
    def score(factors: Float[Array, " tensors"]) -> Array:
        scaled = [
            leaf * jnp.asarray(factors[index], leaf.dtype)
            for index, leaf in enumerate(map(jnp.asarray, leaves))
        ]
        after = function(jax.tree.unflatten(structure, scaled))
        return whole_length([after - before]) / whole_length([before])

    rows = 1.0 + (factor - 1.0) * jnp.eye(len(leaves))
    scores = lax.map(score, rows)
    return {
        name: jnp.where(jnp.any(leaf != 0), scores[index], jnp.nan)
        for index, (name, leaf) in enumerate(names.items())
    }


def residual_balance(
    branch: Float[Array, "n ..."], skip: Float[Array, "n ..."]
) -> Float[Array, ""]:
    """Compute the root mean square of a residual branch over that of its skip.

    Where their sum goes on and the two are uncorrelated, the block multiplies the mean
    square by 1 + ratio²: a ratio of 1 doubles it in each block, one of 1/√L leaves it
    within a factor of e after L blocks, and 0 makes the block the identity.

    Args:
        branch: what the branch gives.
        skip: what it is added to.

    Returns: over all images and places; infinite where only the skip is zero, NaN where
        both are.

    Raises: UserError if the two differ in shape, so that they cannot be a block's, or
        hold no number.

    Source: `tag_residual_activations` of init2winit's model debugger.

    Cost: no pass beyond the one that made them.

    Example:
        >>> float(residual_balance(jnp.array([[3.0]]), jnp.array([[-6.0]])))
        0.5
    """
    if branch.shape != skip.shape or not branch.size:
        raise UserError(
            f"a branch of shape {branch.shape} and a skip of shape {skip.shape} are no "
            "block's: give the two terms of one sum"
        )
    return whole_length([branch]) / whole_length([skip])
