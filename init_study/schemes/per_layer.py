"""Schemes that treat every layer alike: one law for kernels, one for biases."""

import zlib
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.initializers import Initializer, zeros
from init_study.network import Layer, Network, Params, Path

# (key, network, a batch of standardized images) -> params. Pure, and vmappable over
# keys and batches.
Scheme = Callable[[PRNGKeyArray, Network, Float[Array, "n h w c"] | Any], Params]
LayerRule = Callable[[Layer], Initializer]


def per_layer(kernel: LayerRule, bias: LayerRule | None = None) -> Scheme:
    """Draw every layer's kernel and bias from the law that the layer itself gives.

    The key of a leaf comes from its path alone: another layer or scheme never changes
    an existing draw, and schemes with one kind of law share the standard draws of a
    seed, so that their comparison is paired.

    Args:
        kernel: from a layer to the initializer of its kernel.
        bias: the same for its bias; zeros by default.
    """
    bias = bias or (lambda layer: zeros())

    def scheme(key: PRNGKeyArray, network: Network, batch: Any) -> Params:
        del batch
        leaves: dict[Path, Array] = {}
        for layer in network.layers:
            for path in layer.leaves:
                init = (kernel if path[-1] == "kernel" else bias)(layer)
                shape = network.shapes[path]
                leaves[path] = init(leaf_key(key, path), shape.shape, shape.dtype)
        return network.replace_layers(key, leaves)

    return scheme


def leaf_key(key: PRNGKeyArray, path: Path) -> PRNGKeyArray:
    """The key of one parameter, from its path."""
    return jax.random.fold_in(key, zlib.crc32("/".join(path).encode()))
