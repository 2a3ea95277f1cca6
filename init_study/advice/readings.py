"""What is read of a start: one pass, first steps, and a tangent kernel of few images.

The numbers are raw; `advice.evidence` makes of them what a ranking weighs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from init_study.errors import UserError
from init_study.instruments.first_steps import first_step_drops
from init_study.instruments.instrument import (
    Instrument,
    ProbeBatch,
    Reading,
    Subject,
    member_logits,
    member_loss,
)
from init_study.instruments.kernels import tangent_kernel
from init_study.instruments.logits import measure_logits
from init_study.instruments.passes import pass_through
from init_study.network import Network

# Two a decade: what a grid of a study would hold, and beyond it on both sides.
STEP_RATES = tuple(float(f"{10.0**power:.2g}") for power in np.arange(-4, 1.5, 0.5))
# A row of a kernel costs a pass back.
_MOST_ROWS, _MOST_IMAGES = 160, 16


class KernelPart(NamedTuple):
    """The part of a batch and its outputs that a tangent kernel is taken of.

    Attributes:
        images: how many.
        classes: which outputs.
    """

    images: int
    classes: tuple[int, ...]


def kernel_part(labels: Int[np.ndarray, " n"], classes: int) -> KernelPart:
    """Choose images and outputs whose tangent kernel is affordable.

    Args:
        labels: of the batch.
        classes: of the network. Of many those count that the images have.

    Raises: UserError for labels of one class: nothing tells images apart then.

    Example:
        >>> kernel_part(np.arange(32) % 10, 10)[0]
        16
        >>> kernel_part(np.arange(32), 1000)
        KernelPart(images=12, classes=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11))
    """
    images = min(len(labels), _MOST_IMAGES)
    while images * min(classes, images) > _MOST_ROWS:
        images -= 1
    there = np.unique(labels[:images])
    if len(there) < 2:
        raise UserError(
            f"the first {images} images are all of class {there[0] if images else '?'},"
            " and advice asks how fast classes come apart; give more images, shuffled"
        )
    every = images * classes <= _MOST_ROWS
    return KernelPart(images, tuple(range(classes) if every else map(int, there)))


def start_instrument(
    make_optimizer: Callable[[Any], optax.GradientTransformation], part: KernelPart
) -> Instrument:
    """Make the instrument that reads a start as one that is going to be trained.

    Args:
        make_optimizer: from a rate, which is traced, to an optimizer of optax.
        part: of the batch and the outputs, for the kernel.

    Example:
        >>> start_instrument(optax.sgd, KernelPart(4, (0, 1))).units
        'nats; logits; none'
    """
    return Instrument(
        what="a start, before the first step: signals, gradients, logits, what a first "
        "step of each rate does to the loss, the tangent kernel of few images",
        formula="E[h²]; E[(∂L/∂h)²]; L; L(θ) − L(θ + u(η)); J Jᵀ",
        units="nats; logits; none",
        cost="2 F + 2 B, 1 F for each of 11 rates, up to 160 B",
        source="Poole et al. 2016; Zhu et al. 2021; Jacot, Gabriel & Hongler 2018",
        passes=lambda network, n, classes: (
            (6 + len(STEP_RATES)) * n + 2 * part.images**2 * len(part.classes)
        ),
        measure=partial(_read_start, make_optimizer, part),
    )


def _read_start(
    make_optimizer: Callable[[Any], optax.GradientTransformation],
    part: KernelPart,
    network: Network,
    subject: Subject,
    batch: ProbeBatch,
) -> Reading:
    passed = pass_through(network, subject.params, subject.state, *batch)
    loss = member_loss(network, subject, batch)
    few = batch._replace(
        images=batch.images[: part.images], labels=batch.labels[: part.images]
    )

    def outputs(params: Any) -> Array:
        logits = member_logits(network, subject, few, params)
        return logits[:, jnp.array(part.classes)]

    return {
        **{f"layer_{name}": one for name, one in passed.layers._asdict().items()},
        **measure_logits(passed.result, batch.labels)._asdict(),
        "drops": first_step_drops(
            loss, subject.params, jnp.array(STEP_RATES), make_optimizer
        ),
        "kernel": tangent_kernel(outputs, subject.params),
        "outputs": outputs(subject.params),
    }
