"""What schemes that scale layers have achieved, checked layer by layer."""

import jax.numpy as jnp
import numpy as np
from absl import logging
from jaxtyping import Array

from init_study.errors import UserError
from init_study.instruments.signals import layer_signals
from init_study.keys import fixed_key
from init_study.network import Layer, Network, Params, graph, trace_forward
from init_study.schemes.scheme import Batch, Promise, leaf_of

_ROUNDING = 1e-2


def unit_variances(name: str, tolerance: float) -> Promise:
    """Check that every layer's output has variance 1 on the batch.

    Kernels of zeros, which another scheme has set, are left out.

    Args:
        name: of the scheme, for people.
        tolerance: by which variances may differ from 1.
    """

    def check(network: Network, params: Params, batch: Batch | None) -> None:
        scale_counts(name)(network, params, batch)
        for layer, outputs in _drawn(network, params, batch):
            variance = float(np.var(np.asarray(outputs, np.float32)))
            if abs(variance - 1) <= tolerance + _ROUNDING:
                continue
            if variance == 0 and not _reads_images(network, params, batch, layer):
                logging.warning(
                    "%s: %s reads a token that begins at one number, and no images: "
                    "its kernel stays as it was drawn",
                    name,
                    layer.name,
                )
                continue
            _refuse(name, batch, layer, variance)

    return check


def unit_channels(name: str) -> Promise:
    """Check that the channels of every layer have variance 1 on the batch.

    Channels without any variance are left out, as long as a layer has others.

    Args:
        name: of the scheme, for people.
    """

    def check(network: Network, params: Params, batch: Batch | None) -> None:
        scale_counts(name)(network, params, batch)
        for layer, outputs in _drawn(network, params, batch):
            variances = jnp.var(outputs.reshape(-1, outputs.shape[-1]), 0)
            usable = variances > 0
            off = jnp.where(usable, jnp.abs(variances - 1), 0.0)
            if not bool(jnp.any(usable)) or not bool(jnp.max(off) <= 0.05):
                worst = float(variances[jnp.argmax(off)])
                _refuse(name, batch, layer, worst)

    return check


def no_dead_layers(name: str) -> Promise:
    """Check that every layer says something on the batch, and its scale counts.

    Args:
        name: of the scheme, for people.
    """

    def check(network: Network, params: Params, batch: Batch | None) -> None:
        scale_counts(name)(network, params, batch)
        for layer, outputs in _drawn(network, params, batch):
            variance = float(np.var(np.asarray(outputs, np.float32)))
            if not 0 < variance < float("inf"):
                _refuse(name, batch, layer, variance)

    return check


def scale_counts(name: str) -> Promise:
    """Check that no kernel is normalized on its way, which takes its scale away.

    Args:
        name: of the scheme, for people.
    """

    def check(network: Network, params: Params, batch: Batch | None) -> None:
        for layer in network.layers:
            if layer.scale_free:
                raise UserError(_no_effect(name, layer))

    return check


def refuse_stacks(network: Network, why: str) -> None:
    """Refuse kernels that are mapped over: one layer, of several outputs.

    Raises: UserError with the reason, the layer, and what to take instead.
    """
    for layer in network.layers:
        if layer.stacked:
            raise UserError(
                f"{why}, and {layer.name} is {layer.parts} kernels that are mapped "
                "over (vmap), which need one each; use weight_norm, or a scheme "
                "without data"
            )


def _drawn(
    network: Network, params: Params, batch: Batch | None
) -> list[tuple[Layer, Array]]:
    """List the layers that the scheme has scaled, and what they give on the batch."""
    if batch is None:
        return []
    state = network.model_state(fixed_key(0))
    signals = layer_signals(network, params, state, batch.images, train=True)
    return [
        (layer, outputs)
        for layer, outputs in zip(network.layers, signals.outputs, strict=True)
        if np.any(leaf_of(params, layer.kernel))
    ]


def _reads_images(
    network: Network, params: Params, batch: Batch | None, layer: Layer
) -> bool:
    """Tell whether a layer reads the images, and not a learned token alone."""
    if batch is None:
        return True
    state = network.model_state(fixed_key(0))
    forward = trace_forward(network, params, state, batch.images)
    of_images = graph.origins_beside(forward.traced, frozenset()).of_images
    kernels = [operation.kernel[1:] for operation in forward.layers]
    return of_images[forward.layers[kernels.index(layer.kernel)].inputs]


def _refuse(name: str, batch: Batch | None, layer: Layer, variance: float) -> None:
    """Refuse a layer with the reason why its outputs have another variance than 1.

    Raises: UserError, always.
    """
    images = None if batch is None else batch.images
    if images is not None and not bool(jnp.std(jnp.asarray(images)) > 0):
        why = "all numbers of the batch are the same; give training images"
    elif variance == 0:
        why = (
            "what it reads is the same everywhere, as behind a layer that is dead; "
            "give another batch, or take a scheme without data"
        )
    else:
        why = "it does not follow its kernel's scale; take a scheme without data"
    raise UserError(
        f"{name}: the outputs of {layer.name} have variance {variance:.3g} on this "
        f"batch, not 1: {why}"
    )


def _no_effect(name: str, layer: Layer) -> str:
    kernel = "/".join(layer.kernel)
    return (
        f"{name}: the scale of {kernel} has no effect, it is normalized on its way to "
        "the images; take a scheme without a scale of its own, e.g. orthogonal"
    )
