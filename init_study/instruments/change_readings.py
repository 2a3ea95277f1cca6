"""Instruments of change: how far a member is from where it started."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from init_study.activations import Activation
from init_study.instruments.instrument import (
    ONCE,
    TWICE,
    Instrument,
    ProbeBatch,
    Reading,
    Subject,
    member_logits,
)
from init_study.instruments.kernels import (
    kernel_alignment,
    kernel_change,
    kernel_turn,
    tangent_kernel,
)
from init_study.instruments.movement import Moved, measure_movement
from init_study.instruments.signals import layer_signals
from init_study.network import Network, Params

# A function whose slope changes this much at zero has a gate there.
_KINK = 0.05


def _read_movement(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    start = start_of(subject)
    before, after = (_kernels(network, params) for params in (start, subject.params))
    moved: Mapping[str, Moved] = {}
    if network.layers:
        moved = measure_movement(before, after).tensors
    rows = [moved[str(index)] for index in range(len(network.layers))]
    return {
        "ratio": _stacked([one.ratio for one in rows]),
        "cosine": _stacked([one.cosine for one in rows]),
        "whole_ratio": measure_movement(start, subject.params).whole.ratio,
        "gates": _changed_gates(network, subject, batch),
    }


def _read_kernels(network: Network, subject: Subject, batch: ProbeBatch) -> Reading:
    outputs = partial(member_logits, network, subject, batch)
    now = tangent_kernel(outputs, subject.params)
    first = now if subject.start is None else tangent_kernel(outputs, subject.start)
    return {"first": first, "now": now}


def _finish_kernel_change(found: Reading, batch: ProbeBatch) -> Reading:
    first, now = found["first"], found["now"]
    labels = np.asarray(batch.labels)
    classes = now.shape[-1] // len(labels)
    return {
        "change": kernel_change(first, now),
        "turn": kernel_turn(first, now),
        "first_alignment": kernel_alignment(first, labels, classes),
        "alignment": kernel_alignment(now, labels, classes),
    }


def start_of(subject: Subject) -> Params:
    """Give the parameters at step 0 of a member; its own where none are kept.

    Args:
        subject: the member.
    """
    return subject.params if subject.start is None else subject.start


def _changed_gates(network: Network, subject: Subject, batch: ProbeBatch) -> Array:
    """Compute, by layer, the share of rectifiers that have opened or closed."""
    gated = [
        not layer.normalized
        and layer.activation is not None
        and _has_gate(layer.activation)
        for layer in network.layers
    ]
    if subject.start is None or not any(gated):
        return _stacked([jnp.float32(0.0 if gate else jnp.nan) for gate in gated])

    def opened(params: Params) -> list[Array]:
        key = jax.random.clone(batch.key)
        signals = layer_signals(network, params, subject.state, batch.images, key=key)
        return [output > 0 for output in signals.outputs]

    first, last = opened(subject.start), opened(subject.params)
    shares = [jnp.mean(a != b) for a, b in zip(first, last, strict=True)]
    return _stacked(
        [
            share if gate else jnp.float32(jnp.nan)
            for share, gate in zip(shares, gated, strict=True)
        ]
    )


def _has_gate(function: Activation) -> bool:
    """Tell whether a function has a kink at zero, as rectifiers have."""
    with jax.ensure_compile_time_eval():
        beside = jnp.array([-1e-4, 1e-4])
        _, slopes = jax.jvp(function, (beside,), (jnp.ones(2),))
        return bool(jnp.abs(slopes[1] - slopes[0]) > _KINK)


def _kernels(network: Network, params: Params) -> dict[str, Array]:
    """List the layers' kernels by their places in `network.layers`."""

    def leaf(path: Any) -> Array:
        found: Any = params
        for name in path:
            found = found[name]
        return found

    return {str(place): leaf(one.kernel) for place, one in enumerate(network.layers)}


def _stacked(rows: list[Array]) -> Float[Array, " layers"]:
    return jnp.stack(rows) if rows else jnp.zeros(0)


CHANGE_INSTRUMENTS: Mapping[str, Instrument] = {
    "movement": Instrument(
        what="by layer: how far the kernel is from its start, its cosine to it, the "
        "share of rectifiers that opened or closed; how far all parameters are",
        formula="‖W_t − W_0‖ / ‖W_0‖; cos(W_0, W_t); E[1(h_0 > 0) ≠ 1(h_t > 0)]",
        units="none; shares",
        cost="2 F",
        source="Distance of cockpit; Chizat, Oyallon & Bach 2019, arXiv:1812.07956",
        passes=lambda network, n, classes: ONCE * 2 * n,
        measure=_read_movement,
        from_start=True,
    ),
    "kernel_change": Instrument(
        what="lazy or rich: how far the tangent kernel is from that of the start, by "
        "how much it has turned, and the alignment of both with the labels",
        formula="‖Θ_t − Θ_0‖ / ‖Θ_0‖; 1 − ⟨Θ_0, Θ_t⟩ / (‖Θ_0‖ ‖Θ_t‖); yᵀΘy / ‖y‖²‖Θ‖",
        units="none",
        cost="2 n K B, and 2 n K F where J does not fit",
        source="Fort et al. 2020, arXiv:2010.15110; Chizat, Oyallon & Bach 2019, "
        "arXiv:1812.07956",
        passes=lambda network, n, classes: TWICE * 2 * (n + 2 * n * n * classes),
        measure=_read_kernels,
        finish=_finish_kernel_change,
        from_start=True,
    ),
}
