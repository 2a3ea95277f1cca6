"""Initializers: `(key, shape, dtype) -> Array`, drop-in for Flax and plain JAX.

Example:
    >>> from init_study.initializers import he_normal
    >>> layer = nn.Conv(16, (3, 3), kernel_init=he_normal())
    >>> he_normal()(jax.random.key(0), (3, 3, 8, 16)).shape
    (3, 3, 8, 16)
"""

from collections.abc import Callable

from init_study.initializers.activated import (
    gain_normal,
    gain_uniform,
    he_fan_out,
    he_normal,
    he_truncated,
    he_uniform,
    mup_output,
    torch_kernel,
)
from init_study.initializers.constants import (
    constant,
    normal,
    ntk,
    ones,
    truncated_normal,
    uniform,
    zeros,
)
from init_study.initializers.controls import (
    laplace,
    rademacher,
    student_t,
    ternary,
)
from init_study.initializers.draws import Initializer
from init_study.initializers.fans import fans, variance_scaling
from init_study.initializers.identities import (
    identity,
    looks_linear,
    partial_dirac,
    repeated_identity,
    zero_hadamard,
)
from init_study.initializers.isometries import (
    delta_orthogonal,
    orthogonal_convolution,
    scaled_delta_orthogonal,
)
from init_study.initializers.orthogonal import orthogonal, scaled_orthogonal
from init_study.initializers.scaling import (
    lecun_normal,
    lecun_truncated,
    lecun_uniform,
    xavier_normal,
    xavier_truncated,
    xavier_uniform,
)
from init_study.initializers.structured import (
    gabor,
    gaussian_field,
    sparse,
)

__all__ = [
    "INITIALIZERS",
    "Initializer",
    "constant",
    "delta_orthogonal",
    "fans",
    "gabor",
    "gain_normal",
    "gain_uniform",
    "gaussian_field",
    "glorot_normal",
    "glorot_uniform",
    "he_fan_out",
    "he_normal",
    "he_truncated",
    "he_uniform",
    "identity",
    "kaiming_normal",
    "kaiming_uniform",
    "laplace",
    "lecun_normal",
    "lecun_truncated",
    "lecun_uniform",
    "looks_linear",
    "mup_output",
    "normal",
    "ntk",
    "ones",
    "orthogonal",
    "orthogonal_convolution",
    "partial_dirac",
    "rademacher",
    "repeated_identity",
    "scaled_delta_orthogonal",
    "scaled_orthogonal",
    "sparse",
    "student_t",
    "ternary",
    "torch_kernel",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_truncated",
    "xavier_uniform",
    "zero_hadamard",
    "zeros",
]

glorot_normal = xavier_normal
glorot_uniform = xavier_uniform
kaiming_normal = he_normal
kaiming_uniform = he_uniform

INITIALIZERS: dict[str, Callable[..., Initializer]] = {
    "zeros": zeros,
    "ones": ones,
    "constant": constant,
    "uniform": uniform,
    "normal": normal,
    "truncated_normal": truncated_normal,
    "ntk": ntk,
    "variance_scaling": variance_scaling,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "xavier_truncated": xavier_truncated,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "he_truncated": he_truncated,
    "he_fan_out": he_fan_out,
    "lecun_normal": lecun_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_truncated": lecun_truncated,
    "torch_kernel": torch_kernel,
    "gain_normal": gain_normal,
    "gain_uniform": gain_uniform,
    "mup_output": mup_output,
    "orthogonal": orthogonal,
    "scaled_orthogonal": scaled_orthogonal,
    "delta_orthogonal": delta_orthogonal,
    "scaled_delta_orthogonal": scaled_delta_orthogonal,
    "orthogonal_convolution": orthogonal_convolution,
    "identity": identity,
    "repeated_identity": repeated_identity,
    "zero_hadamard": zero_hadamard,
    "partial_dirac": partial_dirac,
    "looks_linear": looks_linear,
    "sparse": sparse,
    "gabor": gabor,
    "gaussian_field": gaussian_field,
    "laplace": laplace,
    "rademacher": rademacher,
    "student_t": student_t,
    "ternary": ternary,
}
