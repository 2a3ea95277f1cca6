"""A net and its twin with other places for its units are one net."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.unit_matching import (
    check_permutable,
    match_units,
    mode_connectivity,
    reorder_units,
)
from init_study.models.resnet import ResNet
from init_study.network import trace
from init_study.train import cross_entropy


class Stack(nn.Module):
    """Two convolutions with norms, maps flattened, two dense layers."""

    norm: bool = True

    @nn.compact
    def __call__(self, images, train=False):
        x = images
        for width in (6, 5):
            x = nn.Conv(width, (3, 3))(x)
            if self.norm:
                x = nn.BatchNorm(use_running_average=not train)(x)
            x = nn.max_pool(jax.nn.relu(x), (2, 2), (2, 2))
        x = jnp.tanh(nn.Dense(7)(x.reshape(len(x), -1)))
        return nn.Dense(3)(x)


NETWORK = trace(Stack(), (8, 8, 2))
IMAGES = jax.random.normal(jax.random.key(0), (12, 8, 8, 2))
STATE = NETWORK.model_state(jax.random.key(0))


def outputs(params):
    return NETWORK.apply(params, STATE, IMAGES, train=True)[0]


def start():
    """Parameters of which no two units have equal ones."""
    params, rng = NETWORK.own_init(jax.random.key(3)), np.random.default_rng(0)
    noise = lambda x: x + jnp.float32(0.3 * rng.normal(size=x.shape))  # noqa: E731
    return jax.tree.map(noise, params)


PARAMS = start()
# Of which it is as sure as if it had learnt them.
LABELS = outputs(PARAMS).argmax(1)


def loss(params):
    return cross_entropy(outputs(params), LABELS).mean()


RNG = np.random.default_rng(1)
ORDERS = [RNG.permutation(width) for width in (6, 5, 7)]


def test_other_places_change_no_output():
    twin = reorder_units(NETWORK, PARAMS, ORDERS)
    np.testing.assert_allclose(outputs(twin), outputs(PARAMS), rtol=1e-3, atol=1e-5)
    assert not np.allclose(twin["Conv_0"]["kernel"], PARAMS["Conv_0"]["kernel"])


def test_a_twin_has_a_barrier_as_it_is_and_none_when_it_is_aligned():
    twin = reorder_units(NETWORK, PARAMS, ORDERS)
    found = mode_connectivity(NETWORK, loss, PARAMS, twin)
    ends = found.plain.losses[0], found.plain.losses[-1]
    assert float(ends[0]) == pytest.approx(float(ends[1]), rel=1e-4), "one net"
    assert found.plain.height > 0.01
    assert float(found.aligned.height) == pytest.approx(0, abs=1e-6)
    matched = match_units(NETWORK, PARAMS, twin)
    for order, back in zip(ORDERS, matched.orders, strict=True):
        np.testing.assert_array_equal(order[back], np.arange(len(order)))


def test_a_noisy_twin_finds_its_places_again():
    twin = reorder_units(NETWORK, PARAMS, ORDERS)
    noisy = jax.tree.map(
        lambda x: x + jnp.float32(0.02 * RNG.normal(size=x.shape)), twin
    )
    for order, back in zip(
        ORDERS, match_units(NETWORK, PARAMS, noisy).orders, strict=True
    ):
        np.testing.assert_array_equal(order[back], np.arange(len(order)))


class Ordered(nn.Module):
    """A stack in whose middle places have a meaning: a norm over two groups."""

    @nn.compact
    def __call__(self, images):
        x = nn.Dense(4)(images.reshape(len(images), -1))
        return nn.Dense(2)(jax.nn.relu(nn.GroupNorm(num_groups=2)(x)))


class Gated(nn.Module):
    @nn.compact
    def __call__(self, images):
        x = nn.Dense(4)(images.reshape(len(images), -1))
        return nn.Dense(2)(x[:, :2] * x[:, 2:])


class Wider(nn.Module):
    @nn.compact
    def __call__(self, images):
        flat = images.reshape(len(images), -1)
        return nn.Dense(2)(jnp.concatenate([nn.Dense(5)(flat), flat], 1))


class Swish(nn.Module):
    @nn.compact
    def __call__(self, images):
        x = nn.Dense(4)(images.reshape(len(images), -1))
        much = self.param("much", lambda key: jnp.ones((1, 1)))
        return nn.Dense(2)(x * jax.nn.sigmoid(much * x))


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (ResNet(2, depth=8, width=2), "residual branches cannot be matched"),
        (Ordered(), "hang on their order"),
        (Gated(), "hang on their order"),
        (Wider(), "Dense_1, 5 where Dense_0 reads 133"),
        (nn.Conv(4, (3, 3), feature_group_count=2), "groups"),
        (Swish(), "other parameters, much"),
    ],
)
def test_nets_whose_units_are_not_known_are_refused(module, reason):
    with pytest.raises(UserError, match=reason) as caught:
        check_permutable(trace(module, (8, 8, 2)))
    assert "\n" not in str(caught.value)
