"""One member: how it starts, takes steps and is evaluated. Pure functions.

Nothing here knows of other members, of files or of initializers. A population is a
`TrainState` whose leaves have a leading member axis; `engine.members.over_members` maps
these functions over it.
"""

import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from init_study.data import standardize
from init_study.data.batches import center_crop
from init_study.data.feeds import Examples, Feed
from init_study.data.mixing import training_batch
from init_study.keys import fixed_key
from init_study.network import ModelState, Network, Params, set_for
from init_study.optimizer import make_optimizer
from init_study.study import Program

EVALUATION_BATCH = 100


class TrainState(NamedTuple):
    """All that changes while a member trains.

    Attributes:
        params: of the network.
        model_state: what the network keeps besides, e.g. BatchNorm's averages.
        opt_state: of the optimizer.
        step: steps taken.
        diverged_step: the step whose loss or update was not finite, or -1. From then
            on the member is frozen.
        loss_sum, correct_sum: over the training batches since the last evaluation.
    """

    params: Params
    model_state: ModelState
    opt_state: optax.OptState
    step: Int[Array, ""]
    diverged_step: Int[Array, ""]
    loss_sum: Float[Array, ""]
    correct_sum: Float[Array, ""]


class Hyper(NamedTuple):
    """What differs between the members of a program besides their parameters.

    Attributes:
        learning_rate: the peak of the schedule.
        seed: that augmentation and dropout come from.
        seed_slot: the place of the member's seed among the study's seeds.
    """

    learning_rate: Float[Array, ""]
    seed: Int[Array, ""]
    seed_slot: Int[Array, ""]


class Sums(NamedTuple):
    """What an evaluation adds up.

    Attributes:
        loss: of all examples, in nats.
        correct: how many were answered rightly.
    """

    loss: Float[Array | np.ndarray, "..."]
    correct: Int[Array | np.ndarray, "..."]


def stream(seed: int | Int[Array, ""], name: str) -> PRNGKeyArray:
    """Derive the key of a seed's named stream: `init`, `order` or `augmentation`.

    The same seed gives every scheme the same order and augmentation, and a new stream,
    seed or scheme never changes a draw.

    Example:
        >>> stream(0, "init") == stream(0, "order")
        Array(False, dtype=bool)
    """
    of_seed = jax.random.fold_in(fixed_key(0), seed)
    return jax.random.fold_in(of_seed, zlib.crc32(name.encode()))


def step_keys(
    seed: Int[Array, ""], step: int | Int[Array, ""]
) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """Derive the keys of augmentation and of dropout at one step."""
    key = jax.random.fold_in(stream(seed, "augmentation"), step)
    augment_key, dropout_key = jax.random.split(key)
    return augment_key, dropout_key


def init_state(program: Program, params: Params, model_state: ModelState) -> TrainState:
    """Build a member's state for its first step."""
    return TrainState(
        params=params,
        model_state=model_state,
        opt_state=make_optimizer(program, 0.0).init(params),
        step=jnp.zeros((), jnp.int32),
        diverged_step=jnp.full((), -1, jnp.int32),
        loss_sum=jnp.zeros((), jnp.float32),
        correct_sum=jnp.zeros((), jnp.float32),
    )


def train(
    network: Network,
    program: Program,
    convolution: str,
    feed: Feed,
    member: tuple[TrainState, Hyper],
    shared: Any,
    first: Int[Array, ""],
    num_steps: Int[Array, ""],
) -> TrainState:
    """Take `num_steps` steps.

    Both numbers are traced, so one compilation serves all steps that `shared` holds,
    and cutting a run into calls differently changes nothing.

    Args:
        network: what is trained.
        program: how.
        convolution: one of `conv.FORMS`.
        feed: gives the batch of each step.
        member: its state and hyper-parameters.
        shared: what the feed draws from, the same for all members.
        first: the place there of the first step's batch.
        num_steps: how many.
    """
    state, hyper = member

    def batch_of(i: Int[Array, ""] | int) -> Examples:
        return feed(shared, hyper.seed_slot, first + i)

    # The batch comes from the turn before: a step that begins with what a loop carries
    # is compiled alike, whatever feed it has, and has the same bits.
    def one(
        i: Int[Array, ""], carried: tuple[TrainState, Examples]
    ) -> tuple[TrainState, Examples]:
        state, batch = carried
        moved = train_step(network, program, convolution, state, hyper, batch)
        return moved, batch_of(jnp.minimum(i + 1, num_steps - 1))

    return lax.fori_loop(0, num_steps, one, (state, batch_of(0)))[0]


def train_step(
    network: Network,
    program: Program,
    convolution: str,
    state: TrainState,
    hyper: Hyper,
    batch: Examples,
) -> TrainState:
    """Take one step on a batch; freeze a member whose loss or update is not finite."""
    augment_key, dropout_key = step_keys(hyper.seed, state.step)
    shape, steps = network.image_shape, program.augmentation
    images, targets = training_batch(steps, augment_key, batch, shape)

    def loss_of(params: Params) -> tuple[Float[Array, ""], tuple[Any, ModelState]]:
        logits, model_state = network.apply(
            params,
            state.model_state,
            images,
            train=True,
            key=dropout_key,
            convolution=convolution,
        )
        return targets.mean(cross_entropy, logits), (logits, model_state)

    differentiated = jax.value_and_grad(loss_of, has_aux=True)
    with set_for(network.arithmetic):
        (loss, (logits, model_state)), gradients = differentiated(state.params)
    with jax.named_scope("optimizer"):
        optimizer = make_optimizer(program, hyper.learning_rate)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
    moved = state._replace(params=params, model_state=model_state, opt_state=opt_state)
    alive = (state.diverged_step < 0) & jnp.isfinite(loss) & _is_finite(params)
    return _freeze_unless(alive, moved, state, loss, targets.mean(is_correct, logits))


def _freeze_unless(
    alive: Bool[Array, ""],
    moved: TrainState,
    state: TrainState,
    loss: Float[Array, ""],
    correct: Float[Array, ""],
) -> TrainState:
    """Move a member on, or keep its last finite state and note when it failed."""
    kept = jax.tree.map(lambda new, old: jnp.where(alive, new, old), moved, state)
    step = state.step + 1
    first_failure = jnp.where(alive, -1, step)
    return kept._replace(
        step=step,
        diverged_step=jnp.where(
            state.diverged_step < 0, first_failure, state.diverged_step
        ),
        loss_sum=state.loss_sum + jnp.where(alive, loss, jnp.nan),
        correct_sum=state.correct_sum + jnp.where(alive, correct, jnp.nan),
    )


def no_sums(members: int) -> Sums:
    """Begin an evaluation: nothing counted yet, host arrays `[members]`.

    Example:
        >>> no_sums(2).correct.tolist()
        [0, 0]
    """
    return Sums(np.zeros(members, np.float32), np.zeros(members, np.int32))


def evaluate(
    network: Network,
    convolution: str,
    member: tuple[TrainState, Sums],
    data: Examples,
    start: Int[Array, ""],
    stop: Int[Array, ""],
) -> Sums:
    """Add losses and hits on a range of examples, in evaluation mode.

    The range is traced, so that validation and test share one compilation. Examples are
    taken in batches from `start` on: a part that comes in blocks of whole batches gives
    the same sums as one that is there at once.

    Args:
        network: what is evaluated.
        convolution: one of `conv.FORMS`.
        member: its state, and the sums so far.
        data: on the device.
        start: the first example.
        stop: behind the last one.
    """
    state, sums = member
    lanes = min(EVALUATION_BATCH, len(data.labels))

    def one(i: Int[Array, ""], sums: Sums) -> Sums:
        places = start + i * lanes + jnp.arange(lanes)
        inside = places < stop
        places = jnp.minimum(places, stop - 1)
        seen = center_crop(data.images[places], network.image_shape[:2])
        images = standardize(seen, data.mean, data.std)
        logits, _ = network.apply(
            state.params,
            state.model_state,
            images,
            train=False,
            convolution=convolution,
        )
        losses = cross_entropy(logits, data.labels[places])
        correct = is_correct(logits, data.labels[places])
        return Sums(
            sums.loss + jnp.where(inside, losses, 0.0).sum(),
            sums.correct + (inside & correct).sum(dtype=jnp.int32),
        )

    return lax.fori_loop(0, (stop - start + lanes - 1) // lanes, one, sums)


def cross_entropy(
    logits: Float[Array, "n classes"], labels: Int[Array, " n"]
) -> Float[Array, " n"]:
    """Measure the softmax cross-entropy of each example, in nats.

    Example:
        >>> labels = jnp.array([0])
        >>> float(jnp.exp(cross_entropy(jnp.zeros((1, 2)), labels))[0].round(3))
        2.0
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def is_correct(
    logits: Float[Array, "n classes"], labels: Int[Array, " n"]
) -> Bool[Array, " n"]:
    """Say whether the largest logit is the label's; never where one is not finite.

    Example:
        >>> logits = jnp.array([[1.0, 2.0], [1.0, jnp.inf]])
        >>> is_correct(logits, jnp.array([1, 1])).tolist()
        [True, False]
    """
    return (logits.argmax(-1) == labels) & jnp.isfinite(logits).all(-1)


def _is_finite(params: Any) -> Bool[Array, ""]:
    return jnp.isfinite(optax.tree.norm(params))
