"""Schemes that treat every layer alike: one law for kernels, one for biases."""

import inspect
import zlib
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.errors import UserError
from init_study.initializers import Initializer, zeros
from init_study.network import Layer, Network, Params, Path

# (key, network, a batch of standardized images) -> params. Pure, and vmappable over
# keys and batches.
Scheme = Callable[[PRNGKeyArray, Network, Float[Array, "n h w c"] | Any], Params]
LayerRule = Callable[[Layer], Initializer]


def per_layer(
    kernel: LayerRule | Initializer,
    bias: LayerRule | Initializer | None = None,
    head: LayerRule | Initializer | None = None,
) -> Scheme:
    """Draw every layer's kernel and bias from the law that the layer itself gives.

    The key of a leaf comes from its path alone: another layer or scheme never changes
    an existing draw, and schemes with one kind of law share the standard draws of a
    seed, so that their comparison is paired.

    Args:
        kernel: from a layer to the initializer of its kernel; or one initializer for
            all of them, if it needs to know nothing of the layer but its shape.
        bias: the same for its bias; zeros by default.
        head: the same for the kernel of the last layer; as the others by default.

    Raises: UserError for what is neither, e.g. `he_normal` without parentheses.
    """
    kernel_of = _as_rule(kernel)
    bias_of = _as_rule(zeros() if bias is None else bias)
    head_of = kernel_of if head is None else _as_rule(head)

    def rule(network: Network, layer: Layer, leaf: str) -> Initializer:
        if leaf == "bias":
            return bias_of(layer)
        return (head_of if layer.path == network.layers[-1].path else kernel_of)(layer)

    def scheme(key: PRNGKeyArray, network: Network, batch: Any) -> Params:
        del batch
        leaves: dict[Path, Array] = {}
        for layer in network.layers:
            for path in layer.leaves:
                init, leaf = rule(network, layer, path[-1]), network.shapes[path]
                leaves[path] = init(leaf_key(key, path), leaf.shape, leaf.dtype)
        return network.replace_layers(key, leaves)

    return scheme


def leaf_key(key: PRNGKeyArray, path: Path) -> PRNGKeyArray:
    """The key of one parameter, from its path."""
    return jax.random.fold_in(key, zlib.crc32("/".join(path).encode()))


def _as_rule(given: Callable[..., Any]) -> LayerRule:
    """An initializer needs a key and a shape; a rule needs a layer alone."""
    parameters = inspect.signature(given).parameters.values()
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    needed = [p for p in parameters if p.default is p.empty and p.kind in positional]
    if not needed:
        name = getattr(given, "__name__", repr(given))
        raise UserError(
            f"{name} is neither an initializer nor a function of the layer; call it "
            f"first: per_layer({name}())"
        )
    return given if len(needed) == 1 else lambda layer: given
