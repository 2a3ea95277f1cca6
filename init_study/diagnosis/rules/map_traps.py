"""What borders of zeros and pooling do to a map's signal."""

from collections.abc import Iterator
from math import prod, sqrt

import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.flow import flow_of
from init_study.diagnosis.rules.signal_traps import MOST
from init_study.diagnosis.seen import Seen
from init_study.errors import UserError
from init_study.network import Layer
from init_study.theory import padding_gain, second_moment

# Half of the signal: what a factor of 2 in the weights' variance would do.
_TOLD = 0.5
# A mean or a maximum of 4 places changes a mean square by less than that twice.
_POOLED = 2.0


def _padding_leak(seen: Seen) -> Iterator[Sign]:
    """Give the share of the signal that borders of zeros leave, over the trunk.

    A norm takes the loss back, so the longest loss between norms counts.
    """
    layers, numbers = seen.set_up.network.layers, seen.first.layers
    for stretch in flow_of(seen).stretches:
        if flow_of(seen).is_followed_by_norm(stretch[-1]):
            stretch = stretch[:-1]
        padded = [i for i in stretch if _is_padded(layers[i])]
        left = _left_by_padding([layers[index] for index in padded])
        if not padded or left > _TOLD:
            continue
        each = left ** (1 / len(padded))
        borders = [
            float(numbers.border[i]) / float(numbers.centre[i])
            for i in padded
            if 0 < numbers.centre[i] < np.inf
        ]
        measured = ""
        if borders:
            measured = (
                f"; of the centre's mean square the border has {borders[0]:.2g} at the "
                f"first and {borders[-1]:.2g} at the last that has both"
            )
        yield Sign(
            "warning" if left * MOST < 1 else "info",
            f"{len(padded)} padded convolutions, {layers[padded[0]].name} to "
            f"{layers[padded[-1]].name}",
            f"by theory {left:.2g} of the mean square is left, a factor of {each:.3g} "
            f"each (told below {_TOLD:g}, a warning below {1 / MOST:g}){measured}",
        )


def _is_padded(layer: Layer) -> bool:
    """Whether it is a convolution of stride 1 on a map that it leaves as large."""
    return (
        layer.kind == "conv"
        and len(layer.padding) == 2
        and layer.image_shape[:2] == layer.output_shape[:2]
        and set(layer.strides) == set(layer.kernel_dilation) == {1}
        and any(sum(one) for one in layer.padding)
    )


def _left_by_padding(layers: list[Layer]) -> float:
    """Compute what is left; neighbours on equal maps darken the border together."""
    runs: list[tuple[tuple[int, ...], int]] = []
    for layer in layers:
        size = (*layer.image_shape[:2], *layer.kernel_shape[:2])
        count = runs.pop()[1] + 1 if runs and runs[-1][0] == size else 1
        runs.append((size, count))
    return prod(
        padding_gain(height, width, (rows, columns), layers=count) ** count
        for (height, width, rows, columns), count in runs
    )


def _pooling(seen: Seen) -> Iterator[Sign]:
    """Give places where a map shrinks between two layers, and its mean square changes.

    Against E[φ²] of the layer before: what would be read without the pooling.
    """
    layers, numbers = seen.set_up.network.layers, seen.first.layers
    flow = flow_of(seen)
    for before, index in flow.pairs:
        first, second = layers[before], layers[index]
        shrunk = prod(first.output_shape) / prod(second.image_shape)
        if first.activation is None or shrunk <= 1:
            continue
        if flow.renewed[index] and not first.normalized:
            continue
        q = 1.0 if first.normalized else float(f"{numbers.signal[before]:.1e}")
        if not 0 < q < np.inf or not numbers.inputs[index] > 0:
            continue
        try:
            expected = second_moment(first.activation, q)
        except UserError:
            continue
        ratio = float(numbers.inputs[index]) / expected if expected else np.nan
        # Of a few channels some are on one side of zero alone.
        most = _POOLED * (1 + 3 / sqrt(first.whole_shape[-1]))
        if ratio > most or ratio < 1 / most:
            yield Sign(
                "info",
                f"between {first.name} and {second.name}",
                f"the mean square is {ratio:.2g} of what the activation leaves, on a "
                f"map of {1 / shrunk:.2g} of the places (told beyond {most:.2g} or its "
                "inverse)",
            )


MAP_TRAPS = (
    Trap(
        "padding-leak",
        "borders of zeros take signal away at every convolution",
        "No law that counts fans knows that taps beyond the border meet zeros; on "
        "small maps that is most of the taps.",
        "weights of a larger gain, 1 / √init_study.theory.padding_gain(…); circular "
        "padding; fewer convolutions on small maps; a norm",
        "measured: 3×3 on 4×4 leaves 0.75 a layer; derived: "
        "init_study.theory.padding_gain",
        _padding_leak,
    ),
    Trap(
        "pooling-factor",
        "pooling changes the mean square",
        "A maximum raises it and a mean over places lowers it, by as much as places "
        "differ; laws for weights do not count that.",
        "scheme='lsuv', which measures it, or 'autoinit'",
        "Bingham and Miikkulainen 2021, arXiv:2109.08958",
        _pooling,
    ),
)
