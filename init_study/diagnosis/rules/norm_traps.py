"""Norms: what they hide, what they cannot do, and what they do before training."""

from collections.abc import Iterator
from math import prod, sqrt

import jax
import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.flow import RESULT, flow_of
from init_study.diagnosis.seen import Seen
from init_study.network import Layer

# The smallest epsilon that is usual: of Flax's layer norm and ConvNeXt's, where a batch
# norm has 1e-5. At a mean square of as much, what is normalized is half.
_EPSILON = 1e-6
# A variance of n numbers is wrong by √(2 / n) of itself: a half for eight.
_FEW = 8
# Of what an evaluation has to differ by, so that it is told.
_DIFFERS = 0.1
# A logit of 100 is a probability of 0 or 1 in float32, whatever the others are.
_LARGE = 100.0
# Float32 sums of a thousand terms that cancel leave less.
_NOTHING = 1e-3


def _hidden_scale(seen: Seen) -> Iterator[Sign]:
    """Tell how many layers' scale has no effect, and how well that holds.

    Where the loss does not depend on a kernel's scale, its gradient is at a right angle
    to it.
    """
    layers = seen.set_up.network.layers
    free = [one for one in layers if one.normalized or one.scale_free]
    cosines = [_cosine(seen.leaves[o.kernel], seen.slopes[o.kernel]) for o in free]
    cosines = [one for one in cosines if np.isfinite(one)]
    if cosines:
        yield Sign(
            "info",
            f"{len(free)} of {len(layers)} layers",
            f"largest |cosine| of a kernel and its gradient {max(cosines):.1g} (0 "
            "where the scale has no effect)",
        )


def _cosine(kernel: np.ndarray, slope: np.ndarray) -> float:
    one, other = (a.astype(np.float64).ravel() for a in (kernel, slope))
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return abs(float(one @ other)) / lengths if lengths > 0 else np.nan


def _evaluation(seen: Seen) -> Iterator[Sign]:
    """Compare the result with the one in evaluation, with averages as they start."""
    if seen.evaluated is None or not np.isfinite(seen.first.result).all():
        return
    result = np.asarray(seen.first.result, np.float64)
    evaluated = np.asarray(seen.evaluated, np.float64)
    size, other = float(np.mean(result**2)), float(np.mean(evaluated**2))
    if not np.isfinite(other):
        yield Sign(
            "warning", "evaluation", "the result is not finite (in training: is)"
        )
        return
    differs = float(np.mean((result - evaluated) ** 2)) / max(size + other, 1e-300)
    if not differs > _DIFFERS:
        return
    # Differences between images, of which nothing may be left.
    varies, left = (float(np.mean(one.var(0))) for one in (result, evaluated))
    blind = left < 1e-6 * other and varies > 1e-3 * size
    # With averages as they start norms do nothing, and each residual sum doubles the
    # mean square, in any sound net (arXiv:1901.09321); float32 ends at 2¹²⁸.
    doubled = 2.0 ** min(len(seen.set_up.network.branches), 128)
    large = sqrt(other / doubled) > _LARGE * max(1.0, sqrt(size))
    text = (
        f"mean square of the result {other:.3g}, in training {size:.3g}; their "
        f"difference is {differs:.0%} of both (told above {_DIFFERS:.0%})"
    )
    if large:
        text += f"; a warning above {_LARGE**2 * doubled:.3g} times"
    if blind:
        text += f"; {left / other:.1g} of it differs between images"
    yield Sign("warning" if blind or large else "info", "evaluation", text)


def _few_numbers(seen: Seen) -> Iterator[Sign]:
    """Give the batch norm with the fewest numbers to take a variance of."""
    batch = seen.set_up.training.batch_size or len(seen.set_up.images)
    counts = {
        layer.name: batch * prod(_places(layer))
        for layer in seen.set_up.network.layers
        if _has_batch_norm(seen, layer)
    }
    few = {name: count for name, count in counts.items() if count < _FEW}
    if few:
        worst = min(few, key=lambda name: few[name])
        yield Sign(
            "error" if few[worst] == 1 else "warning",
            worst,
            f"each channel's variance is that of {few[worst]} numbers at a batch of "
            f"{batch} (threshold {_FEW}); so few are there behind {len(few)} layers",
        )


def _has_batch_norm(seen: Seen, layer: Layer) -> bool:
    """Whether the norm behind a layer keeps averages of batches.

    They have the path of its parameters; where it has none, any that are kept count.
    """
    if not layer.normalized:
        return False
    kept = jax.tree_util.tree_flatten_with_path(seen.set_up.state)[0]
    paths = ["/".join(str(getattr(k, "key", k)) for k in path) for path, _ in kept]
    for own in (layer.scale, layer.shift):
        if own is not None:
            name = "/".join(own[:-1])
            return any(f"/{name}/" in f"/{path}/" for path in paths)
    return bool(paths)


def _places(layer: Layer) -> tuple[int, ...]:
    return layer.output_shape[:-1]


def _constant_input(seen: Seen) -> Iterator[Sign]:
    """Give norms of numbers so small that it is epsilon that they are divided by."""
    for index, layer in enumerate(seen.set_up.network.layers):
        square = float(seen.first.layers.signal[index])
        # Zeros are the zero traps' to tell.
        if layer.normalized and 0 < square < _EPSILON:
            yield Sign(
                "warning",
                layer.name,
                f"the norm behind it reads a mean square of {square:.2g}; at "
                f"{_EPSILON:g}, the least usual epsilon, half of the scale is its",
            )


def _head_norm(seen: Seen) -> Iterator[Sign]:
    flow = flow_of(seen)
    for index, layer in enumerate(seen.set_up.network.layers):
        if layer.normalized and flow.read_by[index] == {RESULT}:
            square = np.mean(seen.first.result.astype(np.float64) ** 2)
            yield Sign(
                "info",
                layer.name,
                "a norm stands behind the layer that gives the result, whose mean "
                f"square is {square:.3g} (1 by the norm)",
            )


def _idle_bias(seen: Seen) -> Iterator[Sign]:
    """Give biases that a norm takes away: their gradient is zero but for rounding.

    The sum over images and places would else be as large as that of random signs.
    """
    count = len(seen.set_up.images)
    found = []
    for index, layer in enumerate(seen.set_up.network.layers):
        square = float(seen.first.layers.gradient[index])
        if not layer.normalized or layer.bias is None or not square > 0:
            continue
        own = sqrt(np.mean(seen.slopes[layer.bias].astype(np.float64) ** 2))
        usual = sqrt(square * prod(_places(layer)) / count)
        if own < _NOTHING * usual:
            found.append((own / usual, layer))
    if found:
        most, layer = max(found, key=lambda one: one[0])
        yield Sign(
            "info",
            "/".join(layer.bias or ()),
            f"its gradient is {most:.1g} of what it is without a norm (threshold "
            f"{_NOTHING:g}); so are {len(found)} biases in front of norms",
        )


def _zero_scale(seen: Seen) -> Iterator[Sign]:
    """Give norms whose scale is zero, but for those at the ends of branches."""
    network, flow = seen.set_up.network, flow_of(seen)
    ends = {scale for branch in network.branches for scale in branch.scales}
    for index, layer in enumerate(network.layers):
        scale = layer.scale
        if scale is None or scale in ends or not layer.normalized:
            continue
        share = float(np.mean(seen.leaves[scale] == 0))
        if share > 0:
            trunk = index in flow.trunk and share == 1
            yield Sign(
                "error" if trunk else "warning",
                "/".join(scale),
                f"{share:.0%} of its numbers are zero (wanted: none but at the ends of "
                "residual branches)",
            )


NORM_TRAPS = (
    Trap(
        "scale-hidden",
        "norms hide the scale of weights",
        "The scale that a scheme gives these has no effect on the result; it sets the "
        "effective learning rate, which goes with rate / ‖w‖².",
        "compare schemes at several learning rates: --study.learning_rates=…; and once "
        "without norms",
        "van Laarhoven 2017, arXiv:1706.05350",
        _hidden_scale,
    ),
    Trap(
        "evaluation-differs",
        "evaluation before training is another function",
        "Averages that a batch norm keeps start at mean 0 and variance 1, so what is "
        "measured in evaluation is not the net that takes the first step.",
        "measure with batch statistics: network.apply(…, train=True), or let averages "
        "settle over a few batches first",
        "Ioffe and Szegedy 2015, arXiv:1502.03167; measured: both results",
        _evaluation,
    ),
    Trap(
        "batch-norm-of-few",
        "a batch norm has too few numbers for a variance",
        "Of one number the variance is zero and the result is the shift, whatever the "
        "image; of a few it is mostly noise.",
        "a larger batch, or nn.GroupNorm / nn.LayerNorm",
        "Wu and He 2018, arXiv:1803.08494; derived: a variance of n numbers is off by "
        "√(2 / n)",
        _few_numbers,
    ),
    Trap(
        "norm-of-almost-nothing",
        "a norm reads less than its epsilon",
        "It divides by epsilon, not by the signal, so that it normalizes nothing and "
        "the gradient before it is multiplied by up to 1 / √epsilon.",
        "scheme='he_normal', or a smaller epsilon",
        "derived: x / √(variance + epsilon)",
        _constant_input,
    ),
    Trap(
        "norm-behind-head",
        "the result is normalized",
        "Logits have the scale of the norm, whatever the head's kernel is; schemes of "
        "the head have no effect.",
        "take the norm away, or set its scale",
        "derived: a norm leaves a mean square of 1",
        _head_norm,
    ),
    Trap(
        "idle-bias",
        "a bias stands in front of a norm that takes it away",
        "It has no effect and no gradient, and costs memory.",
        "nn.Conv(..., use_bias=False)",
        "Ioffe and Szegedy 2015, arXiv:1502.03167, their section 3.2",
        _idle_bias,
    ),
    Trap(
        "norm-scale-zero",
        "a norm's scale is zero where nothing goes around it",
        "No image comes through it; only at the end of a residual branch is zero a "
        "gentle start.",
        "scale_init=nn.initializers.ones, or scheme='zero_gamma' for branches alone",
        "Goyal et al. 2017, arXiv:1706.02677",
        _zero_scale,
    ),
)
