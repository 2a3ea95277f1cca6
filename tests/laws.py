"""One table of laws: what each initializer's numbers are, and the fans of kernels."""

from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple

import jax.numpy as jnp
from scipy import stats

from init_study import initializers
from init_study.initializers import (
    Initializer,
    he_normal,
    he_uniform,
    normal,
    truncated_normal,
    uniform,
    variance_scaling,
)
from init_study.theory import gain


def normal_law(variance):
    return stats.norm(scale=sqrt(variance))


def uniform_law(variance):
    return stats.uniform(-sqrt(3 * variance), 2 * sqrt(3 * variance))


def truncated_law(variance):
    """Cut at two standard deviations of the normal law before the cut."""
    before = sqrt(variance / stats.truncnorm.var(-2, 2))
    return stats.truncnorm(-2, 2, scale=before)


class Law(NamedTuple):
    """An initializer for a number of groups, and the law that it must have, from
    the fans that theory gives it."""

    make: Callable[[int], Initializer]
    of: Callable[[int, int], Any]


def scaling(mode, distribution):
    return lambda g: variance_scaling(0.7, mode, distribution, groups=g)


LAWS = {
    "uniform": Law(lambda g: uniform(0.3), lambda i, o: stats.uniform(-0.3, 0.6)),
    "normal": Law(lambda g: normal(0.2), lambda i, o: normal_law(0.04)),
    "truncated_normal": Law(
        lambda g: truncated_normal(0.2), lambda i, o: truncated_law(0.04)
    ),
    "xavier_normal": Law(
        lambda g: initializers.xavier_normal(groups=g),
        lambda i, o: normal_law(2 / (i + o)),
    ),
    "xavier_uniform": Law(
        lambda g: initializers.xavier_uniform(groups=g),
        lambda i, o: uniform_law(2 / (i + o)),
    ),
    "he_normal": Law(lambda g: he_normal(groups=g), lambda i, o: normal_law(2 / i)),
    "he_normal leaky": Law(
        lambda g: he_normal(0.5, groups=g), lambda i, o: normal_law(2 / (1.25 * i))
    ),
    "he_uniform": Law(
        lambda g: he_uniform(0.0, groups=g), lambda i, o: uniform_law(2 / i)
    ),
    "lecun_normal": Law(
        lambda g: initializers.lecun_normal(groups=g), lambda i, o: normal_law(1 / i)
    ),
    "lecun_uniform": Law(
        lambda g: initializers.lecun_uniform(groups=g), lambda i, o: uniform_law(1 / i)
    ),
    "variance_scaling": Law(
        lambda g: variance_scaling(groups=g), lambda i, o: truncated_law(1 / i)
    ),
    "ntk": Law(lambda g: initializers.ntk(), lambda i, o: normal_law(1.0)),
    "xavier_truncated": Law(
        lambda g: initializers.xavier_truncated(groups=g),
        lambda i, o: truncated_law(2 / (i + o)),
    ),
    "he_truncated": Law(
        lambda g: initializers.he_truncated(groups=g), lambda i, o: truncated_law(2 / i)
    ),
    "he_fan_out": Law(
        lambda g: initializers.he_fan_out(groups=g), lambda i, o: normal_law(2 / o)
    ),
    "lecun_truncated": Law(
        lambda g: initializers.lecun_truncated(groups=g),
        lambda i, o: truncated_law(1 / i),
    ),
    "torch_kernel": Law(
        lambda g: initializers.torch_kernel(g), lambda i, o: uniform_law(1 / (3 * i))
    ),
    "gain_normal": Law(
        lambda g: initializers.gain_normal("tanh", groups=g),
        lambda i, o: normal_law(gain("tanh") ** 2 / i),
    ),
    "gain_uniform": Law(
        lambda g: initializers.gain_uniform(jnp.abs, 2.0, g),
        lambda i, o: uniform_law(1 / i),
    ),
    "mup_output": Law(
        lambda g: initializers.mup_output(3.0, g), lambda i, o: normal_law(3 / i**2)
    ),
    "laplace": Law(
        lambda g: initializers.laplace(0.7, g),
        lambda i, o: stats.laplace(scale=sqrt(0.7 / i / 2)),
    ),
    "student_t": Law(
        lambda g: initializers.student_t(9.0, 0.7, g),
        lambda i, o: stats.t(9.0, scale=sqrt(0.7 / i * 7 / 9)),
    ),
    "fan_in uniform": Law(
        scaling("fan_in", "uniform"), lambda i, o: uniform_law(0.7 / i)
    ),
    "fan_out normal": Law(
        scaling("fan_out", "normal"), lambda i, o: normal_law(0.7 / o)
    ),
    "fan_avg truncated": Law(
        scaling("fan_avg", "truncated_normal"),
        lambda i, o: truncated_law(1.4 / (i + o)),
    ),
    "fan_geo_avg normal": Law(
        scaling("fan_geo_avg", "normal"), lambda i, o: normal_law(0.7 / sqrt(i * o))
    ),
}


class Kernel(NamedTuple):
    """A shape, its groups, and its fans as counted by hand."""

    shape: tuple[int, ...]
    groups: int
    fan_in: int
    fan_out: int


# Few shapes with many groups: each new shape compiles its own draws.
LARGE, SMALL = (5, 2, 64, 256), (3, 3, 1, 1024)
KERNELS = {
    "5x2": Kernel(LARGE, 1, 640, 2560),
    "grouped": Kernel(LARGE, 2, 640, 1280),
    "one input": Kernel(SMALL, 1, 9, 9216),
    "depthwise": Kernel(SMALL, 1024, 9, 9),
    "depthwise x2": Kernel(SMALL, 512, 9, 18),
    "dense": Kernel((256, 128), 1, 256, 128),
}
