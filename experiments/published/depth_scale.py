"""Do correlations of two inputs forget themselves at the depth that theory says?

Paper:    Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, arXiv:1611.01232: the
          correlation of two inputs goes to its fixed point like exp(−l / ξ), with ξ
          from the slope of the correlation map there.
Command:  python launch.py published --only=depth_scale
Cost:     20 s on two cores.
Expected: measured in wide random tanh nets, ξ is what `init_study.theory` says.
"""

import jax
import jax.numpy as jnp
import numpy as np

from init_study.answers.claims import Claim, between
from init_study.answers.quantities import Check
from init_study.theory import depth_scales, fixed_point_c, fixed_point_q

_WIDTH, _BIAS, _NETS = 2000, 0.05, 8
_CASES = (1.2, 1.5, 2.5)


def depth_scale_ratio() -> list[float]:
    """Measured over predicted depth scale: σ_b² = 0.05, σ_w² = 1.2, 1.5 and 2.5."""
    return [_measured(sigma_w2) / _predicted(sigma_w2) for sigma_w2 in _CASES]


def _predicted(sigma_w2: float) -> float:
    return depth_scales("tanh", sigma_w2, _BIAS)[1]


def _measured(sigma_w2: float) -> float:
    """From the slope of log |c − c*| over the layers in which it falls from a tenth
    to a two-hundredth."""
    q = fixed_point_q("tanh", sigma_w2, _BIAS)
    fixed = fixed_point_c("tanh", sigma_w2, _BIAS)
    keys = jax.random.split(jax.random.key(0), _NETS)
    path = np.mean([_correlations(key, sigma_w2, q, fixed) for key in keys], axis=0)
    away = np.abs(path - fixed)
    used = (away < 0.1) & (away > 0.005)
    first = int(np.argmax(used))
    last = first + int(np.argmin([*used[first:], False]))
    slope = np.polyfit(np.arange(first, last), np.log(away[first:last]), 1)[0]
    return float(-1 / slope)


def _correlations(
    key: jax.Array, sigma_w2: float, q: float, fixed: float
) -> np.ndarray:
    """Of two inputs, layer by layer; they begin at the variance q, and correlated by
    0.3 less than at the fixed point, or more if that is small."""
    start = fixed - 0.3 if fixed > 0.5 else fixed + 0.3
    first, second, key = jax.random.split(key, 3)
    u, v = (jax.random.normal(k, (_WIDTH,)) for k in (first, second))
    h = jnp.stack([u, start * u + (1 - start**2) ** 0.5 * v]) * q**0.5
    found = []
    for layer in range(40):
        found.append(float(jnp.vdot(h[0], h[1]) / jnp.linalg.norm(h, axis=1).prod()))
        weights_key, bias_key = jax.random.split(jax.random.fold_in(key, layer))
        weights = jax.random.normal(weights_key, (_WIDTH, _WIDTH))
        bias = jax.random.normal(bias_key, (_WIDTH,)) * _BIAS**0.5
        h = jnp.tanh(h) @ weights * (sigma_w2 / _WIDTH) ** 0.5 + bias
    return np.array(found)


CHECKS = {"depth_scale_ratio": depth_scale_ratio}

RESULT = Claim(
    number=6,
    section="Schoenholz et al. 2017",
    original="",
    text="Correlations of inputs reach their fixed point exponentially, at a depth "
    "scale that follows from the slope of the correlation map.",
    reading="Measured in eight nets of width 2000, σ_b² = 0.05 and three σ_w², ordered "
    "and chaotic, it is within 15 % of the predicted one.",
    predictions=(
        between(
            Check("depth_scale_ratio", "measured over predicted depth scale"),
            0.85,
            1.15,
        ),
    ),
)
