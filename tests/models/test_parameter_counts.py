"""Published nets have as many parameters as their sources say, and no number less.

Counts at 1000 classes and 224×224×3 pixels where nothing else is said. `torchvision`:
`num_params` of the weights in `torchvision.models`, table of all available weights.
"""

from math import prod

import jax
import jax.numpy as jnp
import pytest

from init_study.models import build_model


def count(name, classes=1000, image_shape=(224, 224, 3), **arguments):
    """The parameters of a model, of which none is made."""
    model = build_model(name, classes, arguments)
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    return sum(prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(
    ("name", "arguments", "published"),
    [
        # All of these: torchvision.
        ("alexnet_torchvision", {}, 61_100_840),
        ("vgg11", {}, 132_863_336),
        ("vgg13", {}, 133_047_848),
        ("vgg16", {}, 138_357_544),
        ("vgg19", {}, 143_667_240),
        ("vgg11", {"norm": "batch"}, 132_868_840),
        ("vgg13", {"norm": "batch"}, 133_053_736),
        ("vgg16", {"norm": "batch"}, 138_365_992),
        ("vgg19", {"norm": "batch"}, 143_678_248),
    ],
)
def test_counts_are_the_published_ones(name, arguments, published):
    assert count(name, **arguments) == published


@pytest.mark.parametrize("pixels", [224, 227])
def test_alexnet_has_the_parameters_of_its_figure(pixels):
    # Figure 2 of the paper, by hand: kernels and biases of convolutions, whose inputs
    # are 3, 48, 256, 192 and 192 channels, then of dense layers. The paper says 60
    # million.
    convolutions = [(11, 3, 96), (5, 48, 256), (3, 256, 384), (3, 192, 384)]
    convolutions += [(3, 192, 256)]
    dense = [(6 * 6 * 256, 4096), (4096, 4096), (4096, 1000)]
    total = sum((size**2 * into + 1) * out for size, into, out in convolutions)
    total += sum((into + 1) * out for into, out in dense)
    assert total == 60_965_224
    assert count("alexnet", image_shape=(pixels, pixels, 3)) == total


def test_the_small_alexnet_has_what_its_docstring_says():
    convolutions = [(5, 3, 48), (5, 24, 128), (3, 128, 192), (3, 96, 192), (3, 96, 128)]
    total = sum((size**2 * into + 1) * out for size, into, out in convolutions)
    # 32 → 28 → 13 → 6 → 2 pixels.
    total += (2 * 2 * 128 + 1) * 512 + 513 * 512 + 513 * 10
    assert count("alexnet_small", 10, (32, 32, 3)) == total == 1_109_194


@pytest.mark.parametrize("pixels", [28, 32])
def test_the_small_vgg_has_the_convolutions_of_vgg11(pixels):
    # VGG-11 without its three dense layers, and one head of 512 inputs.
    dense = (7 * 7 * 512 + 1) * 4096 + 4097 * 4096 + 4097 * 1000
    total = 132_863_336 - dense + 513 * 10
    assert count("vgg11_small", 10, (pixels, pixels, 3)) == total == 9_225_610
