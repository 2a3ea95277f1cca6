"""What an optimizer's first step takes off each parameter."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from init_study.diagnosis.of_study import Training
from init_study.network import Params
from init_study.network.branch_scalars import ADDED


def first_update(training: Training, params: Params, slopes: Params) -> Params | None:
    """Compute what the first step takes off each parameter.

    Momentum has no part in a first step, and Adam's averages are then the gradient
    itself: its step is rate · g / (|g| + ε).

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
    if rate is None or training.optimizer is None:
        return None
    kept = 1.0
    if clip is not None:
        norm = float(optax.tree.norm(slopes))
        # What is not finite passes no clip, and is not made so by this one.
        kept = clip / norm if norm > clip else 1.0
    is_sgd, decoupled = training.optimizer == "sgd", training.optimizer == "adamw"

    def update(leaf: Array, slope: Array, decays: bool) -> Array:
        weight = leaf.astype(jnp.float32)
        pull = decay * weight if decays else jnp.zeros_like(weight)
        whole = kept * slope.astype(jnp.float32)
        if not decoupled:
            whole = whole + pull
        if not is_sgd:
            whole = whole / (jnp.abs(whole) + training.epsilon)
        if decoupled:
            whole = whole + pull
        return (rate * whole).astype(leaf.dtype)

    return {
        name: jax.tree.map(
            lambda p, g, decays=name != ADDED: update(p, g, decays),
            branch,
            slopes[name],
        )
        for name, branch in params.items()
    }
