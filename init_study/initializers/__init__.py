"""Initializers: `(key, shape, dtype) -> Array`, drop-in for Flax and plain JAX.

from init_study.initializers import he_normal
nn.Conv(16, (3, 3), kernel_init=he_normal())
"""

import inspect
from collections.abc import Callable

from init_study.initializers.scaling import (
    Initializer,
    constant,
    fans,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    truncated_normal,
    uniform,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
    zeros,
)

__all__ = [
    "INITIALIZERS",
    "Initializer",
    "constant",
    "describe_initializers",
    "fans",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

glorot_normal = xavier_normal
glorot_uniform = xavier_uniform

INITIALIZERS: dict[str, Callable[..., Initializer]] = {
    "zeros": zeros,
    "constant": constant,
    "uniform": uniform,
    "normal": normal,
    "truncated_normal": truncated_normal,
    "variance_scaling": variance_scaling,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "lecun_normal": lecun_normal,
    "lecun_uniform": lecun_uniform,
}


def describe_initializers() -> dict[str, str]:
    """The first line of each docstring, by name."""
    return {
        name: (inspect.getdoc(factory) or "").partition("\n")[0]
        for name, factory in INITIALIZERS.items()
    }
