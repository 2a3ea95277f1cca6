"""Does Xavier bring the singular values of a layer's Jacobian nearer to one?

Paper:    Glorot & Bengio 2010, section 4: with the usual U(±1/√n) the mean
          singular value of the Jacobian between tanh layers is about 0.5, with the
          normalized initialization about 0.8.
Command:  python launch.py published --only=glorot_jacobian
Cost:     10 s on two cores.
Expected: these two numbers, for five dense tanh layers of 400 units.
Measured: reproduced: 0.476 to 0.481, and 0.707 to 0.727, three nets.
"""

import jax
import jax.numpy as jnp
import numpy as np

from init_study.answers.claims.claim import Claim, between
from init_study.answers.claims.combinations import Check
from init_study.initializers import Initializer, torch_kernel, xavier_uniform

_WIDTH, _LAYERS, _NETS = 400, 5, 3


def jacobian_usual() -> list[float]:
    """Measure the mean singular value of layers' Jacobians in each net, U(±1/√n)."""
    return [_mean_singular_value(torch_kernel(), seed) for seed in range(_NETS)]


def jacobian_xavier() -> list[float]:
    """Measure the mean singular value of layers' Jacobians, Xavier's uniform law."""
    return [_mean_singular_value(xavier_uniform(), seed) for seed in range(_NETS)]


def _mean_singular_value(law: Initializer, seed: int) -> float:
    """Average over the layers behind the first hidden one, at one input."""
    keys = jax.random.split(jax.random.key(seed), _LAYERS + 1)
    x = jax.random.normal(keys[-1], (_WIDTH,))
    found = []
    for index in range(_LAYERS):
        weights = law(keys[index], (_WIDTH, _WIDTH))
        x = jnp.tanh(x @ weights)
        jacobian = np.asarray(weights * (1 - x[None] ** 2), np.float64)
        found.append(np.linalg.svd(jacobian, compute_uv=False).mean())
    return float(np.mean(found[1:]))


CHECKS = {check.__name__: check for check in (jacobian_usual, jacobian_xavier)}

RESULT = Claim(
    number=2,
    section="Glorot & Bengio 2010",
    original="",
    text="The mean singular value of a tanh layer's Jacobian is about 0.5 with "
    "U(±1/√n) and about 0.8 with Xavier.",
    reading="Within 0.1, on the mean over the layers behind the first.",
    predictions=(
        between(
            Check("jacobian_usual", "mean singular value of a layer's Jacobian, usual"),
            0.4,
            0.6,
        ),
        between(
            Check(
                "jacobian_xavier", "mean singular value of a layer's Jacobian, Xavier"
            ),
            0.7,
            0.9,
        ),
    ),
    literature="About 0.5 and 0.8, in five layers of tanh.",
)
