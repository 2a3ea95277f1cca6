"""Published nets have as many parameters as their sources say, and no number less.

Counts at 1000 classes and 224×224×3 pixels where nothing else is said. `torchvision`:
`num_params` of the weights in `torchvision.models`, table of all available weights.
"""

from itertools import pairwise
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
        ("resnet18", {}, 11_689_512),
        ("resnet34", {}, 21_797_672),
        ("resnet50", {}, 25_557_032),
        ("resnet101", {}, 44_549_160),
        ("resnet152", {}, 60_192_808),
        ("mobilenet_v2", {}, 3_504_872),
        ("convnext_tiny", {}, 28_589_128),
        # Its table has the net without auxiliary heads.
        ("googlenet_torchvision", {"auxiliary": False}, 6_624_904),
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


@pytest.mark.parametrize(
    ("depth", "stages", "of_v1", "total"),
    [
        (18, (2, 2, 2, 2), 11_689_512, 11_687_720),
        (34, (3, 4, 6, 3), 21_797_672, 21_795_880),
        (50, (3, 4, 6, 3), 25_557_032, 25_549_352),
        (101, (3, 4, 23, 3), 44_549_160, 44_541_480),
        (152, (3, 8, 36, 3), 60_192_808, 60_185_128),
    ],
)
def test_preactivation_only_moves_norms(depth, stages, of_v1, total):
    """As torchvision's v1, but for the channels that norms see, two numbers each."""
    wide = 1 if depth < 50 else 4
    # v1 has one behind the stem, v2 one before the head.
    behind, before, into = 64, 0, 64
    for stage, blocks in enumerate(stages):
        width = 64 * 2**stage
        out = wide * width
        # The last norm of a block, and that of the shortcut where shapes change.
        behind += blocks * ((wide > 1) * width + width + out) + (into != out) * out
        # The first norm of a block reads its input.
        before += into + (blocks - 1) * out + blocks * (1 + (wide > 1)) * width
        into = out
    before += into
    assert of_v1 - 2 * behind + 2 * before == total
    assert count(f"resnet{depth}_v2") == total


@pytest.mark.parametrize(
    ("depth", "total"),
    [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)],
)
def test_cifar_resnets_have_convolutions_norms_and_a_head_alone(depth, total):
    # The paper's table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million.
    blocks = (depth - 2) // 6
    by_hand = 9 * 3 * 16 + 2 * 16
    for into, out in ((16, 16), (16, 32), (32, 64)):
        convolutions = 9 * into * out + (2 * blocks - 1) * 9 * out * out
        by_hand += convolutions + 2 * blocks * 2 * out
    assert by_hand + 64 * 10 + 10 == total
    assert count(f"resnet{depth}_cifar", 10, (32, 32, 3)) == total


def test_the_wide_resnet_has_the_36_million_of_its_paper():
    # By hand; the paper rounds it to 36.5 million.
    by_hand, into = 9 * 3 * 16, 16
    for out in (160, 320, 640):
        # The first block: two convolutions, a projection, the norms before the two.
        by_hand += 9 * into * out + 9 * out * out + into * out + 2 * into + 2 * out
        by_hand += 3 * (2 * 9 * out * out + 2 * 2 * out)
        into = out
    by_hand += 2 * 640 + 640 * 10 + 10
    assert count("wide_resnet28_10", 10, (32, 32, 3)) == by_hand == 36_479_194


def test_the_all_convolutional_net_has_nine_kernels_and_biases():
    # By hand, from the layers of All-CNN-C.
    sizes = [3, 3, 3, 3, 3, 3, 3, 1, 1]
    channels = [3, 96, 96, 96, 192, 192, 192, 192, 192, 10]
    pairs = zip(sizes, channels, channels[1:], strict=False)
    total = sum((size**2 * into + 1) * out for size, into, out in pairs)
    assert count("all_cnn_c", 10, (32, 32, 3)) == total == 1_369_738


def test_the_dense_net_grows_by_twelve():
    # By hand, k = 12 and L = 40; the paper rounds it to 1.0 million.
    total, channels = 9 * 3 * 16, 16
    for block in range(3):
        for _ in range(12):
            total += 2 * channels + 9 * channels * 12
            channels += 12
        if block < 2:
            total += 2 * channels + channels**2
    total += 2 * channels + (channels + 1) * 10
    assert count("densenet40", 10, (32, 32, 3)) == total == 1_019_722


def test_the_dense_net_with_bottlenecks_keeps_half_of_its_channels():
    # By hand, k = 12 and L = 100; the paper rounds it to 0.8 million.
    total, channels = 9 * 3 * 24, 24
    for block in range(3):
        for _ in range(16):
            total += 2 * channels + channels * 48 + 2 * 48 + 9 * 48 * 12
            channels += 12
        if block < 2:
            total += 2 * channels + channels * (channels // 2)
            channels //= 2
    total += 2 * channels + (channels + 1) * 10
    assert count("densenet_bc100", 10, (32, 32, 3)) == total == 769_162


@pytest.mark.parametrize(
    ("fields", "classes", "millions"),
    [
        # By hand; the paper and its repository round them so.
        ({"width": 256, "depth": 8, "patch": 1, "kernel_size": 9}, 10, 0.7),
        ({"width": 1536, "depth": 20, "patch": 7, "kernel_size": 9}, 1000, 51.6),
        ({"width": 768, "depth": 32, "patch": 7, "kernel_size": 7}, 1000, 21.1),
    ],
)
def test_convmixers_have_the_counts_of_their_paper(fields, classes, millions):
    width, size = fields["width"], fields["kernel_size"] ** 2
    norm = 2 * width
    block = (size + 1) * width + norm + (width + 1) * width + norm
    total = (3 * fields["patch"] ** 2 + 1) * width + norm + fields["depth"] * block
    total += (width + 1) * classes
    assert count("convmixer", classes, (224, 224, 3), **fields) == total
    assert round(total / 1e6, 1) == millions


def test_the_vision_transformer_has_22_million():
    # By hand; Touvron et al. 2021 round DeiT-S, of the same size, to 22 million.
    width, places = 384, 14 * 14 + 1
    block = 2 * 2 * width + 3 * (width + 1) * width + (width + 1) * width
    block += (width + 1) * 4 * width + (4 * width + 1) * width
    total = (16 * 16 * 3 + 1) * width + width + places * width + 12 * block
    total += 2 * width + (width + 1) * 1000
    assert count("vit_small") == total == 22_050_664


def test_the_plain_net_has_three_convolutions_before_its_depth():
    # By hand, from the layers of its authors' notebook.
    total = (9 * 1 + 1) * 64 + (2 + 50) * (9 * 64 + 1) * 64 + (64 + 1) * 10
    assert count("plain_circular", 10, (28, 28, 1)) == total == 1_921_546


def googlenet_by_hand(size, per_channel):
    """Kernels of table 1, numbers per channel, and the head's.

    Args:
        size: of the larger kernels.
        per_channel: a bias, or the two numbers of a norm.
    """
    convolutions = [(7, 3, 64), (1, 64, 64), (3, 64, 192)]
    into = 192
    for one, three_in, three, five_in, five, pooled in [
        (64, 96, 128, 16, 32, 32),
        (128, 128, 192, 32, 96, 64),
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
        (256, 160, 320, 32, 128, 128),
        (384, 192, 384, 48, 128, 128),
    ]:
        convolutions += [(1, into, c) for c in (one, three_in, five_in, pooled)]
        convolutions += [(3, three_in, three), (size, five_in, five)]
        into = one + three + five + pooled
    kernels = sum((s**2 * into + per_channel) * out for s, into, out in convolutions)
    return kernels + (into + 1) * 1000


def test_googlenets_have_the_convolutions_of_table_1():
    # 6,998,552 is also what the authors of Caffe's copy count.
    by_hand = googlenet_by_hand(size=5, per_channel=1)
    assert count("googlenet", auxiliary=False) == by_hand == 6_998_552
    assert googlenet_by_hand(size=3, per_channel=2) == 6_624_904
    # Heads on 512 and 528 channels; 13,004,888 are torchvision's own parameters.
    dense = 2 * ((4 * 4 * 128 + 1) * 1024 + (1024 + 1) * 1000)
    assert count("googlenet_torchvision") == 6_624_904 + dense + (
        (512 + 2 + 528 + 2) * 128
    )
    assert count("googlenet_torchvision") == 13_004_888
    assert count("googlenet") - by_hand == dense + (512 + 1 + 528 + 1) * 128


def test_the_norm_free_net_has_the_71_million_of_its_paper():
    # By hand, a gain and a bias for each channel; the paper rounds it to 71.5 million.
    def conv(size, into, out):
        return (size**2 * into + 2) * out

    total = conv(3, 3, 16) + conv(3, 16, 32) + conv(3, 32, 64) + conv(3, 64, 128)
    into = 128
    for blocks, out in ((1, 256), (2, 512), (6, 1536), (3, 1536)):
        for block in range(blocks):
            half = out // 2
            total += conv(1, into, half) + 2 * conv(3, 128, half) + conv(1, half, out)
            # The gate, and the number on the branch.
            total += (out + 1) * half + (half + 1) * out + 1
            # At the first of a stage width or map change.
            total += conv(1, into, out) if block == 0 else 0
            into = out
    total += conv(1, 1536, 3072) + (3072 + 1) * 1000
    assert count("nfnet_f0") == total == 71_489_284


def test_the_u_net_has_the_23_convolutions_of_its_figure():
    # By hand, for 1 channel and 2 classes. A much used copy counts 31,031,685: it has a
    # 3×3 convolution to 2 channels and a 1×1 one to 1 in the place of the last.
    def pair(into, out):
        return (9 * into + 1) * out + (9 * out + 1) * out

    widths = [64, 128, 256, 512, 1024]
    total = sum(pair(*both) for both in zip([1, *widths[:-1]], widths, strict=True))
    for out, into in pairwise(widths):
        total += (4 * into + 1) * out + pair(2 * out, out)
    copy = total + (9 * 64 + 1) * 2 + 2 + 1
    total += 64 * 2 + 2
    assert (total, copy) == (31_030_658, 31_031_685)
    assert count("unet", 2, (572, 572, 1)) == total
