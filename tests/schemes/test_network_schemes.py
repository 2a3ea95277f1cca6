"""Schemes that look at the whole network: residual branches, heads, frameworks' nets.

Claims are tested on the networks they are made for; one battery serves all.
"""

from functools import cache
from math import log, sqrt

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from init_study.errors import UserError
from init_study.instruments.signals import layer_signals
from init_study.models.parts import normalize
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme

BLOCKS, WIDTH = 4, 16
IMAGES = jax.random.normal(jax.random.key(1), (8, 4, 4, 3))
LABELS = jnp.array([0, 0, 0, 1, 1, 2, 2, 2])


class Layerless(nn.Module):
    """Its only parameter is in no operation that tracing looks for."""

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones, (3,))
        return scale[None] * x.mean((1, 2))


class Residual(nn.Module):
    """Blocks of two convolutions around identities."""

    norm: str = "none"

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Conv(WIDTH, (3, 3), padding="CIRCULAR", name="stem")(x)
        for index in range(BLOCKS):
            y = nn.Conv(WIDTH, (3, 3), padding="CIRCULAR", name=f"first{index}")(x)
            y = nn.relu(normalize(y, self.norm, train))
            y = nn.Conv(WIDTH, (3, 3), padding="CIRCULAR", name=f"second{index}")(y)
            x = x + normalize(y, self.norm, train)
        return nn.Dense(3, name="head")(x.mean((1, 2)))


class Plain(nn.Module):
    """No residual branch."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, use_bias=False)(nn.relu(nn.Conv(4, (3, 3))(x)).mean((1, 2)))


# The norm and the additions that a scheme needs.
NEEDS = {
    "prior_bias": ("none", "plain"),
    "zero_head": ("none", "plain"),
    "zero_gamma": ("batch", "plain"),
    "timm_resnet": ("batch", "plain"),
    "zero_branch": ("none", "plain"),
    "depth_scaled": ("none", "plain"),
    "branch_gain": ("none", "plain"),
    "stable_resnet": ("batch", "scalar"),
    "skipinit": ("none", "scalar"),
    "layerscale": ("none", "channel"),
    "fixup": ("none", "fixup"),
    "fixup(scalars=False)": ("none", "plain"),
}
every_scheme = pytest.mark.parametrize("text", NEEDS)
# A compilation each: one of each kind, and the others with the slow tests.
FEW = ("prior_bias", "zero_gamma", "stable_resnet", "fixup")
compiled_scheme = pytest.mark.parametrize(
    "text",
    [t if t in FEW else pytest.param(t, marks=pytest.mark.slow) for t in NEEDS],
)


@cache
def network(norm, branches):
    return trace(Residual(norm), (4, 4, 3), 3, branches)


@cache
def drawn(text, seed=0):
    net, scheme = network(*NEEDS[text]), parse_scheme(text)
    batch = Batch(IMAGES, LABELS)
    return jax.jit(lambda key: scheme(key, net, batch))(jax.random.key(seed))


def logits(text, params):
    net = network(*NEEDS[text])
    state = net.model_state(jax.random.key(0))
    return jax.jit(lambda p: net.apply(p, state, IMAGES, train=True)[0])(params)


def he(text, seed=0):
    """What `he_normal` gives on the same network and key."""
    net = network(*NEEDS[text])
    return jax.jit(lambda key: parse_scheme("he_normal")(key, net))(
        jax.random.key(seed)
    )


@compiled_scheme
def test_the_tree_is_the_networks_and_finite(text):
    net, flat = network(*NEEDS[text]), traverse_util.flatten_dict(drawn(text))
    assert flat.keys() == net.shapes.keys()
    for path, leaf in flat.items():
        assert (leaf.shape, leaf.dtype) == (net.shapes[path].shape, jnp.float32)
        assert np.isfinite(leaf).all()
    assert np.isfinite(logits(text, drawn(text))).all()


@every_scheme
def test_every_parameter_has_a_rule_and_a_seed_its_own_draws(text):
    net = network(*NEEDS[text])
    said = parse_scheme(text).explain(net)
    assert said.keys() == net.shapes.keys()
    assert all(said.values())
    one, other = drawn(text), drawn(text, seed=1)
    assert (one["stem"]["kernel"] != other["stem"]["kernel"]).all()


@compiled_scheme
def test_batched_is_one_by_one(text):
    net, scheme = network(*NEEDS[text]), parse_scheme(text)
    batch = Batch(IMAGES, LABELS)
    keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
    batched = jax.jit(jax.vmap(lambda key: scheme(key, net, batch)))(keys)
    for seed in (0, 1):
        jax.tree.map(
            lambda leaf, alone, seed=seed: np.testing.assert_array_equal(
                leaf[seed], alone
            ),
            batched,
            drawn(text, seed),
        )


@pytest.mark.parametrize("text", ["zero_gamma", "zero_branch", "skipinit", "fixup"])
def test_blocks_begin_as_their_shortcut(text):
    """The stem's output reaches the head as it is."""
    net, params = network(*NEEDS[text]), drawn(text)
    state = net.model_state(jax.random.key(0))
    signals = layer_signals(net, params, state, IMAGES)
    names = [layer.name for layer in net.layers]
    stem, head = names.index("stem"), names.index("head")
    np.testing.assert_allclose(
        signals.inputs[head], signals.outputs[stem].mean((1, 2)), rtol=1e-5, atol=1e-6
    )
    # And that is their own doing: with He's law it is not so.
    plain = layer_signals(net, he(text), state, IMAGES)
    assert not np.allclose(plain.inputs[head], plain.outputs[stem].mean((1, 2)))


def test_only_the_scale_of_a_zero_gamma_branch_has_a_gradient():
    net = network("batch", "plain")
    state = net.model_state(jax.random.key(0))

    def loss(params):
        return (net.apply(params, state, IMAGES, train=True)[0] ** 2).sum()

    gradient = jax.jit(jax.grad(loss))(drawn("zero_gamma"))
    for branch in net.branches:
        last = net.layers[branch.layers[-1]]
        for layer in (net.layers[index] for index in branch.layers):
            assert not gradient[layer.path[0]]["kernel"].any()
        assert gradient[last.scale[0]]["scale"].any()


@pytest.mark.parametrize(("text", "most"), [("he_normal", None), ("depth_scaled", "e")])
def test_depth_scaling_bounds_the_growth_over_branches(text, most):
    """Of the mean square, averaged over draws: (1 + 1)^L against (1 + 1/L)^L < e. A
    branch keeps the mean square of its input: half at the ReLU, twice by He's law, and
    its first layer doubles it."""
    net = network("none", "plain")
    scheme = parse_scheme(text)

    @jax.jit
    @jax.vmap
    def growth(key):
        signals = layer_signals(net, scheme(key, net), {}, IMAGES)
        names = [layer.name for layer in net.layers]
        stem = signals.outputs[names.index("stem")]
        last = signals.inputs[names.index(f"first{BLOCKS - 1}")]
        return (last**2).mean() / (stem**2).mean()

    mean = growth(jax.random.split(jax.random.key(0), 100)).mean()
    # First layer: ×2 (He's law on a signal that no ReLU has halved); second: ×1.
    gain = 2.0 if most is None else 2.0 / BLOCKS
    assert abs(mean / (1 + gain) ** (BLOCKS - 1) - 1) < 0.2


def test_fixups_scale_is_the_papers():
    """L^(−1/(2m−2)) with m = 2 layers in each of L branches."""
    fixed, plain = drawn("fixup"), he("fixup")
    for index in range(BLOCKS):
        ratio = fixed[f"first{index}"]["kernel"] / plain[f"first{index}"]["kernel"]
        np.testing.assert_allclose(ratio, BLOCKS**-0.5, rtol=1e-5)
        assert not fixed[f"second{index}"]["kernel"].any()
    np.testing.assert_array_equal(fixed["stem"]["kernel"], plain["stem"]["kernel"])
    assert not fixed["head"]["kernel"].any()
    added = traverse_util.flatten_dict(fixed["added"])
    for path, leaf in added.items():
        assert leaf == (1.0 if path[-1] == "factor" else 0.0)


def test_added_numbers_begin_where_the_scheme_says():
    starts = {"skipinit": 0.0, "layerscale": 1e-4, "stable_resnet": 1 / sqrt(BLOCKS)}
    for text, start in starts.items():
        factors = [drawn(text)["added"][f"branch_{i}"]["factor"] for i in range(BLOCKS)]
        np.testing.assert_allclose(factors, start, rtol=1e-6)
    assert drawn("layerscale")["added"]["branch_0"]["factor"].shape == (WIDTH,)


def test_heads_say_nothing_or_the_frequencies_at_first():
    np.testing.assert_array_equal(logits("zero_head", drawn("zero_head")), 0.0)
    counts = np.array([3, 2, 3]) + 1.0
    shares = jax.nn.softmax(logits("prior_bias", drawn("prior_bias")))
    np.testing.assert_allclose(
        shares, np.tile(counts / counts.sum(), (8, 1)), rtol=1e-6
    )
    loss = -log(1 / 3)
    begun = -jax.nn.log_softmax(logits("zero_head", drawn("zero_head")))[0, 0]
    assert abs(begun - loss) < 1e-6


def test_timm_resnet_zeroes_the_last_norms_alone():
    params = drawn("timm_resnet")
    scales = {
        p: v for p, v in traverse_util.flatten_dict(params).items() if p[-1] == "scale"
    }
    zero = {path for path, scale in scales.items() if not scale.any()}
    lasts = [b.layers[-1] for b in network("batch", "plain").branches]
    assert zero == {network("batch", "plain").layers[last].scale for last in lasts}


def test_rest_is_a_scheme_of_its_own():
    net = network("none", "plain")
    scheme = parse_scheme("zero_branch(rest='zero_head(rest=\"normal(0.5)\")')")
    said = scheme.explain(net)
    assert (
        said["second0", "kernel"] == "zeros"
        and said["first0", "kernel"] == "normal(0.5)"
    )
    assert said["head", "kernel"] == "zeros: head"
    with pytest.raises(UserError, match=r"unknown scheme 'nomal'.*'normal'"):
        parse_scheme("zero_head(rest='nomal')")


@pytest.mark.wrong_types
def test_what_is_no_scheme_and_no_number_is_said():
    for text, words in {
        "zero_head(rest=5)": "rest=5 is no scheme",
        "skipinit('')": "value='' is not a finite number",
        "krahenbuhl_within('')": "bias='' is not a finite number",
        "tensorflow1('')": "scale='' is not a finite number",
    }.items():
        with pytest.raises(UserError, match=words):
            parse_scheme(text)


@pytest.mark.parametrize(
    ("text", "norm", "branches", "message"),
    [
        (
            "zero_gamma",
            "none",
            "plain",
            r"after second0 there is none; use zero_branch",
        ),
        ("depth_scaled", "batch", "plain", r"the norm behind it takes any factor away"),
        ("fixup", "none", "plain", r"use --study.branches=fixup"),
        ("fixup", "batch", "fixup", r"of first0, and the norm behind it"),
        ("skipinit", "none", "channel", r"use --study.branches=scalar"),
        ("layerscale", "none", "plain", r"use --study.branches=channel"),
    ],
)
def test_a_network_that_does_not_fit_is_one_line(text, norm, branches, message):
    with pytest.raises(UserError, match=message):
        parse_scheme(text).rules(network(norm, branches))


def test_plain_nets_have_no_branches_and_no_bias_no_prior():
    net = trace(Plain(), (4, 4, 3), 3)
    for text in ("zero_gamma", "zero_branch", "depth_scaled", "fixup", "skipinit"):
        with pytest.raises(UserError, match=r"has no residual branch"):
            parse_scheme(text).rules(net)
    with pytest.raises(UserError, match=r"Dense_0 has none; use zero_head"):
        parse_scheme("prior_bias").rules(net)
    for text in ("small_head(0)", "prior_bias(0)", "branch_gain(-1.0)"):
        with pytest.raises(UserError, match="is not positive"):
            parse_scheme(text)


@pytest.mark.parametrize(
    "text", ["zero_head", "small_head", "mup", "prior_bias", "fixup", "whitened"]
)
def test_a_network_without_layers_is_refused_in_a_line(text):
    network = trace(Layerless(), (4, 4, 3), 3)
    assert not network.layers
    with pytest.raises(UserError) as error:
        parse_scheme(text)(jax.random.key(0), network, Batch(IMAGES, LABELS))
    assert "\n" not in str(error.value)
