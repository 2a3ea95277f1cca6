"""Laws whose scale is given: the same whatever the width of the layer."""

from math import sqrt
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import check_number
from init_study.initializers.draws import Initializer, drawn, floating


def zeros() -> Initializer:
    """All zeros: symmetric, so that units that begin alike stay alike.

    Use: for biases, and for a last layer.
    When not: for hidden kernels: where all are zero, only the last bias ever gets a
    gradient.

    Example:
        >>> zeros()(jax.random.key(0), (2, 3)).tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return constant(0.0)


def ones() -> Initializer:
    """All ones: symmetric like zeros, every kernel of rank one.

    Use: as a control of what symmetry does.
    When not: to train: every unit of a layer learns the same.

    Example:
        >>> ones()(jax.random.key(0), (2, 3)).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    return constant(1.0)


def constant(value: float = 0.1) -> Initializer:
    """One `value` throughout: symmetric like zeros, every kernel keeps rank one.

    Use: as a control, and for biases that should begin above zero.
    When not: for kernels that are to train, as `ones`.

    Example:
        >>> constant(0.25)(jax.random.key(0), (3,)).tolist()
        [0.25, 0.25, 0.25]
    """
    check_number("value", value)

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = None) -> Array:
        del key
        return jnp.full(shape, float(value), floating(dtype))

    return init


def uniform(scale: float = 0.05) -> Initializer:
    """Uniform law U(−scale, scale), whatever the width; its variance is scale² / 3.

    Symmetric, unlike `jax.nn.initializers.uniform`, which draws from [0, scale) and
    so has a positive mean.
    Use: to repeat an experiment with a fixed scale.
    When not: for deep nets: the signal depends on the width to the power of the
    depth.

    Example:
        >>> kernel = uniform(0.3)(jax.random.key(0), (100, 100))
        >>> round(float(kernel.var()), 2)  # 0.3² / 3
        0.03
    """
    check_number("scale", scale, least=0)
    return drawn("uniform", lambda shape: scale / sqrt(3))


def normal(stddev: float = 0.02) -> Initializer:
    """Gaussian law N(0, stddev²), whatever the width.

    Use: to repeat an experiment with a fixed scale, such as AlexNet's 0.01.
    When not: for deep nets, as `uniform`.

    Example:
        >>> kernel = normal(0.1)(jax.random.key(0), (100, 100))
        >>> kernel.shape, round(float(kernel.std()), 2)
        ((100, 100), 0.1)
    """
    check_number("stddev", stddev, least=0)
    return drawn("normal", lambda shape: stddev)


def truncated_normal(stddev: float = 0.02) -> Initializer:
    """Gaussian law cut off at two standard deviations, then rescaled to `stddev`.

    The result has exactly the standard deviation `stddev`, unlike
    `jax.nn.initializers.truncated_normal`, whose argument is that of the normal law
    before the cut.
    Use: as `normal`, without rare large weights.
    When not: for deep nets, as `uniform`.

    Example:
        >>> kernel = truncated_normal(0.1)(jax.random.key(0), (100, 100))
        >>> round(float(kernel.std()), 2), bool(abs(kernel).max() < 0.23)
        (0.1, True)
    """
    check_number("stddev", stddev, least=0)
    return drawn("truncated_normal", lambda shape: stddev)


def ntk() -> Initializer:
    """Gaussian law N(0, 1), for layers that divide by √fan_in themselves.

    Use: where the layer itself divides, as in studies of infinite width.
    When not: for a plain `nn.Conv`: signals grow by √fan_in per layer.
    Reference: Jacot, Gabriel & Hongler 2018, arXiv:1806.07572 (NTK parametrization).

    Example:
        >>> kernel = ntk()(jax.random.key(0), (100, 100))
        >>> round(float(kernel.std()), 1)
        1.0
    """
    return normal(1.0)
