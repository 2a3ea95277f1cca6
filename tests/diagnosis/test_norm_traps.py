"""Norms: what they hide, and what they cannot do."""

import flax.linen as nn
from diagnosis.twins import IMAGES, LABELS, found, places


class Normed(nn.Module):
    """A dense layer with a norm behind it, and a head that may have one."""

    norm: str = "batch"
    bias: bool = False
    scale: float = 1.0
    behind_head: bool = False

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Dense(16, use_bias=self.bias)(x.reshape(len(x), -1))
        start = nn.initializers.constant(self.scale)
        if self.norm == "batch":
            x = nn.BatchNorm(use_running_average=not train, scale_init=start)(x)
        elif self.norm == "layer":
            x = nn.LayerNorm(scale_init=start)(x)
        x = nn.Dense(3)(nn.relu(x))
        return nn.LayerNorm()(x) if self.behind_head else x


class Sums(nn.Module):
    """Residual sums of a dense layer with a batch norm each: 2²⁰ without the norms."""

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Dense(32)(x.reshape(len(x), -1))
        for _ in range(20):
            y = nn.BatchNorm(use_running_average=not train)(nn.relu(x))
            x = x + nn.Dense(32, use_bias=False)(y)
        return nn.Dense(3)(x)


BATCH, LAYER, NONE = Normed(), Normed("layer"), Normed("none")


def test_norms_hide_the_scale_of_weights():
    (sign,) = found(BATCH)["scale-hidden"]
    assert sign.severity == "info" and sign.place == "1 of 2 layers"
    assert "scale-hidden" not in found(NONE)


def test_evaluation_with_averages_as_they_start_differs():
    assert found(BATCH, "normal(1.0)")["evaluation-differs"][0].severity == "info"
    far = found(BATCH, "normal(100.0)")["evaluation-differs"]
    assert far[0].severity == "warning"
    for same in (LAYER, NONE):
        assert "evaluation-differs" not in found(same, "normal(1.0)")


def test_residual_sums_of_any_sound_net_grow_in_evaluation():
    """As mean squares 2²⁰ = 10⁶ times: beyond the threshold of nets without sums."""
    (far,) = found(Sums())["evaluation-differs"]
    assert far.severity == "info"
    (farther,) = found(Sums(), "normal(1.0)")["evaluation-differs"]
    assert farther.severity == "warning"


def test_a_batch_norm_needs_numbers():
    one = found(BATCH, images=IMAGES[:1], labels=LABELS[:1])
    assert one["batch-norm-of-few"][0].severity == "error"
    assert found(BATCH, batch_size=4)["batch-norm-of-few"][0].severity == "warning"
    assert "batch-norm-of-few" not in found(BATCH)
    assert "batch-norm-of-few" not in found(LAYER, batch_size=1)


def test_a_norm_of_almost_nothing():
    small = found(LAYER, "normal(1e-5)")
    assert places(small["norm-of-almost-nothing"]) == ["Dense_0"]
    assert "norm-of-almost-nothing" not in found(LAYER, "normal(0.02)")


def test_a_norm_behind_the_head():
    assert places(found(LAYER.clone(behind_head=True))["norm-behind-head"]) == [
        "Dense_1"
    ]
    assert "norm-behind-head" not in found(LAYER)


def test_a_bias_is_idle_before_a_batch_norm_and_not_before_a_layer_norm():
    assert places(found(BATCH.clone(bias=True))["idle-bias"]) == ["Dense_0/bias"]
    for useful in (BATCH, LAYER.clone(bias=True)):
        assert "idle-bias" not in found(useful)


def test_a_scale_of_zero_where_nothing_goes_around():
    (sign,) = found(LAYER.clone(scale=0.0), "module")["norm-scale-zero"]
    assert sign.severity == "error" and sign.place == "LayerNorm_0/scale"
    assert "norm-scale-zero" not in found(LAYER, "module")
