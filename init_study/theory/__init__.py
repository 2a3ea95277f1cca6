"""Signal propagation in wide random nets, for any elementwise activation.

from init_study.theory import edge_of_chaos, gain
gain(jnp.tanh)             # 1.5925: weights of std gain / √fan_in keep E[h²] = 1
edge_of_chaos(jnp.tanh)    # (σ_w², σ_b²) that keep gradients as well
"""

from init_study.theory.maps import (
    c_map,
    chi1,
    critical_sigma_w2,
    depth_scales,
    edge_of_chaos,
    fixed_point_c,
    fixed_point_q,
    q_map,
    q_slope,
)
from init_study.theory.moments import (
    derivative_moment,
    gain,
    mean,
    second_moment,
)
from init_study.theory.padding import padding_gain
from init_study.theory.shaping import dks, shaped_activation, tat

__all__ = [
    "c_map",
    "chi1",
    "critical_sigma_w2",
    "depth_scales",
    "derivative_moment",
    "dks",
    "edge_of_chaos",
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
]
