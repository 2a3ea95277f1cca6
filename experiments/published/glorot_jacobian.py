"""Does Xavier bring the singular values of a layer's Jacobian nearer to one?

Paper:    Glorot & Bengio 2010, section 4: with the usual U(±1/√n) the mean
          singular value of the Jacobian between tanh layers is about 0.5, with the
          normalized initialization about 0.8.
Command:  python launch.py published --only=glorot_jacobian
Cost:     20 s on two cores.
Expected: these two numbers within 0.05, for five dense tanh layers of 1,000 units
          behind images of the scale of MNIST's, one of the paper's sets: 784 pixels
          from 0 to 1, of mean square 0.13² + 0.31² = 0.11. In the limit of small
          signals they would be 0.49 and 0.85, 8 / 3π times the deviation of √n W;
          standardized images of mean square 1 saturate tanh.
Measured: reproduced: 0.488 to 0.489, and 0.793 to 0.805, five nets.
"""

import jax
import jax.numpy as jnp
import numpy as np

from init_study.answers.claims.claim import Claim, between
from init_study.answers.claims.combinations import Check
from init_study.initializers import Initializer, torch_kernel, xavier_uniform

_WIDTH, _LAYERS, _SEEDS = 1000, 5, range(100, 105)
# Mean and deviation of MNIST's training pixels are 0.1307 and 0.3081.
_PIXELS, _MEAN_SQUARE = 784, 0.1307**2 + 0.3081**2


def jacobian_usual() -> list[float]:
    """Measure the mean singular value of layers' Jacobians in each net, U(±1/√n)."""
    return [_mean_singular_value(torch_kernel(), seed) for seed in _SEEDS]


def jacobian_xavier() -> list[float]:
    """Measure the mean singular value of layers' Jacobians, Xavier's uniform law."""
    return [_mean_singular_value(xavier_uniform(), seed) for seed in _SEEDS]


def _mean_singular_value(law: Initializer, seed: int) -> float:
    """Average over the layers behind the first hidden one, at one input.

    Of an input, wide random layers see little more than its norm.
    """
    keys = jax.random.split(jax.random.key(seed), _LAYERS + 1)
    x = jax.random.normal(keys[-1], (_PIXELS,)) * _MEAN_SQUARE**0.5
    found = []
    for index in range(_LAYERS):
        weights = law(keys[index], (len(x), _WIDTH))
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
    reading="Within 0.05, on the mean over the layers behind the first, for images of "
    "MNIST's scale.",
    predictions=(
        between(
            Check("jacobian_usual", "mean singular value of a layer's Jacobian, usual"),
            0.45,
            0.55,
        ),
        between(
            Check(
                "jacobian_xavier", "mean singular value of a layer's Jacobian, Xavier"
            ),
            0.75,
            0.85,
        ),
    ),
    literature="About 0.5 and 0.8, in five layers of tanh.",
)
