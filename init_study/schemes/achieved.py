"""What schemes that scale layers have achieved, checked layer by layer."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from init_study.errors import UserError
from init_study.instruments.signals import layer_signals
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
            variance = float(jnp.var(outputs))
            if not abs(variance - 1) <= tolerance + _ROUNDING:
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
            variance = float(jnp.var(outputs))
            if not 0 < variance < float("inf"):
                _refuse(name, batch, layer, variance)

    return check


def scale_counts(name: str) -> Promise:
    """Check that no kernel is normalized on its way, which takes its scale away.

    Args:
        name: of the scheme, for people.
    """

    def check(network: Network, params: Params, batch: Batch | None) -> None:
        for layer in scale_free(network, params):
            raise UserError(_no_effect(name, layer))

    return check


def scale_free(network: Network, params: Params) -> list[Layer]:
    """List the layers whose weights are the same for a kernel of twice the size.

    Example:
        >>> network = trace(nn.Dense(2), (3,))
        >>> params = {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}
        >>> scale_free(network, params)
        []
    """
    images = jax.ShapeDtypeStruct((2, *network.image_shape), jnp.float32)
    state = network.model_state(jax.random.key(0))
    forward = trace_forward(network, params, state, images)
    named = {layer.kernel: layer for layer in network.layers}
    found = []
    for operation in forward.layers:
        node = forward.traced.nodes[operation.place]
        weights = node.inputs[1 - operation.side]
        whole = forward.variables[operation.kernel]
        # Of size 1: what standardization adds to its divisor is small beside that.
        whole = whole / jnp.maximum(jnp.sqrt(jnp.mean(whole**2)), 1e-30)
        once, twice = (
            graph.compute(
                forward.traced,
                {**forward.variables, operation.kernel: kernel},
                None,
                (weights,),
            )[0]
            for kernel in (whole, 2 * whole)
        )
        same = bool(jnp.allclose(once, twice, rtol=0.1)) and bool(jnp.any(once))
        if same and operation.kernel[1:] in named:
            found.append(named[operation.kernel[1:]])
    return found


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
    state = network.model_state(jax.random.key(0))
    signals = layer_signals(network, params, state, batch.images, train=True)
    return [
        (layer, outputs)
        for layer, outputs in zip(network.layers, signals.outputs, strict=True)
        if bool(jnp.any(leaf_of(params, layer.kernel)))
    ]


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
