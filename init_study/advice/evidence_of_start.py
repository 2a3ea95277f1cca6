"""What speaks for a scheme before training: a few numbers of its starts, each with why.

What ranks is the *speed*. Near its start a network learns as its linearization does:
gradient descent at rate η takes a step −η Θ r / n on the outputs of n images, with Θ
the tangent kernel and r the residual. The largest stable rate is in proportion to
1 / λ_max(Θ). So what one step can take off the part of the residual that tells images
apart, the labels y without their mean, is in proportion to

    speed = yᵀ P Θ P y / (‖P y‖² λ_max(Θ)),  P taking off the mean over images.

A start that maps all images to one output has Θ of rank one in images, and speed 0; a
signal or gradient that vanishes in some layers but not in the head, the same. A factor
on all weights of a homogeneous net changes Θ as a whole, and the speed not at all.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from init_study.advice.readings import STEP_RATES

# A first step of a rate is worth taking that does a tenth of what the best rate does.
_WORTH = 0.1


class StartEvidence(NamedTuple):
    """What was measured of a scheme's starts, as means over its draws.

    Attributes:
        speed: as the module says, from 0 to 1; NaN where a start is not finite.
        loss: at the start, in nats.
        excess: of it over ln K.
        spread: standard deviation of a logit over images.
        forward: decades by which the mean square of the signal grows from the first
            layer to the last hidden one.
        backward: as many of the gradient, from the last hidden layer to the first.
        drop: share of the loss that the best first step takes off.
        best_rate: that takes it, with what momentum makes of a rate: in the long run a
            step counts 1 / (1 − momentum) times.
        low: the least rate whose first step takes off a tenth as much, likewise.
        high: the greatest rate up to which every first step lowers the loss, likewise.
        sharpness: λ_max of the loss's Gauss–Newton matrix on the images of the kernel.
    """

    speed: float
    loss: float
    excess: float
    spread: float
    forward: float
    backward: float
    drop: float
    best_rate: float
    low: float
    high: float
    sharpness: float


def evidence_of(
    readings: Mapping[str, np.ndarray],
    labels: Int[np.ndarray, " n"],
    momentum: float = 0.0,
) -> StartEvidence:
    """Sum up the draws of one scheme.

    Args:
        readings: of `readings.start_instrument`, `[draws, ...]`.
        labels: of the kernel's images, as places among its outputs; −1 for others.
        momentum: of gradient descent, β. First steps know none, so that their rates
            are multiplied by 1 − β.
    """
    draws = [
        _of_draw(
            {name: values[i] for name, values in readings.items()}, labels, momentum
        )
        for i in range(len(readings["loss"]))
    ]
    columns = zip(*draws, strict=True)
    ratios = ("speed", "best_rate", "low", "high", "sharpness")
    return StartEvidence(
        *(
            _geometric(column) if name in ratios else float(np.mean(column))
            for name, column in zip(StartEvidence._fields, columns, strict=True)
        )
    )


def label_speed(
    kernel: Float[np.ndarray, "nk nk"], labels: Int[np.ndarray, " n"]
) -> float:
    """Compute how fast a linearized net learns what tells images apart.

    Args:
        kernel: Θ, of image i and output a at i·k + a.
        labels: places among the outputs, or −1.

    Returns: from 0 to 1, as the module says; NaN of a kernel that is not finite, 0 of
        zeros.

    Example:
        A kernel that is the same for all pairs moves all images alike; the identity
        moves each by itself.

        >>> label_speed(np.ones((4, 4)), np.array([0, 1]))
        0.0
        >>> label_speed(np.eye(4), np.array([0, 1]))
        1.0
    """
    if not np.isfinite(kernel).all():
        return float("nan")
    largest = float(np.linalg.eigvalsh(kernel.astype(np.float64))[-1])
    if largest <= 0:
        return 0.0
    targets = one_hot(labels, len(kernel) // len(labels))
    apart = (targets - targets.mean(0)).ravel()
    pulled = float(apart @ kernel.astype(np.float64) @ apart)
    return max(0.0, pulled / float(apart @ apart) / largest)


def gauss_newton_sharpness(
    kernel: Float[np.ndarray, "nk nk"], outputs: Float[np.ndarray, "n k"]
) -> float:
    """Compute λ_max of the Gauss–Newton matrix of the mean cross-entropy.

    It is that of H½ Θ H½ / n, with H the loss's Hessian by the logits of each image,
    diag(p) − p pᵀ.

    Args:
        kernel: Θ, as of `label_speed`.
        outputs: the logits.

    Example:
        Two equal logits: H has the eigenvalues 0 and ½.

        >>> float(round(gauss_newton_sharpness(np.eye(2), np.zeros((1, 2))), 6))
        0.5
    """
    if not (np.isfinite(kernel).all() and np.isfinite(outputs).all()):
        return float("nan")
    shifted = np.exp(outputs.astype(np.float64) - outputs.max(1, keepdims=True))
    shares = shifted / shifted.sum(1, keepdims=True)
    images, classes = shares.shape
    root = np.zeros((images * classes, images * classes))
    for image, p in enumerate(shares):
        place = slice(image * classes, (image + 1) * classes)
        values, vectors = np.linalg.eigh(np.diag(p) - np.outer(p, p))
        root[place, place] = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return float(np.linalg.eigvalsh(root @ kernel @ root)[-1]) / images


def one_hot(
    labels: Int[np.ndarray, " n"], classes: int
) -> Float[np.ndarray, "n classes"]:
    """Write labels as rows of zeros and a one; −1 as zeros.

    Example:
        >>> one_hot(np.array([1, -1]), 2).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    return (np.asarray(labels)[:, None] == np.arange(classes)).astype(np.float64)


def _of_draw(
    reading: Mapping[str, Any], labels: np.ndarray, momentum: float
) -> StartEvidence:
    low, high, best_rate, drop = _rates(reading["drops"])
    hidden = slice(0, max(1, len(reading["layer_signal"]) - 1))
    signal, gradient = (
        np.log10(np.maximum(reading[f"layer_{name}"][hidden], 1e-37))
        for name in ("signal", "gradient")
    )
    return StartEvidence(
        speed=label_speed(reading["kernel"], labels),
        loss=float(reading["loss"]),
        excess=float(reading["loss"] - reading["uniform"]),
        spread=float(reading["between_images"]),
        forward=float(signal[-1] - signal[0]),
        backward=float(gradient[0] - gradient[-1]),
        drop=drop / float(reading["loss"]) if reading["loss"] else 0.0,
        best_rate=best_rate * (1 - momentum),
        low=low * (1 - momentum),
        high=high * (1 - momentum),
        sharpness=gauss_newton_sharpness(reading["kernel"], reading["outputs"]),
    )


def _rates(drops: Float[np.ndarray, " rates"]) -> tuple[float, float, float, float]:
    """Find the rates that help, and the best with its drop; NaN if none does."""
    helps = np.isfinite(drops) & (drops > 0)
    if not helps.any():
        nan = float("nan")
        return nan, nan, nan, 0.0
    best = int(np.argmax(np.where(helps, drops, -np.inf)))
    worth = helps & (drops >= _WORTH * drops[best])
    first = int(np.argmax(worth))
    beyond = np.flatnonzero(~helps[best:])
    last = best + int(beyond[0]) - 1 if len(beyond) else len(drops) - 1
    return STEP_RATES[first], STEP_RATES[last], STEP_RATES[best], float(drops[best])


def _geometric(values: Any) -> float:
    """Compute the geometric mean of what is positive; of a 0 among them it is 0."""
    array = np.asarray(values, np.float64)
    if not np.isfinite(array).all():
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(array).mean()))
