"""How alike two representations of the same images are."""

import numpy as np
from jaxtyping import Float


def debiased_alignment(
    first: Float[np.ndarray, "... pairs"], second: Float[np.ndarray, "... pairs"]
) -> Float[np.ndarray, "..."]:
    """Compute linear CKA without bias, from the inner products of pairs of images.

    1 for representations that differ by a rotation and a scale; 0, on the average, for
    ones that have nothing to do with each other, however few the images are.

    Args:
        first: inner products of at least 4 images' features, of each pair i < j.
        second: of the same images.

    Source: Kornblith et al. 2019, arXiv:1905.00414; with the estimator of HSIC of Song
        et al. 2012, as Nguyen, Raghu & Kornblith 2021, arXiv:2010.15327, use it.

    Example:
        >>> pairs = np.array([1.0, 0.0, 0.5, 0.2, 0.1, 0.9])
        >>> round(float(debiased_alignment(pairs, 3 * pairs)), 6)
        1.0
    """
    a, b = _square(first), _square(second)
    with np.errstate(invalid="ignore", divide="ignore"):
        cross, own, other = _hsic(a, b), _hsic(a, a), _hsic(b, b)
        return np.where(
            (own > 0) & (other > 0), cross / np.sqrt(np.abs(own * other)), np.nan
        )


def _square(pairs: Float[np.ndarray, "... pairs"]) -> Float[np.ndarray, "... n n"]:
    """Arrange pairs as matrices with a diagonal of zeros."""
    count = round((1 + np.sqrt(1 + 8 * pairs.shape[-1])) / 2)
    full = np.zeros((*pairs.shape[:-1], count, count))
    rows, columns = np.triu_indices(count, 1)
    full[..., rows, columns] = pairs
    full[..., columns, rows] = pairs
    return full


def _hsic(
    a: Float[np.ndarray, "... n n"], b: Float[np.ndarray, "... n n"]
) -> Float[np.ndarray, "..."]:
    """Estimate HSIC without bias; both have diagonals of zeros."""
    n = a.shape[-1]
    trace = (a * b).sum((-2, -1))
    sums = a.sum((-2, -1)) * b.sum((-2, -1)) / ((n - 1) * (n - 2))
    rows = (a.sum(-1) * b.sum(-1)).sum(-1) * 2 / (n - 2)
    return np.asarray((trace + sums - rows) / np.float64(n * (n - 3)))
