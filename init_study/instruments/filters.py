"""Filters of a kernel: how alike they are, and how many directions they span.

How many of them are exact copies, `symmetry` says.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float
from scipy.special import entr

from init_study.errors import UserError
from init_study.instruments.cosines import PairCosines, pair_cosines
from init_study.instruments.host_matrices import matrix_singular_values


def filter_cosines(kernel: Float[Array, "*taps out"]) -> PairCosines:
    """Compute the least, mean and greatest cosine between two filters of a kernel.

    A filter is `kernel[..., j]`. A greatest cosine of 1 means copies up to a positive
    factor, a least one of −1 filters in mirrored pairs. Filters of zeros are left out.

    Args:
        kernel: HWIO or dense, filters last.

    Returns: as `pair_cosines`.

    Raises: UserError for a kernel with one filter.

    Cost: out² · in multiplications.

    Example:
        >>> kernel = jnp.array([[1.0, -2.0, 0.0], [0.0, 0.0, 1.0]])
        >>> [round(float(cosine), 3) for cosine in filter_cosines(kernel)]
        [-1.0, -0.333, 0.0]
    """
    return pair_cosines(kernel.reshape(-1, kernel.shape[-1]).T)


class Ranks(NamedTuple):
    """Smooth ranks of the matrices `[in, out]` of members' kernels.

    Each is from 1 to min(in, out), which a matrix with equal singular values reaches,
    and 0 for a matrix of zeros.

    Attributes:
        effective: exp(H(σ / Σσ)), H the entropy in nats.
        stable: ‖W‖_F² / ‖W‖₂² = Σσ² / σ_max².
        participation: (Σσ²)² / Σσ⁴, the participation ratio of the eigenvalues of WᵀW.
    """

    effective: Float[np.ndarray, " members"]
    stable: Float[np.ndarray, " members"]
    participation: Float[np.ndarray, " members"]


def kernel_ranks(kernels: Float[Array | np.ndarray, "members *taps out"]) -> Ranks:
    """Compute the effective, stable and participation rank of kernels, on the host.

    Args:
        kernels: of members, HWIO or dense, filters last; each is taken as a matrix
            with a column for every filter.

    Returns: a number for each member, in float64; NaN for one that is not finite.

    Raises: UserError for kernels without a number, or without an axis of filters.

    Source: the stable rank as in weightwatcher.

    Cost: the singular values of each matrix, in · out · min(in, out).

    Example:
        An orthogonal matrix of 3 rows, and one of rank 1.

        >>> ranks = kernel_ranks(np.stack([np.eye(3), np.ones((3, 3))]))
        >>> [rank.round(6).tolist() for rank in ranks]
        [[3.0, 1.0], [3.0, 1.0], [3.0, 1.0]]
    """
    given = np.asarray(kernels, np.float64)
    if given.ndim < 2 or not given.size:
        raise UserError(
            f"kernels of shape {given.shape} are no kernels: give [members, ..., out] "
            "with at least one number each"
        )
    matrices = given.reshape(len(given), -1, given.shape[-1])
    finite = np.all(np.isfinite(matrices), axis=(1, 2), keepdims=True)
    values = matrix_singular_values(np.where(finite, matrices, 0.0))
    greatest = values.max(1, keepdims=True)
    # Squares of squares of small numbers would vanish.
    values = values / np.where(greatest > 0, greatest, 1.0)
    total, squares = values.sum(1), (values**2).sum(1)
    some = greatest[:, 0] > 0
    shares = values / np.where(some, total, 1.0)[:, None]
    fourth = np.where(some, (values**4).sum(1), 1.0)
    ranks = (
        np.where(some, np.exp(entr(shares).sum(1)), 0.0),
        squares,
        squares**2 / fourth,
    )
    return Ranks(*(np.where(finite[:, 0, 0], rank, np.nan) for rank in ranks))
