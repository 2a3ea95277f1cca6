"""Was it applied? The law that every parameter's numbers follow, as far as they tell.

A law is a family, as `law_families` finds it, and a scale: for a kernel the variance
times one of its fans. Scales are compared within the sampling error of the variance.
"""

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import NamedTuple

import numpy as np

from init_study.diagnosis.law_families import (
    CUT,
    CUT_SQUARE,
    KURTOSIS,
    LAPLACE,
    NORMAL,
    ORTHOGONAL,
    RANDOM,
    SIGNS,
    TOO_FEW,
    UNIFORM,
    Family,
    find_family,
)
from init_study.network import Layer, Network, Path

KERNEL, BIAS, SCALE, SHIFT, REST = "kernel", "bias", "scale", "shift", "other"
# Of a normal law one in a thousand is further off than so many standard errors.
ERRORS = 3.29
# No name is given where the scale is not known better than this.
_COARSE = 0.2
_AS_WORDS = {NORMAL: "normal", CUT: "truncated", UNIFORM: "uniform"}
# Name, scale and fan: the variance is scale / fan.
_SCALES = (("he", 2.0, "in"), ("lecun", 1.0, "in"), ("xavier", 1.0, "avg"))
# The same of a single family.
_OF_FAMILY = {
    NORMAL: (("he_fan_out", 2.0, "out"), ("ntk", 1.0, "")),
    CUT: (
        ("Haiku's default", CUT_SQUARE, "in"),
        ("TensorFlow 1's he_normal", 2 * CUT_SQUARE, "in"),
    ),
    UNIFORM: (("PyTorch's default", 1 / 3, "in"), ("PyTorch's default", 1 / 3, "own")),
    SIGNS: (("rademacher", 2.0, "in"),),
    LAPLACE: (("laplace", 2.0, "in"),),
}
_DEFAULTS = {"lecun_truncated": "Flax's default", "xavier_uniform": "Keras's default"}
_FIXED = {NORMAL: (0.01, 0.02, 0.05), CUT: (0.01, 0.02, 0.05)}


class LeafLaw(NamedTuple):
    """What the numbers of one parameter are like.

    Attributes:
        path: of the parameter.
        said: what sets it, in words.
        role: kernel, bias, scale, shift or other.
        shape: as it is stored.
        nonzero: how many numbers are not zero.
        mean, std: of all numbers.
        square: mean square of all numbers.
        by_fan_in, by_fan_out: of a kernel, that times the fans that its operation has
            on average; None of others.
        family: a constant of `law_families`.
        p: as of `law_families.Family`.
        centre: as there.
        names: of laws with this family and scale, as far as the numbers tell them
            apart.
    """

    path: Path
    said: str
    role: str
    shape: tuple[int, ...]
    nonzero: int
    mean: float
    std: float
    square: float
    by_fan_in: float | None
    by_fan_out: float | None
    family: str
    p: float
    centre: float
    names: tuple[str, ...]


def leaf_laws(
    network: Network, leaves: Mapping[Path, np.ndarray], said: Mapping[Path, str]
) -> tuple[LeafLaw, ...]:
    """Find the law of every parameter of a network.

    Args:
        network: a traced network.
        leaves: its parameters, by path.
        said: what sets each, in words.

    Returns: as the leaves are ordered. Laws of few numbers have no name.

    Example:
        >>> import flax.linen as nn, jax
        >>> from init_study.network import trace
        >>> network = trace(nn.Dense(40), (50,))
        >>> params = network.own_init(jax.random.key(0))
        >>> leaves = {(name,): np.asarray(leaf) for name, leaf in params.items()}
        >>> [law.names for law in leaf_laws(network, leaves, {}) if law.names]
        [('lecun_truncated', "Flax's default")]
    """
    roles = dict(_roles(network))
    return tuple(
        _law(path, leaf, said.get(path, ""), *roles.get(path, (REST, None)))
        for path, leaf in leaves.items()
    )


def _roles(network: Network) -> Iterator[tuple[Path, tuple[str, Layer]]]:
    """Give what each parameter of a layer is; its kernel goes before all others."""
    for layer in network.layers:
        for path, role in (
            (layer.shift, SHIFT),
            (layer.scale, SCALE),
            (layer.bias, BIAS),
            (layer.kernel, KERNEL),
        ):
            if path is not None:
                yield path, (role, layer)


def _law(
    path: Path, leaf: np.ndarray, said: str, role: str, layer: Layer | None
) -> LeafLaw:
    whose = layer if role == KERNEL else None
    numbers = as_matrix(leaf, whose)
    blocks = 1 if whose is None else whose.parts * whose.groups
    none = numbers.size == 0
    family = Family(TOO_FEW) if none else find_family(numbers, blocks)
    flat = numbers.reshape(-1)
    square = 0.0 if none else float(flat @ flat / flat.size)
    mean = 0.0 if none else float(flat.mean())
    count = int(np.count_nonzero(flat))
    fans = None if whose is None else whose.mean_fans
    return LeafLaw(
        path=path,
        said=said,
        role=role,
        shape=leaf.shape,
        nonzero=count,
        mean=mean,
        std=sqrt(max(0.0, square - mean**2)),
        square=square,
        by_fan_in=None if fans is None else square * fans[0],
        by_fan_out=None if fans is None else square * fans[1],
        family=family.name,
        p=family.p,
        centre=family.centre,
        names=tuple(_names(family, square, mean, count, role, layer, numbers)),
    )


def as_matrix(leaf: np.ndarray, layer: Layer | None = None) -> np.ndarray:
    """Bring a parameter into the form `[inputs of one output, outputs]`.

    Args:
        leaf: as it is stored.
        layer: whose kernel it is; without one it is a single row.

    Returns: in float64, or float32 if there are many numbers.

    Example:
        >>> as_matrix(np.ones(3, np.float32)).shape
        (1, 3)
    """
    # Sums of many small squares in single precision are right to six digits.
    wide = leaf.astype(np.float64 if leaf.size < 100_000 else np.float32)
    if layer is None:
        return wide.reshape(1, -1)
    return np.asarray(layer.plain(wide)).reshape(-1, layer.whole_shape[-1])


def _names(
    family: Family,
    square: float,
    mean: float,
    count: int,
    role: str,
    layer: Layer | None,
    numbers: np.ndarray,
) -> Iterator[str]:
    """Give the names of the laws that have this family and scale."""
    name = family.name
    if layer is not None and role == KERNEL and name == ORTHOGONAL:
        yield f"orthogonal(gain={orthogonal_gain(numbers, layer):.3g})"
        return
    random = name in RANDOM or name == SIGNS
    if not random or family.centre or count < numbers.size or layer is None:
        return
    error = sampling_error(name, count)
    if error is None or error > _COARSE:
        return
    for said, variance in _known(name, role, layer):
        if abs(square / variance - 1) <= max(error, 1e-3):
            yield said
            if said in _DEFAULTS:
                yield _DEFAULTS[said]


def sampling_error(family: str, count: int) -> float | None:
    """Compute how far a sample's variance may be from its law's, as a share of it.

    Args:
        family: a constant of `law_families`.
        count: of numbers.

    Returns: one in a thousand samples is further off; None for other families.

    Example:
        >>> round(sampling_error("normal", 10_000), 3)
        0.047
    """
    kurtosis = KURTOSIS.get(family)
    return None if kurtosis is None else ERRORS * sqrt((kurtosis - 1) / max(count, 1))


def orthogonal_gain(numbers: np.ndarray, layer: Layer) -> float:
    """Find the gain of an orthogonal kernel: a norm of its rows, or columns.

    Args:
        numbers: as of `as_matrix`.
        layer: whose kernel it is.

    Example:
        >>> from init_study.network import trace
        >>> import flax.linen as nn
        >>> (layer,) = trace(nn.Dense(2), (2,)).layers
        >>> orthogonal_gain(3 * np.eye(2), layer)
        3.0
    """
    used = int((numbers != 0).any(1).sum())
    outputs = layer.kernel_shape[-1] // layer.groups
    total = float(np.sum(numbers**2)) / (layer.parts * layer.groups)
    return sqrt(total / max(1, min(used, outputs)))


def _fans_of(layer: Layer) -> dict[str, tuple[float, ...]]:
    """Collect the fans that laws divide by: of the kernel's shape, and on average.

    `own` is what PyTorch takes for the fan_in of a transposed kernel.
    """
    before, after = layer.mean_fans
    pairs = [(layer.fan_in, layer.fan_out), (before, after)]
    return {
        "in": tuple(sorted({float(one) for one, _ in pairs})),
        "out": tuple(sorted({float(one) for _, one in pairs})),
        "avg": tuple(sorted({(one + other) / 2 for one, other in pairs})),
        "own": (float(layer.fan_out),) if layer.kind == "conv_transpose" else (),
        "": (1.0,),
    }


def _known(family: str, role: str, layer: Layer) -> Iterator[tuple[str, float]]:
    """Give names and variances of laws of a family."""
    if role == BIAS:
        if family == UNIFORM:
            yield "PyTorch's random bias", 1 / 3 / layer.fan_in
        return
    if role != KERNEL:
        return
    fans = _fans_of(layer)
    rows = [
        (f"{name}_{_AS_WORDS[family]}", scale, fan)
        for name, scale, fan in _SCALES
        if family in _AS_WORDS
    ]
    for name, scale, fan in (*rows, *_OF_FAMILY.get(family, ())):
        for one in fans[fan]:
            yield name, scale / one
    for std in _FIXED.get(family, ()):
        yield f"{_AS_WORDS[family]}({std})", std**2
    if family == UNIFORM:
        yield "uniform(0.05)", 0.05**2 / 3
    if family == NORMAL:
        yield "mup_output", 1 / layer.forward_fan**2


def law_in_words(law: LeafLaw) -> str:
    """Say what a parameter's numbers are like, in a few words.

    Args:
        law: of the parameter.

    Example:
        >>> none = LeafLaw((), "", "bias", (3,), 0, 0, 0, 0, None, None, "zeros",
        ...                float("nan"), 0.0, ())
        >>> law_in_words(none)
        'zeros'
    """
    words = " or ".join(law.names) if law.names else law.family
    if law.by_fan_in is not None:
        return f"{words}, fan_in · variance {law.by_fan_in:.3g}"
    return words if law.std == 0 else f"{words}, std {law.std:.3g}"
