"""Signal propagation in wide random nets, for any elementwise activation.

Example:
    >>> from init_study.theory import critical_variances, gain
    >>> round(gain(jnp.tanh), 4)  # weights of std gain / √fan_in keep E[h²] = 1
    1.5925
    >>> sigma_w2, sigma_b2 = critical_variances(jnp.tanh)  # these keep gradients, too
"""

from init_study.theory.criticality import (
    critical_at_bias,
    critical_sigma_w2,
    critical_variances,
)
from init_study.theory.fixed_points import (
    depth_scales,
    fixed_point_c,
    fixed_point_q,
)
from init_study.theory.maps import c_map, chi1, q_map, q_slope
from init_study.theory.moments import (
    derivative_moment,
    gain,
    mean,
    second_moment,
    weighted_moment,
)
from init_study.theory.padding import padding_gain
from init_study.theory.shaping import dks, shaped_activation, tat

__all__ = [
    "c_map",
    "chi1",
    "critical_at_bias",
    "critical_sigma_w2",
    "critical_variances",
    "depth_scales",
    "derivative_moment",
    "dks",
    "fixed_point_c",
    "fixed_point_q",
    "gain",
    "mean",
    "padding_gain",
    "q_map",
    "q_slope",
    "second_moment",
    "shaped_activation",
    "tat",
    "weighted_moment",
]
