"""Gains and fans that were mistaken for others, and twins that count rightly."""

import flax.linen as nn
import jax
import pytest
from diagnosis.twins import IMAGES, found, places

from init_study.initializers import (
    he_normal,
    he_truncated,
    orthogonal,
    variance_scaling,
    xavier_normal,
)

ROWS = IMAGES.reshape(8, -1)
JAX = jax.nn.initializers


class Wide(nn.Module):
    """Dense layers of 64 units, enough numbers to tell a scale by."""

    law: object
    activation: object = nn.relu
    depth: int = 2

    @nn.compact
    def __call__(self, x):
        for _ in range(self.depth):
            x = self.activation(nn.Dense(64, kernel_init=self.law)(x))
        return nn.Dense(3, kernel_init=he_normal())(x)


class Maps(nn.Module):
    """Two convolutions of 32 channels, the second in groups."""

    law: object
    groups: int = 1

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(64, (3, 3), kernel_init=self.law)(x))
        grouped = nn.Conv(
            64, (3, 3), kernel_init=self.law, feature_group_count=self.groups
        )
        return nn.Dense(3, kernel_init=he_normal())(nn.relu(grouped(x)).mean((1, 2)))


def found_of(net):
    images = ROWS if isinstance(net, Wide) else IMAGES
    return found(net, "module", images=images)


def test_depthwise_fans():
    (one,) = found_of(Maps(JAX.glorot_normal(), groups=64))["group-fans"]
    assert (one.place, one.severity) == ("Conv_1/kernel", "warning")
    twin = found(Maps(JAX.glorot_normal(), groups=64), "xavier_normal")
    assert "group-fans" not in twin
    assert "group-fans" not in found_of(Maps(JAX.glorot_normal()))


def test_a_fan_of_other_axes():
    wrong = JAX.he_normal(in_axis=0, out_axis=1)
    findings = found_of(Maps(wrong))["axis-order"]
    assert places(findings) == ["Conv_0/kernel", "Conv_1/kernel"]
    assert {one.severity for one in findings} == {"warning"}
    assert "axis-order" not in found_of(Maps(JAX.he_normal()))


def test_a_cut_that_is_not_made_up_for():
    cut = variance_scaling(0.7737, "fan_in", "truncated_normal")
    (one,) = found_of(Wide(cut))["uncorrected-cut"]
    assert one.severity == "info" and "2 kernels have 0.774" in one.evidence
    assert "uncorrected-cut" not in found_of(Wide(he_truncated()))


def widening(key, shape, dtype=None):
    return orthogonal()(key, shape, dtype)


class Widening(nn.Module):
    """A bottleneck of four, then many layers of 64 or of four."""

    wide: int = 64

    @nn.compact
    def __call__(self, x):
        for width in (4, self.wide, 4, self.wide):
            x = nn.relu(nn.Dense(width, kernel_init=widening)(x))
        return nn.Dense(3, kernel_init=he_normal())(x)


def test_orthogonal_kernels_that_widen():
    findings = found(Widening(), "module", images=ROWS)["orthogonal-widens"]
    assert places(findings) == ["Dense_1/kernel", "Dense_3/kernel"]
    assert {one.severity for one in findings} == {"warning"}
    assert "orthogonal-widens" not in found(Widening(4), "module", images=ROWS)


@pytest.mark.parametrize(
    "law", [variance_scaling(4.0, "fan_in", "normal"), orthogonal(2.0)]
)
def test_a_gain_is_no_scale(law):
    (one,) = found_of(Wide(law))["gain-not-squared"]
    assert one.severity == "warning" and "the square of 2" in one.evidence
    right = orthogonal(2**0.5)
    assert "gain-not-squared" not in found_of(Wide(right))


def test_the_root_of_a_scale():
    root = variance_scaling(2**0.5, "fan_in", "normal")
    (one,) = found_of(Wide(root))["gain-not-squared"]
    assert "the root of 2" in one.evidence
    assert "gain-not-squared" not in found_of(Wide(he_normal()))


def test_a_rule_of_thumb_for_selu():
    law = variance_scaling(9 / 16, "fan_in", "normal")
    (one,) = found_of(Wide(law, nn.selu, 5))["folklore-gain"]
    assert one.severity == "warning" and "gain of 0.75" in one.evidence
    lecun = variance_scaling(1.0, "fan_in", "normal")
    assert "folklore-gain" not in found_of(Wide(lecun, nn.selu, 5))


def test_a_rule_of_thumb_for_tanh():
    (one,) = found_of(Wide(orthogonal(5 / 3), nn.tanh))["folklore-gain"]
    assert one.severity == "info" and "gain of 1.67" in one.evidence
    assert "folklore-gain" not in found_of(Wide(orthogonal(1.593), nn.tanh))


def test_a_law_that_counts_groups_has_a_name():
    net = Maps(xavier_normal(groups=64), groups=64)
    assert "group-fans" not in found_of(net)
