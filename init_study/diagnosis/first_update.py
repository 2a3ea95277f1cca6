"""What an optimizer's first step takes off each parameter."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from init_study.diagnosis.of_study import Training
from init_study.jaxprs import SOON
from init_study.network import Params
from init_study.optimizer import decaying


def first_update(training: Training, params: Params, slopes: Params) -> Params | None:
    """Compute what the first step takes off each parameter.

    Momentum has no part in a first step.

    Args:
        training: the optimizer, with its rate, clip and decay.
        params: of the network.
        slopes: gradient of the loss by each of them.

    Returns: None where the optimizer or its rate is not known.

    Example:
        >>> training = Training(optimizer="sgd", learning_rate=0.5)
        >>> weights, slopes = {"w": jnp.ones(1)}, {"w": jnp.array([4.0])}
        >>> first_update(training, weights, slopes)["w"].tolist()
        [2.0]
    """
    if training.learning_rate is None or training.optimizer is None:
        return None
    clip = None if training.clip is None else float(training.clip)
    how = training.optimizer, clip, float(training.weight_decay), training.epsilon
    return _taken_off(*how, float(training.learning_rate), params, slopes)


# One program for all parameters: each of their shapes compiles by itself otherwise.
@partial(jax.jit, static_argnums=(0, 1, 2, 3), compiler_options=SOON)
def _taken_off(
    name: str,
    clip: float | None,
    decay: float,
    epsilon: float,
    rate: Float[Array, ""] | float,
    params: Params,
    slopes: Params,
) -> Params:
    parts = [] if clip is None else [optax.clip_by_global_norm(clip)]
    if name == "adamw":
        parts += [optax.adamw(rate, eps=epsilon, weight_decay=decay, mask=decaying)]
    else:
        parts += [optax.add_decayed_weights(decay, mask=decaying)]
        parts += [optax.sgd(rate) if name == "sgd" else optax.adam(rate, eps=epsilon)]
    optimizer = optax.chain(*parts)
    updates, _ = optimizer.update(slopes, optimizer.init(params), params)
    return jax.tree.map(jnp.negative, updates)
