"""Schemes that look at data give layers the statistics that they promise, on the batch
that they looked at."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from init_study.errors import UserError
from init_study.instruments.signals import layer_signals
from init_study.models import build_model
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme
from init_study.schemes.scheme import leaf_of

DIGITS = load_digits().images[:64, :, :, None].astype("f4")
IMAGES = (DIGITS - DIGITS.mean()) / DIGITS.std()
BATCH = Batch(jnp.asarray(IMAGES), jnp.asarray(load_digits().target[:64]))


class Foreign(nn.Module):
    """A transposed kernel in another layout, groups, a layer without a bias, a layer
    that is used twice."""

    @nn.compact
    def __call__(self, x):
        x = nn.ConvTranspose(4, (3, 3), transpose_kernel=True)(x)
        x = nn.relu(nn.Conv(4, (3, 3), feature_group_count=2)(x))
        shared = nn.Conv(4, (3, 3), use_bias=False)
        x = nn.tanh(shared(nn.tanh(shared(x))))
        return nn.Dense(10)(x.mean((1, 2)))


class Dead(nn.Module):
    """A layer that gets nothing but zeros."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(3, (3, 3), use_bias=False)(0.0 * x)
        return nn.Dense(10)(nn.relu(x).mean((1, 2)))


MODULES = {
    "plain": build_model("cnn", 10, {"depth": 4, "width": 8}),
    "residual": build_model("resnet", 10, {"depth": 8, "width": 4, "norm": "none"}),
    "norm": build_model("resnet", 10, {"depth": 8, "width": 4}),
    "foreign": Foreign(),
    "dead": Dead(),
}
OF_DATA = ("lsuv", "weight_norm", "krahenbuhl_within", "krahenbuhl", "whitened")
# Deep programs compile for long.
LARGE = ("residual", "norm")
every_module = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in MODULES],
)


@cache
def network(name):
    return trace(MODULES[name], (8, 8, 1), 10)


@cache
def drawn(scheme, name, seed=0):
    net, recipe = network(name), parse_scheme(scheme)
    return jax.jit(lambda key, batch: recipe(key, net, batch))(
        jax.random.key(seed), BATCH
    )


def outputs(scheme, name):
    net = network(name)
    state = net.model_state(jax.random.key(0))
    signals = jax.jit(lambda p: layer_signals(net, p, state, BATCH.images, train=True))(
        drawn(scheme, name)
    )
    return [np.asarray(out, np.float64) for out in signals.outputs]


@pytest.mark.parametrize(
    "name",
    ["plain", "foreign", *(pytest.param(n, marks=pytest.mark.slow) for n in LARGE)],
)
def test_lsuv_gives_every_layer_unit_variance(name):
    variances = [out.var() for out in outputs("lsuv(0.02)", name)]
    np.testing.assert_allclose(variances, 1.0, atol=0.021)
    # Which its orthogonal start does not have.
    assert not np.allclose([out.var() for out in outputs("orthogonal", name)], 1.0, 0.1)


def test_lsuv_begins_with_orthogonal_kernels():
    net, params = network("plain"), drawn("lsuv", "plain")
    for layer in net.layers[1:]:
        kernel = leaf_of(params, layer.kernel).reshape(-1, layer.kernel_shape[-1])
        columns = kernel if kernel.shape[0] >= kernel.shape[1] else kernel.T
        product = np.asarray(columns.T @ columns)
        np.testing.assert_allclose(
            product, product[0, 0] * np.eye(len(product)), atol=1e-5 * product[0, 0]
        )


@pytest.mark.parametrize(
    ("scheme", "mean"),
    [("weight_norm", 0.0), ("krahenbuhl_within", 0.1), ("krahenbuhl_within(0.3)", 0.3)],
)
@pytest.mark.parametrize(
    "name", ["plain", *(pytest.param(n, marks=pytest.mark.slow) for n in LARGE)]
)
def test_channels_get_their_mean_and_variance(scheme, mean, name):
    net = network(name)
    for layer, out in zip(net.layers, outputs(scheme, name), strict=True):
        flat = out.reshape(-1, out.shape[-1])
        np.testing.assert_allclose(flat.std(0), 1.0, rtol=2e-3)
        if layer.bias is not None:
            np.testing.assert_allclose(flat.mean(0), mean, atol=2e-3)


def rates(scheme, name):
    """√(E[g²] / E[w²]) per layer, over many random multipliers of the logits."""
    net, params = network(name), drawn(scheme, name)
    state = net.model_state(jax.random.key(0))

    def gradient(key):
        def product(params):
            logits, _ = net.apply(
                params, state, BATCH.images, train=True, convolution="blocked"
            )
            return (logits * jax.random.normal(key, logits.shape)).sum()

        return jax.grad(product)(params)

    keys = jax.random.split(jax.random.key(3), 30)
    of_all = jax.jit(lambda keys: jax.lax.map(gradient, keys))(keys)
    squares = [(leaf_of(of_all, layer.kernel) ** 2).mean() for layer in net.layers]
    sizes = [(leaf_of(params, layer.kernel) ** 2).mean() for layer in net.layers]
    return np.sqrt(np.divide(squares, sizes))


@pytest.mark.parametrize(
    "name", ["plain", pytest.param("norm", marks=pytest.mark.slow)]
)
def test_krahenbuhl_makes_rates_equal(name):
    """Within the noise of one round's multipliers; before, they differ by far."""
    before, after = rates("krahenbuhl_within", name), rates("krahenbuhl", name)
    assert after.max() / after.min() < 1.5 < 3 < before.max() / before.min()


def test_krahenbuhl_keeps_the_logits_of_a_homogeneous_chain():
    net = network("plain")
    one, other = (drawn(s, "plain") for s in ("krahenbuhl_within", "krahenbuhl"))
    logits = [net.apply(p, {}, BATCH.images, train=True)[0] for p in (one, other)]
    np.testing.assert_allclose(logits[1], logits[0], rtol=1e-3, atol=1e-3)


def test_whitened_outputs_are_uncorrelated():
    """One of each pair; variance λ / (λ + ε λ₁), which is near 1 for the first few."""
    net = network("plain")
    kernel = np.asarray(drawn("whitened(1e-4)", "plain")["Conv_0"]["kernel"])
    np.testing.assert_array_equal(kernel[..., 1::2], -kernel[..., ::2])
    valid = jax.lax.conv_general_dilated(
        BATCH.images,
        kernel[..., ::2],
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    covariance = np.cov(np.asarray(valid, np.float64).reshape(-1, 4).T)
    np.testing.assert_allclose(covariance, np.eye(4), atol=5e-3)
    assert net.layers[0].name == "Conv_0"


def test_whitened_leaves_what_is_beyond_the_patches():
    wide = trace(build_model("cnn", 10, {"depth": 1, "width": 24}), (8, 8, 1), 10)
    key = jax.random.key(0)
    kernel = parse_scheme("whitened")(key, wide, BATCH)["Conv_0"]["kernel"]
    he = parse_scheme("he_normal")(jax.random.clone(key), wide)["Conv_0"]["kernel"]
    np.testing.assert_array_equal(kernel[..., 18:], he[..., 18:])
    assert (kernel[..., :18] != he[..., :18]).all()


@every_module
@pytest.mark.parametrize("scheme", OF_DATA)
def test_whatever_the_net_numbers_are_finite_and_the_trees_its_own(scheme, name):
    if scheme == "whitened" and name == "foreign":
        with pytest.raises(UserError, match=r"ConvTranspose_0 is a conv_transpose"):
            drawn(scheme, name)
        return
    net, params = network(name), drawn(scheme, name)
    for path, shape in net.shapes.items():
        leaf = leaf_of(params, path)
        assert leaf.shape == shape.shape and np.isfinite(leaf).all(), path


@pytest.mark.parametrize("scheme", OF_DATA)
def test_batched_is_one_by_one(scheme):
    """With another batch for each key, as in a population."""
    net, recipe = network("plain"), parse_scheme(scheme)
    keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
    batches = Batch(
        jnp.stack([BATCH.images, BATCH.images[::-1] * 2]), jnp.stack([BATCH.labels] * 2)
    )
    batched = jax.jit(jax.vmap(lambda k, b: recipe(k, net, b)))(keys, batches)
    jax.tree.map(
        lambda leaf, alone: np.testing.assert_allclose(leaf[0], alone, 2e-3, 1e-4),
        batched,
        drawn(scheme, "plain"),
    )


@pytest.mark.slow
def test_one_image_is_enough_to_stay_finite():
    net = network("plain")
    one = Batch(BATCH.images[:1])
    for scheme in OF_DATA:
        params = parse_scheme(scheme)(jax.random.key(0), net, one)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("scheme", OF_DATA)
def test_costs_and_needs_are_said(scheme):
    net, recipe = network("plain"), parse_scheme(scheme)
    passes = {
        "lsuv": (5 * 11, 0),
        "weight_norm": (5, 0),
        "krahenbuhl_within": (5, 0),
        "krahenbuhl": (15, 10),
        "whitened": (0, 0),
    }
    assert tuple(recipe.cost(net)) == passes[scheme]
    assert ", then " in recipe.explain(net)[net.layers[0].kernel]
    with pytest.raises(UserError, match=r"looks at images and was given none"):
        recipe(jax.random.key(0), net)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lsuv(0)", "tolerance=0 is not a finite number above 0"),
        ("lsuv(0.1, -1)", "most=-1"),
        ("weight_norm(-0.1)", "stddev=-0.1"),
        ("krahenbuhl(rounds=0)", "rounds=0"),
        ("whitened(0.0)", "epsilon=0.0"),
    ],
)
def test_wrong_numbers_are_one_line(text, words):
    with pytest.raises(UserError, match=words):
        parse_scheme(text)
