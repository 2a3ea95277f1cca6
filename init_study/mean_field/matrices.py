"""Products with fixed matrices along places of an image, as `jax.image.resize` has.

y[o] = Σ_i W[o, i] x[i]. Of places that differ by numbers of mean square d, and have a
part of mean square w in common, it keeps s² w in common, s the sum of a row of W, and
gives R d of the rest, R the mean sum of squares of a row. On the way back columns take
the place of rows.
"""

from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from init_study.errors import UserError
from init_study.mean_field.ensemble import SHAPE, mixed
from init_study.mean_field.roles import SPACE, Roles
from init_study.network import Forward, graph
from init_study.network.graph.dataflow import CONTRACTIONS

_ALIKE = 1e-3
_KNOWN = "kernels, elementwise functions, norms, sums, pools, resizing are known"


def is_product(node: Any) -> bool:
    """Tell whether a node is a product of two values along axes."""
    return node.name in CONTRACTIONS


def through_product(
    forward: Forward, node: Any, inputs: list[Array], roles: list[Roles | None]
) -> tuple[list[Array], Roles]:
    """Compute a product that is no layer: of images with a matrix, along places.

    Args:
        forward: the network as a graph.
        node: of the product.
        inputs: ensembles; what does not depend on the images is not looked at.
        roles: of the axes of those; None for what does not depend on the images.

    Raises: UserError for any other product; it says which one it is.
    """
    moved = [side for side, v in enumerate(node.inputs) if forward.origins.of_images[v]]
    if len(moved) > 1:
        raise _refused("of two values of the images, as attention has them")
    (side,) = moved
    value, given = node.inputs[1 - side], roles[side]
    paths = {"/".join(p[1:]) for p in forward.origins.variables[value]}
    if paths:
        raise _refused(f"with what is made of {' and '.join(sorted(paths))}")
    if node.name != "dot_general":
        raise _refused("with a constant, as a fixed filter of a convolution")
    contracted, batched = node.equation.params["dimension_numbers"]
    axes = [given[axis] for axis in contracted[side]] if given else []
    if given is None or batched[0] or set(axes) != {SPACE}:
        raise _refused("with a constant along channels")
    (matrix,) = graph.compute(forward.traced, forward.variables, None, (value,))
    factors = _factors_of(np.asarray(matrix, np.float64), contracted[1 - side])
    kept = [role for axis, role in enumerate(given) if axis not in contracted[side]]
    new = [SPACE] * (len(forward.traced.shapes[node.outputs[0]].shape) - len(kept))
    after = tuple(kept + new if side == 0 else new + kept)
    return [_through_rows(jnp.broadcast_to(inputs[side], SHAPE), factors)], after


def _factors_of(matrix: Any, axes: tuple[int, ...]) -> tuple[float, float, float]:
    """Compute a row's sum, its sum of squares, and by how much places grow in number.

    Raises: UserError where rows have other sums: their places would not be alike.
    """
    before = prod(matrix.shape[axis] for axis in axes)
    rows = np.moveaxis(matrix, axes, range(len(axes))).reshape(before, -1).T
    sums, squares = rows.sum(1), float(np.mean(np.sum(rows**2, 1)))
    if np.ptp(sums) > _ALIKE * squares**0.5:
        raise _refused("with a constant along places, of rows that have other sums,")
    return float(sums.mean()), squares, len(rows) / before


def _refused(what: str) -> UserError:
    return UserError(
        f"nothing is known of what a product {what} does to moments; products with "
        f"{_KNOWN}; take a scheme that computes no moments, e.g. lsuv"
    )


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _through_rows(values: Array, factors: tuple[float, float, float]) -> Array:
    """Mix places: `factors` are a row's sum, its squares, places after by before."""
    return mixed(values, *factors[:2])


def _back(factors: tuple[float, float, float], _: None, cotangent: Array) -> Any:
    total, squares, more = factors
    return (mixed(cotangent, total * more, squares * more),)


_through_rows.defvjp(lambda values, factors: (mixed(values, *factors[:2]), None), _back)
