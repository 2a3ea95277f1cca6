"""Gradients on their way back over the trunk, by theory and as they are.

Which layers are compared with one another, `init_study.diagnosis.flow` says.
"""

from collections.abc import Iterator, Sequence
from math import exp, log, prod
from typing import NamedTuple

import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.flow import Flow, flow_of
from init_study.diagnosis.layer_factors import backward_factor, chance_over
from init_study.diagnosis.rules.signal_traps import MOST
from init_study.diagnosis.seen import Seen

# Squared lengths of weight gradients that are within this count as even.
_EVEN = 10.0
# Before a norm a step at a right angle makes weights longer, and the next ones turn
# them by less: one rate serves layers of which one turns by a thousandth and another is
# redrawn by a step as long as itself. Norms of rectified signals multiply the gradient
# by π / (π − 1) a layer, whatever the weights.
_MOST_BEFORE_NORM = 1e6


class _WayBack(NamedTuple):
    """Squared lengths of one image's gradient at hidden layers of the trunk.

    Attributes:
        places: indices of layers.
        squares: of the gradient by each one's output, all its numbers together. Strides
            and widths keep this one, not the mean square: with weights of variance
            1 / fan_in, as many outputs read a number as it takes to make up for theirs.
            Where a norm follows it is times the output's mean square, the gradient by
            the normalized output, so that the weights' scale has no part in it.
        pooled: by each layer, what means over places may have taken on the way back.
    """

    places: tuple[int, ...]
    squares: tuple[float, ...]
    pooled: tuple[float, ...]


def _way_back(seen: Seen, flow: Flow) -> _WayBack | None:
    """Measure the gradient over the hidden trunk, or give None where there is none.

    A head of zeros sends none back before the first step, by design.
    """
    layers, numbers = seen.set_up.network.layers, seen.first.layers
    squares = []
    for index in flow.hidden:
        square = float(numbers.gradient[index]) * prod(layers[index].output_shape)
        if flow.is_followed_by_norm(index):
            square *= float(numbers.signal[index])
        squares.append(square)
    if len(squares) < 2 or not squares[-1] > 0 or not np.isfinite(squares).all():
        return None
    pooled = [1.0]
    for before, after in zip(flow.hidden[-2::-1], flow.hidden[:0:-1], strict=True):
        read = prod(layers[after].image_shape)
        share = max(1.0, prod(layers[before].output_shape) / read)
        pooled.append(pooled[-1] * share)
    return _WayBack(flow.hidden, tuple(squares), tuple(pooled[::-1]))


def _gradient_vanishes(seen: Seen) -> Iterator[Sign]:
    flow = flow_of(seen)
    way = _way_back(seen, flow)
    if way is None:
        return
    # Zeros on the way are the zero traps' to tell.
    rows = [
        (square * pooled / way.squares[-1], index)
        for index, square, pooled in zip(*way, strict=True)
        if square > 0
    ]
    ratio, index = min(rows)
    yield from _sign(seen, flow, index, ratio, 1 / ratio, MOST)


def _gradient_explodes(seen: Seen) -> Iterator[Sign]:
    flow = flow_of(seen)
    way = _way_back(seen, flow)
    if way is None:
        return
    rows = [
        (_MOST_BEFORE_NORM if flow.is_followed_by_norm(index) else MOST, square, index)
        for square, index in zip(way.squares, way.places, strict=True)
    ]
    most, square, index = max(rows, key=lambda row: row[1] / row[0])
    ratio = square / way.squares[-1]
    yield from _sign(seen, flow, index, ratio, ratio, most)


def _sign(
    seen: Seen, flow: Flow, index: int, ratio: float, size: float, most: float
) -> Iterator[Sign]:
    """Give a sign if a factor, or its inverse, is beyond the threshold and chance.

    Where theory foresees as much of these weights, it is no chance.
    """
    between = [one for one in flow.hidden if one >= index]
    foreseen, words = _by_theory(seen, flow, between)
    same_way = (foreseen > 0) == (ratio > 1)
    expected = same_way and abs(foreseen) > log(most)
    chance = 1.0 if expected else chance_over(seen, between)
    if not size > most * chance:
        return
    layers = seen.set_up.network.layers
    yield Sign(
        "warning",
        layers[index].name,
        f"the squared length of an image's gradient is {ratio:.2g} of that at "
        f"{layers[between[-1]].name}, {len(between) - 1} layers later (threshold "
        f"{most * chance:.2g} or its inverse, of which {chance:.2g} is chance){words}",
    )


def _by_theory(seen: Seen, flow: Flow, between: Sequence[int]) -> tuple[float, str]:
    """Compute the logarithm of all χ₁ that are known, and say their mean."""
    pairs = [pair for pair in flow.pairs if set(pair) <= set(between)]
    logs = [log(one) for one in (backward_factor(seen, *pair) for pair in pairs) if one]
    if not logs:
        return 0.0, ""
    mean = exp(sum(logs) / len(logs))
    return sum(logs), f"; χ₁ by theory is {mean:.3g} a layer (1 keeps it)"


def _even_weights(seen: Seen) -> Iterator[Sign]:
    """Give nets whose weight gradients are even though gradients at layers are not.

    The first are products of the second with signals, which may change the other way.
    """
    flow = flow_of(seen)
    way = _way_back(seen, flow)
    if way is None or not min(way.squares) > 0:
        return
    layers = seen.set_up.network.layers
    lengths = [
        float(np.sum(seen.slopes[layers[i].kernel].astype(np.float64) ** 2))
        for i in way.places
    ]
    apart = max(way.squares) / min(way.squares)
    chance = chance_over(seen, way.places)
    if min(lengths) > 0 and apart > MOST * chance:
        evenly = max(lengths) / min(lengths)
        if evenly < _EVEN:
            yield Sign(
                "info",
                f"{len(lengths)} hidden layers",
                f"squared lengths of weight gradients differ by a factor of "
                f"{evenly:.2g} (even is below {_EVEN:g}), gradients at the layers by "
                f"{apart:.2g} (threshold {MOST * chance:.2g})",
            )


GRADIENT_TRAPS = (
    Trap(
        "gradient-vanishes",
        "the gradient vanishes on its way back",
        "Early layers get almost none of it, and stay as they are for most of the "
        "training.",
        "scheme='edge_of_chaos', or 'he_normal' behind ReLU: χ₁ = σ_w² E[φ'²] near 1",
        "Schoenholz et al. 2017, arXiv:1611.01232",
        _gradient_vanishes,
    ),
    Trap(
        "gradient-explodes",
        "the gradient grows on its way back",
        "A learning rate that early layers bear leaves later ones where they are.",
        "scheme='edge_of_chaos', or 'he_normal' behind ReLU: χ₁ = σ_w² E[φ'²] near 1",
        "Schoenholz et al. 2017, arXiv:1611.01232; Yang et al. 2019, arXiv:1902.08129, "
        "of batch norms",
        _gradient_explodes,
    ),
    Trap(
        "weights-hide-gradients",
        "weight gradients look even, gradients at layers do not",
        "A look at norms of weight gradients passes this net for healthy; a weight's "
        "gradient is the layer's times its input, and one makes up for the other.",
        "look at the gradients by the layers' outputs: "
        "init_study.instruments.signals.gradients_at_layers",
        "Glorot and Bengio 2010, their equation 14; derived: ∂ℓ/∂W = δ hᵀ",
        _even_weights,
    ),
)
