"""Gains and fans that were mistaken for others, told by a kernel's variance.

A rule speaks only where no law that counts rightly has this variance, within the
sampling error.
"""

from collections.abc import Iterator
from math import prod, sqrt
from typing import NamedTuple

from init_study.activations import ACTIVATIONS, name_activation
from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.law_families import CUT_SQUARE, ORTHOGONAL
from init_study.diagnosis.laws import (
    KERNEL,
    LeafLaw,
    as_matrix,
    orthogonal_gain,
    sampling_error,
)
from init_study.diagnosis.seen import Seen
from init_study.errors import UserError
from init_study.network import Layer
from init_study.theory import gain

# A signal of a tenth of its mean square, over all layers without a norm, is lost.
_LOST = 0.1
# A variance that is known no better than this tells no law from another.
_COARSE = 0.1
_LEAST = 1e-3
_SCALES = (2.0, 1.0)
_FOLKLORE = {"tanh": (5 / 3) ** 2, "selu": (3 / 4) ** 2}


class _Scaled(NamedTuple):
    """A kernel whose scale is known: gain² of an orthogonal one, else n · variance."""

    layer: Layer
    law: LeafLaw
    scale: float
    error: float

    @property
    def nameless(self) -> bool:
        return not self.law.names or self.law.family == ORTHOGONAL


def _scaled(seen: Seen) -> list[_Scaled]:
    """Collect the kernels whose numbers tell their scale."""
    layers = {layer.kernel: layer for layer in seen.set_up.network.layers}
    found = []
    for law in seen.laws:
        layer = layers.get(law.path)
        if layer is None or law.role != KERNEL or law.centre or layer.scale_free:
            continue
        if law.family == ORTHOGONAL:
            matrix = as_matrix(seen.leaves[law.path], layer)
            found.append(_Scaled(layer, law, orthogonal_gain(matrix, layer) ** 2, 0.01))
            continue
        error = sampling_error(law.family, law.nonzero)
        whole = law.nonzero == seen.leaves[law.path].size
        if error is not None and error < 2 * _COARSE and whole:
            scale = law.by_fan_in or 0.0
            found.append(_Scaled(layer, law, scale, max(error, _LEAST)))
    return found


def _fits(value: float, wanted: float, error: float) -> bool:
    return abs(value / wanted - 1) <= error


def _group_fans(seen: Seen) -> Iterator[Sign]:
    """Give the grouped kernels whose variance counts the inputs of all groups."""
    for layer, law, scale, error in _scaled(seen):
        if layer.groups == 1 or law.names:
            continue
        before, after, groups = layer.fan_in, layer.fan_out, layer.groups
        wrong = {
            "all outputs": after * groups,
            "all inputs": before * groups,
            "all outputs, in the mean of both fans": (before + after * groups) / 2,
            "all inputs and outputs, in the mean of both": groups
            * (before + after)
            / 2,
        }
        for said, fan in wrong.items():
            if any(_fits(law.square * fan, one, error) for one in _SCALES):
                grave = scale < 0.25 and not layer.normalized
                yield Sign(
                    "warning" if grave else "info",
                    "/".join(law.path),
                    f"fan_in · variance is {scale:.3g}, as if {said} counted, {fan:g}; "
                    f"one of {groups} groups has fans of {before} and {after} "
                    f"(known to ± {error:.0%})",
                )
                break


def _axis_order(seen: Seen) -> Iterator[Sign]:
    """Give the convolutions whose fan was taken over other axes than their own."""
    found = [
        one
        for one in _scaled(seen)
        if not one.law.names and len(one.law.shape) > 2 and one.layer.parts == 1
        if one.layer.groups == 1 and one.layer.fan_in > one.layer.kernel_shape[-2]
    ]
    if not found:
        return
    for axis in range(len(found[0].law.shape)):
        for scale in _SCALES:
            if all(_fits_axis(one, axis, scale) for one in found):
                sure = len({prod(one.law.shape) for one in found}) > 1
                yield from _signs_of_axis(found, axis, scale, sure)
                return


def _fits_axis(one: _Scaled, axis: int, scale: float) -> bool:
    """Tell whether the variance is scale / fan, with the outputs along another axis."""
    if axis >= len(one.law.shape):
        return False
    fan = prod(one.law.shape) / one.law.shape[axis]
    right = fan in (one.layer.fan_in, one.layer.fan_out)
    return not right and _fits(one.law.square * fan, scale, one.error)


def _signs_of_axis(
    found: list[_Scaled], axis: int, scale: float, sure: bool
) -> Iterator[Sign]:
    for layer, law, of_layer, error in found:
        fan = prod(law.shape) / law.shape[axis]
        yield Sign(
            "warning" if sure else "info",
            "/".join(law.path),
            f"fan_in · variance is {of_layer:.3g}; variance · {fan:g} is {scale:g}, "
            f"which takes axis {axis} of {law.shape} for the outputs; its fans are "
            f"{layer.fan_in} and {layer.fan_out} (known to ± {error:.0%})",
        )


def _uncorrected_cut(seen: Seen) -> Iterator[Sign]:
    """Say that a cut-off law lost a quarter of its variance."""
    cut = [
        one
        for one in _scaled(seen)
        if one.law.names and all("Haiku" in x or "Flow" in x for x in one.law.names)
    ]
    if cut:
        bare = sum(not one.layer.normalized for one in cut)
        left = CUT_SQUARE**bare
        yield Sign(
            "warning" if left < _LOST else "info",
            "kernels",
            f"{len(cut)} kernels have {CUT_SQUARE:.3f} of the variance that was meant; "
            f"over the {bare} without a norm {left:.2g} of the signal is left "
            f"(threshold {_LOST})",
        )


def _orthogonal_widens(seen: Seen) -> Iterator[Sign]:
    """Give the orthogonal kernels that have more outputs than inputs."""
    # The first layer scales all once, whatever the depth.
    first = seen.set_up.network.layers[:1]
    found = [
        (one, (one.law.by_fan_in or 0.0) / one.scale)
        for one in _scaled(seen)
        if one.law.family == ORTHOGONAL and one.layer not in first
    ]
    left = prod(share for one, share in found if not one.layer.normalized)
    for one, share in found:
        if share < 0.9:
            grave = left < _LOST and not one.layer.normalized
            yield Sign(
                "warning" if grave else "info",
                "/".join(one.law.path),
                f"fan_in · variance is {one.law.by_fan_in:.3g}, {share:.2g} of its "
                f"gain²; all such layers without a norm leave {left:.2g} of the signal "
                f"(threshold {_LOST})",
            )


def _known_activation(layer: Layer) -> str | None:
    """Name what follows a layer; None for nothing, or what has no name."""
    name = None if layer.activation is None else name_activation(layer.activation)
    return name if name in ACTIVATIONS and name != "linear" else None


def _gain_not_squared(seen: Seen) -> Iterator[Sign]:
    """Give the kernels whose scale is the root or the square of what is wanted."""
    found = [one for one in _scaled(seen) if one.layer.activation is not None]
    # To name an activation takes a compilation: first what costs nothing.
    if not any(one.nameless for one in found):
        return
    found = [one for one in found if _known_activation(one.layer)]
    if not found or not all(one.nameless and one.error < _COARSE for one in found):
        return
    try:
        wanted = [gain(_known_activation(one.layer) or "") ** 2 for one in found]
    except UserError:
        return
    for said, power in (("the root", 0.5), ("the square", 2.0)):
        fit = all(
            abs(right - 1) > 2 * _COARSE and _fits(one.scale, right**power, one.error)
            for one, right in zip(found, wanted, strict=True)
        )
        if fit:
            several = len({one.layer.fan_in for one in found}) > 1
            bare = any(not one.layer.normalized for one in found)
            yield Sign(
                "warning" if several and bare else "info",
                "kernels",
                f"all {len(found)} before an activation have a scale of "
                f"{found[0].scale:.3g}, {said} of {wanted[0]:.3g}, which keeps signals "
                f"(known to ± {max(one.error for one in found):.0%})",
            )


def _folklore(seen: Seen) -> Iterator[Sign]:
    """Say where a gain is a rule of thumb, and what keeps signals."""
    for name, scale in _FOLKLORE.items():
        near = [x for x in _scaled(seen) if _fits(x.scale, scale, 2 * _COARSE)]
        found = [x for x in near if _known_activation(x.layer) == name]
        count = sum(one.law.nonzero for one in found)
        if not found or not all(one.nameless for one in found):
            continue
        right = gain(name) ** 2
        mean = sum(x.scale * x.law.nonzero for x in found) / count
        error = sqrt(sum((x.error * x.law.nonzero) ** 2 for x in found)) / count
        told = 2 * error < abs(scale / right - 1)
        each = all(_fits(one.scale, scale, one.error) for one in found)
        if told and each and _fits(mean, scale, max(error, _LEAST)):
            bare = sum(not one.layer.normalized for one in found)
            factor = (scale / right) ** bare
            yield Sign(
                "warning" if factor < _LOST else "info",
                "kernels",
                f"{len(found)} before {name} have a scale of {mean:.3g} ± {error:.1%}, "
                f"that of a gain of {sqrt(scale):.3g}; {right:.3g} keeps signals (over "
                f"{bare} without a norm a factor {factor:.2g}, threshold {_LOST})",
            )


FAN_TRAPS = (
    Trap(
        "group-fans",
        "a grouped convolution is scaled by the fans of all groups",
        "An output reads the inputs of its own group alone: counted over all groups, a "
        "depthwise kernel is smaller by as much as there are channels.",
        'scheme="xavier_normal" or "he_fan_out", which know a layer\'s groups; bare: '
        "init_study.initializers.xavier_normal(groups=...)",
        "measured: depthwise, 256 channels, glorot_normal: n · variance 0.0078; "
        "pytorch/pytorch#23854",
        _group_fans,
    ),
    Trap(
        "axis-order",
        "the fan was counted along other axes",
        "The initializer took a spatial axis for the inputs or outputs, as where "
        "kernels [out, in, h, w] meet a law for [h, w, in, out].",
        "in_axis and out_axis of the initializer, or a scheme, which knows the layout",
        "derived: fan = numbers of the kernel / size of an axis",
        _axis_order,
    ),
    Trap(
        "uncorrected-cut",
        "a cut-off normal law was not scaled up again",
        "The cut at two deviations takes away 23 % of the variance, in every layer.",
        'scheme="he_truncated", or init_study.initializers.truncated_normal, whose '
        "stddev is that of the result",
        "derived: 1 − 2 c φ(c) / (2 Φ(c) − 1) at c = 2 is 0.774",
        _uncorrected_cut,
    ),
    Trap(
        "orthogonal-widens",
        "an orthogonal kernel has more outputs than inputs",
        "It keeps the norm of the whole and spreads it over more units: each has less.",
        'scheme="scaled_orthogonal"',
        "Martens et al. 2021, arXiv:2110.01765 (scaled uniform orthogonal)",
        _orthogonal_widens,
    ),
    Trap(
        "gain-not-squared",
        "a gain was given where its square is meant, or the other way round",
        "Some laws take the factor of the standard deviation, others that of the "
        "variance; signals grow or shrink by the difference in every layer.",
        "variance_scaling(2.0, ...) takes that of the variance, orthogonal(2**0.5) "
        "that of the standard deviation",
        "derived: a scale that is the root or square of 1 / E[φ²]",
        _gain_not_squared,
    ),
    Trap(
        "folklore-gain",
        "a gain is a rule of thumb",
        "PyTorch's gain of 5/3 for tanh and 3/4 for selu are not what keeps the mean "
        "square of signals.",
        'scheme="gain_normal(tanh)"; for selu "lecun_normal"',
        "derived: gain² = 1 / E[φ(z)²]; PyTorch's own note on `calculate_gain` takes "
        "the gain of linear layers for selu",
        _folklore,
    ),
)
