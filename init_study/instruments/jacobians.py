"""Jacobians: how much outputs stretch what goes in, by singular values.

A Jacobian that is small is made whole. Of a large one Lanczos sees the ends of the
spectrum, by products with Jᵀ J or J Jᵀ, whichever has the shorter side.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.errors import UserError, check_count
from init_study.instruments.host_matrices import matrix_singular_values
from init_study.instruments.lanczos import Tridiagonal, ritz_values, tridiagonalize

# Rounding of singular values, relative to the greatest, by way of their squares in
# float32.
_ROUNDING = 1e-3
# Each output, or input if these are fewer, costs a pass where the matrix is made whole.
_MOST_PASSES = 128
_MOST_NUMBERS = 2**22


class JacobianSketch(NamedTuple):
    """A Jacobian, or what Lanczos leaves of it; `singular_values` reads either.

    Attributes:
        matrix: the whole one, outputs by inputs; `[0, 0]` where it was too large.
        squares: of Jᵀ J or J Jᵀ; `[0]` where the matrix is whole.
    """

    matrix: Float[Array | np.ndarray, "*stack outputs inputs"]
    squares: Tridiagonal


class SingularValues(NamedTuple):
    """Singular values of Jacobians.

    Attributes:
        values: the greatest first. Of whole matrices all, as many as the shorter side
            is long. Of Lanczos the greatest is there to about a per cent after some 30
            steps, and the inner ones only say how the others lie; zero below a
            thousandth of the greatest, and NaN where Lanczos ended early.
        exact: whether the matrices were whole.
    """

    values: Float[np.ndarray, "*stack m"]
    exact: bool


def sketch_jacobian(
    function: Callable[[Array], Array],
    inputs: Float[Array, "..."],
    key: PRNGKeyArray,
    *,
    steps: int = 32,
    most_passes: int = _MOST_PASSES,
) -> JacobianSketch:
    """Make the Jacobian of outputs by inputs, or a small matrix that stands for it.

    Which one is decided by sizes alone: the matrix is whole if its shorter side is at
    most `most_passes` long and it has at most 4 million entries.

    Args:
        function: from one array to another, of any shapes; of one image where each
            image's own Jacobian is wanted, mapped over images outside.
        inputs: where it is differentiated.
        key: of the vector that Lanczos starts from.
        steps: of Lanczos.
        most_passes: the longest shorter side of a whole matrix; 0 for Lanczos always.

    Raises: UserError for an array without numbers, or steps that are no count.
    Cost: whole, a pass per entry of the shorter side, backwards for outputs and
        forwards for inputs; by Lanczos `steps` passes in both directions. A pass is
        linear: values are computed once.

    Example:
        >>> matrix = jnp.array([[3.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
        >>> key = jax.random.key(0)
        >>> sketch = sketch_jacobian(lambda x: matrix @ x, jnp.ones(3), key)
        >>> singular_values(sketch)
        SingularValues(values=array([4., 3.]), exact=True)
    """
    check_count("steps", steps)
    out, into = jax.eval_shape(function, inputs).size, inputs.size
    if not into or not out:
        raise UserError(
            f"the Jacobian of {out} outputs by {into} inputs has no entries; give a "
            "function of arrays that hold numbers"
        )
    push, pull = _products(function, inputs)
    if min(into, out) <= most_passes and into * out <= _MOST_NUMBERS:
        none = Tridiagonal(jnp.zeros(0), jnp.zeros(0))
        if out <= into:
            return JacobianSketch(lax.map(pull, jnp.eye(out)), none)
        return JacobianSketch(lax.map(push, jnp.eye(into)).T, none)
    start = jax.random.normal(key, (min(into, out),))
    # The shorter side: there is less to keep, and no zeros that are none of J's.
    first, second = (pull, push) if out < into else (push, pull)
    squares = tridiagonalize(lambda vector: second(first(vector)), start, steps)
    return JacobianSketch(jnp.zeros((0, 0)), squares)


def _products(
    function: Callable[[Array], Array], inputs: Array
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Make the products of J and of its transpose with flat vectors."""
    flat = inputs.ravel()
    values, backwards = jax.vjp(
        lambda flat: function(flat.reshape(inputs.shape)).ravel(), flat
    )
    # Forwards is the derivative of backwards, wherever that is taken: functions that
    # have a backward pass of their own, as fast convolutions do, know no other.
    _, forwards = jax.vjp(backwards, jnp.zeros_like(values))

    def push(tangent: Array) -> Array:
        return forwards((tangent.astype(flat.dtype),))[0].astype(tangent.dtype)

    def pull(cotangent: Array) -> Array:
        return backwards(cotangent.astype(values.dtype))[0].astype(cotangent.dtype)

    return push, pull


def singular_values(sketch: JacobianSketch) -> SingularValues:
    """Compute the singular values of sketched Jacobians, on the host.

    Args:
        sketch: of one Jacobian, or of many with leading axes.

    Returns: NaN for a Jacobian that is not finite.

    Example:
        >>> none = Tridiagonal(np.zeros(0), np.zeros(0))
        >>> singular_values(JacobianSketch(np.diag([1.0, 2.0]), none)).values
        array([2., 1.])
    """
    if sketch.matrix.shape[-1]:
        return SingularValues(matrix_singular_values(sketch.matrix), True)
    return SingularValues(rounded_roots(ritz_values(sketch.squares)), False)


def rounded_roots(
    squares: Float[np.ndarray, "*stack m"],
) -> Float[np.ndarray, "*stack m"]:
    """Compute singular values from their squares as float32 gives them.

    Args:
        squares: the greatest first.

    Returns: zero where they are less than a thousandth of the greatest, which is
        rounding.

    Example:
        >>> rounded_roots(np.array([4.0, 1.0, 1e-8, -1e-8]))
        array([2., 1., 0., 0.])
    """
    values = np.sqrt(np.clip(squares, 0.0, None))
    return np.where(values < _ROUNDING * values[..., :1], 0.0, values)
