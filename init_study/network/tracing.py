"""`trace`: from a module of any framework to its `Network`.

It follows the training call of a module without computing anything and notes every
convolution and dense layer that it meets, in the order of execution, so that a scheme
can set the parameters of any module, third-party ones included.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray

from init_study.keys import fixed_key
from init_study.network.adapters import Adapter, adapt
from init_study.network.adapters.outputs import choose_output
from init_study.network.branch_scalars import added_parameters
from init_study.network.layers import Layer, Path, find_layers
from init_study.network.network import ModelState, Network
from init_study.network.room import check_room
from init_study.network.stacks import unstack


def trace(
    module: Any,
    image_shape: tuple[int, ...],
    num_classes: int | None = None,
    branches: str = "plain",
    train_argument: str | None = None,
    output: str | None = None,
) -> Network:
    """Find the layers of a module that maps images to one logit per class.

    Args:
        module: of Flax Linen or NNX, Haiku or Equinox, or what makes one.
        image_shape: `(height, width, channels)`.
        num_classes: how many logits it must give; None for a module of any result.
        branches: in `branch_scalars.BRANCHES`: what is added to its residual branches.
        train_argument: what the module calls its training flag, `NAME` or `NAME=False`
            for one that is false in training; the usual names are known.
        output: which of its outputs are the logits, as `logits`, `0` or `aux.1`; by
            default the first that is `[batch, num_classes]`.

    Raises: UserError, in one line, if the module cannot be called on such images or
        does not give `[batch, num_classes]`.

    Example:
        >>> import flax.linen as nn
        >>> network = trace(nn.Sequential([nn.Conv(4, (3, 3)), nn.relu]), (8, 8, 1))
        >>> [layer.name for layer in network.layers]
        ['layers_0']
    """
    # Inside a `jax.jit` of the user's own proofs need numbers, too. Only there: this
    # way loops in loops are not computed.
    traced = isinstance(jnp.zeros(()), Tracer)
    with jax.ensure_compile_time_eval() if traced else nullcontext():
        return _trace(
            module, image_shape, num_classes, branches, train_argument, output
        )


def _trace(
    module: Any,
    image_shape: tuple[int, ...],
    num_classes: int | None,
    branches: str,
    train_argument: str | None,
    output: str | None,
) -> Network:
    images = jax.ShapeDtypeStruct((2, *image_shape), jnp.float32)
    adapter = adapt(module, images, num_classes, train_argument)
    adapter = choose_output(adapter, images, num_classes, output)
    key = jax.eval_shape(lambda: fixed_key(0))
    check_room(jax.eval_shape(adapter.init, key, images), adapter.name)
    adapter = unstack(adapter, images)
    variables = jax.eval_shape(adapter.init, key, images)
    keys = dict.fromkeys(adapter.streams, key)
    shapes: Any = traverse_util.flatten_dict(variables["params"])
    layers, found_branches, unknown, aside = find_layers(
        lambda variables, images, keys: adapter.apply(variables, images, True, keys)[0],
        variables,
        images,
        keys,
        adapter.transposed,
        lambda kernels: _start(adapter, images, kernels),
    )
    added = added_parameters(branches, layers, found_branches)
    shapes.update({p: jax.ShapeDtypeStruct(v.shape, v.dtype) for p, v in added.items()})
    return Network(
        adapter=adapter,
        image_shape=image_shape,
        layers=layers,
        branches=found_branches,
        unknown=unknown,
        aside=aside,
        shapes=shapes,
        passes={},
        arithmetic=None,
        **_draws(adapter, images, layers, added),
    )


def _start(
    adapter: Adapter, images: jax.ShapeDtypeStruct, kernels: Collection[Path]
) -> dict[Path, Array]:
    """Draw the variables that are no kernels, as the module itself does."""

    def others(key: PRNGKeyArray) -> dict[Path, Array]:
        own = adapter.init(key, jnp.zeros(images.shape, images.dtype))
        flat: Any = traverse_util.flatten_dict(own)
        return {path: leaf for path, leaf in flat.items() if path not in kernels}

    return jax.jit(others)(fixed_key(0))


def _draws(
    adapter: Adapter,
    images: jax.ShapeDtypeStruct,
    layers: tuple[Layer, ...],
    added: Mapping[Path, Array],
) -> dict[str, Callable[[PRNGKeyArray], Any]]:
    """Make the functions of a key that draw as the module itself does.

    Each is compiled for itself: what it does not give is not drawn.
    """
    layered = {path for layer in layers for path in layer.leaves}

    def variables(key: PRNGKeyArray) -> dict[str, Any]:
        own = adapter.init(key, jnp.zeros(images.shape, images.dtype))
        if added:
            more = traverse_util.unflatten_dict(dict(added))
            own["params"] = {**own["params"], **more}
        return own

    def model_state(key: PRNGKeyArray) -> ModelState:
        return {name: v for name, v in variables(key).items() if name != "params"}

    def remainder(key: PRNGKeyArray) -> dict[Path, Array]:
        own: Any = traverse_util.flatten_dict(variables(key)["params"])
        return {path: leaf for path, leaf in own.items() if path not in layered}

    return {
        "initialize": jax.jit(variables),
        "model_state": jax.jit(model_state),
        "remainder": jax.jit(remainder),
    }
