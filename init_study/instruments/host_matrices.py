"""Eigenvalues and singular values of many small matrices, in float64 on the host.

A matrix that holds a NaN or an infinity gives NaN, as a member that begins with one is
a result too.
"""

import numpy as np
from jaxtyping import Array, Float


def symmetric_eigenvalues(
    matrices: Float[Array | np.ndarray, "*stack m m"],
) -> Float[np.ndarray, "*stack m"]:
    """Compute the eigenvalues of symmetric matrices, the greatest first.

    Args:
        matrices: of which the lower triangles are read.

    Example:
        >>> symmetric_eigenvalues(np.array([np.diag([1.0, 3.0]), np.eye(2) * np.nan]))
        array([[ 3.,  1.],
               [nan, nan]])
    """
    values, broken = _finite(matrices)
    found = np.linalg.eigvalsh(values)[..., ::-1]
    return np.where(broken[..., None], np.nan, found)


def matrix_singular_values(
    matrices: Float[Array | np.ndarray, "*stack a b"],
) -> Float[np.ndarray, "*stack m"]:
    """Compute the singular values of matrices, the greatest first.

    Returns: as many as the shorter side is long.

    Example:
        >>> matrix_singular_values(np.array([[0.0, 0.0, -2.0], [1.0, 0.0, 0.0]]))
        array([2., 1.])
    """
    values, broken = _finite(matrices)
    found = np.linalg.svd(values, compute_uv=False)
    return np.where(broken[..., None], np.nan, found)


def _finite(
    matrices: Float[Array | np.ndarray, "*stack a b"],
) -> tuple[np.ndarray, np.ndarray]:
    """Put zeros for the matrices that LAPACK would refuse, and say which they are."""
    values = np.asarray(matrices, np.float64)
    broken = np.asarray(~np.isfinite(values).all((-2, -1)))
    return np.where(broken[..., None, None], 0.0, values), broken
