"""What one layer does to mean squares, by its weights and by theory, and chance."""

from collections.abc import Callable, Sequence
from math import exp, sqrt

import numpy as np

from init_study.activations import Activation
from init_study.diagnosis.flow import flow_of
from init_study.diagnosis.seen import Seen
from init_study.errors import UserError
from init_study.theory import derivative_moment, second_moment

# The logarithm of a random net's mean square has, from draw to draw, a variance of
# about 5 / width for each ReLU layer of normal weights: E[h⁴] / E[h²]² − 1.
_VARIANCE = 5.0
_STANDARD_ERRORS = 2.0


def chance_over(seen: Seen, layers: Sequence[int]) -> float:
    """Compute the factor by which mean squares differ by chance after some layers.

    Two standard deviations of what narrow layers of independent weights do, one behind
    the other.

    Args:
        seen: of a set-up.
        layers: indices.

    Returns: at least 1; 1.9 for one layer of 64 units.

    Reference: Hanin and Rolnick 2018, arXiv:1803.01719: the variance goes with the sum
        of 1 / width.
    """
    widths = [seen.set_up.network.layers[one].whole_shape[-1] for one in layers]
    total = sum(1 / width for width in widths)
    return exp(_STANDARD_ERRORS * sqrt(_VARIANCE * total))


def forward_factor(seen: Seen, before: int, index: int) -> float | None:
    """Compute σ_w² E[φ²] / q: what a layer and the activation before it do to q.

    Args:
        seen: of a set-up.
        before: the layer that it reads alone.
        index: the layer.

    Returns: None where the activation, the signal or the weights are not known.
    """
    return _factor(seen, before, index, lambda phi, q: second_moment(phi, q) / q)


def backward_factor(seen: Seen, before: int, index: int) -> float | None:
    """Compute χ₁ = σ_w² E[φ'²]: what both do to a gradient's length, squared.

    Args:
        seen: of a set-up.
        before: the layer that it reads alone.
        index: the layer.

    Returns: None as `forward_factor`.
    """
    return _factor(seen, before, index, derivative_moment)


def _factor(
    seen: Seen, before: int, index: int, moment: Callable[[Activation, float], float]
) -> float | None:
    """Multiply σ_w² by a moment of the activation, where both are known."""
    q = _variance(seen, before, index)
    scale = weight_scale(seen, index)
    activation = seen.set_up.network.layers[before].activation
    if q is None or scale is None or activation is None:
        return None
    try:
        return scale * moment(activation, q)
    except UserError:
        return None


def weight_scale(seen: Seen, index: int) -> float | None:
    """Compute σ_w², the mean square of a layer's weights times its operation's fan.

    Args:
        seen: of a set-up.
        index: the layer.

    Returns: None where a norm of its weights hides their scale.
    """
    layer = seen.set_up.network.layers[index]
    if layer.scale_free:
        return None
    weights = seen.leaves[layer.kernel].astype(np.float64)
    return float(np.mean(weights**2) * layer.mean_fans[0])


def _variance(seen: Seen, before: int, index: int) -> float | None:
    """Give the mean square that goes into an activation; 1 behind a norm.

    It has two digits, so that layers share their integrals.
    """
    layer = seen.set_up.network.layers[before]
    if layer.normalized:
        return 1.0
    # A norm behind the activation is another function than the activation.
    q = float(seen.first.layers.signal[before])
    if flow_of(seen).renewed[index] or not 0 < q < np.inf:
        return None
    return float(f"{q:.1e}")
