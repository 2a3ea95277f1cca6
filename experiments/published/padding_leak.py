"""Of our own: how much of the signal do borders of zeros eat?

Paper:    none: He's law is derived without borders.
Command:  python launch.py published --only=padding_leak
Cost:     15 s on two cores.
Expected: behind He's law and ReLU a 3×3 layer with SAME padding keeps 0.98 of the
          signal's mean square on 28×28 pixels and 0.75 on 4×4; with circular padding
          all of it.
Measured: reproduced: 1.01 to 1.07 times the share of taps inside; 0.99 with circular
          padding.
"""

import jax
import jax.numpy as jnp
from jax import lax

from init_study.answers.claims.claim import Claim, between
from init_study.answers.claims.combinations import Check
from init_study.initializers import he_normal

_WIDTH, _LAYERS, _NETS = 128, 8, 4


def energy_of_same_padding() -> list[float]:
    """Compare the factor on the mean square with what a count of the taps inside says.

    Per layer, on 28×28, 14×14, 7×7 and 4×4 pixels.
    """
    return [_factor(size, False) / _taps_inside(size) for size in (28, 14, 7, 4)]


def energy_of_circular_padding() -> list[float]:
    """Measure the factor on the mean square per layer on 4×4 pixels."""
    return [_factor(4, True)]


def _taps_inside(size: int) -> float:
    """Compute the share of a 3×3 kernel's taps that meet a pixel, mean over pixels."""
    return ((3 * size - 2) / (3 * size)) ** 2


def _factor(size: int, circular: bool) -> float:
    """Measure the factor per layer: the geometric mean over layers and nets."""

    @jax.jit
    def shrinks(key: jax.Array) -> jax.Array:
        x = jax.random.normal(jax.random.fold_in(key, _LAYERS), (4, size, size, _WIDTH))
        start = jnp.mean(x**2)
        for layer in range(_LAYERS):
            kernel = he_normal()(jax.random.fold_in(key, layer), (3, 3, _WIDTH, _WIDTH))
            x = jax.nn.relu(x) if layer else x / 2**0.5
            edge = [(0, 0), (1, 1), (1, 1), (0, 0)]
            x = jnp.pad(x, edge, mode="wrap" if circular else "constant")
            x = lax.conv_general_dilated(
                x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        return (jnp.mean(x**2) / start) ** (1 / _LAYERS)

    keys = jax.random.split(jax.random.key(0), _NETS)
    return float(jnp.mean(jnp.stack([shrinks(key) for key in keys])))


CHECKS = {
    check.__name__: check
    for check in (energy_of_same_padding, energy_of_circular_padding)
}

RESULT = Claim(
    number=25,
    section="Of our own",
    original="",
    text="Zeros around small images eat a quarter of the signal in every layer.",
    reading="With SAME padding a 3×3 layer of He's law keeps the share of taps that "
    "meet a pixel, within 10 %, on 28×28 to 4×4 pixels (0.95 to 0.69); with circular "
    "padding it keeps all, within 10 %.",
    predictions=(
        between(
            Check(
                "energy_of_same_padding",
                "factor on the mean square per layer over the share of taps inside",
            ),
            0.9,
            1.1,
        ),
        between(
            Check(
                "energy_of_circular_padding",
                "factor on the mean square per layer, circular padding",
            ),
            0.9,
            1.1,
        ),
    ),
)
