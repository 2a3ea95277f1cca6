"""GoogLeNet's maps, modules and auxiliary heads are those of its table 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.models import build_model
from init_study.network import trace

NAMES = ["googlenet", "googlenet_torchvision"]


def traced(name, image_shape, **arguments):
    model = build_model(name, 5, {"width": 4, "auxiliary": False, **arguments})
    return trace(model, image_shape, 5)


@pytest.mark.parametrize("name", NAMES)
def test_maps_are_those_of_the_table(name):
    network = traced(name, (224, 224, 3), norm="none")
    rows = [layer.output_shape[0] for layer in network.layers[:-1]]
    assert rows == [112, 56, 56, *[28] * 12, *[14] * 30, *[7] * 12]
    # 22 layers deep, as six of a module are two behind each other.
    assert len(network.layers) == 3 + 9 * 6 + 1
    assert network.layers[-1].fan_in == 64
    larger = {"googlenet": (5, 5), "googlenet_torchvision": (3, 3)}[name]
    sizes = [layer.kernel_shape[:2] for layer in network.layers[3:-1]]
    assert sizes == [(1, 1), (1, 1), (3, 3), (1, 1), larger, (1, 1)] * 9


def test_modules_join_four_maps():
    network = traced("googlenet", (32, 32, 3), width=64)
    # 64 + 128 + 32 + 32 channels of 3a, read by each of 3b that reads the map itself.
    reads = [network.layers[9 + i].kernel_shape[-2] for i in (0, 1, 3, 5)]
    assert reads == [256] * 4
    assert network.branches == ()
    x = jnp.array([-1.0, 2.0])
    for layer in network.layers[:-1]:
        assert layer.activation is not None
        assert layer.activation(x).tolist() == [0, 2]


def test_auxiliary_heads_read_the_third_and_the_sixth_module():
    arguments = {"width": 4, "dense": 3, "dropout": 0.0, "auxiliary_dropout": 0.0}
    model = build_model("googlenet", 5, arguments)
    images = jax.random.normal(jax.random.key(1), (2, 16, 16, 1))
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    # All that is positive stays so.
    ones = jax.tree.map(lambda leaf: 0.1 * jnp.ones(leaf.shape), variables)
    keys = {"dropout": jax.random.key(2)}
    train = jax.jit(lambda variables: model.apply(variables, images, True, rngs=keys))
    outputs = train(ones)
    assert [x.shape for x in outputs] == [(2, 5)] * 3
    np.testing.assert_allclose(model.apply(ones, images), outputs[0], rtol=1e-5)

    def reads(part):
        """Say of each output whether it depends on the bias of a part."""
        bias = {"bias": jnp.full_like(ones["params"][part]["bias"], jnp.nan)}
        moved = {**ones["params"], part: {**ones["params"][part], **bias}}
        return [bool(jnp.isnan(x).all()) for x in train({"params": moved})]

    # A module has six convolutions, and three come before the first.
    assert reads("Conv_20") == [True, True, True]
    assert reads("Conv_21") == [True, False, True]
    assert reads("Conv_38") == [True, False, True]
    assert reads("Conv_39") == [True, False, False]
    assert reads("Dense_0") == [True, False, False]


@pytest.mark.parametrize("name", NAMES)
def test_auxiliary_heads_are_made_for_either_call(name):
    images = jnp.zeros((2, 16, 16, 1))
    model = build_model(name, 5, {"width": 4, "dense": 3})

    def made(train):
        keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
        return jax.eval_shape(lambda: model.init(keys, images, train))

    trees = [made(train) for train in (False, True)]
    assert trees[0] == trees[1]
    assert {"auxiliary1", "auxiliary2"} < set(trees[0]["params"])
    assert trees[0]["params"]["auxiliary2"]["Dense_0"]["kernel"].shape == (16 * 8, 3)


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match="Did you mean 'response'"):
        traced("googlenet", (32, 32, 1), norm="respons")
