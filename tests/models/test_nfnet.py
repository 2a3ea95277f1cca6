"""NFNet's kernels, activations and branches keep the variances that it counts on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.models import build_model
from init_study.models.nfnet import StandardizedConv, scaled_to_unit_variance
from init_study.network import trace

TINY = {"stages": (1, 2), "width": 4, "group_width": 1}


def traced(image_shape=(16, 16, 3), **arguments):
    return trace(build_model("nfnet_f0", 5, {**TINY, **arguments}), image_shape, 5)


def kernel_of(layer, params, channels):
    """The kernel that it convolves by: what it makes of one pixel, turned round."""
    x = np.zeros((channels, 5, 5, channels), np.float32)
    x[range(channels), 2, 2, range(channels)] = 1
    return layer.apply({"params": params}, jnp.asarray(x))[:, 3:0:-1, 3:0:-1]


@pytest.mark.parametrize("scale", [1e-1, 1.0, 50.0])
def test_kernels_have_mean_0_and_variance_1_over_fan_in(scale):
    layer = StandardizedConv(channels=4, size=3, groups=2)
    draw = np.random.default_rng(0).normal(0.3, 1.0, size=(3, 3, 3, 4))
    gain = jnp.array([1.0, 2.0, 0.5, -1.0])
    params = {"kernel": scale * jnp.asarray(draw), "gain": gain, "bias": jnp.zeros(4)}
    kernel = kernel_of(layer, params, 6)
    # Each half of the outputs reads its half of the inputs.
    assert not kernel[:3, ..., 2:].any() and not kernel[3:, ..., :2].any()
    kernel = np.concatenate([kernel[:3, ..., :2], kernel[3:, ..., 2:]], -1)
    kernel = kernel.transpose(1, 2, 0, 3).reshape(27, 4)
    np.testing.assert_allclose(kernel.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose((kernel**2).sum(0), gain**2, rtol=1e-4)
    for channel, sign in enumerate((1, 1, 1, -1)):
        alike = np.corrcoef(kernel[:, channel], draw.reshape(27, 4)[:, channel])
        np.testing.assert_allclose(alike[0, 1], sign, rtol=1e-5)


# Measured on random numbers, in the authors' code: nfnets/base.py.
GAMMA = {
    "relu": 1.7139588594436646,
    "gelu": 1.7015043497085571,
    "silu": 1.7881293296813965,
    "tanh": 1.5939117670059204,
    "elu": 1.2716004848480225,
    "selu": 1.0008515119552612,
}


@pytest.mark.parametrize("name", GAMMA)
def test_activations_have_the_scales_of_the_authors(name):
    from init_study.activations import find_activation

    act = scaled_to_unit_variance(name)
    x = jnp.array([0.3, 1.7])
    expected = GAMMA[name] * find_activation(name)(x)
    np.testing.assert_allclose(act(x), expected, rtol=2e-3)


def test_blocks_have_the_layout_of_the_paper():
    network = traced((64, 64, 3), stages=(1, 2, 1, 1), width=8, group_width=2)
    stem = network.layers[:4]
    assert [layer.output_shape for layer in stem] == [
        (32, 32, 1),
        (32, 32, 1),
        (32, 32, 2),
        (16, 16, 4),
    ]
    grouped = [layer for layer in network.layers if layer.groups > 1]
    assert [layer.groups for layer in grouped] == [2] * 2 + [4] * 4 + [12] * 4
    assert [layer.output_shape[0] for layer in grouped] == [16] * 2 + [8] * 4 + [
        4
    ] * 2 + [2] * 2
    assert [len(branch.layers) for branch in network.branches] == [6] * 5
    # All but the second block of the second stage change the width or halve the map.
    assert [len(branch.shortcut) for branch in network.branches] == [1, 1, 0, 1, 1]
    assert network.layers[-1].fan_in == 2 * 6 * 8


def made(**arguments):
    """A net, its parameters with random kernels, and its logits of fixed images."""
    model = build_model("nfnet_f0", 5, {**TINY, **arguments})
    images = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    draw = np.random.default_rng(0)

    def leaf(path, like):
        start = {"kernel": draw.normal(size=like.shape), "gain": 1.0}
        return jnp.full(like.shape, start.get(path[-1].key, 0.0), like.dtype)

    params = jax.tree_util.tree_map_with_path(leaf, variables["params"])
    return params, jax.jit(lambda params: model.apply({"params": params}, images))


def test_branches_are_silent_at_the_start():
    params, logits = made(stages=(1,), width=16, group_width=4)
    before = logits(params)
    inner = params["StandardizedConv_7"]
    other = {"StandardizedConv_7": {**inner, "bias": inner["bias"] + 1}}
    np.testing.assert_array_equal(logits({**params, **other}), before)
    loud = {"BranchScale_0": {"scale": jnp.array(1.0)}}
    assert np.abs(logits({**params, **loud}) - before).max() > 1e-3


def test_blocks_divide_by_what_branches_will_add():
    # Without branches the net is linear. Its second and third stage read what one and
    # two blocks have added to: 1 + α² and, as widths change with each, 1 + 2 α².
    arguments = {"stages": (1, 2, 1), "activation": "linear"}
    params, plain = made(**arguments, alpha=0.0)
    _, scaled = made(**arguments, alpha=0.7)
    factor = np.sqrt((1 + 0.7**2) * (1 + 2 * 0.7**2))
    np.testing.assert_allclose(scaled(params) * factor, plain(params), rtol=1e-4)


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match="use a width of at least 2"):
        traced(width=1)
    with pytest.raises(UserError, match="four stages at most, not 5"):
        traced(stages=(1,) * 5)


def test_narrow_nets_have_narrow_groups():
    network = traced(stages=(1, 1), width=8, group_width=128)
    groups = [layer.groups for layer in network.layers if layer.kernel_shape[0] == 3]
    assert groups == [1] * 4 + [1, 1] + [2, 2]
