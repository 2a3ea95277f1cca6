"""Outputs: what a network says before it has learnt anything, and whether as logits."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import special

from init_study.diagnosis.finding import BY_CHANCE, Sign, Trap
from init_study.diagnosis.seen import Seen
from init_study.instruments.logits import LogitNumbers, measure_logits
from init_study.jaxprs import SOON
from init_study.network import Layer

_measure = jax.jit(measure_logits, compiler_options=SOON)
# Logits of standard deviation 1 cost so much: E log Σ exp(z) = log K + 1/2 for many
# classes.
_NATS_OF_UNIT_LOGITS = 0.5
_NEARLY_ALL = 0.95
# A label of integers tells no more than this from what is smaller by rounding.
_ROUNDINGS = 4
_HALF = ("float16", "bfloat16")


def _loss_at_start(seen: Seen) -> Iterator[Sign]:
    """Judge logits by the loss that they have, on average, for labels at random.

    Labels come in by chance alone; so does the size of K − 1 differences of logits, as
    a head draws them once for all images. The bound is for logits as much smaller as
    such a draw may be too large, by its chi-squared distribution.
    """
    numbers = _measured(seen)
    if numbers is None:
        return
    logits = _logits(seen)
    classes = logits.shape[1]
    uniform, ideal = np.log(classes), _blind_loss(logits)
    freedom = classes - 1
    shrunk = np.sqrt(freedom / special.chdtri(freedom, BY_CHANCE))
    bound = _blind_loss(shrunk * logits)
    said = (
        f"loss {float(numbers.loss):.3g}; {ideal:.3g} for labels at random, as logits "
        f"have std {float(numbers.between_classes):.3g}; ln K = {uniform:.3g}"
    )
    if bound > 2 * uniform:
        yield Sign(
            "warning",
            "outputs",
            f"{said}; still {bound:.3g} for logits {shrunk:.2f} times as large "
            f"(threshold: 2 ln K = {2 * uniform:.3g})",
        )
    elif ideal > uniform + _NATS_OF_UNIT_LOGITS:
        yield Sign(
            "info",
            "outputs",
            f"{said} (threshold: {uniform + _NATS_OF_UNIT_LOGITS:.3g}, that of logits "
            "of std 1)",
        )


def _favourite(seen: Seen) -> Iterator[Sign]:
    numbers = _measured(seen)
    if numbers is None or not float(numbers.between_images):
        return
    images, classes = seen.first.result.shape
    share = float(numbers.favourite)
    chance = float(classes) ** (1 - images)
    if share >= _NEARLY_ALL and chance < BY_CHANCE:
        yield Sign(
            "info",
            "outputs",
            f"{share:.0%} of {images} images get one prediction (threshold: "
            f"{_NEARLY_ALL:.0%}); logits differ over images by "
            f"{float(numbers.between_images):.2g}, over classes by "
            f"{float(numbers.between_classes):.2g}",
        )


def _are_chances(seen: Seen) -> Iterator[Sign]:
    """Give results that a softmax has been taken of already."""
    logits = _logits(seen)
    if logits.size == 0 or logits.shape[1] < 2 or not np.isfinite(logits).all():
        return
    classes = logits.shape[1]
    # Rounding of a sum of K numbers, of the type they were computed in.
    rounding = float(jnp.finfo(seen.first.result.dtype).eps)
    least = _ROUNDINGS * rounding * np.sqrt(classes)
    with_labels = "warning" if seen.judged else "info"
    off = float(np.abs(logits.sum(1) - 1).max())
    if logits.min() >= 0 and off <= least:
        yield Sign(
            with_labels,
            "outputs",
            f"rows are ≥ 0 and sum to 1 within {off:.1e} (threshold: {least:.1e}); a "
            f"second softmax keeps the loss above {_floor(classes, 1.0):.2f}",
        )
    off = float(np.abs(special.logsumexp(logits, 1)).max())
    if logits.max() <= 0 and off <= least:
        yield Sign(
            "info",
            "outputs",
            f"log Σ exp of rows is 0 within {off:.1e} (threshold: {least:.1e}): a "
            "log_softmax; a second one changes nothing",
            "none is needed where the loss takes a log_softmax itself",
        )


def _bent(seen: Seen) -> Iterator[Sign]:
    """Give a head whose logits go through an activation."""
    head = _head(seen)
    if head is None or head.activation is None or not seen.judged:
        return
    at = np.asarray([-1e4, -1.0, 1.0, 1e4], np.float32)
    values = np.asarray(head.activation(jnp.asarray(at)), np.float64)
    if np.allclose(values, at):
        return
    classes = seen.first.result.shape[1]
    low, high = float(values.min()), float(values.max())
    if high - low < 1e3:
        cost = (
            f"logits stay in [{low:.3g}, {high:.3g}], which keeps the loss above "
            f"{_floor(classes, high - low):.2f} (without it: 0)"
        )
    else:
        zeros = float(np.mean(seen.first.result == 0))
        cost = f"it gives {values[1]:.2g} for −1; {zeros:.0%} of logits are 0"
    yield Sign("warning", head.name, f"an activation behind the last layer: {cost}")


def _dropped(seen: Seen) -> Iterator[Sign]:
    """Give logits that dropout has set to zero: some, at random places."""
    head = _head(seen)
    streams = seen.set_up.network.adapter.streams
    if head is None or "dropout" not in streams or head.activation is None:
        return
    at = jnp.asarray([-1.0, 1.0])
    if not np.allclose(np.asarray(head.activation(at)), np.asarray(at)):
        return
    zero = _logits(seen) == 0
    # Whole images or classes of zeros have other causes: a dead layer, a zero column.
    mixed = zero[~zero.all(1)][:, ~zero.all(0)]
    if mixed.size and mixed.any():
        yield Sign(
            "warning",
            head.name,
            f"{zero.mean():.0%} of logits are exactly 0 in the training call, at "
            "other places for other images (threshold: none)",
        )


def _half(seen: Seen) -> Iterator[Sign]:
    dtype = str(seen.first.result.dtype)
    if dtype in _HALF:
        digits = float(jnp.finfo(seen.first.result.dtype).eps)
        yield Sign(
            "info",
            "outputs",
            f"results are {dtype}, whose steps are {digits:.1e} of a number "
            "(float32: 1.2e-07)",
        )


def _logits(seen: Seen) -> Float[np.ndarray, "n classes"]:
    """Give the results as numbers of full width; none where they are no rows."""
    result = np.asarray(seen.first.result)
    rows = result if result.ndim == 2 else np.zeros((0, 0))
    return rows.astype(np.float64)


def _measured(seen: Seen) -> LogitNumbers | None:
    """Measure logits that can be judged: finite, of several classes, not all equal."""
    logits = _logits(seen)
    if not seen.judged or logits.shape[1] < 2 or not np.isfinite(logits).all():
        return None
    labels = jnp.asarray(seen.set_up.labels, jnp.int32)
    return _measure(jnp.asarray(logits, jnp.float32), labels)


def _head(seen: Seen) -> Layer | None:
    """Find the layer whose outputs are the logits, up to what is by numbers."""
    layers, result = seen.set_up.network.layers, seen.first.result
    if layers and result.ndim == 2 and layers[-1].output_shape == result.shape[1:]:
        return layers[-1]
    return None


def _blind_loss(logits: Float[np.ndarray, "n classes"]) -> float:
    """Compute the mean cross-entropy where each label is as likely as the others."""
    return float(np.mean(special.logsumexp(logits, 1) - logits.mean(1)))


def _floor(classes: int, width: float) -> float:
    """Compute the least cross-entropy of logits from an interval of this width."""
    return float(np.log1p((classes - 1) * np.exp(-width)))


OUTPUT_TRAPS = (
    Trap(
        "loss-at-start",
        "the loss begins far above that of equal logits",
        "The net is sure of what it does not know: the first steps only take that "
        "back, and their size depends on the head's draw.",
        "scheme='zero_head', or 'small_head(0.1)' to let gradients pass at once",
        "derived: logits of std s cost about s²/2 nats above ln K",
        _loss_at_start,
    ),
    Trap(
        "one-favourite",
        "nearly all images get one prediction",
        "Images look alike to the last layer; the first steps move a bias for all "
        "rather than tell images apart. Deep ReLU nets begin so.",
        "none is needed if it fades in the first steps; scheme='zero_head' has no "
        "favourite",
        "derived: of K classes by chance once in K^(n − 1)",
        _favourite,
    ),
    Trap(
        "softmax-inside",
        "the module gives probabilities where logits are wanted",
        "The loss takes a softmax itself. Of one softmax more it still falls, slowly, "
        "and can never reach 0: nothing tells of the mistake.",
        "return the last layer's outputs; take jax.nn.softmax where probabilities are "
        "read",
        "derived: logits from an interval of width w have a loss of at least "
        "ln(1 + (K − 1) exp(−w))",
        _are_chances,
    ),
    Trap(
        "activation-behind-head",
        "an activation stands behind the last layer",
        "A bounded one keeps the loss from 0, and a rectifier gives classes that are "
        "off no gradient.",
        "return the last layer's outputs as they are",
        "derived: logits from an interval of width w have a loss of at least "
        "ln(1 + (K − 1) exp(−w))",
        _bent,
    ),
    Trap(
        "dropout-behind-head",
        "dropout stands behind the last layer",
        "A logit of zero is a statement like any other: whole classes change places by "
        "chance, and the loss has a floor.",
        "put dropout before the last layer: nn.Dense(K)(nn.Dropout(0.5)(x))",
        "derived: dropout of logits is noise in the loss that no weight takes away",
        _dropped,
    ),
    Trap(
        "half-logits",
        "logits are of half precision",
        "A cross-entropy of them is rounded before it is summed; small differences of "
        "loss are lost.",
        "logits.astype(jnp.float32), the last thing in the module",
        "derived: bfloat16 keeps 8 bits, float16 11",
        _half,
    ),
)
