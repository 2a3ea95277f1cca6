"""Lanczos: what a symmetric matrix does to a vector again and again, in a small one.

The iterations run on the device; the eigenvalues of what they leave, which is small,
are taken on the host in float64.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float
from scipy.linalg import eigh_tridiagonal


class Tridiagonal(NamedTuple):
    """A symmetric matrix as Lanczos leaves it, or many of them.

    Attributes:
        diagonal: its diagonal.
        beside: what stands beside it; the last number is the norm of what the
            iterations did not reach, and no part of the matrix. Zeros at the end of
            both are none either: the vectors before span all that the start can reach.
    """

    diagonal: Float[Array | np.ndarray, "*stack k"]
    beside: Float[Array | np.ndarray, "*stack k"]


class Quadrature(NamedTuple):
    """A sum of point masses that has the first moments of a spectral density.

    Attributes:
        nodes: where the masses are, ascending.
        weights: the masses, which sum to 1; a node of weight 0 is none.
    """

    nodes: Float[np.ndarray, "*stack k"]
    weights: Float[np.ndarray, "*stack k"]


def tridiagonalize(
    product: Callable[[Float[Array, " size"]], Float[Array, " size"]],
    start: Float[Array, " size"],
    steps: int,
    negligible: float = 0.0,
) -> Tridiagonal:
    """Take steps of Lanczos with a symmetric matrix, from a vector.

    Each vector is made orthogonal to all before it: in float32 they would not stay so
    by themselves. A matrix beyond about 1e19 in norm overflows to NaN; one below about
    1e-18 underflows, and is seen as ended after one step.

    Args:
        product: multiplies a vector by the matrix.
        start: of any length but zero; where it is drawn from all directions, it has a
            part in each.
        steps: at most the size of the matrix are taken.
        negligible: a new vector this short is none.

    Returns: min(steps, size) numbers each.

    Reference: Lanczos 1950; Paige 1972 and Parlett 1998, chapter 13, for why vectors
    are made orthogonal again, and why twice is enough.
    Cost: a product a step, and `steps` vectors of memory.

    Example:
        >>> matrix = jnp.diag(jnp.array([1.0, 2.0, 5.0]))
        >>> found = tridiagonalize(lambda v: matrix @ v, jnp.ones(3), steps=3)
        >>> ritz_values(found).round(4).tolist()
        [5.0, 2.0, 1.0]
    """
    steps = min(steps, len(start))

    def step(carry: Any, index: Array) -> Any:
        basis, vector = carry
        basis = basis.at[index].set(vector)
        new = product(vector)
        diagonal = vector @ new
        # Twice is enough, but for what is rounding alone: that lies anywhere.
        for _ in range(2):
            new = _apart(basis, new)
        beside = jnp.linalg.norm(new)
        vector = _apart(basis, new / jnp.maximum(beside, 1e-30))
        vector = _apart(basis, vector / jnp.maximum(jnp.linalg.norm(vector), 1e-30))
        length = jnp.linalg.norm(vector)
        vector = vector / jnp.maximum(length, 1e-30)
        # Of an invariant space the rest is zero, and stays it; where no direction is
        # left, what remains is never apart from the others.
        goes_on = (beside > negligible) & (length > 0.5)
        return (basis, jnp.where(goes_on, vector, 0.0)), (diagonal, beside)

    first = (jnp.zeros((steps, len(start))), start / jnp.linalg.norm(start))
    _, (diagonal, beside) = lax.scan(step, first, jnp.arange(steps))
    return Tridiagonal(diagonal, beside)


def _apart(
    basis: Float[Array, "k size"], vector: Float[Array, " size"]
) -> Float[Array, " size"]:
    """Take out of a vector what lies along the basis, in full precision."""
    along = jnp.matmul(basis, vector, precision=lax.Precision.HIGHEST)
    return vector - jnp.matmul(along, basis, precision=lax.Precision.HIGHEST)


def ritz_values(
    found: Tridiagonal, beyond: float = np.nan
) -> Float[np.ndarray, "*stack k"]:
    """Compute the eigenvalues of tridiagonal matrices on the host, the greatest first.

    The outermost come nearest to eigenvalues of the whole matrix: the i-th greatest is
    never above its i-th greatest, but for rounding. An eigenvalue that the matrix has
    several times may be there once.

    Args:
        found: one matrix or many, `[..., k]`.
        beyond: stands for the values that are missing where Lanczos ended early.

    Returns: those that are missing last if they are NaN, else sorted in. All are NaN
        where a number of the matrix is not finite.

    Example:
        >>> ritz_values(Tridiagonal(np.array([4.0, 0.0]), np.array([0.0, 0.0])))
        array([ 4., nan])
    """

    def solve(diagonal: np.ndarray, beside: np.ndarray) -> Any:
        return (eigh_tridiagonal(diagonal, beside, eigvals_only=True),)

    (values,) = _of_each(found, solve, (beyond,))
    # NumPy sorts NaN last, whichever way the others go.
    return -np.sort(-values, axis=-1)


def quadrature(found: Tridiagonal) -> Quadrature:
    """Compute the nodes and weights of Gauss's quadrature on the host.

    Σ weight · f(node) is vᵀ f(A) v for the start v, of length 1, and every polynomial f
    of degree below 2k. Averaged over starts from all directions it is the mean of f
    over the eigenvalues of A.

    Args:
        found: one matrix or many, `[..., k]`.

    Returns: weights of 0 where Lanczos ended early; NaN where a number of the matrix is
        not finite.

    Reference: Golub & Welsch 1969; Ubaru, Chen & Saad 2017.

    Example:
        >>> quadrature(Tridiagonal(np.array([4.0, 0.0]), np.array([0.0, 0.0]))).weights
        array([1., 0.])
    """

    def solve(diagonal: np.ndarray, beside: np.ndarray) -> Any:
        nodes, vectors = eigh_tridiagonal(diagonal, beside)
        return nodes, vectors[0] ** 2

    return Quadrature(*_of_each(found, solve, (0.0, 0.0)))


def _of_each(
    found: Tridiagonal, solve: Any, beyond: tuple[float, ...]
) -> list[np.ndarray]:
    """Solve each matrix as far as it reaches, and fill up with what lies beyond."""
    diagonal, beside = (np.asarray(part, np.float64) for part in found)
    results = [np.full(diagonal.shape, rest) for rest in beyond]
    for place in np.ndindex(diagonal.shape[:-1]):
        own, other = diagonal[place], beside[place][:-1]
        if not (np.isfinite(own).all() and np.isfinite(beside[place]).all()):
            for result in results:
                result[place] = np.nan
            continue
        filled = (own[1:] != 0) | (other != 0)
        reach = 1 + max(np.flatnonzero(filled) + 1, default=0)
        for result, part in zip(
            results, solve(own[:reach], other[: reach - 1]), strict=True
        ):
            result[place][:reach] = part
    return results
