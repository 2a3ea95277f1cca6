"""Units of one member in the order of another's: names of hidden units mean nothing.

In a stack of layers each hidden unit is an output of one layer and an input of the
next. To give the units other places changes no output, and there may be a barrier
between two members only because theirs differ.
"""

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, Int
from scipy.optimize import linear_sum_assignment

from init_study.errors import UserError
from init_study.instruments.loss_slices import Barrier, loss_barrier
from init_study.keys import fixed_key
from init_study.network import Layer, Network, Params

# More rounds than any pair of members was seen to take.
_ROUNDS = 100
_Orders = list[Int[np.ndarray, "..."]]
_Leaves = dict[Any, np.ndarray]


class MatchedUnits(NamedTuple):
    """A member whose units are in the order of another's.

    Attributes:
        params: of the member; it gives the same outputs as before.
        orders: for each hidden layer, which unit of the member has which place.
    """

    params: Params
    orders: tuple[Int[np.ndarray, "..."], ...]


class Connectivity(NamedTuple):
    """The barrier between two members.

    Attributes:
        plain: as they are.
        aligned: with the second one's units in the order of the first one's.
    """

    plain: Barrier
    aligned: Barrier


def mode_connectivity(
    network: Network,
    loss: Callable[[Params], Array],
    first: Params,
    second: Params,
    alphas: Float[Array, " alphas"] | None = None,
) -> Connectivity:
    """Compute the barrier between two members, before and after units are matched.

    Args:
        network: of both; a stack of layers.
        loss: from parameters to a number, with norms on the batch's own statistics, as
            in the training call: running averages are no parameters.
        first: parameters.
        second: parameters.
        alphas: as of `loss_barrier`.

    Raises: UserError as `match_units` and `loss_barrier` do.
    Cost: twice that of `loss_barrier`, and that of `match_units`.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> network = trace(nn.Sequential([nn.Dense(3), nn.relu, nn.Dense(2)]), (4,))
        >>> images = jax.random.normal(jax.random.key(0), (8, 4))
        >>> loss = lambda p: (network.apply(p, {}, images, train=True)[0] ** 2).mean()
        >>> params = network.own_init(jax.random.key(1))
        >>> found = mode_connectivity(network, loss, params, params)
        >>> float(found.plain.height), float(found.aligned.height)
        (0.0, 0.0)
    """
    matched = match_units(network, first, second).params

    @jax.jit
    def barrier(other: Params) -> Barrier:
        return loss_barrier(loss, first, other, alphas)

    return Connectivity(barrier(second), barrier(matched))


def match_units(network: Network, first: Params, second: Params) -> MatchedUnits:
    """Put a member's hidden units into the order in which they are like another's.

    Layer by layer the order is taken that brings the weights nearest to the first
    member's, the orders of both neighbours being given, until no layer changes.

    Args:
        network: of both; a stack of layers, of which each reads the one before.
        first: parameters whose order is kept.
        second: parameters that are reordered.

    Raises: UserError for a network whose hidden units cannot be reordered in a way that
        is known: with residual branches, groups, kernels used twice, or parameters of
        other kinds; or where outputs change when they are.
    Reference: Ainsworth, Hayase & Srinivasa 2023, arXiv:2209.04836, algorithm 1, of
    which this is the form with layers in their order. It finds a local optimum.
    Cost: on the host; some rounds of a linear assignment for each layer, units³.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> network = trace(nn.Sequential([nn.Dense(3), nn.relu, nn.Dense(2)]), (4,))
        >>> params = network.own_init(jax.random.key(1))
        >>> [order.tolist() for order in match_units(network, params, params).orders]
        [[0, 1, 2]]
    """
    check_permutable(network)
    layers = network.layers
    one, other = (_wide(network, params) for params in (first, second))
    orders = [np.arange(layer.whole_shape[-1]) for layer in layers[:-1]]
    for _ in range(_ROUNDS):
        before = [order.copy() for order in orders]
        for place in range(len(orders)):
            likeness = _likeness(layers, one, other, orders, place)
            orders[place] = linear_sum_assignment(likeness, maximize=True)[1]
        if all(np.array_equal(a, b) for a, b in zip(before, orders, strict=True)):
            break
    return MatchedUnits(reorder_units(network, second, orders), tuple(orders))


def reorder_units(network: Network, params: Params, orders: _Orders) -> Params:
    """Give the hidden units of a stack of layers other places.

    Args:
        network: that `check_permutable` lets pass.
        params: its parameters.
        orders: for each hidden layer, which unit comes to which place.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> network = trace(nn.Sequential([nn.Dense(2), nn.Dense(1)]), (1,))
        >>> params = {
        ...     "layers_0": {"kernel": jnp.array([[1.0, 2.0]]), "bias": jnp.zeros(2)},
        ...     "layers_1": {"kernel": jnp.array([[3.0], [4.0]]), "bias": jnp.zeros(1)},
        ... }
        >>> moved = reorder_units(network, params, [np.array([1, 0])])
        >>> moved["layers_0"]["kernel"].tolist(), moved["layers_1"]["kernel"].tolist()
        ([[2.0, 1.0]], [[4.0], [3.0]])
    """
    flat: Any = dict(traverse_util.flatten_dict(params))
    for place, layer in enumerate(network.layers):
        stored = flat[layer.kernel]
        kernel = np.asarray(layer.plain(stored))
        if place:
            kernel = _inputs_reordered(kernel, orders[place - 1])
        if place < len(orders):
            kernel = kernel[..., orders[place]]
            for path in _beside(layer):
                flat[path] = flat[path][orders[place]]
        flat[layer.kernel] = layer.stored(jnp.asarray(kernel)).reshape(stored.shape)
    return traverse_util.unflatten_dict(flat)


def check_permutable(network: Network) -> None:
    """Check that a network is a stack of layers whose hidden units may change places.

    What follows from its layers is tried out as well: with random parameters, outputs
    must stay when the units of all layers are moved on by one.

    Args:
        network: a traced network.

    Raises: UserError if it is none, with the first reason.

    Example:
        >>> from init_study.models.resnet import ResNet
        >>> from init_study.network import trace
        >>> check_permutable(trace(ResNet(2, depth=8, width=2), (8, 8, 1)))
        Traceback (most recent call last):
        init_study.errors.UserError: hidden units of residual branches cannot be ...
    """
    reason = _why_not(network)
    if reason is None and not _is_blind_to_order(network):
        reason = "a network whose outputs hang on their order"
    if reason:
        raise UserError(
            f"hidden units of {reason} cannot be matched; give a stack of layers, each "
            "of which reads the one before, or measure the barrier of members as they "
            "are with loss_barrier"
        )


def _why_not(network: Network) -> str | None:
    """Tell what in a network's layers is no stack."""
    layers = network.layers
    if network.branches:
        return "residual branches"
    known = {path for la in layers for path in (*la.leaves, *_beside(la))}
    others = sorted("/".join(path) for path in network.shapes if path not in known)
    if others or not layers:
        return f"a network with other parameters, {others[0] if others else 'none'},"
    for layer in layers:
        if layer.groups > 1 or layer.parts > 1 or layer.uses > 1:
            return f"{layer.name}, which has groups, parts or several uses,"
    for before, layer in pairwise(layers):
        units, inputs = before.kernel_shape[-1], layer.kernel_shape[-2]
        flat = layer.kind == "dense" and inputs % units == 0
        if inputs != units and not flat:
            return f"{before.name}, {units} where {layer.name} reads {inputs},"
    for layer in layers[:-1]:
        for path in _beside(layer):
            if network.shapes[path].shape != layer.kernel_shape[-1:]:
                return f"{layer.name}, whose {'/'.join(path)} has another shape,"
    return None


def _is_blind_to_order(network: Network) -> bool:
    """Try whether outputs stay when units are moved on by one."""
    rng = np.random.default_rng(0)

    def drawn(shape: tuple[int, ...]) -> Array:
        size = prod(shape[:-1]) ** -0.5 if len(shape) > 1 else 1.0
        return jnp.asarray(size * rng.normal(size=shape), jnp.float32)

    params = traverse_util.unflatten_dict(
        {path: drawn(like.shape) for path, like in network.shapes.items()}
    )
    state = network.model_state(fixed_key(0))
    images = jnp.asarray(rng.normal(size=(3, *network.image_shape)), jnp.float32)
    hidden = network.layers[:-1]
    orders = [np.roll(np.arange(layer.kernel_shape[-1]), 1) for layer in hidden]
    # Dropout would drop other units.
    first, second = (
        np.asarray(network.apply(one, state, images, train=False)[0], np.float64)
        for one in (params, reorder_units(network, params, orders))
    )
    return bool(abs(second - first).max() <= 1e-3 * abs(first).max())


def _likeness(
    layers: tuple[Layer, ...], one: _Leaves, other: _Leaves, orders: _Orders, place: int
) -> Float[np.ndarray, "units units"]:
    """Compute the product of each unit's weights with those of each of the others."""
    layer, following = layers[place], layers[place + 1]
    kernel = other[layer.kernel]
    if place:
        kernel = _inputs_reordered(kernel, orders[place - 1])
    units = kernel.shape[-1]
    found = one[layer.kernel].reshape(-1, units).T @ kernel.reshape(-1, units)
    for path in _beside(layer):
        found = found + np.outer(one[path], other[path])
    kernel = other[following.kernel]
    if place + 1 < len(orders):
        kernel = kernel[..., orders[place + 1]]
    return found + np.einsum(
        "puo,pvo->uv", *(_by_unit(x, units) for x in (one[following.kernel], kernel))
    )


def _inputs_reordered(kernel: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Give the inputs of a kernel the places of the units that they come from."""
    return _by_unit(kernel, len(order))[:, order].reshape(kernel.shape)


def _by_unit(kernel: np.ndarray, units: int) -> Float[np.ndarray, "places units out"]:
    """Bring a kernel's inputs into places and units; maps are flattened units last."""
    return kernel.reshape(-1, units, kernel.shape[-1])


def _beside(layer: Layer) -> list[Any]:
    """List what a layer has for each of its units beside the kernel."""
    return [path for path in (layer.bias, layer.scale, layer.shift) if path]


def _wide(network: Network, params: Params) -> _Leaves:
    """List all parameters in double precision, kernels as `Layer.whole_shape`."""
    flat: Any = traverse_util.flatten_dict(params)
    plain = {layer.kernel: layer.plain(flat[layer.kernel]) for layer in network.layers}
    return {path: np.asarray(leaf, np.float64) for path, leaf in (flat | plain).items()}
