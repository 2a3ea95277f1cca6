"""The tensors of a parameter tree: their names, and their length as one vector."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.errors import UserError


def named_tensors(tree: Any) -> dict[str, Array]:
    """List the tensors of a parameter tree by their paths.

    Args:
        tree: of parameters or gradients, of any container that JAX knows.

    Returns: the leaves in the tree's order; a path is written `Dense_0/kernel`.

    Raises: UserError for a tree without a tensor, or with two of one name.

    Example:
        >>> list(named_tensors({"Dense_0": {"kernel": jnp.ones((2, 1))}}))
        ['Dense_0/kernel']
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    if not leaves:
        raise UserError(f"the tree {tree!r} has no tensor: give a network's parameters")
    named: dict[str, Array] = {}
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name in named:
            raise UserError(f"two tensors are named {name!r}: rename a part of the net")
        named[name] = leaf
    return named


def whole_length(parts: Sequence[Float[Array, "..."]]) -> Float[Array, ""]:
    """Compute the Euclidean length of arrays, taken together as one vector.

    The greatest number is taken out first: squares of numbers below 10⁻¹⁹ would be zero
    in float32.

    Args:
        parts: at least one array; an empty one adds nothing.

    Example:
        >>> float(whole_length([jnp.array([3e-30]), jnp.array([4e-30])]) * 1e30)
        5.0
    """
    parts = [part.astype(jnp.float32) for part in parts]
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(x), initial=0.0) for x in parts]))
    scale = jnp.where(largest == 0, 1.0, largest)
    squares = jnp.stack([jnp.sum((x / scale) ** 2) for x in parts])
    return scale * jnp.sqrt(jnp.sum(squares))
