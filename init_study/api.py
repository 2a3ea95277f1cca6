"""Any Flax module, initialized by any scheme."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from init_study.errors import UserError
from init_study.network import Network, trace
from init_study.schemes import Batch, Scheme, parse_scheme


def initialize(
    module: nn.Module,
    images: Array | jax.ShapeDtypeStruct,
    scheme: Scheme | str,
    key: PRNGKeyArray,
    labels: Int[Array, " n"] | None = None,
) -> dict[str, Any]:
    """The variables of a module, as `module.init` gives them, with this scheme's
    parameters.

        variables = initialize(ResNet(), images, "he_normal", jax.random.key(0))
        logits = ResNet().apply(variables, images)

    Args:
        module: any Flax Linen module of images, third-party ones included.
        images: `[n, ...]`; schemes that look at data look at these, so they should be
            standardized training images. For others zeros of the right shape will do,
            or a `jax.ShapeDtypeStruct`.
        scheme: a name as on the command line, e.g. `lsuv` or `normal(0.02)`, or one
            made in Python.
        key: everything comes from it.
        labels: `[n]`, for the schemes that look at them.

    Raises: UserError if the scheme does not fit the module: a kernel that tracing
        cannot classify, a batch that is needed and not there, labels that are not as
        many as the images.
    """
    recipe = parse_scheme(scheme) if isinstance(scheme, str) else scheme
    network = _network(module, images)
    batch = _batch(images, labels)
    params = recipe(key, network, batch)
    # The module's own init has one key for both, so what is kept of it fits together.
    return {"params": params, **network.model_state(jax.random.clone(key))}


def explain(module: nn.Module, images: Any, scheme: Scheme | str) -> dict[str, str]:
    """Which rule sets each parameter, by path, e.g. `{"Conv_0/kernel": "he_normal"}`.

    Draws nothing: `images` may be a `jax.ShapeDtypeStruct`.
    """
    recipe = parse_scheme(scheme) if isinstance(scheme, str) else scheme
    said = recipe.explain(_network(module, images))
    return {"/".join(path): text for path, text in said.items()}


def _batch(images: Any, labels: Any) -> Batch | None:
    if labels is not None and len(labels) != images.shape[0]:
        raise UserError(
            f"{images.shape[0]} images and {len(labels)} labels; give one each"
        )
    if isinstance(images, jax.ShapeDtypeStruct) or images.shape[0] == 0:
        return None
    return Batch(jnp.asarray(images), labels)


def _network(module: nn.Module, images: Any) -> Network:
    shape = getattr(images, "shape", None)
    if not shape or len(shape) < 2:
        raise UserError(f"images of shape {shape} have no batch axis; give [n, ...]")
    return trace(module, tuple(shape[1:]))
