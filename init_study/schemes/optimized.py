"""Schemes that optimize the scale of every parameter before the first step.

The directions of the parameters stay; numbers that multiply them are learned, by
gradients through the training gradient. Both are loops of a fixed length, and cost as
much as a short training: `Scheme.cost` says how much.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from init_study.conv.forms import check_form
from init_study.errors import UserError, check_count, check_number
from init_study.instruments.curvature import gradient_quotient
from init_study.keys import fixed_key
from init_study.network import Network, Params, Path
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.refined import refined
from init_study.schemes.scheme import Cost, Refinement, Scheme, leaf_of, replace_leaf
from init_study.schemes.zeros_in_series import moves

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
        rate: of the norms' change; the paper's steps are 0.1 whatever the norm, which
            is 1 % of He's norm at 50 output channels and too coarse for small layers.
        momentum: of the norms' change, in [0, 1].
        rest: what draws the parameters first.

    Raises: UserError for numbers out of range.
    Reference: Dauphin & Schoenholz 2019, "MetaInit: Initializing learning by learning
    to initialize", NeurIPS.

    Example:
        >>> network = trace(nn.Dense(3), (5,))
        >>> metainit(steps=10).cost(network)
        Cost(forward=10, backward=50)
    """
    check_count("steps", steps)
    check_number("rate", rate, above=0)
    check_number("momentum", momentum, least=0, most=1)

    step = Refinement(
        name=f"MetaInit, {steps} steps",
        stream="metainit",
        function=partial(_metainit, steps, rate, momentum),
        changes=lambda network: [layer.kernel for layer in network.layers],
        cost=lambda network: Cost(forward=steps, backward=5 * steps),
        needs="nothing",
    )
    return refined("metainit", rest, step, moves("metainit"))


def _metainit(
    steps: int,
    rate: float,
    momentum: float,
    key: PRNGKeyArray,
    network: Network,
    params: Params,
    batch: Any,
) -> Params:
    del batch
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
    return rescaled(params, {path: found[path] / start[path] for path in found})


def _quotient_of_noise(
    scales: Scales, key: PRNGKeyArray, network: Network, params: Params
) -> Float[Array, ""]:
    images_key, labels_key = jax.random.split(key)
    images = jax.random.normal(images_key, (_FAKE_IMAGES, *network.image_shape))
    scaled, loss = rescaled(params, scales), loss_of(network)
    classes = jax.eval_shape(logits_of(network), scaled, images).shape[-1]
    labels = jax.random.randint(labels_key, (_FAKE_IMAGES,), 0, classes)
    return gradient_quotient(lambda p: loss(p, images, labels), scaled)


def sum_of_squares(tree: Params) -> Array:
    """Add up the squares of all numbers in a tree."""
    return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)), jnp.zeros(()))


def rescaled(params: Params, scales: Scales) -> Params:
    """Multiply parameters by factors, given by path."""
    for path, scale in scales.items():
        params = replace_leaf(params, path, leaf_of(params, path) * scale)
    return params


def logits_of(network: Network) -> Any:
    """Make the function `(params, images) -> logits` of a network in training."""
    state = network.model_state(fixed_key(0))

    def logits(params: Params, images: Array) -> Array:
        # Dropout is off, and BatchNorm as at the first step.
        return network.apply(
            params, state, images, train=True, convolution=check_form(None)
        )[0]

    return logits


def loss_of(network: Network) -> Any:
    """Make the function `(params, images, labels) -> mean cross-entropy`.

    It raises UserError where the network gives no logits `[n, classes]`.
    """
    logits = logits_of(network)

    def loss(params: Params, images: Array, labels: Int[Array, " n"]) -> Array:
        made = logits(params, images)
        if made.ndim != 2:
            raise UserError(
                f"the module gives an array of shape {list(made.shape)}, and what is "
                "optimized is the loss of logits [n, classes]; initialize it with its "
                "head, or by a scheme without optimization"
            )
        losses = optax.softmax_cross_entropy_with_integer_labels(made, labels)
        return losses.mean()

    return loss
