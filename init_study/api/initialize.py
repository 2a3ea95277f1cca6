"""Initializing a module of any framework by any scheme."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from init_study.api.arguments import make_scheme
from init_study.errors import UserError
from init_study.network import Network, trace
from init_study.network.in_words import layer_in_words
from init_study.schemes import Batch


def initialize(
    module: Any,
    images: Any,
    scheme: Any,
    key: Key[Array, ""],
    labels: Int[Array | np.ndarray, " n"] | None = None,
    train_argument: str | None = None,
    output: str | None = None,
) -> Any:
    """Draw the variables of a module by a scheme, in the form that its framework has.

    Under `jax.jit` or `jax.vmap` over keys and images it does the same, but for what a
    scheme promises: draws without numbers are not checked.

    Args:
        module: of Flax Linen or NNX, Haiku or Equinox, or what makes one.
        images: `[n, ...]`; schemes that look at data look at these, so they should be
            standardized training images. For others zeros of the right shape will do,
            or a `jax.ShapeDtypeStruct`.
        scheme: a name as on the command line, e.g. `lsuv` or `normal(0.02)`, a
            `Scheme`, or an initializer, which every kernel gets.
        key: everything comes from it.
        labels: `[n]`, for the schemes that look at them.
        train_argument: what the module calls its training flag, `NAME` or `NAME=False`
            for one that is false in training; the usual names are known.
        output: which of the module's outputs counts, as `logits`, `0` or `aux.1`, where
            it gives several; by default the first that is `[batch, classes]`.

    Returns: variables as `module.init` gives them (Linen), a module (NNX, Equinox),
        parameters and state (Haiku).

    Raises: UserError if the scheme does not fit the module: a kernel that tracing
        cannot classify, a batch that is needed and not there, labels that are not as
        many as the images, a promise of the scheme that the draw does not keep.

    Example:
        >>> import flax.linen as nn, jax
        >>> net, images = nn.Dense(3), jax.numpy.ones((2, 5))
        >>> variables = initialize(net, images, "he_normal", jax.random.key(0))
        >>> net.apply(variables, images).shape
        (2, 3)
    """
    if not jnp.issubdtype(getattr(key, "dtype", int), jax.dtypes.prng_key):
        raise UserError(f"key={key!r} is no key; give jax.random.key(0) or the like")
    recipe = make_scheme(scheme)
    network = traced_network(module, images, train_argument, output)
    batch = batch_of(images, labels)
    params = recipe(key, network, batch)
    recipe.check(network, params, batch)
    # The module's own init has one key for both, so what is kept of it fits together.
    state = network.model_state(jax.random.clone(key))
    return network.own_variables(params, state)


def explain(
    module: Any,
    images: Any,
    scheme: Any,
    train_argument: str | None = None,
    output: str | None = None,
) -> dict[str, str]:
    """Say which rule sets each parameter, and what tracing found of each layer.

    Nothing is drawn. Behind the rule of a kernel stand the layer's fans, on average,
    what follows it, and where it is on a residual branch.

    Args:
        module: as of `initialize`.
        images: `[n, ...]`, or a `jax.ShapeDtypeStruct`.
        scheme: as of `initialize`.
        train_argument: as of `initialize`.
        output: as of `initialize`.

    Example:
        >>> import flax.linen as nn, jax
        >>> explain(nn.Dense(3), jax.numpy.ones((2, 5)), "he_normal")
        {'bias': 'zeros', 'kernel': 'he_normal; 5 in, 3 out; linear'}
    """
    network = traced_network(module, images, train_argument, output)
    said = make_scheme(scheme).explain(network)
    for index, layer in enumerate(network.layers):
        found = layer_in_words(index, layer, network.branches)
        said[layer.kernel] = f"{said[layer.kernel]}; {found}"
    for path in network.aside:
        said[path] = f"{said[path]}; not recognized, it reads no images"
    return {"/".join(path): text for path, text in said.items()}


def batch_of(images: Any, labels: Any) -> Batch | None:
    """Put images and labels together; None for shapes without numbers.

    Args:
        images: as of `initialize`.
        labels: as of `initialize`.

    Raises: UserError if they are not as many.

    Example:
        >>> batch_of(jnp.zeros((2, 3)), jnp.zeros(2, int)).images.shape
        (2, 3)
    """
    if labels is not None and len(labels) != images.shape[0]:
        raise UserError(
            f"{images.shape[0]} images and {len(labels)} labels; give one each"
        )
    if isinstance(images, jax.ShapeDtypeStruct) or images.shape[0] == 0:
        return None
    return Batch(jnp.asarray(images), labels)


def traced_network(
    module: Any, images: Any, train_argument: str | None, output: str | None
) -> Network:
    """Trace a module for images; a module that was traced before is not traced again.

    Args:
        module: as of `initialize`.
        images: as of `initialize`.
        train_argument: as of `initialize`.
        output: as of `initialize`.

    Raises: UserError for images without a batch axis, or as `trace`.

    Example:
        >>> import flax.linen as nn
        >>> traced_network(nn.Dense(3), jnp.zeros((2, 5)), None, None).num_parameters
        18
    """
    shape = getattr(images, "shape", None)
    if not shape or len(shape) < 2:
        raise UserError(f"images of shape {shape} have no batch axis; give [n, ...]")
    find = _trace_once if _is_value(module) else trace
    return find(module, tuple(shape[1:]), train_argument=train_argument, output=output)


# The next scheme on a module finds it traced, and its own draws compiled. As under
# `jax.jit`, what a module reads besides its fields counts as it was at first.
_trace_once = functools.lru_cache(maxsize=16)(trace)


def _is_value(module: Any) -> bool:
    """Tell whether a module cannot change, and equal ones compute the same."""
    try:
        hash(module)
    except TypeError:
        return False
    return isinstance(module, nn.Module)
