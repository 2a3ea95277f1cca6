"""Schemes that optimize the scale of every parameter before the first step.

The directions of the parameters stay; numbers that multiply them are learned, by
gradients through the training gradient. Both are loops of a fixed length, and cost as
much as a short training: `Scheme.cost` says how much.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from init_study.conv.forms import check_form
from init_study.errors import UserError, check_count, check_number
from init_study.network import Network, Params, Path
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.scheme import Cost, Refinement, Scheme, leaf_of, replace_leaf

Scales = dict[Path, Array]

_FAKE_IMAGES = 8
_LEAST_NORM = 1e-6


def metainit(
    steps: int = 100,
    rate: float = 0.01,
    momentum: float = 0.9,
    rest: Scheme = HE_NORMAL,
) -> Scheme:
    """MetaInit: kernel norms for which a gradient step changes the gradient least.

    Minimizes the gradient quotient GQ = mean |(g − H g) / (g ± ε) − 1| over all
    parameters, g the gradient and H the Hessian of the loss on images of noise with
    random labels; a new batch of 8 at each step. Each kernel's norm goes up or down by
    `rate` of what it was, by the sign of GQ's slope, with momentum. No data is needed.
    Preserves: the direction of every kernel.
    Use: where no law is known for an architecture.
    When not: in small nets GQ is ruled by single weights whose g is near zero, and some
    end higher than they began.
    Cost: `steps` × (1 forward, 5 backward passes) of 8 images.

    Args:
        steps: 500 in the paper.
        rate: the paper's steps are 0.1 whatever the norm, which is 1 % of He's norm at
            50 output channels and too coarse for small layers.
        rest: what draws the parameters first.

    Raises: UserError for numbers out of range.
    Reference: Dauphin & Schoenholz 2019, "MetaInit: Initializing learning by learning
    to initialize", NeurIPS.
    """
    check_count("steps", steps)
    check_number("rate", rate, above=0)
    check_number("momentum", momentum, least=0, most=1)

    def refine(key: PRNGKeyArray, network: Network, params: Params, batch: Any) -> Any:
        norms = {
            layer.kernel: jnp.linalg.norm(leaf_of(params, layer.kernel).ravel())
            for layer in network.layers
        }
        # A kernel of zeros has no direction that a norm could scale.
        start = {path: jnp.where(norm > 0, norm, 1.0) for path, norm in norms.items()}
        still = {path: jnp.zeros(()) for path in start}

        def step(state: tuple[Scales, Scales], index: Array) -> Any:
            norms, speeds = state
            own_key = jax.random.fold_in(key, index)
            slopes = jax.grad(_quotient_of_noise)(
                {path: norms[path] / start[path] for path in norms},
                own_key,
                network,
                params,
            )
            speeds = {
                # A slope that is not finite, or zero, moves nothing.
                path: momentum * speed
                - rate * start[path] * jnp.sign(jnp.nan_to_num(slopes[path]))
                for path, speed in speeds.items()
            }
            moved = {
                path: jnp.maximum(norm + speeds[path], _LEAST_NORM)
                for path, norm in norms.items()
            }
            return (moved, speeds), None

        (found, _), _ = lax.scan(step, (start, still), jnp.arange(steps))
        return _rescaled(params, {path: found[path] / start[path] for path in found})

    step = Refinement(
        name=f"MetaInit, {steps} steps",
        function=refine,
        changes=lambda network: [layer.kernel for layer in network.layers],
        cost=lambda network: Cost(forward=steps, backward=5 * steps),
        needs="nothing",
    )
    return Scheme(rules=rest.rules, refinements=(*rest.refinements, step))


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
        rate: Adam's, of the factors.
        step_size: η, of the step along the gradient divided by its norm, as in the
            authors' commands.
        largest: γ, of the gradient's norm.
        rest: what draws the parameters first.

    Raises: UserError for numbers that are not positive, or without a labelled batch of
        at least 4 images.
    Reference: Zhu et al. 2021, arXiv:2102.08098, algorithm 1.
    """
    check_count("steps", steps)
    check_number("rate", rate, above=0)
    check_number("step_size", step_size, above=0)
    check_number("largest", largest, above=0)

    def refine(key: PRNGKeyArray, network: Network, params: Params, batch: Any) -> Any:
        images, labels = jnp.asarray(batch.images), jnp.asarray(batch.labels)
        if len(images) < 4:
            raise UserError(
                f"GradInit splits its batch in four, and got {len(images)} images"
            )
        start = {path: jnp.ones(()) for path in traverse_util.flatten_dict(params)}
        # Per dimension, as the authors do; each goal has moments of its own.
        adam = optax.chain(optax.clip(1.0), optax.adam(rate))
        loss, quarter = _loss_of(network), len(images) // 4

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
        return _rescaled(params, scales)

    step = Refinement(
        name=f"GradInit, {steps} steps",
        function=refine,
        changes=lambda network: list(network.shapes),
        cost=lambda network: Cost(forward=2 * steps, backward=4 * steps),
        needs="labels",
    )
    return Scheme(rules=rest.rules, refinements=(*rest.refinements, step))


def gradient_quotient(
    loss: Any, params: Params, epsilon: float = 1e-5
) -> Float[Array, ""]:
    """mean |(g − H g) / (g ± ε) − 1| over all parameters: 0 where the loss is linear.

    Reference: Dauphin & Schoenholz 2019, equation 1 and their listing, where ε carries
    the sign of g.
    """

    def half_square(params: Params) -> tuple[Array, Params]:
        gradient = jax.grad(loss)(params)
        return _sum_of_squares(gradient) / 2, gradient

    product, gradient = jax.grad(half_square, has_aux=True)(params)

    def term(g: Array, hg: Array) -> Array:
        signed = lax.stop_gradient(jnp.where(g >= 0, epsilon, -epsilon))
        return jnp.sum(jnp.abs((g - hg) / (g + signed) - 1))

    leaves = jax.tree.leaves(jax.tree.map(term, gradient, product))
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    return jnp.sum(jnp.stack(leaves)) / count


def _quotient_of_noise(
    scales: Scales, key: PRNGKeyArray, network: Network, params: Params
) -> Float[Array, ""]:
    images_key, labels_key = jax.random.split(key)
    images = jax.random.normal(images_key, (_FAKE_IMAGES, *network.image_shape))
    scaled, loss = _rescaled(params, scales), _loss_of(network)
    classes = jax.eval_shape(_logits_of(network), scaled, images).shape[-1]
    labels = jax.random.randint(labels_key, (_FAKE_IMAGES,), 0, classes)
    return gradient_quotient(lambda p: loss(p, images, labels), scaled)


def _gradinit_slopes(
    loss: Callable[..., Array],
    params: Params,
    scales: Scales,
    first: tuple[Array, Array],
    other: tuple[Array, Array],
    step_size: float,
) -> tuple[tuple[Array, Scales], Scales]:
    """(the gradient's norm, its slopes), and those of the loss behind a step, both with
    respect to the scales."""

    def norm(scales: Scales) -> tuple[Array, Params]:
        gradient = jax.grad(loss)(_rescaled(params, scales), *first)
        return _norm(gradient), gradient

    (size, gradient), bound = jax.value_and_grad(norm, has_aux=True)(scales)
    size = jnp.maximum(size, jnp.finfo(size.dtype).tiny)

    def behind(scales: Scales) -> Array:
        # The step itself counts as fixed, as in the authors' code.
        stepped = jax.tree.map(
            lambda p, g: p - step_size * lax.stop_gradient(g) / size,
            _rescaled(params, scales),
            gradient,
        )
        return loss(stepped, *other) / step_size

    return (size, bound), jax.grad(behind)(scales)


def _sum_of_squares(tree: Params) -> Array:
    return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)), jnp.zeros(()))


def _norm(tree: Params) -> Array:
    square = _sum_of_squares(tree)
    # The root's own slope is infinite at zero.
    return jnp.sqrt(jnp.maximum(square, jnp.finfo(square.dtype).tiny))


def _rescaled(params: Params, scales: Scales) -> Params:
    for path, scale in scales.items():
        params = replace_leaf(params, path, leaf_of(params, path) * scale)
    return params


def _logits_of(network: Network) -> Any:
    state = network.model_state(jax.random.key(0))

    def logits(params: Params, images: Array) -> Array:
        # Dropout is off, and BatchNorm as at the first step.
        return network.apply(
            params, state, images, train=True, convolution=check_form(None)
        )[0]

    return logits


def _loss_of(network: Network) -> Any:
    logits = _logits_of(network)

    def loss(params: Params, images: Array, labels: Int[Array, " n"]) -> Array:
        losses = optax.softmax_cross_entropy_with_integer_labels(
            logits(params, images), labels
        )
        return losses.mean()

    return loss
