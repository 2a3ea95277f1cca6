"""A set-up: a network, its numbers and a batch, before anything is trained."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from init_study.diagnosis.of_study import Training
from init_study.network import ModelState, Network, Params, Path
from init_study.schemes import Batch, Refinement, Scheme

# Of many or large images so many numbers are looked at: a pass takes a second then.
_LEAST_IMAGES, _MOST_IMAGES, _MOST_NUMBERS = 8, 32, 2**19


class SetUp(NamedTuple):
    """A network, its numbers and a batch, before anything is trained.

    Attributes:
        network: a traced network.
        params: what it starts from.
        state: of norms and the like.
        images: a batch, as it was given; a network reads integers as float32.
        labels: of them, from 0 to K − 1, or None.
        said: what sets each parameter, in words, by path.
        draw: draws parameters by the scheme that is asked for, by key.
        training: how it is going to be trained.
        given: how many images there were: of many the first are looked at, a scheme
            has all.
        refinements: of the scheme, what it does to its draws; none if they were given.
    """

    network: Network
    params: Params
    state: ModelState
    images: Any
    labels: Any
    said: Mapping[Path, str]
    draw: Callable[[PRNGKeyArray], Params]
    training: Training
    given: int
    refinements: tuple[Refinement, ...] = ()


def make_set_up(
    network: Network,
    scheme: Scheme,
    batch: Batch,
    key: PRNGKeyArray,
    training: Training,
    variables: tuple[Params, ModelState] | None = None,
) -> SetUp:
    """Put together what is looked at: a network's numbers, and some of a batch.

    Args:
        network: a traced network.
        scheme: that draws.
        batch: images as the network reads them, and their labels or None. Of many or
            large images the first ones are looked at; a scheme that needs images has
            all of them.
        key: of the draw.
        training: how it is going to be trained.
        variables: parameters and state that the network starts from; by default what
            the scheme draws.

    Raises: UserError as `Scheme.__call__` and `Scheme.explain`.
    """
    images = jnp.asarray(batch.images)
    read = batch._replace(images=as_read(images))
    few = _few(images.shape)
    params, state = variables or (
        scheme(key, network, read),
        network.model_state(jax.random.clone(key)),
    )
    return SetUp(
        network=network,
        params=params,
        state=state,
        images=images[:few],
        labels=None if batch.labels is None else np.asarray(batch.labels)[:few],
        said=scheme.explain(network),
        draw=lambda other: scheme(other, network, read),
        training=training,
        given=len(images),
        refinements=scheme.refinements,
    )


def _few(shape: tuple[int, ...]) -> int:
    """Say how many images are enough: a pass of few large ones takes a second."""
    return min(_MOST_IMAGES, max(_LEAST_IMAGES, _MOST_NUMBERS // prod(shape[1:])))


def as_read(images: Any) -> Array:
    """Bring integers into the type in which layers with float32 kernels read them.

    Args:
        images: of any type.

    Example:
        >>> as_read(np.array([[255]], np.uint8)).dtype
        dtype('float32')
    """
    images = jnp.asarray(images)
    is_float = jnp.issubdtype(images.dtype, jnp.floating)
    return images if is_float else images.astype(jnp.float32)


def are_logits(set_up: SetUp) -> bool:
    """Whether the result is `[n, classes]`, with a class for every label.

    Args:
        set_up: with labels or without.
    """
    labels = np.asarray(set_up.labels if set_up.labels is not None else 0.0)
    are_whole = np.issubdtype(labels.dtype, np.integer)
    if not are_whole or labels.ndim != 1 or not labels.size or labels.min() < 0:
        return False
    result = jax.eval_shape(
        lambda p: set_up.network.apply(p, set_up.state, set_up.images, train=True)[0],
        set_up.params,
    )
    return result.ndim == 2 and int(labels.max()) < result.shape[1]
