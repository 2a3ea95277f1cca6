"""What is asked of laws of draws: which they are, how large, how sure.

Each check gives a number for every case that it looks at. Their keys are fresh, as the
studies' seeds are.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy import stats

from init_study.initializers import (
    Initializer,
    normal,
    uniform,
    xavier_normal,
    xavier_uniform,
)

from .studies import FIRST_SEED

_MILLION = (1000, 1000)
_KERNEL = (3, 3, 16, 16)
_REDRAWN = 400


def distance_to_law() -> list[float]:
    """Measure the Kolmogorov-Smirnov distance of a million draws to their law.

    Laws are Gaussian and uniform.
    """
    drawn = [normal(0.02)(_key(0), _MILLION), uniform(0.05)(_key(1), _MILLION)]
    laws = [stats.norm(0, 0.02), stats.uniform(-0.05, 0.1)]
    return [_distance(x, law.cdf) for x, law in zip(drawn, laws, strict=True)]


def mean_of_uniform() -> list[float]:
    """Measure |mean| of a million uniform draws in standard errors, four times."""
    return [_errors_from_zero(uniform(0.05)(_key(i), _MILLION)) for i in range(4)]


def mean_of_gaussian() -> list[float]:
    """Measure |mean| of a million Gaussian draws in standard errors, four times."""
    return [_errors_from_zero(normal(0.02)(_key(i), _MILLION)) for i in range(4)]


def range_scatter() -> list[float]:
    """Measure how far ranges scatter, of Gaussian draws less that of uniform ones.

    A range is the largest size of a weight; its scatter is the standard deviation over
    400 draws of a kernel, as a share of the mean. Of a convolution and of a dense
    layer.
    """
    return [
        _scatter(normal(0.02), shape, _largest)
        - _scatter(uniform(0.05), shape, _largest)
        for shape in (_KERNEL, (64, 10))
    ]


def size_scatter() -> list[float]:
    """Measure how far standard deviations scatter, of Gaussian draws less uniform ones.

    As `range_scatter`, of the standard deviation of a kernel's weights.
    """
    return [
        _scatter(normal(0.02), shape, jnp.std) - _scatter(uniform(0.05), shape, jnp.std)
        for shape in (_KERNEL, (64, 10))
    ]


def xavier_std() -> list[float]:
    """Measure the standard deviation over √(2 / (n_in + n_out)).

    Of the normal and the uniform form, for a dense layer and for a 3×3 convolution, n
    counted in inputs that feed an output and outputs that an input feeds.
    """
    return [
        float(jnp.std(law()(_key(i), shape)) / np.sqrt(2 / sum(n)))
        for i, (law, shape, n) in enumerate(
            (law, shape, n)
            for law in (xavier_normal, xavier_uniform)
            for shape, n in (((512, 256), (512, 256)), ((3, 3, 64, 32), (576, 288)))
        )
    ]


def xavier_means() -> list[float]:
    """Measure |mean| of a million of Xavier's draws in standard errors, both forms."""
    laws = (xavier_normal(), xavier_uniform())
    return [_errors_from_zero(law(_key(i), _MILLION)) for i, law in enumerate(laws)]


def xavier_distance_to_normal() -> list[float]:
    """Measure the distance of a million of Xavier's draws to a normal law.

    Of the normal form, and of the uniform one, which the article's code takes; to the
    law N(0, 2 / (n_in + n_out)), by Kolmogorov and Smirnov.
    """
    law = stats.norm(0, np.sqrt(2 / sum(_MILLION)))
    forms = (xavier_normal(), xavier_uniform())
    return [_distance(form(_key(i), _MILLION), law.cdf) for i, form in enumerate(forms)]


def xavier_by_neurons() -> list[float]:
    """Measure the variance of a dense kernel times half the neurons around it.

    Of ours, and JAX's own `glorot_normal` and `glorot_uniform`. It is 1 if the neurons
    are what n_in and n_out count.
    """
    return [
        float(jnp.var(law(_key(i), (600, 200))) * 400) for i, law in enumerate(_XAVIERS)
    ]


def xavier_by_channels() -> list[float]:
    """Measure the variance of a 3×3 kernel times half the channels around it.

    As `xavier_by_neurons`. It is 1 if the channels are what n_in and n_out count.
    """
    return [
        float(jnp.var(law(_key(i), (3, 3, 64, 64))) * 64)
        for i, law in enumerate(_XAVIERS)
    ]


def xavier_from_shapes() -> list[float]:
    """Measure how far variances are from 2 / (n_in + n_out), given nothing but a shape.

    As a share of it, of JAX's own two forms, for a dense layer and a convolution.
    """
    sizes = {(1000, 1000): 2000, (3, 3, 320, 320): 5760}
    return [
        float(jnp.abs(jnp.var(law(_key(0), shape)) * n / 2 - 1))
        for law in _XAVIERS[1:]
        for shape, n in sizes.items()
    ]


def xavier_on_input_laws() -> list[float]:
    """Measure how far the signal behind Xavier's law is from what is predicted.

    The mean square behind a dense layer, as a share of it: centred inputs of unit
    variance that are uniform, two-valued, of Laplace's law, exponential, of Student's t
    law (5).
    """
    keys = jax.random.split(_key(0), 6)
    weights = xavier_normal()(keys[0], (512, 512))
    shape = (4000, 512)
    laws = (
        jax.random.uniform(keys[1], shape, minval=-(3**0.5), maxval=3**0.5),
        jax.random.rademacher(keys[2], shape, jnp.float32),
        jax.random.laplace(keys[3], shape) / 2**0.5,
        jax.random.exponential(keys[4], shape) - 1,
        jax.random.t(keys[5], 5.0, shape) * 0.6**0.5,
    )
    return [float(jnp.abs(jnp.mean((x @ weights) ** 2) - 1)) for x in laws]


_XAVIERS = (
    xavier_normal(),
    jax.nn.initializers.glorot_normal(),
    jax.nn.initializers.glorot_uniform(),
)


def _key(case: int) -> Array:
    return jax.random.key(FIRST_SEED + case)


def _distance(draws: Array, law: Callable[[np.ndarray], np.ndarray]) -> float:
    return float(stats.kstest(np.ravel(draws), law).statistic)


def _errors_from_zero(draws: Array) -> float:
    return float(jnp.abs(draws.mean()) / draws.std() * draws.size**0.5)


def _largest(kernel: Array) -> Array:
    return jnp.abs(kernel).max()


def _scatter(
    law: Initializer, shape: tuple[int, ...], number: Callable[[Array], Array]
) -> float:
    keys = jax.random.split(_key(0), _REDRAWN)
    found = jax.vmap(lambda key: number(law(key, shape)))(keys)
    return float(found.std() / found.mean())
