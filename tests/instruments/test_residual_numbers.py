"""Branches beside their skips are those of nets that are worked out on paper."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from init_study.instruments.instrument import ProbeBatch, Subject, take_measures
from init_study.instruments.table import INSTRUMENTS
from init_study.models.linear import Linear
from init_study.network import trace

RNG = np.random.default_rng(1)
N, WIDTH, CLASSES = 5, 3, 3
IMAGES = RNG.normal(size=(N, WIDTH))
LABELS = np.array([0, 1, 2, 1, 0])
FIRST, SECOND = (scale * RNG.normal(size=(WIDTH, WIDTH)) for scale in (0.5, 0.1))
HEAD = RNG.normal(size=(WIDTH, CLASSES))
BATCH = ProbeBatch(
    jnp.float32(IMAGES.reshape(N, 1, 1, WIDTH)),
    jnp.asarray(LABELS),
    jax.random.key(0),
)


class Blocks(nn.Module):
    """Two linear blocks, the second one's branch taken away from its skip."""

    @nn.compact
    def __call__(self, images):
        x = images.reshape(len(images), -1)
        x = x + nn.Dense(WIDTH, use_bias=False, name="first")(x)
        x = x - nn.Dense(WIDTH, use_bias=False, name="second")(x)
        return nn.Dense(CLASSES, use_bias=False, name="head")(x)


def logits_of(first, second):
    eye = np.eye(WIDTH)
    return IMAGES @ (eye + first) @ (eye - second) @ HEAD


def loss_of(logits):
    return np.mean(logsumexp(logits, 1) - logits[np.arange(N), LABELS])


@pytest.fixture(scope="module")
def found():
    kernels = {"first": FIRST, "second": SECOND, "head": HEAD}
    params = {n: {"kernel": jnp.float32([k])} for n, k in kernels.items()}
    row = {"residual": INSTRUMENTS["residual"]}
    network = trace(Blocks(), (1, 1, WIDTH))
    return take_measures(row, network, Subject(params, {}), BATCH)["residual"]


def check(values, wanted):
    np.testing.assert_allclose(values[0], wanted, rtol=1e-4)


def test_variances_are_those_of_both_ways(found):
    between = IMAGES @ (np.eye(WIDTH) + FIRST)
    first = np.var(IMAGES @ FIRST) / np.var(IMAGES)
    check(found["forward"], [first, np.var(between @ SECOND) / np.var(between)])


def test_gradients_are_those_that_come_back_by_both_ways(found):
    errors = softmax(logits_of(FIRST, SECOND), 1) - np.eye(CLASSES)[LABELS]
    at_second = errors @ HEAD.T
    at_first = at_second @ (np.eye(WIDTH) - SECOND).T
    wanted = [
        np.mean((at_first @ FIRST.T) ** 2) / np.mean(at_first**2),
        np.mean((at_second @ SECOND.T) ** 2) / np.mean(at_second**2),
    ]
    check(found["backward"], wanted)


def test_a_net_without_a_branch_has_its_loss(found):
    whole = logits_of(FIRST, SECOND)
    others = [logits_of(0 * FIRST, SECOND), logits_of(FIRST, 0 * SECOND)]
    losses = [loss_of(other) - loss_of(whole) for other in others]
    check(found["loss_change"], losses)
    sizes = [np.linalg.norm(other - whole) / np.linalg.norm(whole) for other in others]
    check(found["function_change"], sizes)


def test_a_net_without_branches_has_no_numbers():
    network = trace(Linear(CLASSES), (1, 1, WIDTH))
    params = jax.tree.map(lambda x: x[None], network.own_init(jax.random.key(0)))
    row = {"residual": INSTRUMENTS["residual"]}
    assert take_measures(row, network, Subject(params, {}), BATCH) == {"residual": {}}
