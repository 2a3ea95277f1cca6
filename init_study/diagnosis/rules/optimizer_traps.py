"""Optimizers: what clips, decay and Adam's ε make of a start."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.seen import Seen
from init_study.instruments.gradients import below_epsilon
from init_study.network import Layer
from init_study.study.choices import UNTUNED_LEARNING_RATES

_ADAM = ("adam", "adamw")
_HALF = 0.5
# What is usual for Adam where no rate is given.
_USUAL_RATE = UNTUNED_LEARNING_RATES["adam"]
# Ten times is two places of a grid of rates of factor 3.
_FAR_CLIPPED = 10.0


def _below_epsilon(seen: Seen) -> Iterator[Sign]:
    """Give kernels most of whose gradient is small beside ε; zeros do not count."""
    training = seen.set_up.training
    if training.optimizer not in _ADAM or not seen.judged:
        return
    for layer in seen.set_up.network.layers:
        slope = seen.slopes[layer.kernel].astype(np.float32)
        some = slope[slope != 0]
        if not some.size or not np.isfinite(some).all():
            continue
        small = below_epsilon({"it": jnp.asarray(slope)}, training.epsilon).largest
        share = (float(small) * slope.size - (slope.size - some.size)) / some.size
        if share > _HALF:
            yield Sign(
                "info" if _outgrows(seen, layer) else "warning",
                layer.name,
                f"{share:.0%} of its gradient is below 10 ε = "
                f"{10 * training.epsilon:.0e} (threshold: {_HALF:.0%}); root mean "
                f"square {np.sqrt(np.mean(some.astype(np.float64) ** 2)):.1e}",
            )


def _outgrows(seen: Seen, layer: Layer) -> bool:
    """Whether a factor of its branch is so small that Adam's first step outgrows it.

    The gradient grows with it, as LayerScale means it to.
    """
    rate = seen.set_up.training.learning_rate or _USUAL_RATE
    if layer.branch is None:
        return False
    factors = seen.set_up.network.branches[layer.branch].scales
    return any(np.abs(seen.leaves[path]).max() < rate for path in factors)


def _clipped(seen: Seen) -> Iterator[Sign]:
    training = seen.set_up.training
    squares = [np.sum(np.square(x, dtype=np.float64)) for x in seen.slopes.values()]
    norm = float(np.sqrt(np.sum(squares)))
    if not training.clip or not seen.judged or not norm > training.clip:
        return
    times = norm / training.clip
    # Adam's step has no scale of the gradient in it.
    far = times > _FAR_CLIPPED and training.optimizer not in _ADAM
    yield Sign(
        "warning" if far else "info",
        f"clip {training.clip:g}",
        f"the gradient's norm at the start is {norm:.3g}, {times:.3g} times the clip "
        f"(threshold: 1; a warning, but for Adam: {_FAR_CLIPPED:g})",
    )


def _decayed_identity(seen: Seen) -> Iterator[Sign]:
    """Give kernels that start as identities, with how far decay takes them."""
    training = seen.set_up.training
    if not training.weight_decay:
        return
    for layer in seen.set_up.network.layers:
        if not _is_identity(layer.plain(seen.leaves[layer.kernel])):
            continue
        said = f"weight decay {training.weight_decay:g} (wanted: 0)"
        rate, steps = training.learning_rate, training.steps
        left = None
        if rate and steps and training.optimizer in ("sgd", "adamw"):
            memory = 1 / (1 - (training.momentum or 0.0))
            peak = rate * ((training.warmup or 0) + 1)
            left = float(np.exp(-peak * memory * training.weight_decay * steps))
            said += (
                f"; alone it would leave {left:.0%} of the identity after {steps} "
                f"steps (a warning: below {_HALF:.0%})"
            )
        severe = left is not None and left < _HALF
        yield Sign("warning" if severe else "info", layer.name, said)


def _is_identity(kernel: np.ndarray) -> bool:
    """Whether inputs are passed on one by one: one equal number an output at most."""
    rows = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    some = rows != 0
    values = rows[some]
    passed = values.size and np.all(values == values[0]) and some.sum(0).max() == 1
    return bool(passed and some.sum() >= min(kernel.shape[-2:]) > 1)


def _decayed_norms(seen: Seen) -> Iterator[Sign]:
    decay = seen.set_up.training.weight_decay
    if not decay:
        return
    layers = seen.set_up.network.layers
    biases = {layer.bias for layer in layers} - {None}
    scales = {one for layer in layers for one in (layer.scale, layer.shift)} - {None}
    numbers = sum(seen.leaves[path].size for path in biases | scales if path)
    if numbers:
        yield Sign(
            "info",
            f"weight decay {decay:g}",
            f"it also pulls {len(biases)} biases and {len(scales)} scales and shifts "
            f"of norms, {numbers} numbers (wanted: kernels alone)",
        )


OPTIMIZER_TRAPS = (
    Trap(
        "adam-epsilon",
        "gradients are small beside Adam's ε",
        "Adam divides by |g| + ε: below ε its step is g / ε, and vanishes with the "
        "gradient. Elsewhere it hides how far a start's gradients differ.",
        "optax.adam(rate, eps=1e-12), or a scheme whose gradients do not vanish",
        "Kingma & Ba 2015, arXiv:1412.6980, algorithm 1",
        _below_epsilon,
    ),
    Trap(
        "clipped-at-start",
        "the clip cuts the first gradient",
        "The step has the clip's length whatever the start: gradients that explode are "
        "hidden, and a learning rate means another one.",
        "a larger clip, or a start with smaller gradients",
        "derived: a gradient of norm n is cut to clip / n of itself",
        _clipped,
    ),
    Trap(
        "decayed-identity",
        "weight decay pulls an identity to zero",
        "Decay takes zero for the neutral value. A kernel that starts as an identity "
        "is neutral there, and decay undoes it.",
        "--study.weight_decay=0, or decay towards the start",
        "derived: decay alone leaves exp(−rate · decay · steps)",
        _decayed_identity,
    ),
    Trap(
        "decayed-norms",
        "weight decay is on biases and scales of norms as well",
        "They have no scale that could grow, and zero is no neutral value of a norm's "
        "scale; most recipes leave them out.",
        "optax.add_decayed_weights(decay, mask=lambda params: jax.tree.map(lambda p: "
        "p.ndim > 1, params))",
        "He et al. 2019, arXiv:1812.01187, section 3.1",
        _decayed_norms,
    ),
)
