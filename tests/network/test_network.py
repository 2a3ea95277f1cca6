"""Layers are found in any Flax module, with true fans, and every leaf has a rule."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.models import build_model
from init_study.network import trace


class Odd(nn.Module):
    """Groups, strides, a shared layer, a scale of its own, a train flag."""

    num_classes: int = 3

    def setup(self):
        self.shared = nn.Conv(4, (3, 3), feature_group_count=2)
        self.down = nn.Conv(4, (1, 2), strides=(2, 1), use_bias=False)
        self.head = nn.Dense(self.num_classes)

    @nn.compact
    def __call__(self, x, *, deterministic):
        x = self.shared(self.shared(jnp.concatenate([x] * 4, -1)))
        scale = self.param("scale", nn.initializers.ones, (4,))
        x = self.down(x) * scale[None, None, None]
        x = nn.BatchNorm(use_running_average=deterministic)(x)
        x = nn.Dropout(0.5, deterministic=deterministic)(x)
        return self.head(x.reshape(x.shape[0], -1))


@pytest.fixture(scope="module")
def odd():
    return trace(Odd(), (4, 4, 1), 3)


def test_layers_in_order_with_true_fans(odd):
    shared, down, head = odd.layers
    assert (shared.path, shared.kernel_shape) == (("shared",), (3, 3, 2, 4))
    # Each output sees 2 of 4 channels; each input feeds the 2 outputs of its group.
    assert (shared.fan_in, shared.fan_out, shared.groups) == (18, 18, 2)
    assert (down.fan_in, down.fan_out, down.strides) == (8, 8, (2, 1))
    assert down.bias is None
    assert (head.kind, head.kernel_shape, head.strides) == ("dense", (32, 3), ())


def leaves(network, value=1.0):
    return {
        path: jnp.full(network.shapes[path].shape, value)
        for layer in network.layers
        for path in layer.leaves
    }


def test_other_leaves_keep_the_modules_own(odd):
    params = odd.complete(jax.random.key(0), leaves(odd, 7.0))
    np.testing.assert_array_equal(params["scale"], np.ones(4))
    np.testing.assert_array_equal(params["down"]["kernel"], np.full((1, 2, 4, 4), 7.0))
    assert jax.tree.structure(params) == jax.tree.structure(
        odd.own_init(jax.random.key(0))
    )


def test_a_leaf_that_is_missing_extra_or_misshapen_is_named(odd):
    key, given = jax.random.key(0), leaves(odd)
    without = {p: v for p, v in given.items() if p != ("head", "kernel")}
    with pytest.raises(UserError, match="head/kernel"):
        odd.complete(key, without)
    with pytest.raises(UserError, match="no parameter 'tail/kernel'"):
        odd.complete(key, {**given, ("tail", "kernel"): jnp.ones(1)})
    with pytest.raises(UserError, match=r"\(32, 3\).*\(3, 32\)"):
        odd.complete(key, {**given, ("head", "kernel"): jnp.ones((3, 32))})


class Unclassified(nn.Module):
    """A kernel that is used on one of two ways alone."""

    @nn.compact
    def __call__(self, x):
        x = x.reshape(x.shape[0], -1)
        kernel = self.param("way", nn.initializers.ones, (4, 4))
        x = jax.lax.cond(x.sum() > 0, lambda: x @ kernel, lambda: x)
        return nn.Dense(3)(x)


def test_a_kernel_that_is_in_no_known_layer_is_an_error():
    network = trace(Unclassified(), (2, 2, 1), 3)
    with pytest.raises(UserError, match=r"way, .*scheme 'module'"):
        network.complete(jax.random.key(0), leaves(network))


def test_training_and_evaluation_reach_the_modules_own_flag(odd):
    params = odd.own_init(jax.random.key(0))
    state = odd.model_state(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (6, 4, 4, 1))
    _, same = odd.apply(params, state, images, train=False)
    assert same is state
    logits, moved = odd.apply(params, state, images, train=True, key=jax.random.key(2))
    assert logits.shape == (6, 3)
    means = [s["batch_stats"]["BatchNorm_0"]["mean"] for s in (state, moved)]
    assert np.abs(means[1] - means[0]).max() > 0


def test_the_form_of_convolution_changes_no_logit():
    network = trace(build_model("cnn", 3, {"padding": "circular"}), (8, 8, 1), 3)
    params = network.own_init(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    plain, _ = network.apply(params, {}, images, train=True)
    fast, _ = network.apply(params, {}, images, train=True, convolution="blocked")
    np.testing.assert_array_equal(plain, fast)


class Wrong(nn.Module):
    """Gives a map, not logits."""

    @nn.compact
    def __call__(self, x):
        return nn.Conv(3, (3, 3))(x)


class Broken(nn.Module):
    """Does not work on images."""

    def __call__(self, x):
        raise RuntimeError("first line\nsecond line")


def test_a_module_that_does_not_fit_is_one_line():
    with pytest.raises(UserError, match=r"Wrong gives \(2, 4, 4, 3\) for 2 images"):
        trace(Wrong(), (4, 4, 1), 3)
    with pytest.raises(UserError, match=r"RuntimeError: first line$"):
        trace(Broken(), (4, 4, 1), 3)
