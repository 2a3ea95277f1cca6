"""AlexNet, its variants, and the parts that only it has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.models import build_model
from init_study.models.alexnet import response_norm
from init_study.models.parts import overlapping_pool, pool_to_size
from init_study.network import trace
from init_study.schemes import parse_scheme


def maps(name, pixels):
    """Rows of the map that each convolution gives, at the model's own size."""
    model = build_model(name, 10, {"width": 6, "dense": 4})
    layers = trace(model, (pixels, pixels, 3), 10).layers
    return [layer.output_shape[0] for layer in layers[:5]], layers[5].fan_in


@pytest.mark.parametrize("pixels", [224, 227])
def test_maps_have_the_sizes_of_the_figure(pixels):
    assert maps("alexnet", pixels) == ([55, 27, 13, 13, 13], 6 * 6 * 16)
    assert maps("alexnet_torchvision", pixels)[0] == [
        55 + (pixels > 226),
        27,
        13,
        13,
        13,
    ]


def test_layers_have_their_groups_fans_and_activations():
    model = build_model("alexnet", 10, {"width": 6, "dense": 8})
    network = trace(model, (67, 67, 3), 10)
    convolutions = network.layers[:5]
    assert [c.fan_in for c in convolutions] == [363, 75, 144, 108, 108]
    assert [c.fan_out for c in convolutions] == [726, 200, 216, 108, 72]
    assert [layer.groups for layer in network.layers] == [1, 2, 1, 2, 2, 1, 1, 1]
    x = jnp.array([-1.0, 2.0])
    for layer in network.layers[:-1]:
        assert layer.activation is not None and not layer.normalized
        assert layer.activation(x).tolist() == [0.0, 2.0]
    assert network.adapter.streams == ("dropout",)


def test_its_own_scheme_sets_its_biases():
    model = build_model("alexnet", 10, {"width": 6, "dense": 8})
    network = trace(model, (67, 67, 3), 10)
    params = parse_scheme("alexnet")(jax.random.key(0), network)
    biases = [float(params[layer.path[0]]["bias"].mean()) for layer in network.layers]
    assert biases == [0, 1, 0, 1, 1, 1, 1, 0]
    spread = float(params["Dense_0"]["kernel"].std())
    np.testing.assert_allclose(spread, 0.01, rtol=0.1)


def test_response_norm_is_that_of_the_paper():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 7)).astype(np.float32) * 30
    expected = np.empty_like(x)
    for i in range(7):
        near = x[..., max(0, i - 2) : min(6, i + 2) + 1]
        expected[..., i] = x[..., i] / (2 + 1e-4 * (near**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(response_norm(jnp.asarray(x)), expected, rtol=1e-5)


def test_pools_overlap_and_reach_any_size():
    x = jnp.arange(7.0).reshape(1, 7, 1, 1) * jnp.ones((1, 7, 7, 1))
    assert overlapping_pool(x)[0, :, 0, 0].tolist() == [2, 4, 6]
    # Of 7 rows in 3 parts: rows 0-2, 2-4 and 4-6.
    assert pool_to_size(x, 3)[0, :, 0, 0].tolist() == [1, 3, 5]
    assert pool_to_size(x, 7) is x
    assert pool_to_size(x[:, :1, :1], 2).shape == (1, 2, 2, 1)


@pytest.mark.parametrize(
    ("name", "arguments", "pixels", "words"),
    [
        (
            "alexnet",
            {},
            32,
            "at least 64×64 pixels, not 32×32; use model=alexnet_small",
        ),
        ("alexnet_torchvision", {}, 62, "at least 63×63 pixels"),
        (
            "alexnet_small",
            {"width": 6},
            18,
            "AlexNetSmall needs .* 19×19 pixels, not 18×18; use model=cnn",
        ),
        ("alexnet", {"width": 20}, 64, "multiple of 6, as 18"),
        ("alexnet", {"norm": "respond"}, 64, "Did you mean 'response'"),
        ("alexnet", {"depth": 3}, 64, "'depth'"),
    ],
)
def test_what_cannot_be_is_said(name, arguments, pixels, words):
    with pytest.raises(UserError, match=words):
        trace(build_model(name, 10, arguments), (pixels, pixels, 1), 10)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [("alexnet", 64), ("alexnet_torchvision", 63), ("alexnet_small", 19)],
)
def test_the_least_image_will_do(name, pixels):
    arguments = {"width": 6, "dense": 4, "norm": "batch"}
    network = trace(build_model(name, 3, arguments), (pixels, pixels, 1), 3)
    assert all(layer.normalized for layer in network.layers[:5])
