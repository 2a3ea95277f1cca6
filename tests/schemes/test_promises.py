"""What schemes promise of branches, heads and layers holds of what they drew, or one
line says what stands in the way."""

from collections.abc import Callable
from functools import cache
from math import sqrt

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import initialize
from init_study.errors import UserError
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme
from init_study.schemes.promises import pass_of

relu, WIDTH, SHAPE = nn.relu, 4, (4, 4, 3)
IMAGES = jax.random.normal(jax.random.key(3), (8, *SHAPE))


def conv(name, width=WIDTH, **options):
    return nn.Conv(width, (1, 1), name=name, **options)


def norm(name, **options):
    return nn.BatchNorm(use_running_average=False, name=name, **options)


def gated(h, name):
    return h * nn.sigmoid(nn.Dense(WIDTH, name=name)(h.mean((1, 2))))[:, None, None]


def plain(x, i):
    return x + conv(f"b{i}")(relu(conv(f"a{i}")(x)))


def excited(x, i):
    return x + gated(conv(f"b{i}")(relu(conv(f"a{i}")(x))), f"g{i}")


def excited_norm(x, i):
    h = norm(f"n{i}")(conv(f"b{i}")(relu(conv(f"a{i}")(x))))
    return relu(x + gated(h, f"g{i}"))


def dropped(x, i):
    h = conv(f"b{i}")(relu(conv(f"a{i}")(x)))
    return x + nn.Dropout(0.5, broadcast_dims=(1, 2, 3), deterministic=False)(h)


def three_ways(x, i):
    return x + sum(conv(f"b{i}{j}")(relu(conv(f"a{i}{j}")(x))) for j in range(3))


def concatenated(x, i):
    return x + jnp.concatenate([conv(f"b{i}", 1)(x), conv(f"c{i}", 3)(x)], -1)


def sigmoid_end(x, i):
    return x + nn.sigmoid(conv(f"b{i}")(x))


def tanh_end(x, i):
    return x + jnp.tanh(conv(f"b{i}")(x))


def relu_end(x, i):
    return x + relu(conv(f"b{i}")(x))


def biased_norm(x, i):
    return x + norm(f"n{i}", bias_init=nn.initializers.ones)(conv(f"b{i}")(x))


def scaled_norm(x, i):
    return x + norm(f"n{i}")(conv(f"b{i}")(relu(conv(f"a{i}")(x))))


def second_path(x, i):
    return x + 0.1 * jnp.concatenate([x[..., :1], conv(f"b{i}", 3)(x)], -1)


class Net(nn.Module):
    """A stem, two blocks, a head."""

    block: Callable

    @nn.compact
    def __call__(self, x):
        x = conv("stem")(x)
        for i in range(2):
            x = self.block(x, i)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


@cache
def network(block, branches="plain"):
    return trace(Net(block), SHAPE, 3, branches)


def checked(text, net):
    """Draw, and check as `initialize` does."""
    scheme, batch = parse_scheme(text), Batch(IMAGES, jnp.arange(8) % 3)
    params = scheme(jax.random.key(0), net, batch)
    scheme.check(net, params, batch)
    return params


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("zero_branch", excited),
        ("zero_branch", excited_norm),
        ("zero_branch", three_ways),
        ("zero_branch", concatenated),
        ("zero_gamma", excited_norm),
        ("fixup(scalars=False)", excited),
    ],
)
def test_a_branch_that_is_said_to_be_zero_adds_nothing(text, block):
    """Then the net is a stem and a head; two blocks of a ReLU behind change that."""
    net = network(block)
    params = checked(text, net)
    state = net.model_state(jax.random.key(0))
    logits, _ = net.apply(params, state, IMAGES, train=True)
    stem = IMAGES @ params["stem"]["kernel"][0, 0]
    stem = relu(stem) if block is excited_norm else stem
    wanted = stem.mean((1, 2)) @ params["head"]["kernel"]
    np.testing.assert_allclose(logits, wanted, atol=1e-5)


def test_fixup_counts_the_layers_that_lead_to_the_end():
    """m = 2 in each of L = 2 branches, gates aside: L^(-1/2); gates keep their law."""
    plain_draw = parse_scheme("he_normal")(jax.random.key(0), network(excited))
    fixed = checked("fixup(scalars=False)", network(excited))
    ratio = fixed["a1"]["kernel"] / plain_draw["a1"]["kernel"]
    np.testing.assert_allclose(ratio, 1 / sqrt(2), rtol=1e-5)
    np.testing.assert_array_equal(fixed["g1"]["kernel"], plain_draw["g1"]["kernel"])


@pytest.mark.parametrize("block", [excited, dropped, three_ways, concatenated])
def test_depth_scaling_scales_every_end_and_counts_each_branch_once(block):
    """By 1/√L, L = 2 sums whatever the number of their paths."""
    net = network(block)
    params = checked("depth_scaled", net)
    he = parse_scheme("he_normal")(jax.random.key(0), net)
    for branch in net.branches:
        for end in (net.layers[i] for i in branch.ends):
            ratio = params[end.path[0]]["kernel"] / he[end.path[0]]["kernel"]
            np.testing.assert_allclose(ratio, 1 / sqrt(2), rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "block", "words"),
    [
        ("zero_branch", sigmoid_end, r"branch b0 .*square is 0\.25.*comes a sigmoid"),
        ("zero_gamma", biased_norm, r"branch b0 .*square is 1:.*n0/bias, which is not"),
        (
            "zero_branch",
            biased_norm,
            r"branch b0 .*square is 1:.*n0/bias, which is not",
        ),
        (
            "zero_branch",
            second_path,
            r"branch b0 .*past all its kernels.*by the operation conc",
        ),
        ("branch_gain(0.5)", tanh_end, r"branch b0 is not 0\.5 times.*a tanh"),
        ("depth_scaled", sigmoid_end, r"branch b0 is not 0\.707.*a sigmoid"),
        # The slope of Flax's ReLU is 0 at 0.
        (
            "zero_branch",
            relu_end,
            r"b0 would never move.*behind b0/kernel and b1/kernel",
        ),
    ],
)
def test_what_stands_in_the_way_is_named(text, block, words):
    with pytest.raises(UserError, match=words) as caught:
        checked(text, network(block))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "block", "branches", "words"),
    [
        ("zero_head(rest='zeros')", plain, "plain", "stem would never move"),
        ("prior_bias(rest='zeros')", plain, "plain", "stem would never move"),
        ("small_head(rest='zeros')", plain, "plain", "stem would never move"),
        (
            "skipinit(rest='zero_branch')",
            plain,
            "scalar",
            r"a0 would never move.*in series, added/branch_0/factor and",
        ),
        (
            "layerscale(0, rest='zero_gamma')",
            scaled_norm,
            "channel",
            r"a0 would never move.*in series, added/branch_0/factor and",
        ),
        (
            "zero_gamma(rest='zero_branch')",
            scaled_norm,
            "plain",
            r"a0 would never move.*in series, b0/kernel and n0/scale;",
        ),
    ],
)
def test_two_zeros_in_series_are_refused(text, block, branches, words):
    """y = a b has the gradients b and a: both stay zero. The rest waits for them."""
    with pytest.raises(UserError, match=words) as caught:
        checked(text, network(block, branches))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "block", "branches"),
    [
        ("zero_head(rest='zero_branch')", plain, "plain"),
        ("fixup", plain, "fixup"),
        ("zero_branch", tanh_end, "plain"),
        ("skipinit", scaled_norm, "scalar"),
        ("layerscale(0.1, rest='zero_gamma')", scaled_norm, "channel"),
    ],
)
def test_zeros_that_move_one_after_the_other_are_taken(text, block, branches):
    checked(text, network(block, branches))


def test_a_traced_draw_is_not_checked():
    """There are no numbers to look at; the refusal comes where there are."""
    net, scheme = network(sigmoid_end), parse_scheme("zero_branch")

    @jax.jit
    def draw(key):
        params = scheme(key, net)
        scheme.check(net, params)
        return params

    assert not draw(jax.random.key(0))["b0"]["kernel"].any()


def test_initialize_checks():
    with pytest.raises(UserError, match="comes a sigmoid"):
        initialize(Net(sigmoid_end), IMAGES, "zero_branch", jax.random.key(0))


def test_dropout_is_at_its_mean():
    """A mask that is zero would hide a branch, and one that is not would scale it."""
    net = network(dropped)
    params = parse_scheme("he_normal")(jax.random.key(0), net)
    (drawn,) = pass_of(net, params, Batch(IMAGES)).summands()
    stem = IMAGES[:4] @ params["stem"]["kernel"][0, 0]
    inner = relu(stem @ params["a0"]["kernel"][0, 0])
    np.testing.assert_allclose(
        drawn[0], inner @ params["b0"]["kernel"][0, 0], atol=1e-5
    )


class Standardized(nn.Module):
    """A dense layer whose weights are standardized, or divided by their norm."""

    how: str

    @nn.compact
    def __call__(self, x):
        w = self.param("kernel", nn.initializers.normal(1.0), (x.shape[-1], 8))
        if self.how == "standardized":
            w = (w - w.mean(0, keepdims=True)) / (w.std(0, keepdims=True) + 1e-5)
        else:
            w = w / jnp.linalg.norm(w)
        return x @ w


class Dead(nn.Module):
    """A ReLU that lets nothing through before the last layer."""

    @nn.compact
    def __call__(self, x):
        h = relu(nn.Dense(8, name="a")(x.reshape(len(x), -1)) - 1e6)
        return nn.Dense(3, name="head")(h)


class Free(nn.Module):
    how: str

    @nn.compact
    def __call__(self, x):
        h = Standardized(self.how, name="free")(x.reshape(len(x), -1))
        return nn.Dense(3, name="head")(relu(h))


NO_EFFECT = "the scale of free/kernel has no effect"


@pytest.mark.parametrize(
    ("text", "module", "words"),
    [
        ("lsuv", Free("standardized"), NO_EFFECT),
        ("lsuv", Free("divided"), NO_EFFECT),
        ("weight_norm", Free("divided"), NO_EFFECT),
        ("krahenbuhl_within", Free("divided"), NO_EFFECT),
        ("krahenbuhl", Free("standardized"), NO_EFFECT),
        ("lsuv", Dead(), r"outputs of head have variance 0 .*behind a layer that is"),
        ("weight_norm", Dead(), r"outputs of head have variance 0 .*behind a layer"),
    ],
)
def test_what_a_scheme_did_not_achieve_is_said(text, module, words):
    with pytest.raises(UserError, match=words) as caught:
        initialize(module, IMAGES, text, jax.random.key(0))
    assert "\n" not in str(caught.value)


def test_a_batch_of_zeros_is_said():
    for text in ("lsuv", "weight_norm"):
        with pytest.raises(UserError, match="all numbers of the batch are the same"):
            initialize(Net(plain), jnp.zeros((4, *SHAPE)), text, jax.random.key(0))


def test_a_zero_head_is_no_dead_layer():
    checked("zero_head(rest='lsuv')", network(plain))
