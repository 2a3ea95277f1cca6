"""Strides, taps, groups and widths."""

import flax.linen as nn
import jax
from diagnosis.small_nets import Chain
from diagnosis.twins import IMAGES, found, places


class Strided(nn.Module):
    """A convolution with strides, with the orthogonal matrix at its middle tap."""

    size: int = 3

    @nn.compact
    def __call__(self, x):
        middle = jax.nn.initializers.delta_orthogonal()
        x = nn.Conv(4, (self.size,) * 2, strides=2, kernel_init=middle)(x)
        return nn.Dense(3)(nn.relu(x).mean((1, 2)))


class Again(nn.Module):
    """One layer that is used twice, or two."""

    shared: bool = True

    @nn.compact
    def __call__(self, x):
        layers = [nn.Dense(8), *([] if self.shared else [nn.Dense(8)])]
        x = nn.Dense(8)(x.reshape(len(x), -1))
        for layer in (layers[0], layers[-1]):
            x = nn.relu(layer(x))
        return nn.Dense(3)(x)


class Depthwise(nn.Module):
    """Two depthwise convolutions, with or without one that mixes between them."""

    mixed: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (1, 1))(x))
        x = nn.Conv(4, (3, 3), feature_group_count=4)(x)
        x = nn.relu(nn.Conv(4, (1, 1))(x) if self.mixed else x)
        x = nn.relu(nn.Conv(4, (3, 3), feature_group_count=4)(x))
        return nn.Dense(3)(x.mean((1, 2)))


class Large(nn.Module):
    """A kernel that may be larger than its map."""

    size: int = 7

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (self.size, self.size))(x))
        return nn.Dense(3)(x.mean((1, 2)))


def test_the_middle_tap_moves_the_image_at_a_stride():
    (sign,) = found(Strided(), "module")["image-moves"]
    assert sign.place == "Conv_0" and "[1, 1]" in sign.evidence
    for scheme in ("delta_orthogonal", "he_normal"):
        assert "image-moves" not in found(Strided(), scheme)


def test_a_stride_larger_than_the_kernel_leaves_pixels_out():
    (sign,) = found(Strided(1))["unread-pixels"]
    assert sign.severity == "warning" and "25%" in sign.evidence
    assert "unread-pixels" not in found(Strided())


def test_a_layer_that_is_used_again():
    assert places(found(Again())["used-again"]) == ["Dense_0"]
    assert "used-again" not in found(Again(shared=False))


def test_all_goes_through_one_number():
    (sign,) = found(Chain(depth=2, width=1))["narrow-passage"]
    assert sign.severity == "warning"
    assert "narrow-passage" not in found(Chain(depth=2, width=2))


def test_taps_beyond_the_border_are_idle():
    small = IMAGES[:, :2, :2]
    assert "18%" in found(Large(), images=small)["idle-taps"][0].evidence
    assert "idle-taps" not in found(Large(3), images=small)
    assert "idle-taps" not in found(Large(), images=IMAGES)


def test_depthwise_layers_one_behind_the_other_do_not_mix():
    assert places(found(Depthwise())["unmixed-groups"]) == ["Conv_2"]
    assert "unmixed-groups" not in found(Depthwise(mixed=True))
