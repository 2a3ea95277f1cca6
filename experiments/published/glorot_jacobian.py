"""Does Xavier bring the singular values of a layer's Jacobian nearer to one?

Paper:    Glorot & Bengio 2010, section 4: with the usual U(±1/√n) the mean
          singular value of the Jacobian between tanh layers is about 0.5, with the
          normalized initialization about 0.8.
Command:  python launch.py published --only=glorot_jacobian
Cost:     15 s on two cores.
Expected: these two numbers, for five dense tanh layers of 1000 units.
"""

import jax
import jax.numpy as jnp
import numpy as np

from init_study.answers.claims import Claim, between
from init_study.answers.quantities import Check
from init_study.initializers import Initializer, torch_kernel, xavier_uniform

_WIDTH, _LAYERS = 1000, 5


def jacobian_usual() -> list[float]:
    """Mean singular value of each layer's Jacobian, U(±1/√n)."""
    return _mean_singular_values(torch_kernel())


def jacobian_xavier() -> list[float]:
    """The same, Xavier's uniform law."""
    return _mean_singular_values(xavier_uniform())


def _mean_singular_values(law: Initializer) -> list[float]:
    """Of the layers between the first hidden one and the last, on one input."""
    keys = jax.random.split(jax.random.key(0), _LAYERS + 1)
    x = jax.random.normal(keys[-1], (_WIDTH,))
    found = []
    for index in range(_LAYERS):
        x = jnp.tanh(x @ law(keys[index], (_WIDTH, _WIDTH)))
        if index < _LAYERS - 1:
            after = law(keys[index + 1], (_WIDTH, _WIDTH))
            slope = 1 - jnp.tanh(x @ after) ** 2
            jacobian = np.asarray(after * slope, np.float64)
            found.append(float(np.linalg.svd(jacobian, compute_uv=False).mean()))
    return found


CHECKS = {check.__name__: check for check in (jacobian_usual, jacobian_xavier)}

RESULT = Claim(
    number=2,
    section="Glorot & Bengio 2010",
    original="",
    text="The mean singular value of a tanh layer's Jacobian is about 0.5 with "
    "U(±1/√n) and about 0.8 with Xavier.",
    reading="Within 0.1, for each layer behind the first.",
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
