"""From which step on do two orders of the data end in one basin?

Paper:    Frankle, Dziugaite, Roy & Carbin 2020, arXiv:1912.05671: copies of a net that
          train on, each with an order of data of its own, end in minima that a line
          joins without a barrier if they share the first steps, and do not if they
          share the start alone (but for the smallest nets).
Command:  python launch.py published --only=mode_connectivity
Cost:     five minutes on two cores.
Expected: a barrier of more than two points between ends that share the start alone, and
          none between those that share 300 of 1,000 steps.
Measured: reproduced. Of 16 pairs that share the start 15 have a barrier of more than
          two points (66 to 100 %), of those that share 300 steps none has any.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from sklearn.datasets import load_digits

from init_study import initialize
from init_study.answers.claims.claim import Claim, above, below
from init_study.answers.claims.combinations import Check, Exceeds
from init_study.models import build_model

_STEPS, _SHARED, _BATCH, _RATE = 1000, 300, 32, 0.05
_PAIRS = tuple(range(200, 216))
_NET = {"depth": 4, "width": 16}


def barrier_from_the_start() -> list[float]:
    """Measure the error's barrier of pairs that share the start alone."""
    return barriers(0, _STEPS, _PAIRS)


def barrier_from_shared_steps() -> list[float]:
    """Measure the barrier of pairs that share the first 300 of 1,000 steps."""
    return barriers(_SHARED, _STEPS, _PAIRS)


def barriers(shared: int, steps: int, seeds: Sequence[int]) -> list[float]:
    """Train pairs that part after some steps, and go from one to the other.

    Args:
        shared: steps that both copies of a pair take together.
        steps: in all.
        seeds: one for each pair.

    Returns: for each pair the most by which the share of wrong answers on training
        data is, between both ends, above their mean, as in the paper.
    """
    keys = jax.vmap(jax.random.key)(jnp.array(seeds))
    barrier = jax.jit(partial(_barrier, shared=shared, steps=steps))
    return [float(barrier(key)) for key in keys]


def _barrier(key: jax.Array, shared: int, steps: int) -> jax.Array:
    start_key, shared_key, first_key, second_key = jax.random.split(key, 4)
    module, images, labels = _examples()
    cosine = optax.cosine_decay_schedule(_RATE, steps)
    # Its count of steps is whole, and is to be a number on the cosine.
    optimizer = optax.sgd(lambda count: cosine(jnp.float32(count)), momentum=0.9)
    start = initialize(module, images[:1], "he_normal", start_key)

    def loss(variables: Any, rows: jax.Array) -> jax.Array:
        logits = module.apply(variables, images[rows])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows])
        return losses.mean()

    def train(state: Any, order_key: jax.Array, count: int) -> Any:
        def step(state: Any, key: jax.Array) -> tuple[Any, None]:
            variables, kept = state
            rows = jax.random.choice(key, len(labels), (_BATCH,), replace=False)
            updates, kept = optimizer.update(jax.grad(loss)(variables, rows), kept)
            return (optax.apply_updates(variables, updates), kept), None

        return lax.scan(step, state, jax.random.split(order_key, count))[0]

    fork = train((start, optimizer.init(start)), shared_key, shared)
    rest = partial(train, fork, count=steps - shared)
    first, second = (rest(own)[0] for own in (first_key, second_key))

    def wrong(alpha: jax.Array) -> jax.Array:
        here = jax.tree.map(lambda a, b: (1 - alpha) * a + alpha * b, first, second)
        answers = jnp.argmax(module.apply(here, images), -1)
        return jnp.mean(answers != labels, dtype=jnp.float32)

    errors = lax.map(wrong, jnp.linspace(0.0, 1.0, 21))
    return jnp.max(errors) - (errors[0] + errors[-1]) / 2


def _examples() -> tuple[Any, jax.Array, jax.Array]:
    """Give the net, and the standardized digits with their labels."""
    digits: Any = load_digits()
    images = digits.images[:1000, ..., None].astype(np.float32)
    images = (images - images.mean()) / images.std()
    module = build_model("cnn", 10, _NET)
    return module, jnp.asarray(images), jnp.asarray(digits.target[:1000])


CHECKS = {
    check.__name__: check
    for check in (barrier_from_the_start, barrier_from_shared_steps)
}

_START = Check("barrier_from_the_start", "barrier of pairs that share the start", "%")
_STEPS_SHARED = Check(
    "barrier_from_shared_steps", "barrier of pairs that share 300 steps", "%"
)

RESULT = Claim(
    number=23,
    section="Frankle et al. 2020",
    original="",
    text="Two orders of the data end in one basin if they part after the first steps, "
    "and in two if they part at the start.",
    reading="Four convolutions, 1,000 steps: on the line between both ends the share "
    "of wrong answers on training data rises by less than two points, the paper's "
    "bound, in every pair that shares 300 steps, and in more than half of the pairs "
    "that share the start alone by more than two points more.",
    predictions=(
        below(_STEPS_SHARED, 0.02),
        above(Exceeds(_START, _STEPS_SHARED, by=0.02), 0.5),
    ),
    literature="ResNet-20 on CIFAR-10 from 3 % of its training on; LeNet on MNIST from "
    "the start. These figures were not checked against the paper.",
)
