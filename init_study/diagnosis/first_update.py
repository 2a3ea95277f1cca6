"""What an optimizer's first step takes off each parameter."""

import jax
import jax.numpy as jnp
import optax

from init_study.diagnosis.of_study import Training
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
    rate, clip, decay = training.learning_rate, training.clip, training.weight_decay
    epsilon = training.epsilon
    if rate is None or training.optimizer is None:
        return None
    parts = [] if clip is None else [optax.clip_by_global_norm(clip)]
    if training.optimizer == "adamw":
        parts += [optax.adamw(rate, eps=epsilon, weight_decay=decay, mask=decaying)]
    else:
        parts += [optax.add_decayed_weights(decay, mask=decaying)]
        is_sgd = training.optimizer == "sgd"
        parts += [optax.sgd(rate) if is_sgd else optax.adam(rate, eps=epsilon)]
    optimizer = optax.chain(*parts)
    updates, _ = optimizer.update(slopes, optimizer.init(params), params)
    return jax.tree.map(jnp.negative, updates)
