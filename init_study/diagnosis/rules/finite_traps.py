"""Numbers that are not finite, and those that will not be for long."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.flow import flow_of
from init_study.diagnosis.seen import Seen

# Multiples of the smallest number that take four bits.
_BITS = 16
# A signal's largest number is some six times its root mean square: of 10⁹ normal ones
# one is beyond.
_LARGEST = 6.0


def _bad_images(seen: Seen) -> Iterator[Sign]:
    images = np.asarray(seen.set_up.images)
    count = int(np.sum(~np.isfinite(images)))
    if count:
        yield Sign(
            "error", "the images", f"{count} of {images.size} numbers are not finite"
        )


def _bad_parameters(seen: Seen) -> Iterator[Sign]:
    """Give the parameters with NaN or inf, in one sign: they have one origin."""
    bad = {path: int(np.sum(~np.isfinite(leaf))) for path, leaf in seen.leaves.items()}
    bad = {path: count for path, count in bad.items() if count}
    if bad:
        first = min(bad)
        yield Sign(
            "error",
            "/".join(first),
            f"{bad[first]} of {seen.leaves[first].size} numbers are not finite; so it "
            f"is in {len(bad)} of {len(seen.leaves)} parameters",
        )


def _bad_signal(seen: Seen) -> Iterator[Sign]:
    """Give what fails first on the way: layers, the loss, gradients.

    What follows from that is not said again.
    """
    if any(True for look in (_bad_images, _bad_parameters) for _ in look(seen)):
        return
    first, layers = seen.first, seen.set_up.network.layers
    bad = np.flatnonzero(~np.isfinite(first.layers.signal))
    slopes = [path for path, one in seen.slopes.items() if not np.isfinite(one).all()]
    if len(bad):
        index = int(bad[0])
        yield Sign(
            "error",
            layers[index].name,
            f"its output's mean square is {first.layers.signal[index]}, the first of "
            f"{len(bad)} such layers; it reads {first.layers.inputs[index]:.3g}",
        )
    elif not np.isfinite(first.loss):
        yield Sign(
            "error",
            "the loss",
            f"it is {first.loss}, though the mean square of every layer is finite",
        )
    elif slopes:
        yield Sign(
            "error",
            "/".join(slopes[0]),
            f"its gradient is not finite, as those of {len(slopes)} of "
            f"{len(seen.slopes)} parameters; the loss is {float(first.loss):.4g}",
        )


def _nearly_overflows(seen: Seen) -> Iterator[Sign]:
    """Give the first layer whose outputs are near the largest number of their type.

    For float32, and for bfloat16 with its equal range, it is squares that overflow:
    those in norms and in Adam.
    """
    layers = seen.set_up.network.layers
    dtypes = flow_of(seen).dtypes
    for layer, dtype, square in zip(
        layers, dtypes, seen.first.layers.signal, strict=True
    ):
        largest = float(jnp.finfo(dtype).max)
        most = largest if dtype == np.float16 else largest**0.5
        root = float(square) ** 0.5
        if np.isfinite(root) and _LARGEST * root > most:
            yield Sign(
                "warning",
                layer.name,
                f"root mean square {root:.3g} in {dtype}; from {most / _LARGEST:.3g} "
                "on its largest numbers, or their squares, overflow",
            )
            return


def _underflows(seen: Seen) -> Iterator[Sign]:
    """Give the float16 layer with the smallest gradient, if that is rounded to zero."""
    layers = seen.set_up.network.layers
    dtypes = flow_of(seen).dtypes
    smallest = _BITS * float(jnp.finfo(jnp.float16).smallest_subnormal)
    # The gradient of a mean over the batch is what is stored.
    roots = np.sqrt(seen.first.layers.gradient) / len(seen.set_up.images)
    half = [index for index, dtype in enumerate(dtypes) if dtype == np.float16]
    half = [index for index in half if roots[index] > 0]
    worst = min(half, key=lambda index: roots[index], default=None)
    if worst is not None and roots[worst] < smallest:
        yield Sign(
            "warning",
            layers[worst].name,
            f"its gradient's root mean square is {roots[worst]:.2g}; below "
            f"{smallest:.2g} a float16 has four bits at most",
        )


FINITE_TRAPS = (
    Trap(
        "images-not-finite",
        "an image holds NaN or inf",
        "One such pixel makes the loss of its batch NaN, and with one step all "
        "parameters.",
        "look for a division by a standard deviation of zero in the preparation",
        "derived: NaN goes through every sum",
        _bad_images,
    ),
    Trap(
        "parameters-not-finite",
        "a parameter holds NaN or inf",
        "Nothing that reads it is a number, and no step mends it.",
        "look at the law that draws it: a fan of 0, or a draw in float16 that "
        "overflows",
        "derived: NaN goes through every sum",
        _bad_parameters,
    ),
    Trap(
        "signal-not-finite",
        "a layer, the loss or a gradient is not finite",
        "The first step makes every parameter NaN.",
        "scheme='he_normal', or the scheme that fits the activation; float32 in place "
        "of float16",
        "derived: NaN goes through every sum",
        _bad_signal,
    ),
    Trap(
        "nearly-overflows",
        "a signal is close to the largest number of its type",
        "It is finite at the start; what grows a little more overflows, in the signal "
        "itself or where a norm or Adam takes squares.",
        "scheme='he_normal', a norm, or bfloat16 in place of float16",
        "derived: the largest number of the type over 6 standard deviations",
        _nearly_overflows,
    ),
    Trap(
        "gradient-underflows",
        "gradients are too small for float16",
        "They are rounded to a few bits or to zero, so layers before do not learn.",
        "multiply the loss by 1024 and divide the gradients, or use bfloat16",
        "Micikevicius et al. 2018, arXiv:1710.03740",
        _underflows,
    ),
)
