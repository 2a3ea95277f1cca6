"""Controls: laws of one variance and many shapes, to see what the shape alone does."""

from math import isfinite, sqrt

import jax
import jax.numpy as jnp
from jaxtyping import Array

from init_study.errors import UserError
from init_study.initializers.draws import (
    Initializer,
    Number,
    check_scale,
    drawn,
    root,
)
from init_study.initializers.fans import (
    Fans,
    check_fans,
    known_fans,
    variance_scaling,
)


def laplace(scale: Number = 2.0, groups: int = 1, fans: Fans = None) -> Initializer:
    """Laplace's law, variance scale / fan_in: heavier tails, the same variance.

    A control: what the shape of a law does beyond its variance. He's variance by
    default.
    Use: as a control.
    When not: to gain accuracy: nothing promises that.

    Example:
        >>> kernel = laplace()(jax.random.key(0), (200, 100))
        >>> round(float(kernel.std()), 2)  # √(2 / 200)
        0.1
    """
    return variance_scaling(scale, "fan_in", "laplace", groups=groups, fans=fans)


def rademacher(scale: Number = 2.0, groups: int = 1, fans: Fans = None) -> Initializer:
    """Rademacher's law, ±√(scale / fan_in): no tails at all, the same variance.

    A control as `laplace`. Every output has exactly the norm √scale.
    Use: as a control.
    When not: as `laplace`.

    Example:
        >>> kernel = rademacher()(jax.random.key(0), (8, 100))
        >>> np.unique(kernel).tolist()  # ±√(2 / 8)
        [-0.5, 0.5]
    """
    return variance_scaling(scale, "fan_in", "rademacher", groups=groups, fans=fans)


def student_t(
    df: float = 5.0, scale: Number = 2.0, groups: int = 1, fans: Fans = None
) -> Initializer:
    """Student's t law with `df` degrees of freedom, variance scale / fan_in.

    A control as `laplace`, with tails that fall as a power: single large weights.
    Use: as a control.
    When not: as `laplace`; a single weight may rule a small layer.

    Raises: UserError for df of 2 or less, which has no variance.

    Example:
        >>> kernel = student_t()(jax.random.key(0), (200, 100))
        >>> round(float(kernel.std()), 2)  # √(2 / 200)
        0.1
    """
    check_scale("scale", scale, least=0)
    check_fans(fans)
    if not (df > 2 and isfinite(df)):
        raise UserError(f"df={df!r}: Student's law has a variance only above df=2")

    def draw(key: Array, shape: tuple[int, ...], dtype: type) -> Array:
        return jax.random.t(key, df, shape, dtype)

    return drawn(
        (draw, sqrt(df / (df - 2))),
        lambda shape: root(scale / known_fans(fans, shape, groups)[0]),
    )


def ternary(
    density: float = 0.1, scale: Number = 2.0, groups: int = 1, fans: Fans = None
) -> Initializer:
    """Ternary law: ±√(scale / (density fan_in)) with probability `density`, else zero.

    A control as `laplace`: most weights are absent, the variance is the same.
    Use: as a control.
    When not: as `laplace`.

    Raises: UserError for a density outside (0, 1].

    Example:
        >>> kernel = ternary(density=0.5)(jax.random.key(0), (16, 100))
        >>> np.unique(kernel).tolist()  # ±√(2 / (0.5 · 16))
        [-0.5, 0.0, 0.5]
    """
    check_scale("scale", scale, least=0)
    check_fans(fans)
    if not 0 < density <= 1:
        raise UserError(f"density={density!r} is not in (0, 1]")

    def draw(key: Array, shape: tuple[int, ...], dtype: type) -> Array:
        place = jax.random.uniform(key, shape, dtype)
        sign = jnp.where(place < density / 2, -1.0, 1.0)
        return jnp.where(place < density, sign, 0.0).astype(dtype)

    return drawn(
        (draw, sqrt(density)),
        lambda shape: root(scale / known_fans(fans, shape, groups)[0]),
    )
