"""What is said of layers is what they are."""

import re

import flax.linen as nn
import jax.numpy as jnp
import pytest

import init_study
from init_study.network import trace
from init_study.network.in_words import (
    branch_in_words,
    fans_in_words,
    follower_in_words,
    layer_in_words,
    peculiarities,
)


class Mixed(nn.Module):
    """A strided and a transposed convolution, a gated branch, weights on their way."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(16, (3, 3), strides=2, name="stem")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        y = nn.Conv(16, (3, 3), name="body")(x)
        gate = nn.sigmoid(nn.Dense(16, name="gate")(y.mean((1, 2), keepdims=True)))
        x = nn.Conv(16, (1, 1), name="around")(x) + y * gate
        x = nn.ConvTranspose(8, (4, 4), strides=(2, 2), name="up")(x)
        tied = nn.Dense(8, name="tied")
        x = tied(jnp.tanh(tied(x)))
        free = self.param("free", nn.initializers.normal(), (8, 6))
        x = x @ (free / jnp.linalg.norm(free))
        half = self.param("half", nn.initializers.normal(), (6, 4))
        return nn.glu(x @ (half * 0.5)).mean((1, 2))


@pytest.fixture(scope="module")
def network():
    return trace(Mixed(), (8, 8, 3))


# By hand: taps of the shape, less what the stride leaves out or the dilation puts in.
FANS = {
    "stem": "27 in, 36 of 144 out",
    "body": "144 in, 144 out",
    "gate": "16 in, 16 out",
    "around": "16 in, 16 out",
    "up": "64 of 256 in, 128 out",
    "tied": "8 in, 8 out",
    "free": "8 in, 6 out",
}


def layers_of(network):
    return {layer.name: (i, layer) for i, layer in enumerate(network.layers)}


def test_fans_are_those_of_the_operation(network):
    layers = layers_of(network)
    for name, words in FANS.items():
        assert fans_in_words(layers[name][1]) == words


def test_what_follows_is_named_or_said_not_to_be_recognized(network):
    said = {
        name: follower_in_words(one) for name, (_, one) in layers_of(network).items()
    }
    assert said["stem"] == "norm, relu"
    assert said["gate"] == "sigmoid"
    assert said["body"] == "not recognized"
    # Of the two uses one is followed by tanh, the other by nothing.
    assert said["tied"] == "not recognized"
    assert said["up"] == "linear"
    # The gated linear unit parts the last layer.
    halves = [said[name] for name in said if name.startswith("half")]
    assert halves == ["not recognized", "sigmoid"]


def test_places_on_a_branch(network):
    said = {
        name: branch_in_words(*place, network.branches)
        for name, place in layers_of(network).items()
    }
    assert said["body"] == "ends branch 0" and said["gate"] == "on branch 0"
    assert said["around"] == "around branch 0" and said["stem"] == said["up"] == ""


def test_what_is_unusual_is_said(network):
    said = {name: peculiarities(one) for name, (_, one) in layers_of(network).items()}
    assert said["free"] == ("its scale has no effect: it is normalized on its way",)
    assert said["tied"] == ("used 2 times",)
    assert said["stem"] == ()
    halves = {said[name] for name in said if name.startswith("half")}
    assert halves == {("times 0.5 on its way",)}


def test_parts_are_counted():
    side_by_side = nn.vmap(
        nn.Dense,
        variable_axes={"params": 0},
        split_rngs={"params": True},
        in_axes=None,
        axis_size=4,
    )
    (layer,) = trace(side_by_side(5), (3,)).layers
    assert layer_in_words(0, layer, ()).startswith("4 parts of 3 in, 5 out; ")


def test_explain_says_it_of_every_kernel():
    said = init_study.explain(Mixed(), jnp.zeros((2, 8, 8, 3)), "he_normal")
    assert said["stem/kernel"] == "he_normal; 27 in, 36 of 144 out; then norm, relu"
    assert said["stem/bias"] == "zeros"
    assert said["body/kernel"] == (
        "he_normal; 144 in, 144 out; what follows is not recognized; ends branch 0"
    )
    kernels = [text for path, text in said.items() if path.endswith("kernel")]
    assert all(re.search(r"; .* in, .* out; ", text) for text in kernels)
