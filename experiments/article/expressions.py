"""How simple a method is: whether one expression of NumPy draws its law.

An expression may use the kernel's shape and the law's own numbers, and nothing else. It
is compared with the law by its definition, for a dense kernel and for a convolution, at
a million weights; by Kolmogorov and Smirnov's distance.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from .studies import FIRST_SEED

Shape = tuple[int, ...]
# Shapes, and how many inputs feed an output and outputs an input.
_KERNELS = {(1000, 1000): (1000, 1000), (3, 3, 320, 320): (2880, 2880)}


def _uniform(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(-0.05, 0.05, shape)


def _gaussian(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.normal(0, 0.02, shape)


def _xavier_normal(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.normal(0, (2 / np.prod(shape[:-2]) / sum(shape[-2:])) ** 0.5, shape)


def _xavier_uniform(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return (6 / np.prod(shape[:-2]) / sum(shape[-2:])) ** 0.5 * rng.uniform(
        -1, 1, shape
    )


def expression_for_uniform() -> list[float]:
    """Measure the distance of what an expression draws to U(−0.05, 0.05)."""
    return _distances(_uniform, lambda n: stats.uniform(-0.05, 0.1))


def expression_for_gaussian() -> list[float]:
    """Measure the distance of what an expression draws to N(0, 0.02²)."""
    return _distances(_gaussian, lambda n: stats.norm(0, 0.02))


def expression_for_xavier() -> list[float]:
    """Measure the distance of what an expression draws to Xavier's laws, both forms."""

    def uniform(n: int) -> Any:
        edge = (6 / n) ** 0.5
        return stats.uniform(-edge, 2 * edge)

    return [
        *_distances(_xavier_normal, lambda n: stats.norm(0, (2 / n) ** 0.5)),
        *_distances(_xavier_uniform, uniform),
    ]


def _distances(
    expression: Callable[[np.random.Generator, Shape], np.ndarray],
    law: Callable[[int], Any],
) -> list[float]:
    rng = np.random.default_rng(FIRST_SEED)
    return [
        float(stats.kstest(np.ravel(expression(rng, shape)), law(sum(n)).cdf).statistic)
        for shape, n in _KERNELS.items()
    ]
