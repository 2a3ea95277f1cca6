"""Logits that are too large, all alike, or none; twins that differ in that alone."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diagnosis.twins import found

IMAGES = jax.random.normal(jax.random.key(2), (16, 12))
LABELS = jnp.arange(16) % 10
ENDS = {
    "nothing": lambda x: x,
    "softmax": nn.softmax,
    "log_softmax": nn.log_softmax,
    "sigmoid": nn.sigmoid,
    "relu": nn.relu,
    "tanh": nn.tanh,
}


class Ended(nn.Module):
    """Two dense layers, and what stands behind the last one."""

    classes: int = 10
    end: str = "nothing"
    dropped: str = "nowhere"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x, train=False):
        dropout = nn.Dropout(0.5, deterministic=not train)
        x = nn.relu(nn.Dense(32, dtype=self.dtype)(x))
        x = dropout(x) if self.dropped == "before" else x
        x = ENDS[self.end](nn.Dense(self.classes, dtype=self.dtype)(x))
        return dropout(x) if self.dropped == "behind" else x


def seen_of(net, scheme="he_normal", **options):
    return found(net, scheme, **{"images": IMAGES, "labels": LABELS, **options})


def test_logits_of_a_wide_draw_are_a_warning_and_those_of_he_none():
    large = seen_of(Ended(), "normal(1)")["loss-at-start"]
    assert [one.severity for one in large] == ["warning"]
    # ln 10 = 2.3, and twice as much.
    assert "2.3;" in large[0].evidence and "4.61" in large[0].evidence
    for scheme in ("he_normal", "xavier_uniform", "lsuv", "orthogonal"):
        here = seen_of(Ended(), scheme).get("loss-at-start", [])
        assert {one.severity for one in here} <= {"info"}, scheme
    assert "loss-at-start" not in seen_of(Ended(), "small_head(0.1)")
    assert "loss-at-start" not in seen_of(Ended(), "zero_head")


@pytest.mark.parametrize("classes", [2, 100])
def test_he_heads_of_few_and_of_many_classes_give_no_warning(classes):
    labels = LABELS % classes
    for seed in range(5):
        key = jax.random.key(seed)
        here = seen_of(Ended(classes), labels=labels, key=key)
        assert {one.severity for one in here.get("loss-at-start", [])} <= {"info"}


def test_a_loss_is_judged_by_its_logits_and_not_by_lucky_labels():
    # All labels that the net believes in: the loss is small, the logits are as large.
    severities = []
    for labels in (LABELS, jnp.zeros(16, int)):
        here = seen_of(Ended(), "normal(1)", labels=labels)["loss-at-start"]
        severities += [one.severity for one in here]
    assert severities == ["warning", "warning"]


def test_images_that_look_alike_get_one_prediction():
    alike = IMAGES[:1] + 1e-3 * IMAGES
    one = seen_of(Ended(), images=alike)["one-favourite"]
    assert [finding.severity for finding in one] == ["info"]
    assert "100%" in one[0].evidence
    assert "one-favourite" not in seen_of(Ended())
    # Equal logits have a first class, and no favourite.
    assert "one-favourite" not in seen_of(Ended(), "zero_head", images=alike)
    # Of two images and two classes it would be chance.
    two = seen_of(Ended(2), images=alike[:2], labels=jnp.arange(2))
    assert "one-favourite" not in two


def test_probabilities_are_no_logits():
    inside = seen_of(Ended(end="softmax"))["softmax-inside"]
    assert [one.severity for one in inside] == ["warning"]
    # The least loss of ten probabilities: the right one 1, the others 0.
    least = -np.log(np.exp(1) / (np.exp(1) + 9))
    assert f"above {least:.2f}" in inside[0].evidence
    # Without labels nobody knows what loss is taken of them.
    unknown = seen_of(Ended(end="softmax"), labels=None)["softmax-inside"]
    assert [one.severity for one in unknown] == ["info"]
    assert "softmax-inside" not in seen_of(Ended())
    assert "softmax-inside" not in seen_of(Ended(end="sigmoid"))


def test_a_log_softmax_changes_nothing():
    inside = seen_of(Ended(end="log_softmax"))["softmax-inside"]
    assert [one.severity for one in inside] == ["info"]
    assert "log_softmax" in inside[0].evidence


@pytest.mark.parametrize("end", ["sigmoid", "relu", "tanh"])
def test_an_activation_behind_the_head_is_a_warning(end):
    bent = seen_of(Ended(end=end))["activation-behind-head"]
    assert [one.severity for one in bent] == ["warning"]
    assert bent[0].place == "Dense_1"
    if end == "tanh":
        least = -np.log(np.exp(1) / (np.exp(1) + 9 * np.exp(-1)))
        assert f"{least:.2f}" in bent[0].evidence
    assert "activation-behind-head" not in seen_of(Ended())


def test_dropout_belongs_before_the_last_layer():
    behind = seen_of(Ended(dropped="behind"))["dropout-behind-head"]
    assert [one.severity for one in behind] == ["warning"]
    assert "dropout-behind-head" not in seen_of(Ended(dropped="before"))
    assert "dropout-behind-head" not in seen_of(Ended(dropped="before"), "zero_head")


def test_logits_of_half_precision_are_told():
    half = seen_of(Ended(dtype="bfloat16"))["half-logits"]
    assert [one.severity for one in half] == ["info"]
    assert "half-logits" not in seen_of(Ended())
