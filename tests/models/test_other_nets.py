"""Nets of depthwise, strided and joined convolutions are those of their papers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.models import build_model
from init_study.network import trace


def traced(name, image_shape=(32, 32, 3), **arguments):
    return trace(build_model(name, 10, arguments), image_shape, 10)


def test_the_all_convolutional_net_ends_with_six_by_six_pixels():
    network = traced("all_cnn_c", width=2)
    rows = [layer.output_shape[0] for layer in network.layers]
    assert rows == [32, 32, 16, 16, 16, 8, 6, 6, 6]
    assert all(layer.kind == "conv" and layer.activation for layer in network.layers)
    assert network.adapter.streams == ("dropout",)


def test_layers_of_the_dense_net_read_all_before_them():
    network = traced("densenet40", depth=13, width=4, growth=3)
    reads = [layer.kernel_shape[-2] for layer in network.layers]
    assert reads == [3, 4, 7, 10, 13, 13, 16, 19, 22, 22, 25, 28, 31]
    rows = [layer.output_shape[0] for layer in network.layers[:-1]]
    assert rows == [32] * 5 + [16] * 4 + [8] * 3
    assert len(network.layers) == 13
    # Joins are no sums.
    assert network.branches == ()


def test_mobilenets_blocks_are_added_where_they_keep_the_shape():
    network = traced("mobilenet_v2", width=8, blocks=2)
    depthwise = [layer for layer in network.layers if layer.groups > 1]
    assert len(depthwise) == 12
    assert all(c.groups == c.kernel_shape[-1] and c.fan_in == 9 for c in depthwise)
    # The second block of five stages; the first and the last stage have one.
    assert [len(branch.layers) for branch in network.branches] == [3] * 5
    assert not any(branch.shortcut for branch in network.branches)
    narrow = [network.layers[branch.layers[-1]] for branch in network.branches]
    x = jnp.array([-1.0, 7.0])
    for layer in narrow:
        assert layer.activation(x).tolist() == [-1, 7]
    assert depthwise[0].activation(x).tolist() == [0, 6]
    assert sum(layer.strides == (2, 2) for layer in network.layers) == 5


def test_convnexts_branches_are_scaled_and_dropped():
    network = traced("convnext_tiny", stages=(1, 2), width=4)
    assert [len(branch.layers) for branch in network.branches] == [3, 3, 3]
    kinds = [network.layers[i].kind for i in network.branches[0].layers]
    assert kinds == ["conv", "dense", "dense"]
    rows = [c.output_shape[0] for c in network.layers if c.kernel_shape[0] == 7]
    assert rows == [8, 4, 4]
    params = network.own_init(jax.random.key(0))
    scales = [v["scale"] for k, v in params.items() if k.startswith("ChannelScale")]
    assert len(scales) == 3 and all(np.allclose(scale, 1e-6) for scale in scales)
    # Nothing is left out of the first block, whose share is 0.
    assert network.adapter.streams == ("dropout",)
    assert traced("convnext_tiny", stages=(1,), width=4).adapter.streams == ()


def test_convmixers_depthwise_convolutions_are_the_branches():
    network = traced("convmixer", depth=2, width=4, patch=2)
    assert len(network.branches) == 2
    for branch in network.branches:
        (index,) = branch.layers
        assert network.layers[index].kernel_shape == (9, 9, 1, 4)
    rows = {layer.output_shape[0] for layer in network.layers[:-1]}
    assert rows == {16}


def test_attention_is_a_branch_and_mixes_patches():
    network = traced("vit_small", (8, 8, 3), depth=1, width=4, heads=2, patch=4)
    kinds = [network.layers[i].whole_shape for i in network.branches[0].layers]
    # Queries, keys and values, each a layer, and the projection behind.
    assert kinds == [(4, 4)] * 4
    assert [len(branch.layers) for branch in network.branches] == [4, 2]
    assert not network.unknown
    params = network.own_init(jax.random.key(0))
    images = jnp.ones((1, 8, 8, 3))
    moved = images.at[0, 0, 0].set(5.0)
    logits, _ = network.apply(params, {}, images, train=False)
    others, _ = network.apply(params, {}, moved, train=False)
    # The head reads the token alone, which hears of a pixel by attention.
    assert np.abs(logits - others).max() > 1e-6


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("all_cnn_c", {}, "at least 9×9 pixels, not 8×8; use model=cnn"),
        ("densenet40", {"depth": 39}, "3n\\+4.*nearest is 40"),
        ("densenet_bc100", {"depth": 42}, "6n\\+4 .10, 16, 22.*nearest is 40"),
        ("densenet40", {"norm": "bach"}, "Did you mean 'batch'"),
        ("convnext_tiny", {}, "at least 32×32 pixels, not 8×8"),
        ("convmixer", {"patch": 9}, "patch=9 needs images of at least 9×9"),
        ("vit_small", {}, "patch=16 needs images of at least 16×16"),
        ("vit_small", {"width": 5}, "6 heads cannot share it; use 6"),
        ("mobilenet_v2", {"depth": 3}, "unknown field of model mobilenet_v2"),
    ],
)
def test_what_cannot_be_is_said(name, arguments, words):
    with pytest.raises(UserError, match=words):
        traced(name, (8, 8, 3), **arguments)
