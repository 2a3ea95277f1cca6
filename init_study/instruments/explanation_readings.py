"""Instruments of interpretability: what a member looks at, and how it sees images."""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.instruments.explanations import (
    cam_maps,
    concentration,
    gradient_maps,
    gram_pairs,
    integrated_maps,
    map_agreement,
)
from init_study.instruments.instrument import (
    ONCE,
    Instrument,
    ProbeBatch,
    Reading,
    Subject,
    member_logits,
)
from init_study.instruments.signals import layer_signals
from init_study.network import Network, Params

# Of each reading: maps of so many images and pixels a side, layers from first to last.
_MAPS, _PIXELS, _LAYERS = 4, 8, 4


def _read_explanations(
    network: Network, subject: Subject, batch: ProbeBatch
) -> Reading:
    maps = _maps(network, subject, batch, subject.params)
    start = subject.params if subject.start is None else subject.start
    before = _maps(network, subject, batch, start)
    numbers = {
        f"{name}_as_start": map_agreement(before[name], maps[name]) for name in maps
    }
    methods = map_agreement(maps["gradient"], jnp.abs(maps["integrated"]))
    return {
        **numbers,
        "methods": methods,
        "concentration": concentration(maps["gradient"]),
        **{f"map/{name}": _small(one).ravel() for name, one in maps.items()},
    }


def _maps(
    network: Network, subject: Subject, batch: ProbeBatch, params: Params
) -> dict[str, Float[Array, "n h w"]]:
    def logits(images: Array) -> Array:
        own = batch._replace(images=images)
        return member_logits(network, subject, own, params)

    found = {
        "gradient": gradient_maps(logits, batch.images, batch.labels),
        "integrated": integrated_maps(logits, batch.images, batch.labels),
    }
    last = _last_map(network, subject, batch)
    if last is None:
        return found
    features, slopes = _features(network, subject, batch, params, last)
    shape = batch.images.shape[:3]
    cams = cam_maps(features, slopes)
    return found | {"cam": jax.image.resize(cams, shape, "linear")}


def _last_map(network: Network, subject: Subject, batch: ProbeBatch) -> int | None:
    """Find the last layer whose output has places; None where none has several."""
    shapes = jax.eval_shape(partial(_signals, network, subject, batch), subject.params)
    maps = [
        index
        for index, shape in enumerate(one.shape for one in shapes.outputs)
        if len(shape) == 4 and shape[0] == len(batch.images) and shape[1] * shape[2] > 1
    ]
    return max(maps, default=None)


def _signals(network: Network, subject: Subject, batch: ProbeBatch, params: Params):
    key = jax.random.clone(batch.key)
    return layer_signals(network, params, subject.state, batch.images, key=key)


def _features(
    network: Network, subject: Subject, batch: ProbeBatch, params: Params, layer: int
) -> tuple[Array, Array]:
    """Give a layer's output, and the gradient there of each image's own logit."""

    def told(shift: Array) -> tuple[Array, Array]:
        signals = layer_signals(
            network,
            params,
            subject.state,
            batch.images,
            key=jax.random.clone(batch.key),
            shifts={layer: shift},
        )
        own = jnp.take_along_axis(signals.result, batch.labels[:, None], 1).sum()
        return own, signals.outputs[layer]

    shape = jax.eval_shape(partial(_signals, network, subject, batch), params)
    one = shape.outputs[layer]
    slope = jax.grad(told, has_aux=True)(jnp.zeros(one.shape, one.dtype))
    return slope[1], slope[0]


def _small(maps: Float[Array, "n h w"]) -> Float[Array, "few rows columns"]:
    sides = (min(_PIXELS, side) for side in maps.shape[1:])
    few = maps[:_MAPS]
    return jax.image.resize(few, (len(few), *sides), "linear")


def _read_representations(
    network: Network, subject: Subject, batch: ProbeBatch
) -> Reading:
    outputs = _signals(network, subject, batch, subject.params).outputs
    hidden = [i for i, one in enumerate(outputs) if len(one) == len(batch.images)][:-1]
    count = min(_LAYERS, len(hidden))
    chosen = [
        hidden[round(i * (len(hidden) - 1) / max(1, count - 1))] for i in range(count)
    ]
    return {
        f"gram/{network.layers[i].name}": gram_pairs(outputs[i])
        for i in dict.fromkeys(chosen)
    }


EXPLANATION_INSTRUMENTS: Mapping[str, Instrument] = {
    "explanations": Instrument(
        what="which pixels the right class's logit hangs on: agreement with the maps "
        "of the start and between methods, concentration on few pixels",
        formula="|∂f_y/∂x|; x ⊙ ∫ ∂f_y(αx)/∂x dα; ReLU(Σ_c A_c E[∂f_y/∂A_c]); "
        "Spearman's ρ; Gini",
        units="correlations; a share; maps in logits",
        cost="2 × (18 F + 18 B)",
        source="Simonyan et al. 2014, arXiv:1312.6034; Sundararajan et al. 2017, "
        "arXiv:1703.01365; Selvaraju et al. 2017, arXiv:1610.02391",
        passes=lambda network, n, classes: ONCE * 2 * 18 * 3 * n,
        measure=_read_explanations,
        raw=("map",),
        from_start=True,
    ),
    "representations": Instrument(
        what="inner products of the images' features in up to four hidden layers, by "
        "which layers of members are compared (CKA)",
        formula="⟨h(x_i), h(x_j)⟩ / E‖h(x)‖², i < j",
        units="none",
        cost="1 F",
        source="Kornblith et al. 2019, arXiv:1905.00414",
        passes=lambda network, n, classes: ONCE * n,
        measure=_read_representations,
        raw=("gram",),
    ),
}
