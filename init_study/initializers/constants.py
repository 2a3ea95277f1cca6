"""Laws whose scale is given: the same whatever the width of the layer."""

import math
from math import erfc, exp, isinf, pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from init_study.errors import UserError, check_number
from init_study.initializers.draws import (
    Initializer,
    Number,
    as_shape,
    check_scale,
    drawn,
    is_traced,
)


def zeros(key: Any = None, shape: Any = None, dtype: Any = None) -> Any:
    """All zeros: symmetric, so that units that begin alike stay alike.

    Both forms of a call will do: `zeros()` makes the initializer, and `zeros` is one
    itself, as JAX's is.
    Use: for biases, and for a last layer.
    When not: for hidden kernels: where all are zero, only the last bias ever gets a
    gradient.

    Example:
        >>> zeros()(jax.random.key(0), (2, 3)).tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
        >>> zeros(jax.random.key(0), (2,)).tolist()
        [0.0, 0.0]
    """
    return _either("zeros", 0.0, key, shape, dtype)


def ones(key: Any = None, shape: Any = None, dtype: Any = None) -> Any:
    """All ones: symmetric like zeros, every kernel of rank one.

    Both forms of a call will do, as of `zeros`.
    Use: as a control of what symmetry does.
    When not: to train: every unit of a layer learns the same.

    Example:
        >>> ones()(jax.random.key(0), (2, 3)).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    return _either("ones", 1.0, key, shape, dtype)


def _either(name: str, value: float, key: Any, shape: Any, dtype: Any) -> Any:
    if shape is not None:
        return constant(value)(key, shape, dtype)
    if key is not None:
        raise UserError(f"{name} of a key needs a shape: {name}(key, shape, dtype)")
    return constant(value, dtype)


def constant(value: Any = 0.1, dtype: Any = None) -> Initializer:
    """One `value` throughout: symmetric like zeros, every kernel keeps rank one.

    Use: as a control, and for biases that should begin above zero.
    When not: for kernels that are to train, as `ones`.

    Args:
        value: a number, or an array that is repeated to the shape.
        dtype: of the result where none is asked for; any type, whole numbers too.

    Example:
        >>> constant(0.25)(jax.random.key(0), (3,)).tolist()
        [0.25, 0.25, 0.25]
    """
    _check_value(value, dtype)

    def init(key: Any, shape: Any, dtype: Any = dtype) -> Array:
        del key
        kind = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
        _check_holds(kind, value)
        given = jnp.asarray(value).astype(kind)
        return jnp.full(as_shape(shape), given, kind)

    return init


def _check_holds(kind: Any, value: Any) -> None:
    """Check that numbers of a type can be the value.

    Raises: UserError for a complex value, or a fraction, in a type without them.
    """
    if is_traced(value):
        return
    exact = np.asarray(value)
    loses = np.iscomplexobj(exact) and not jnp.issubdtype(kind, jnp.complexfloating)
    if not jnp.issubdtype(kind, jnp.inexact):
        loses = loses or bool((exact != exact.astype(kind)).any())
    if loses:
        raise UserError(f"value={value!r} is none that dtype {kind} can hold")


def _check_value(value: Any, dtype: Any) -> None:
    """Check the numbers of a constant.

    Raises: UserError for one that is not finite, or complex without a complex type.
    """
    if is_traced(value):
        return
    if isinstance(value, jax.Array | np.ndarray) and value.ndim:
        if not np.isfinite(np.asarray(value)).all():
            raise UserError("value has numbers that are not finite")
    elif isinstance(value, complex) and jnp.issubdtype(dtype, jnp.complexfloating):
        check_number("value", abs(value))
    else:
        number: Any = value
        check_number("value", number)


def uniform(scale: Number = 0.05, dtype: Any = None) -> Initializer:
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
    check_scale("scale", scale, least=0)
    return drawn("uniform", lambda shape: scale / sqrt(3), dtype)


def normal(stddev: Number = 0.02, dtype: Any = None) -> Initializer:
    """Gaussian law N(0, stddev²), whatever the width.

    Use: to repeat an experiment with a fixed scale, such as AlexNet's 0.01.
    When not: for deep nets, as `uniform`.

    Example:
        >>> kernel = normal(0.1)(jax.random.key(0), (100, 100))
        >>> kernel.shape, round(float(kernel.std()), 2)
        ((100, 100), 0.1)
    """
    check_scale("stddev", stddev, least=0)
    return drawn("normal", lambda shape: stddev, dtype, may_be_complex=True)


def truncated_normal(
    stddev: Number = 0.02,
    dtype: Any = None,
    lower: float = -2.0,
    upper: float = 2.0,
) -> Initializer:
    """Gaussian law cut off at two standard deviations, then rescaled to `stddev`.

    The result has exactly the standard deviation `stddev`, unlike
    `jax.nn.initializers.truncated_normal`, whose argument is that of the normal law
    before the cut.
    Use: as `normal`, without rare large weights.
    When not: for deep nets, as `uniform`.

    Args:
        stddev: of the result.
        dtype: of the result where none is asked for.
        lower: the cut below, in deviations before the cut.
        upper: the cut above.

    Raises: UserError for cuts that leave nothing.

    Example:
        >>> kernel = truncated_normal(0.1)(jax.random.key(0), (100, 100))
        >>> round(float(kernel.std()), 2), bool(abs(kernel).max() < 0.23)
        (0.1, True)
    """
    check_scale("stddev", stddev, least=0)
    if (lower, upper) == (-2.0, 2.0):
        return drawn("truncated_normal", lambda shape: stddev, dtype)

    def draw(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        return jax.random.truncated_normal(key, lower, upper, shape, dtype)

    return drawn((draw, _deviation_between(lower, upper)), lambda shape: stddev, dtype)


def _deviation_between(lower: float, upper: float) -> float:
    """Find the standard deviation of a standard normal law cut off at both ends."""
    # On the side where both tails are small numbers, and their difference exact.
    low, high = (lower, upper) if lower + upper > 0 else (-upper, -lower)
    mass = (erfc(low / sqrt(2)) - erfc(high / sqrt(2))) / 2
    if not (lower < upper and mass > 0):
        raise UserError(
            f"lower={lower!r}, upper={upper!r} leave nothing of a normal law; give "
            "numbers of deviations, as -2.0 and 2.0"
        )
    densities = [exp(-(end**2) / 2) / sqrt(2 * pi) for end in (low, high)]
    slopes = [
        0.0 if isinf(end) else end * density
        for end, density in zip((low, high), densities, strict=True)
    ]
    mean = (densities[0] - densities[1]) / mass
    return math.sqrt(1 + (slopes[0] - slopes[1]) / mass - mean**2)


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
