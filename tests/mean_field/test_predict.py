"""Predicted mean squares are those of wide nets, and AutoInit makes them 1."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.gains import tap_squares
from init_study.instruments.signals import gradients_at_layers
from init_study.mean_field.ensemble import _second_moments
from init_study.mean_field.predict import predict
from init_study.network import trace
from init_study.schemes import parse_scheme
from init_study.theory import chi1, critical_variances, second_moment

IMAGES = jax.random.normal(jax.random.key(1), (64, 6, 6, 3))
WIDTH = 64
conv = {"kernel_size": (3, 3), "padding": "CIRCULAR"}


class Plain(nn.Module):
    """Tanh, without a pool: what theory is about."""

    @nn.compact
    def __call__(self, x):
        for _ in range(3):
            x = nn.tanh(nn.Conv(WIDTH, **conv)(x))
        return nn.Dense(20)(x.reshape(len(x), -1))


class Residual(nn.Module):
    """Blocks around identities, a strided one among them, a mean over the map."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(WIDTH, **conv)(x)
        for _ in range(3):
            y = nn.Conv(WIDTH, **conv)(nn.relu(x))
            x = x + nn.Conv(WIDTH, **conv)(nn.relu(y))
        x = nn.Conv(WIDTH, strides=2, **conv)(x)
        return nn.Dense(20)(nn.relu(x).mean((1, 2)))


class Joined(nn.Module):
    """Channels put together, a norm, a product of two ways, a pool."""

    @nn.compact
    def __call__(self, x, train: bool = False):
        y = nn.relu(nn.Conv(WIDTH, **conv)(x))
        x = jnp.concatenate([3.0 * y, nn.Conv(WIDTH // 2, **conv)(y)], -1)
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.Conv(WIDTH, **conv)(nn.gelu(x)) * nn.sigmoid(nn.Conv(WIDTH, **conv)(x))
        x = nn.LayerNorm()(nn.avg_pool(x, (2, 2), (2, 2)))
        return nn.Dense(20)(nn.Conv(WIDTH, **conv)(x).mean((1, 2)))


class Pooled(nn.Module):
    """Maxima over windows that overlap, then over some side by side."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(WIDTH, **conv)(x))
        x = nn.max_pool(x, (3, 3), (1, 1))
        x = nn.max_pool(nn.relu(nn.Conv(WIDTH, **conv)(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Conv(WIDTH, **conv)(x))
        return nn.Dense(20)(x.mean((1, 2)))


class Flat(nn.Module):
    """Each place of the map has weights of its own, and so gradients of its own, which
    do not add up where windows overlap."""

    @nn.compact
    def __call__(self, x):
        x = nn.avg_pool(nn.relu(nn.Conv(WIDTH, **conv)(x)), (3, 3), (1, 1))
        return nn.Dense(20)(x.reshape(len(x), -1))


class Attending(nn.Module):
    """A product of images with images."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8)(x.reshape(len(x), -1, 3))
        x = nn.softmax(x @ x.swapaxes(1, 2)) @ x
        return nn.Dense(3)(x.mean(1))


NETS = {
    net.__name__: net() for net in (Plain, Residual, Pooled, Flat, Joined, Attending)
}


@cache
def network(name):
    return trace(NETS[name], (6, 6, 3))


@cache
def measured_and_predicted(name, text="he_normal"):
    """Of signals and of gradients, the mean over draws, [2, layers]."""
    net, scheme = network(name), parse_scheme(text)
    state = net.model_state(jax.random.key(0))

    def of_draw(key):
        params = scheme(key, net)
        cotangent = jax.random.normal(jax.random.key(3), (len(IMAGES), 20))
        signals, gradients = gradients_at_layers(net, params, state, IMAGES, cotangent)
        squares = [
            [jnp.mean(value**2) for value in values]
            for values in (signals.outputs, gradients)
        ]
        return jnp.array(squares), tap_squares(net, params)

    keys = jax.random.split(jax.random.key(0), 6)
    found, taps = jax.jit(lambda keys: jax.lax.map(of_draw, keys))(keys)
    params = scheme(jax.random.key(9), net)
    means = [tap.mean(0) for tap in taps]
    made = predict(net, params, state, means, IMAGES, jax.random.key(5))
    return np.asarray(found.mean(0)), np.array([made.signals, made.gradients])


@pytest.mark.parametrize(
    "name",
    [
        "Plain",
        "Residual",
        "Pooled",
        "Flat",
        pytest.param("Joined", marks=pytest.mark.slow),
    ],
)
def test_signals_and_gradients_of_a_wide_net_are_as_predicted(name):
    measured, predicted = measured_and_predicted(name)
    np.testing.assert_allclose(predicted[0, :-1], measured[0, :-1], rtol=0.15)
    # Means and maxima know nothing of which pixels are near each other.
    np.testing.assert_allclose(predicted[0, -1], measured[0, -1], rtol=0.8)
    # Gradients as shares of the head's, which is the chance of one draw.
    shares = [found[1, :-1] / found[1, -1] for found in (predicted, measured)]
    np.testing.assert_allclose(*shares, rtol=0.25)


def test_a_residual_net_doubles_at_every_sum():
    """He's law keeps E[x²] through a branch, so that every sum adds as much again."""
    _, predicted = measured_and_predicted("Residual")
    stem, *branches = predicted[0, [0, 1, 3, 5]]
    assert stem == pytest.approx(2, rel=0.1)
    np.testing.assert_allclose(branches, [2, 4, 8], rtol=0.1)


def test_a_plain_net_follows_the_maps_of_theory():
    net = network("Plain")
    params = parse_scheme("lecun_normal")(jax.random.key(0), net)
    fans = [np.full(layer.kernel_shape[:-2], 1 / layer.fan_in) for layer in net.layers]
    made = predict(net, params, {}, fans, IMAGES, jax.random.key(5))
    q = float(jnp.mean(IMAGES**2))
    for signal in made.signals:
        assert signal == pytest.approx(q, rel=0.03)
        q = second_moment("tanh", q)
    slope = chi1("tanh", 1.0, made.signals[1])
    # Of the second layer from the third: as many channels on both sides.
    ratio = made.gradients[1] / made.gradients[2]
    assert ratio == pytest.approx(slope, rel=0.05)


@pytest.mark.parametrize(
    "name",
    [
        "Plain",
        pytest.param("Residual", marks=pytest.mark.slow),
        pytest.param("Joined", marks=pytest.mark.slow),
    ],
)
def test_autoinit_gives_every_layer_the_mean_square_one(name):
    measured, _ = measured_and_predicted(name, "autoinit")
    np.testing.assert_allclose(measured[0, :-1], 1.0, rtol=0.2)
    assert 0.5 < measured[0, -1] < 2
    he, _ = measured_and_predicted(name)
    assert np.abs(np.log(he[0])).max() > np.abs(np.log(measured[0])).max()


def test_autoinit_draws_under_jit_and_says_its_scales():
    net, scheme = network("Plain"), parse_scheme("autoinit")
    key = jax.random.key(0)
    eager = scheme(key, net)
    compiled = jax.jit(lambda key: scheme(key, net))(jax.random.clone(key))
    jax.tree.map(np.testing.assert_array_equal, eager, compiled)
    said = scheme.explain(net)
    kernel = np.asarray(eager["Conv_1"]["kernel"])
    text, _, value = said["Conv_1", "kernel"].rpartition(" ")
    assert text == "autoinit: std"
    assert float(value) == pytest.approx(kernel.std(), rel=0.02)
    assert said["Conv_1", "bias"] == "zeros"


def test_the_edge_of_chaos_has_random_biases():
    net = network("Plain")
    params = parse_scheme("edge_of_chaos(q=0.5)")(jax.random.key(0), net)
    sigma_w2, sigma_b2 = critical_variances("tanh", 0.5)
    layer = params["Conv_1"]
    fan_in = net.layers[1].fan_in
    assert np.var(layer["kernel"]) * fan_in == pytest.approx(sigma_w2, rel=0.03)
    assert np.var(layer["bias"]) == pytest.approx(sigma_b2, rel=0.5)
    plain = parse_scheme("edge_of_chaos('relu')")(jax.random.key(0), net)
    assert (plain["Conv_1"]["bias"] == 0).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("edge_of_chaos('rely')", "Did you mean 'relu'"),
        ("edge_of_chaos('sigmoid')", "no edge of chaos at q=1"),
        ("edge_of_chaos(q=-1)", "q=-1 is not"),
    ],
)
def test_what_has_no_edge_is_one_line(text, words):
    with pytest.raises(UserError, match=words):
        parse_scheme(text)


class Silent(nn.Module):
    """Nothing but zeros behind the first layer."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.Dense(4)(0.0 * nn.Dense(4)(x.mean((1, 2)))))


def test_autoinit_behind_zeros_stays_finite():
    params = parse_scheme("autoinit")(jax.random.key(0), trace(Silent(), (6, 6, 3)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_what_is_not_known_is_named():
    with pytest.raises(UserError, match="two values of the images, as attention"):
        parse_scheme("autoinit")(jax.random.key(0), network("Attending"))


def test_a_batch_of_many_places_is_counted_without_overflow():
    """64 images of 28 × 28 places make more than 2³¹ pairs of places."""
    images = jax.random.normal(jax.random.key(3), (64, 28, 28, 1))
    square, within, between = _second_moments(images.reshape(64, 28 * 28, 1))
    assert square == pytest.approx(1.0, rel=0.02)
    assert 0 <= between <= within < 0.01
