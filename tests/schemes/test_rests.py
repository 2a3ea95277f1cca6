"""A scheme that changes what another one draws keeps that one's promises, or refuses;
and no combination of zeros is taken that would never move."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme

SHAPE = (4, 4, 2)
IMAGES = jax.random.normal(jax.random.key(3), (8, *SHAPE))


class Inverted(nn.Module):
    """Two inverted bottlenecks behind a stem of ReLU, and a neck before the head."""

    norm: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (1, 1), name="stem")(x))
        for i in range(2):
            h = nn.LayerNorm(name=f"before{i}")(x) if self.norm else x
            h = jnp.tanh(nn.Conv(6, (1, 1), name=f"up{i}")(h))
            h = nn.Conv(6, (3, 3), feature_group_count=6, name=f"deep{i}")(h)
            h = nn.Conv(4, (1, 1), name=f"down{i}")(jnp.tanh(h))
            h = nn.GroupNorm(2, name=f"after{i}")(h) if self.norm else h
            x = x + h
        x = jnp.tanh(nn.Dense(5, name="neck")(x.mean((1, 2))))
        return nn.Dense(3, name="head")(x)


class Chain(nn.Module):
    depth: int

    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)
        for i in range(self.depth):
            x = jnp.tanh(nn.Dense(5, name=f"d{i}")(x))
        return nn.Dense(3, name="head")(x)


@cache
def network(net, branches="plain"):
    made = {"plain": Inverted(), "normed": Inverted(True), "short": Chain(2)}
    return trace(made.get(net) or Chain(14), SHAPE, 3, branches)


def checked(text, net):
    scheme, batch = parse_scheme(text), Batch(IMAGES, jnp.arange(8) % 3)
    params = scheme(jax.random.key(0), net, batch)
    scheme.check(net, params, batch)
    return params


def refused(text, net, words):
    with pytest.raises(UserError, match=words) as caught:
        checked(text, net)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "net", "words"),
    [
        # Noise lies on the kernels that the rest has set to zero.
        ("noisy(rest='zero_head')", "short", "^noisy: .*zero_head: .*head is not zero"),
        ("noisy(rest='zero_branch')", "plain", "^noisy: .*zero_branch: .*down0/kernel"),
        # LSUV promises a variance of 1 within 0.1.
        ("noisy(1.0, rest='lsuv')", "short", "^noisy: .*lsuv: .* d0 have variance"),
        ("whitened(rest='lsuv')", "plain", "^whitened: .*lsuv: .*deep0 have variance"),
        ("metainit(9, 0.5, rest='lsuv')", "short", "^metainit: .*lsuv: .*d0 have var"),
        ("gradinit(9, 0.5, rest='lsuv')", "short", "^gradinit: .*lsuv: .*d0 have var"),
        # Which class is likely differs, so the outputs do.
        ("prior_bias(rest='zero_head')", "short", "^prior_bias: .*zero_head: .*class"),
        (
            "by_rule('head/kernel=normal(1.0)', rest='zero_head')",
            "short",
            "^by_rule: .*zero_head: .*head is not zero any more",
        ),
    ],
)
def test_a_broken_promise_of_the_rest_is_named(text, net, words):
    refused(text, network(net), words)


def test_promises_that_hold_behind_noise_are_kept():
    """A zero scale behind the kernels keeps the branch zero, and LSUV has room."""
    params = checked("noisy(0.3, rest='zero_gamma')", network("normed"))
    assert not params["after0"]["scale"].any()
    checked("noisy(1e-6, rest='lsuv')", network("short"))
    checked("noisy(0.3, rest='zeros')", network("plain"))
    # A head of ones says the same of all classes.
    checked("by_rule('head/*=ones', rest='zero_head')", network("short"))


@pytest.mark.parametrize("rest", ["lsuv", "weight_norm", "gradinit"])
@pytest.mark.parametrize("text", ["small_head", "mup", "depth_scaled", "branch_gain"])
def test_a_factor_that_the_rest_would_undo_is_refused(text, rest):
    given = f"{text}(rest='{rest}')"
    where = r"(head|down0)/kernel, and its rest sets the scale"
    with pytest.raises(UserError, match=f"^{text} scales {where}"):
        parse_scheme(given).explain(network("plain"))


def test_noise_undoes_no_factor():
    """The head is N(0, 0.1² · 2 / 5) and noise of a deviation of 1e-6."""
    small = checked("small_head(0.1, rest='noisy(1e-6)')", network("short"))
    whole = checked("he_normal", network("short"))
    found = small["head"]["kernel"]
    np.testing.assert_allclose(found, 0.1 * whole["head"]["kernel"], atol=1e-5)


def test_noise_on_noise_is_drawn_for_itself():
    """Two of a deviation of 1 have one of √2; the same one twice would have 2."""
    twice = checked("noisy(1.0, rest=\"noisy(1.0, rest='zeros')\")", network("plain"))
    numbers = np.concatenate([np.ravel(one["kernel"]) for one in twice.values()])
    # 5 deviations of the sample's own.
    assert numbers.std() == pytest.approx(2**0.5, rel=5 / (2 * numbers.size) ** 0.5)


IN_SERIES = "would never move.*zeros in series"


@pytest.mark.parametrize(
    ("text", "net", "branches"),
    [
        ("by_rule('up1/kernel=zeros', 'down1/kernel=zeros')", "plain", "plain"),
        ("by_rule('*kernel=zeros')", "plain", "plain"),
        ("zero_head(rest=\"by_rule('neck/kernel=zeros')\")", "plain", "plain"),
        ("zero_branch(rest=\"by_rule('deep*/kernel=constant(0)')\")", "plain", "plain"),
        ("layerscale(0, rest='zero_branch')", "plain", "channel"),
        ("skipinit(rest=\"by_rule('up0/kernel=normal(0)')\")", "plain", "scalar"),
        ("zero_gamma(rest=\"by_rule('up0/kernel=zeros')\")", "normed", "plain"),
        ("by_rule('before1/scale=zeros', 'after1/scale=zeros')", "normed", "plain"),
        ("whitened(rest='zeros')", "plain", "plain"),
        ("metainit(2, rest='uniform(0)')", "short", "plain"),
        ("gradinit(2, rest='normal(0)')", "short", "plain"),
        ("small_head(rest='constant(0)')", "short", "plain"),
        ("by_rule('head/bias=ones', rest='zeros')", "long", "plain"),
    ],
)
def test_what_would_never_move_is_refused(text, net, branches):
    """Of y = a · b at a = b = 0 neither has a gradient, wherever the two zeros are."""
    refused(text, network(net, branches), IN_SERIES)


def test_a_zero_before_a_relu_is_no_series():
    """The slope that Flax's ReLU has at zero is 0: the stem is stuck by itself."""
    refused(
        "by_rule('stem/kernel=zeros')", network("plain"), "stem/kernel has no slope"
    )


@pytest.mark.parametrize(
    ("text", "net", "branches"),
    [
        # One zero at a time: in a branch, in the trunk behind a slope at zero.
        ("by_rule('up1/kernel=zeros')", "plain", "plain"),
        ("by_rule('up0/kernel=zeros', 'down1/kernel=zeros')", "plain", "plain"),
        ("by_rule('neck/kernel=zeros')", "plain", "plain"),
        ("by_rule('before1/scale=zeros')", "normed", "plain"),
        ("zero_head(rest='zero_branch')", "plain", "plain"),
        ("layerscale(0, rest='small_head')", "plain", "channel"),
        # Biases carry a signal, so the head moves first, and then one layer a step.
        ("by_rule('*bias=normal(0.5)', rest='zeros')", "long", "plain"),
        # The study's own subjects.
        *((text, "plain", "plain") for text in ("zeros", "normal(0)", "uniform(0)")),
    ],
)
def test_what_moves_sooner_or_later_is_taken(text, net, branches):
    checked(text, network(net, branches))


def test_a_rule_that_is_more_than_a_draw_is_refused():
    """LSUV is done to a whole network: of one kernel only its first draw was left."""
    with pytest.raises(UserError, match=r"lsuv does more than draw.*rest='lsuv'"):
        parse_scheme("by_rule('stem/kernel=lsuv')")
