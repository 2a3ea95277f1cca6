"""Units that do the same for all images: dead, always on, saturated."""

from collections.abc import Iterator
from math import sqrt
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from init_study.activations import Activation
from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.flow import flow_of
from init_study.diagnosis.seen import Seen

# Standard errors: in nets of a hundred layers one of them is beyond four by chance
# once in 300 nets.
_ERRORS = 4.0
# Shares that are told, and those that cost: half of a layer is half of its width.
_TOLD, _MUCH, _NEARLY_ALL = 0.1, 0.5, 0.9
# Bounded activations are within 2 of zero this far out.
_FAR, _BOUND = 30.0, 2.0


def _dead_units(seen: Seen) -> Iterator[Sign]:
    shares = seen.first.layers.dead
    for index, chance, most in _with_chance(seen):
        share = float(shares[index])
        if share > max(most, _TOLD):
            where = seen.set_up.network.layers[index].name
            severity = "warning" if share - chance > _MUCH else "info"
            if share == 1 and index in flow_of(seen).trunk:
                severity = "error"
            yield Sign(
                severity, where, _evidence(seen, share, "are dead", chance, most)
            )


def _dies_at_once(seen: Seen) -> Iterator[Sign]:
    """Give layers with many more dead units after one step at the asked rate."""
    if seen.after is None or not np.isfinite(seen.after.loss):
        return
    before, after = seen.first.layers.dead, seen.after.layers.dead
    for index, chance, most in _with_chance(seen):
        new = float(after[index] - before[index])
        # What is dead by chance comes and goes: as many may be new.
        if new > max(most - chance, _TOLD) and after[index] > most:
            # Units that are left go on, and what is dead for a batch is not for all.
            severity = "warning" if after[index] > _NEARLY_ALL else "info"
            yield Sign(
                severity,
                seen.set_up.network.layers[index].name,
                f"{before[index]:.0%} of its units are dead before and "
                f"{after[index]:.0%} after one step at a rate of "
                f"{seen.set_up.training.learning_rate:g} (threshold "
                f"{max(most - chance, _TOLD):.0%} more)",
            )


def _always_on(seen: Seen) -> Iterator[Sign]:
    shares = seen.first.layers.always_on
    for index, chance, most in _with_chance(seen):
        share = float(shares[index])
        if share > max(most, _TOLD):
            where = seen.set_up.network.layers[index].name
            text = _evidence(seen, share, "are above zero", chance, most)
            yield Sign("info", where, text)


def _saturated(seen: Seen) -> Iterator[Sign]:
    """Give the layer with the most saturated units, for all that have many."""
    layers, shares = seen.set_up.network.layers, seen.first.layers.saturated
    found = {
        layer.name: float(share)
        for layer, share in zip(layers, shares, strict=True)
        if share > _TOLD and layer.activation and _is_bounded(layer.activation)
    }
    if found:
        worst = max(found, key=lambda name: found[name])
        yield Sign(
            "warning" if found[worst] > _MUCH else "info",
            worst,
            f"{found[worst]:.0%} of its units have a slope below 0.05 for most images "
            f"(told above {_TOLD:.0%}, a warning above {_MUCH:.0%}); {len(found)} "
            "layers have many",
        )


def _with_chance(seen: Seen) -> Iterator[tuple[int, float, float]]:
    """Give layers before rectifiers, what chance makes of them, and its most.

    A unit whose outputs are normal and alike for n images, with a cosine c between two,
    has one sign for all of them with some chance: for 4 images of cosine 0.9 a third.
    Places of a map make it less.
    """
    numbers, count = seen.first.layers, len(seen.set_up.images)
    for index, layer in enumerate(seen.set_up.network.layers):
        function = layer.activation
        if (
            function is None
            or np.isnan(numbers.dead[index])
            or not _rectifies(function)
        ):
            continue
        cosine = float(numbers.cosine[index])
        chance = one_sign(count, 1.0 if np.isnan(cosine) else cosine)
        width = layer.whole_shape[-1]
        # Not less than two units more than is expected.
        error = _ERRORS * sqrt(chance * (1 - chance) / width) + 2 / width
        yield index, chance, chance + error


def one_sign(count: int, cosine: float) -> float:
    """Compute the chance that normal numbers are all negative.

    Args:
        count: of them.
        cosine: correlation of each two; below zero counts as zero.

    Example:
        >>> round(one_sign(3, 0.0), 4), round(one_sign(2, 0.5), 4)
        (0.125, 0.3333)
    """
    shared = min(max(cosine, 0.0), 1 - 1e-6)
    # A fine grid: what is integrated is sharp at zero for a cosine near 1.
    z = np.linspace(-8.0, 8.0, 4001)
    weights = np.exp(-(z**2) / 2)
    normal = np.vectorize(NormalDist().cdf)
    below = normal(-z * sqrt(shared / (1 - shared))) ** count
    return float(np.sum(weights * below) / np.sum(weights))


def _evidence(seen: Seen, share: float, what: str, chance: float, most: float) -> str:
    return (
        f"{share:.0%} of its units {what} for all {len(seen.set_up.images)} images "
        f"(threshold {max(most, _TOLD):.0%}; by chance {chance:.1%})"
    )


def _values(function: Activation, at: list[float]) -> Float[np.ndarray, " n"]:
    return np.asarray(jax.jit(function)(jnp.asarray(at)))


def _rectifies(function: Activation) -> bool:
    """Whether it is x above zero, and another line below."""
    low, one, two = _values(function, [-1.0, 1.0, 2.0])
    return bool(np.isclose(one, 1) and np.isclose(two, 2) and abs(low) < 1)


def _is_bounded(function: Activation) -> bool:
    """Whether it is flat on both sides, and only far out."""
    low, left, right, high = _values(function, [-_FAR, -0.1, 0.1, _FAR])
    return bool(max(abs(low), abs(high)) < _BOUND and left < right)


UNIT_TRAPS = (
    Trap(
        "dead-units",
        "units give zero for all images at the start",
        "They pass on no gradient, so none of these images brings them back; the layer "
        "is narrower than it looks.",
        "biases of zero, and weights and inputs of mean zero",
        "Lu et al. 2019, arXiv:1903.06733; derived: Φ(0)ⁿ for n independent images",
        _dead_units,
    ),
    Trap(
        "dies-at-first-step",
        "one step at the rate that is asked kills units",
        "A step that is too large moves biases and weights below zero for all images; "
        "what is dead does not come back.",
        "a smaller rate: --study.learning_rates=…, or warm it up",
        "Lu et al. 2019, arXiv:1903.06733; measured: units before and after the step",
        _dies_at_once,
    ),
    Trap(
        "always-on-units",
        "units behind a rectifier are on for all images",
        "They are linear on this batch, and the layer does less than it could.",
        "biases of zero, and centred images",
        "derived: Φ(0)ⁿ for n independent images",
        _always_on,
    ),
    Trap(
        "saturated-units",
        "units are on the flat ends of their activation",
        "Hardly any gradient passes a slope below 0.05.",
        "init_study.theory.gain(activation) / √fan_in, or scheme='edge_of_chaos'",
        "Glorot and Bengio 2010, their section 3",
        _saturated,
    ),
)
