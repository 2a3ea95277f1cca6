"""Of our own: are Gaussian draws in bfloat16 centred?

Paper:    none; `jax.random.normal` with `dtype=bfloat16`.
Command:  python launch.py published --only=low_precision_draws
Cost:     10 s on two cores.
Expected: drawn in bfloat16 they have 128 values and a mean of −0.012 standard
          deviations; drawn in float32 and then rounded, as here, they have none.
Measured: reproduced: 0.011 to 0.013 standard deviations and 128 values; 0.0002 to
          0.0004 if drawn in float32.
"""

import jax
import jax.numpy as jnp
import numpy as np

from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.combinations import Check
from init_study.initializers import normal

_SHAPE = (2000, 2000)


def bias_of_bfloat16() -> list[float]:
    """Measure |mean| over standard deviation of draws made in bfloat16, three keys."""
    return [_bias(jax.random.normal(key, _SHAPE, jnp.bfloat16)) for key in _keys()]


def bias_of_rounded() -> list[float]:
    """Measure the same of draws made in float32 and rounded to bfloat16."""
    return [_bias(normal(1.0)(key, _SHAPE, jnp.bfloat16)) for key in _keys()]


def values_of_bfloat16() -> list[float]:
    """Count distinct values among four million draws made in bfloat16."""
    drawn = jax.random.normal(jax.random.key(9), _SHAPE, jnp.bfloat16)
    return [float(len(np.unique(np.asarray(drawn, np.float32))))]


def _keys() -> jax.Array:
    return jax.random.split(jax.random.key(0), 3)


def _bias(drawn: jax.Array) -> float:
    numbers = np.asarray(drawn, np.float64)
    return float(np.abs(numbers.mean()) / numbers.std())


CHECKS = {
    check.__name__: check
    for check in (bias_of_bfloat16, bias_of_rounded, values_of_bfloat16)
}

RESULT = Claim(
    number=26,
    section="Of our own",
    original="",
    text="Gaussian draws that are made in bfloat16 are biased and coarse.",
    reading="Their mean is more than a hundredth of a standard deviation from zero, "
    "and four million of them have at most 300 values; made in float32 and then "
    "rounded their mean is less than a five-hundredth away.",
    predictions=(
        above(Check("bias_of_bfloat16", "|mean| over std, drawn in bfloat16"), 0.01),
        below(Check("bias_of_rounded", "|mean| over std, drawn in float32"), 0.002),
        below(Check("values_of_bfloat16", "values of draws in bfloat16"), 300),
    ),
)
