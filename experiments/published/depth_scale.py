"""Do correlations of two inputs forget themselves at the depth that theory says?

Paper:    Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, arXiv:1611.01232: the
          correlation of two inputs goes to its fixed point like exp(−l / ξ), with ξ
          from the slope of the correlation map there.
Command:  python launch.py published --only=depth_scale
Cost:     30 s on two cores.
Expected: measured in wide random tanh nets, ξ is what `init_study.theory` says.
Measured: reproduced: 0.93 to 1.09 times the predicted one.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from init_study.answers.claims.claim import Claim, between
from init_study.answers.claims.combinations import Check
from init_study.theory import depth_scales, fixed_point_c, fixed_point_q

_WIDTH, _PAIRS, _NETS, _DEPTH, _BIAS = 1000, 16, 24, 45, 0.05
_CASES = (1.2, 1.5, 2.5)


def depth_scale_ratio() -> list[float]:
    """Compare measured and predicted depth scale: σ_b² = 0.05, σ_w² = 1.2, 1.5, 2.5."""
    return [
        _measured(sigma_w2) / depth_scales("tanh", sigma_w2, _BIAS)[1]
        for sigma_w2 in _CASES
    ]


def _measured(sigma_w2: float) -> float:
    """Measure the depth scale from the slope of log |c − c*|.

    While |c − c*| falls from 0.09 to 0.03: below, nets of this width wander about c* in
    the chaotic phase.
    """
    q = fixed_point_q("tanh", sigma_w2, _BIAS)
    fixed = fixed_point_c("tanh", sigma_w2, _BIAS)
    start = fixed - 0.1 if fixed > 0.5 else fixed + 0.1
    keys = jax.random.split(jax.random.key(0), _NETS)
    follow = jax.jit(partial(_correlations, sigma_w2=sigma_w2, q=q, start=start))
    away = np.abs(np.mean([follow(key) for key in keys], axis=0) - fixed)
    first = int(np.argmax(away < 0.09))
    last = int(np.argmax(np.append(away, 0.0) < 0.03))
    slope = np.polyfit(np.arange(first, last), np.log(away[first:last]), 1)[0]
    return float(-1 / slope)


def _correlations(key: jax.Array, sigma_w2: float, q: float, start: float) -> jax.Array:
    """Follow the mean correlation of pairs of inputs, `[depth]`, through one net."""
    inputs_key, layers_key = jax.random.split(key)
    u, v = jax.random.normal(inputs_key, (2, _PAIRS, _WIDTH))
    pairs = jnp.stack([u, start * u + (1 - start**2) ** 0.5 * v]) * q**0.5

    def layer(h: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        norms = jnp.linalg.norm(h, axis=-1)
        correlation = jnp.mean(jnp.sum(h[0] * h[1], -1) / norms[0] / norms[1])
        weights_key, bias_key = jax.random.split(key)
        weights = jax.random.normal(weights_key, (_WIDTH, _WIDTH))
        bias = jax.random.normal(bias_key, (_WIDTH,)) * _BIAS**0.5
        summed = jnp.tanh(h) @ weights * (sigma_w2 / _WIDTH) ** 0.5
        return summed + bias[None, None], correlation

    return jax.lax.scan(layer, pairs, jax.random.split(layers_key, _DEPTH))[1]


CHECKS = {"depth_scale_ratio": depth_scale_ratio}

RESULT = Claim(
    number=6,
    section="Schoenholz et al. 2017",
    original="",
    text="Correlations of inputs reach their fixed point exponentially, at a depth "
    "scale that follows from the slope of the correlation map.",
    reading="Measured in 24 nets of width 1000, σ_b² = 0.05 and three σ_w², ordered "
    "and chaotic, it is within 15 % of the predicted one.",
    predictions=(
        between(
            Check("depth_scale_ratio", "measured over predicted depth scale"),
            0.85,
            1.15,
        ),
    ),
)
