"""Whether a scheme's numbers arrived, whose law they follow, and who drew them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnosis.twins import IMAGES, LABELS, found, places

from init_study.diagnosis.finding import look_for
from init_study.diagnosis.of_study import Training
from init_study.diagnosis.rules import TRAPS
from init_study.diagnosis.seen import look_at
from init_study.diagnosis.set_up import make_set_up
from init_study.initializers import he_normal, zeros
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme, per_layer

DRAWS = np.random.default_rng(0)


def of_numpy(key, shape, dtype=jnp.float32):
    return jnp.asarray(DRAWS.normal(size=shape) * (2 / shape[0]) ** 0.5, dtype)


def of_own_key(key, shape, dtype=jnp.float32):
    return he_normal()(jax.random.key(7), shape, dtype)


def waves(key, shape, dtype=jnp.float32):
    place, rate = np.arange(shape[0])[:, None], np.arange(shape[1])[None]
    return jnp.asarray(np.sin(place * np.exp(-rate / shape[1])) / shape[0], dtype)


class Perceptron(nn.Module):
    """A hidden layer of units that read the whole image, or its mean."""

    pooled: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        x = x.mean((1, 2)) if self.pooled else x.reshape(len(x), -1)
        x = nn.relu(nn.Dense(16)(x))
        return nn.Dense(3)(x)


def given(scheme, other, key=1):
    """The findings where a scheme was asked for, and another drew the numbers."""
    network = trace(Perceptron(), (6, 6, 2))
    batch = Batch(IMAGES, LABELS)
    asked = make_set_up(
        network, parse_scheme(scheme), batch, jax.random.key(0), Training()
    )
    params = parse_scheme(other)(jax.random.key(key), network, batch)
    seen = look_at(asked._replace(params=params), jax.random.key(0))
    by_id = {}
    for finding in look_for(TRAPS.values(), seen):
        by_id.setdefault(finding.id, []).append(finding)
    return by_id


def test_numbers_of_another_law_were_not_applied():
    findings = given("he_normal", "torch")["not-applied"]
    assert {"Dense_0/kernel", "Conv_0/bias"} <= set(places(findings))
    (one,) = (x for x in findings if x.place == "Dense_0/kernel")
    assert one.severity == "error" and "PyTorch's default" in one.evidence
    assert "not-reproducible" not in given("he_normal", "torch")


def test_numbers_of_another_seed_were_applied():
    for scheme in ("he_normal", "orthogonal"):
        assert "not-applied" not in given(scheme, scheme, key=5)


@pytest.mark.parametrize("law", [of_own_key, of_numpy])
def test_the_modules_own_numbers_that_no_key_changes(law):
    net = nn.Sequential([nn.Dense(8, kernel_init=law), nn.relu, nn.Dense(3)])
    findings = found(net, "module", images=IMAGES.reshape(8, -1))
    assert places(findings["key-ignored"]) == ["layers_0/kernel"]


def test_what_is_computed_or_drawn_by_the_key_ignores_none():
    net = nn.Sequential([nn.Dense(8, kernel_init=waves), nn.relu, nn.Dense(3)])
    findings = found(net, "module", images=IMAGES.reshape(8, -1))
    assert not {"key-ignored", "not-reproducible"} & set(findings)


def test_numpys_numbers_cannot_be_drawn_again():
    net = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(3)])
    images = IMAGES.reshape(8, -1)
    findings = found(net, per_layer(of_numpy, name="numpy"), images=images)
    assert places(findings["not-reproducible"])[0] == "layers_0/kernel"
    assert "key-ignored" not in findings and "not-applied" not in findings
    assert "not-reproducible" not in found(net, images=images)


def test_whose_default_it_is():
    (one,) = found(Perceptron(), "module")["default-law"]
    assert one.severity == "info" and "Flax's default" in one.evidence
    assert "0.333 in PyTorch" in one.evidence
    assert "default-law" not in found(Perceptron(), "flax")


def test_a_dense_layer_on_a_map_is_of_one_size():
    (one,) = found(Perceptron())["image-size"]
    assert one.place == "Dense_0/kernel" and "36 places" in one.evidence
    assert "image-size" not in found(Perceptron(pooled=True))


class Summed(nn.Module):
    """Two weights that are added before they meet the images."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4)(x)
        one, other = (self.param(n, nn.initializers.ones, (4, 3)) for n in "ab")
        return x @ (one + other)


def test_what_no_rule_sets_is_named():
    images = IMAGES.reshape(8, -1)
    rest = "by_rule('Dense_0/kernel=orthogonal', others='module')"
    assert places(found(Summed(), rest, images=images)["no-rule"]) == ["a", "b"]
    assert "no-rule" not in found(Summed(), "module", images=images)


def test_zeros_are_no_draw():
    net = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(3)])
    scheme = per_layer(he_normal(), head=zeros(), name="he")
    assert "key-ignored" not in found(net, scheme, images=IMAGES.reshape(8, -1))
