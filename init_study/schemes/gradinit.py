"""GradInit: scales for which the first step helps most."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util
from jax import lax
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError, check_count, check_number
from init_study.network import Network, Params
from init_study.schemes.optimized import Scales, loss_of, rescaled, sum_of_squares
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.refined import refined
from init_study.schemes.scheme import Cost, Refinement, Scheme
from init_study.schemes.zeros_in_series import moves


def gradinit(
    steps: int = 100,
    rate: float = 0.01,
    step_size: float = 0.1,
    largest: float = 1.0,
    rest: Scheme = HE_NORMAL,
) -> Scheme:
    """GradInit: a scale for every parameter so that the first step helps most.

    Each parameter gets a factor α ≥ 0.01. While the norm of the gradient is above
    `largest`, Adam lowers that norm; else it lowers the loss behind one SGD step of
    length `step_size` against the gradient. The gradient is that of half of the batch,
    the loss behind it that of another half, which overlaps the first by half.
    Preserves: the direction of every parameter.
    Use: where no law is known, and the optimizer is.
    When not: for other first steps than those; the scales fit this `step_size`.
    Cost: `steps` × (2 forward, 4 backward passes) of half the batch.

    Args:
        steps: an epoch in the paper.
        rate: Adam's learning rate for the factors.
        step_size: η, of the step along the gradient divided by its norm, as in the
            authors' commands.
        largest: γ, of the gradient's norm.
        rest: what draws the parameters first.

    Raises: UserError for numbers that are not positive, or without a labelled batch of
        at least 4 images.
    Reference: Zhu et al. 2021, arXiv:2102.08098, algorithm 1.

    Example:
        >>> network = trace(nn.Dense(3), (5,))
        >>> gradinit(steps=10).cost(network)
        Cost(forward=20, backward=40)
    """
    check_count("steps", steps)
    check_number("rate", rate, above=0)
    check_number("step_size", step_size, above=0)
    check_number("largest", largest, above=0)

    step = Refinement(
        name=f"GradInit, {steps} steps",
        stream="gradinit",
        function=partial(_gradinit, steps, rate, step_size, largest),
        changes=lambda network: list(network.shapes),
        cost=lambda network: Cost(forward=2 * steps, backward=4 * steps),
        needs="labels",
    )
    return refined("gradinit", rest, step, moves("gradinit"))


def _gradinit(
    steps: int,
    rate: float,
    step_size: float,
    largest: float,
    key: PRNGKeyArray,
    network: Network,
    params: Params,
    batch: Any,
) -> Params:
    images, labels = jnp.asarray(batch.images), jnp.asarray(batch.labels)
    if len(images) < 4:
        raise UserError(
            f"GradInit splits its batch in four, and got {len(images)} images"
        )
    start = {path: jnp.ones(()) for path in traverse_util.flatten_dict(params)}
    # Per dimension, as the authors do; each goal has moments of its own.
    adam = optax.chain(optax.clip(1.0), optax.adam(rate))
    loss, quarter = loss_of(network), len(images) // 4

    def step(state: tuple[Scales, Any, Any], index: Array) -> Any:
        scales, to_bound, to_goal = state
        order = jax.random.permutation(jax.random.fold_in(key, index), len(images))
        first, other = order[: 2 * quarter], order[quarter : 3 * quarter]
        (size, bound), goal = _gradinit_slopes(
            loss,
            params,
            scales,
            (images[first], labels[first]),
            (images[other], labels[other]),
            step_size,
        )
        high = size > largest
        slopes = jax.tree.map(lambda b, g: jnp.where(high, b, g), bound, goal)
        finite = jnp.isfinite(optax.tree.norm(slopes))
        by_bound, bound_next = adam.update(slopes, to_bound)
        by_goal, goal_next = adam.update(slopes, to_goal)

        def choose(when: Array, one: Any, two: Any) -> Any:
            return jax.tree.map(lambda x, y: jnp.where(when, x, y), one, two)

        moved = {
            path: jnp.maximum(scale + choose(high, by_bound, by_goal)[path], 0.01)
            for path, scale in scales.items()
        }
        # What is not finite moves nothing, and is not remembered.
        return (
            choose(finite, moved, scales),
            choose(finite & high, bound_next, to_bound),
            choose(finite & ~high, goal_next, to_goal),
        ), None

    carry = (start, adam.init(start), adam.init(start))
    (scales, _, _), _ = lax.scan(step, carry, jnp.arange(steps))
    return rescaled(params, scales)


def _gradinit_slopes(
    loss: Callable[..., Array],
    params: Params,
    scales: Scales,
    first: tuple[Array, Array],
    other: tuple[Array, Array],
    step_size: float,
) -> tuple[tuple[Array, Scales], Scales]:
    """Differentiate both goals by the scales.

    Returns: (the gradient's norm, its slopes), and the slopes of the loss behind the
        step.
    """

    def norm(scales: Scales) -> tuple[Array, Params]:
        gradient = jax.grad(loss)(rescaled(params, scales), *first)
        return _norm(gradient), gradient

    (size, gradient), bound = jax.value_and_grad(norm, has_aux=True)(scales)
    size = jnp.maximum(size, jnp.finfo(size.dtype).tiny)

    def behind(scales: Scales) -> Array:
        # The step itself counts as fixed, as in the authors' code.
        stepped = jax.tree.map(
            lambda p, g: p - step_size * lax.stop_gradient(g) / size,
            rescaled(params, scales),
            gradient,
        )
        return loss(stepped, *other) / step_size

    return (size, bound), jax.grad(behind)(scales)


def _norm(tree: Params) -> Array:
    square = sum_of_squares(tree)
    # The root's own slope is infinite at zero.
    return jnp.sqrt(jnp.maximum(square, jnp.finfo(square.dtype).tiny))
