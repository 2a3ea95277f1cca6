"""`initialize`, `explain` and `trace` inside of a user's own `jax.jit`: only keys and
images have no numbers there."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import explain, initialize
from init_study.network import trace


class Learned(nn.Module):
    """A batch norm, dropout, a slope that is learned, and a branch: all is proved."""

    # Equal modules are traced once: each test has its own.
    test: str

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Conv(4, (3, 3), name="stem")(x)
        x = nn.PReLU()(nn.BatchNorm(use_running_average=not train)(x))
        h = nn.Dropout(0.5, deterministic=not train)(nn.gelu(nn.Conv(4, (1, 1))(x)))
        x = x + nn.Conv(4, (1, 1), name="end")(h)
        return nn.Dense(3)(x.mean((1, 2)))


IMAGES = jax.random.normal(jax.random.key(5), (4, 6, 6, 2))


@pytest.mark.parametrize("text", ["he_normal", "gain_normal", "zero_branch", "lsuv"])
def test_a_compiled_draw_is_the_plain_one(text):
    key, net = jax.random.key(0), Learned(text)
    made = jax.jit(lambda key, x: initialize(net, x, text, key))(key, IMAGES)
    plain = initialize(net, IMAGES, text, key)
    for one, other in zip(*map(jax.tree.leaves, (plain, made)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_draws_are_mapped_over_keys():
    keys = jax.random.split(jax.random.key(0), 2)
    net = Learned("mapped")
    many = jax.vmap(lambda key: initialize(net, IMAGES, "he_normal", key))(keys)
    one = initialize(net, IMAGES, "he_normal", keys[1])
    kernel = many["params"]["stem"]["kernel"][1]
    np.testing.assert_array_equal(kernel, one["params"]["stem"]["kernel"])


def test_what_is_found_is_the_same():
    found = []

    @jax.jit
    def look(images):
        network = trace(Learned("found"), images.shape[1:])
        found.append((network, explain(Learned("found"), images, "zero_branch")))
        return images

    look(IMAGES)
    (network, said), x = found[0], jnp.array([-1.0, 2.0])
    stem = network.layers[0]
    assert stem.normalized
    assert stem.activation is not None
    np.testing.assert_allclose(stem.activation(x), [-0.01, 2.0], rtol=1e-6)
    assert said["end/kernel"].startswith("zeros; ")
