"""The optimizer of a program, as optax builds it."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float

from init_study.network import Params
from init_study.network.branch_scalars import ADDED
from init_study.study import Program


def make_optimizer(
    program: Program, learning_rate: Float[Array, ""] | float
) -> optax.GradientTransformation:
    """Make the program's optimizer at a (possibly traced) peak learning rate.

    Weight decay is decoupled for adamw, and added to the gradient for sgd and adam.
    What is added to a network's branches (see `network.branch_scalars`) does not decay:
    zero is no neutral value there.

    Example:
        >>> weights = {"dense": jnp.array([2.0])}
        >>> optimizer = make_optimizer(Program(momentum=0.0), learning_rate=0.5)
        >>> updates, _ = optimizer.update(weights, optimizer.init(weights), weights)
        >>> updates["dense"].tolist()
        [-1.0]
    """
    unit = _unit_schedule(program)

    def rate(count: ArrayLike) -> Array:
        return jnp.asarray(learning_rate * unit(count))

    decay = optax.add_decayed_weights(program.weight_decay, mask=decaying)
    if program.optimizer == "adamw":
        return optax.adamw(rate, weight_decay=program.weight_decay, mask=decaying)
    if program.optimizer == "adam":
        return optax.chain(decay, optax.adam(rate))
    return optax.chain(decay, optax.sgd(rate, momentum=program.momentum))


def decaying(params: Params) -> Any:
    """Say of each parameter whether it decays: all but what is added to branches.

    Args:
        params: of a network.

    Example:
        >>> decaying({"Dense_0": {"bias": jnp.zeros(2)}, "added": {"b": jnp.ones(1)}})
        {'Dense_0': {'bias': True}, 'added': {'b': False}}
    """
    return {
        name: jax.tree.map(lambda leaf, decays=name != ADDED: decays, branch)
        for name, branch in params.items()
    }


def _unit_schedule(program: Program) -> optax.Schedule:
    """Make the schedule with peak 1: optax's own schedules refuse a traced peak."""
    if program.schedule == "constant":
        return optax.constant_schedule(1.0)
    # A step is left for the way down, however long the warm-up.
    warmup = min(round(program.warmup * program.steps), program.steps - 1)
    return optax.warmup_cosine_decay_schedule(
        init_value=1.0 / (warmup + 1),
        peak_value=1.0,
        warmup_steps=warmup,
        decay_steps=program.steps,
    )
