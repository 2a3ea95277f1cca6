"""Kernels that read no images: of a time, or of a token that stands alone."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import explain, initialize
from init_study.errors import UserError
from init_study.network import graph, trace, trace_forward

X = jax.random.normal(jax.random.key(3), (16, 5, 3))


def dense(name, width=4):
    return nn.Dense(width, name=name)


def first(x):
    return x[:, 0]


def first_by_split(x):
    return jnp.split(x, [1], 1)[0].reshape(len(x), -1)


def last_of_flipped(x):
    return x[:, ::-1].transpose(1, 0, 2)[-1]


def beside_zeros(m, x):
    return jnp.concatenate([jnp.zeros((len(x), 1, 4)), x], 1)


def beside_a_token(m, x):
    token = m.param("token", nn.initializers.normal(), (1, 1, 4))
    x = jnp.concatenate([jnp.broadcast_to(token, (len(x), 1, 4)), x], 1)
    x = x + m.param("places", nn.initializers.normal(), (1, 6, 4))
    return nn.LayerNorm(name="norm")(x)


@cache
def queried(join, take):
    """A kernel `q` of what is taken, beside the mean of the images."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = dense("e")(x)
            return dense("h", 2)(dense("q")(take(join(self, x))) + x.mean(1))

    return Net()


@pytest.mark.parametrize("take", [first, first_by_split, last_of_flipped])
@pytest.mark.parametrize("join", [beside_zeros, beside_a_token])
def test_a_part_without_images_is_none(join, take):
    net = queried(join, take)
    network = trace(net, (5, 3), 2)
    assert [layer.name for layer in network.layers] == ["e", "h"]
    assert network.branches == ()
    assert (network.unknown, network.aside) == (set(), {("q", "kernel")})
    params = initialize(net, X, "lsuv", jax.random.key(1))["params"]
    outputs = X @ params["e"]["kernel"]
    np.testing.assert_allclose(outputs.var(), 1, atol=0.11)


@pytest.mark.parametrize("take", [lambda x: x[:, 1], lambda x: x[:, :2].sum(1)])
@pytest.mark.parametrize("join", [beside_zeros, beside_a_token])
def test_a_part_with_images_is_one(join, take):
    network = trace(queried(join, take), (5, 3), 2)
    assert [layer.name for layer in network.layers] == ["e", "q", "h"]


@pytest.mark.parametrize("take", [first, first_by_split, last_of_flipped])
def test_what_is_computed_stays_the_same(take):
    net = queried(beside_a_token, take)
    network = trace(net, (5, 3), 2)
    params = network.own_init(jax.random.key(0))
    forward = trace_forward(network, params, {}, X)
    (outputs,) = forward_values(forward)
    np.testing.assert_allclose(outputs, net.apply({"params": params}, X), rtol=1e-5)


def forward_values(forward):

    wanted = forward.traced.outputs
    return graph.compute(forward.traced, forward.variables, X, wanted)


class Timed(nn.Module):
    """A time at a fixed place goes through two layers, and into the images."""

    norm: bool

    @nn.compact
    def __call__(self, x):
        time = jnp.sin(jnp.arange(6.0))
        time = dense("t1", 8)(nn.silu(dense("t0", 8)(time)))[None]
        x = dense("e", 8)(x.reshape(len(x), -1)) + time
        x = nn.LayerNorm(name="norm")(x) if self.norm else x
        x = nn.relu(x)
        return dense("h", 2)(x + dense("b", 8)(nn.relu(x) * time))


@pytest.mark.parametrize("norm", [True, False])
def test_kernels_of_a_time_are_the_modules_own_and_named(norm):
    network = trace(Timed(norm), (5, 3), 2)
    stem, *others = network.layers
    assert [layer.name for layer in network.layers] == ["e", "b", "h"]
    assert [layer.normalized for layer in network.layers] == [norm, False, False]
    assert stem.activation is not None
    np.testing.assert_array_equal(stem.activation(X), nn.relu(X))
    assert [[others[i - 1].name for i in b.layers] for b in network.branches] == [["b"]]
    said = explain(Timed(norm), X, "he_normal")
    for name in ("t0/kernel", "t1/kernel"):
        assert said[name] == "the module's own; not recognized, it reads no images"
    he, own = (
        initialize(Timed(norm), X, scheme, jax.random.key(1))["params"]
        for scheme in ("he_normal", "module")
    )
    np.testing.assert_array_equal(he["t0"]["kernel"], own["t0"]["kernel"])


def test_what_makes_kernels_of_constants_is_unknown_still():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            w = self.param("w", nn.initializers.normal(), (6, 8))
            cosines = jnp.cos(jnp.outer(jnp.arange(15.0), jnp.arange(6.0)))
            return dense("h", 2)(x.reshape(len(x), -1) @ (cosines @ w))

    network = trace(Net(), (5, 3), 2)
    assert (network.unknown, network.aside) == ({("w",)}, set())


class Asking(nn.Module):
    """A token that begins at zero asks before it has seen the images, as in CaiT."""

    @nn.compact
    def __call__(self, x):
        token = self.param("token", nn.initializers.zeros, (1, 1, 4))
        token = jnp.broadcast_to(token, (len(x), 1, 4))
        x = jnp.concatenate([token, dense("e")(x)], 1)
        query, key = dense("q")(x[:, :1]), dense("k")(x)
        weights = nn.softmax(query @ key.swapaxes(1, 2))
        return dense("h", 2)((weights @ dense("v")(x))[:, 0])


def test_lsuv_leaves_a_kernel_that_reads_zeros_alone():
    network = trace(Asking(), (5, 3), 2)
    assert [layer.name for layer in network.layers] == ["e", "q", "k", "v", "h"]
    drawn, scaled = (
        initialize(Asking(), X, scheme, jax.random.key(1))["params"]
        for scheme in ("orthogonal", "lsuv")
    )
    np.testing.assert_array_equal(scaled["q"]["kernel"], drawn["q"]["kernel"])
    np.testing.assert_allclose((X @ scaled["e"]["kernel"]).var(), 1, atol=0.11)


def test_a_token_has_no_moments_that_are_predicted():
    with pytest.raises(UserError, match="nothing is known of the moments of a learned"):
        initialize(Asking(), X, "autoinit", jax.random.key(1))
