"""A scheme gives every layer of a real network the law it names, from keys that only
the seed and the layer decide.

All keys are fixed; tolerances are four standard errors, derived beside them.
"""

from functools import cache
from math import sqrt
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from scipy import stats

from init_study.errors import UserError
from init_study.initializers import (
    INITIALIZERS,
    constant,
    he_normal,
    lecun_uniform,
    zeros,
)
from init_study.network import trace
from init_study.schemes import (
    SCHEMES,
    parse_scheme,
    per_layer,
)
from init_study.schemes.scheme import leaf_key
from init_study.theory import gain

SEEDS = 300
# Schemes for residual nets, or that look at data: test_network_schemes.py.
OF_NETWORKS = {
    "prior_bias",
    "zero_gamma",
    "zero_branch",
    "depth_scaled",
    "branch_gain",
    "stable_resnet",
    "skipinit",
    "layerscale",
    "fixup",
    # Those that look at images: test_data_schemes.py.
    *("lsuv", "weight_norm", "krahenbuhl_within", "krahenbuhl", "whitened"),
    # And test_optimized_schemes.py.
    *("metainit", "gradinit"),
    # And tests/mean_field/test_predict.py.
    *("autoinit", "edge_of_chaos"),
}
# Not independent from number to number, or discrete: test_structured.py.
STRUCTURED = {
    *("ones", "rademacher", "ternary"),
    *("orthogonal", "scaled_orthogonal", "delta_orthogonal"),
    *("scaled_delta_orthogonal", "orthogonal_convolution"),
    *("identity", "repeated_identity", "zero_hadamard", "partial_dirac"),
    *("looks_linear", "sparse", "gabor", "gaussian_field"),
}
OF_LAYERS = [name for name in SCHEMES if name not in OF_NETWORKS | STRUCTURED]
every_scheme = pytest.mark.parametrize("name", OF_LAYERS)


class Varied(nn.Module):
    """Groups, a transposed convolution, no bias, parameters of no layer, and wishes of
    its own for kernels."""

    stem: bool = False

    @nn.compact
    def __call__(self, x):
        own: Any = {"kernel_init": nn.initializers.constant(0.3)}
        if self.stem:
            x = nn.Conv(8, (1, 1), name="stem", **own)(x)
        x = nn.LayerNorm()(x)
        x = nn.Conv(16, (3, 3), feature_group_count=4, name="grouped", **own)(x)
        x = nn.Conv(4, (2, 2), use_bias=False, name="down", **own)(x)
        x = nn.ConvTranspose(6, (2, 2), name="up", **own)(x)
        x = x * self.param("scale", nn.initializers.constant(0.7), ())
        return nn.Dense(3, name="head", **own)(x.reshape(x.shape[0], -1))


class Fans(NamedTuple):
    """Counted by hand; `packed` is what the kernel's shape alone makes of fan_out."""

    i: int
    o: int
    packed: int


FANS = {
    "grouped": Fans(18, 36, 144),
    "down": Fans(64, 16, 16),
    "up": Fans(16, 24, 24),
    "head": Fans(96, 3, 3),
}


def gauss(variance):
    return stats.norm(scale=sqrt(variance))


def flat(variance):
    return stats.uniform(-sqrt(3 * variance), 2 * sqrt(3 * variance))


def cut_only(variance):
    """Cut off at two standard deviations and not rescaled."""
    return stats.truncnorm(-2, 2, scale=sqrt(variance))


def cut(variance):
    return stats.truncnorm(-2, 2, scale=sqrt(variance / stats.truncnorm.var(-2, 2)))


# From the name of a layer and its fans to the law of its kernel.
LAWS = {
    "normal": lambda layer, f: gauss(0.02**2),
    "normal(0.5)": lambda layer, f: gauss(0.25),
    "uniform": lambda layer, f: flat(0.05**2 / 3),
    "truncated_normal": lambda layer, f: cut(0.02**2),
    "variance_scaling": lambda layer, f: cut(1 / f.i),
    "variance_scaling(3, 'fan_out', 'uniform')": lambda layer, f: flat(3 / f.o),
    "gaussian": lambda layer, f: gauss(1 / f.i),
    "gaussian(1.76, 0.05)": lambda layer, f: gauss(1.76 / f.i),
    "noisy": lambda layer, f: gauss(2 / f.i + 1e-8),
    "noisy(0.3, 'zeros')": lambda layer, f: gauss(0.09),
    "xavier_normal": lambda layer, f: gauss(2 / (f.i + f.o)),
    "xavier_uniform": lambda layer, f: flat(2 / (f.i + f.o)),
    "glorot_uniform()": lambda layer, f: flat(2 / (f.i + f.o)),
    "he_normal": lambda layer, f: gauss(2 / f.i),
    "he_normal(negative_slope=0.5)": lambda layer, f: gauss(1.6 / f.i),
    "he_uniform": lambda layer, f: flat(2 / f.i),
    "lecun_normal": lambda layer, f: gauss(1 / f.i),
    "lecun_uniform": lambda layer, f: flat(1 / f.i),
    "ntk": lambda layer, f: gauss(1.0),
    "xavier_truncated": lambda layer, f: cut(2 / (f.i + f.o)),
    "he_truncated": lambda layer, f: cut(2 / f.i),
    "he_fan_out": lambda layer, f: gauss(2 / f.o),
    "lecun_truncated": lambda layer, f: cut(1 / f.i),
    "torch_kernel": lambda layer, f: flat(1 / (3 * f.i)),
    "gain_normal": lambda layer, f: gauss(2 / f.i),
    "gain_uniform('tanh')": lambda layer, f: flat(gain("tanh") ** 2 / f.i),
    "mup_output": lambda layer, f: gauss(1 / f.i**2),
    "laplace": lambda layer, f: stats.laplace(scale=sqrt(1 / f.i)),
    "student_t(9.0)": lambda layer, f: stats.t(9.0, scale=sqrt(2 / f.i * 7 / 9)),
    "flax": lambda layer, f: cut(1 / f.i),
    # PyTorch's documentation: k = 1 / outputs for transposed convolutions.
    "torch": lambda layer, f: flat(1 / (3 * (f.o if layer == "up" else f.i))),
    "keras": lambda layer, f: flat(2 / (f.i + f.packed)),
    "haiku": lambda layer, f: cut_only(1 / f.i),
    "tensorflow1": lambda layer, f: cut_only(2 / f.i),
    "alexnet": lambda layer, f: gauss(0.01**2),
    "convnext": lambda layer, f: gauss(0.02**2),
    "torchvision_vgg": lambda layer, f: gauss(
        0.01**2 if layer == "head" else 2 / f.packed
    ),
    "timm_resnet": lambda layer, f: (
        flat(1 / (3 * f.i)) if layer == "head" else gauss(2 / f.packed)
    ),
    "timm_efficientnet": lambda layer, f: (
        flat(1 / (3 * 3)) if layer == "head" else gauss(2 / f.o)
    ),
    "mup": lambda layer, f: gauss(2 / f.i * (64 / f.i if layer == "head" else 1)),
    "small_head": lambda layer, f: gauss(2 / f.i / (100 if layer == "head" else 1)),
}


class Small(nn.Module):
    """One grouped convolution: compiled quickly."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (2, 2), feature_group_count=2, padding="VALID")(x)
        return x.reshape(x.shape[0], -1)


NETWORK = trace(Varied(), (4, 4, 8), 3)
SMALL = trace(Small(), (2, 2, 2), 4)


def keys(number):
    return jax.random.split(jax.random.key(0), number)


def draw(scheme, network, key) -> dict[str, Any]:
    """Parameters by path, e.g. `"Conv_0/kernel"`."""
    params = scheme(key, network, None)
    flat: Any = traverse_util.flatten_dict(params, sep="/")
    return flat


def draw_all(scheme, network=NETWORK):
    """One draw for each of the seeds, stacked."""
    return jax.vmap(lambda key: draw(scheme, network, key))(keys(SEEDS))


@cache
def draws(text):
    return draw_all(parse_scheme(text))


def test_every_initializer_is_a_scheme_and_every_scheme_has_a_law_here():
    assert set(INITIALIZERS) <= set(SCHEMES)
    named = {text.partition("(")[0] for text in LAWS}
    of_none = {"zeros", "constant", "module", "zero_head", "by_rule"}
    assert set(OF_LAYERS) - named == of_none


@pytest.mark.parametrize("text", LAWS)
def test_every_kernel_has_the_law_of_its_layer(text):
    """Variance within 4 σ² √((kurtosis − 1) / n); Kolmogorov-Smirnov at 1 in 1000."""
    leaves = draws(text)
    for layer, fans in FANS.items():
        law = LAWS[text](layer, fans)
        numbers = np.asarray(leaves[f"{layer}/kernel"], np.float64).ravel()
        error = sqrt((float(law.stats("k")) + 2) / numbers.size)
        assert abs(numbers.var() / law.var() - 1) < 4 * error < 0.06, layer
        assert stats.kstest(numbers, law.cdf).pvalue > 0.001, layer


@every_scheme
def test_biases_are_zero_but_for_some(name):
    leaves = draws(name)
    biases = {layer: leaves[f"{layer}/bias"] for layer in FANS if layer != "down"}
    if name == "alexnet":
        # The second convolution has no bias here, and there is no fourth.
        values = {layer: float(bias.max()) for layer, bias in biases.items()}
        assert values == {"grouped": 0.0, "up": 0.0, "head": 0.0}
        return
    if name not in ("torch", "timm_resnet"):
        assert all((bias == 0).all() for bias in biases.values())
        return
    for layer, bias in biases.items():
        law = LAWS["torch"](layer, FANS[layer])
        numbers = np.asarray(bias, np.float64).ravel()
        assert stats.kstest(numbers, law.cdf).pvalue > 0.001, layer
        # Draws of its own, not the kernel's again.
        kernel = np.asarray(leaves[f"{layer}/kernel"]).reshape(SEEDS, -1)
        first = kernel[:, : bias.shape[1]].ravel()
        assert abs(np.corrcoef(numbers, first)[0, 1]) < 4 / sqrt(numbers.size)


def test_constants_are_constant():
    values = {"zeros": 0.0, "constant": 0.1, "constant(-2)": -2.0, "module": 0.3}
    for text, value in values.items():
        for layer in FANS:
            kernel = draws(text)[f"{layer}/kernel"]
            np.testing.assert_array_equal(kernel, np.full(kernel.shape, value, "f4"))


def test_flax_is_what_flax_layers_ask_for():
    """Not the same draws, since the keys are others; the same law."""
    ours, theirs = (draw_all(SCHEMES[name](), SMALL) for name in ("flax", "module"))
    one, other = (np.ravel(leaves["Conv_0/kernel"]) for leaves in (ours, theirs))
    result: Any = stats.ks_2samp(one, other)
    assert result.pvalue > 0.001


def test_module_is_the_modules_own():
    own = SMALL.own_init(jax.random.key(3))
    given = SCHEMES["module"]()(jax.random.key(3), SMALL, None)
    jax.tree.map(np.testing.assert_array_equal, given, own)


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("he_normal", 1.0),
        ("he_uniform", 1.0),
        ("lecun_normal", 1 / 2),
        ("xavier_normal", 1 / 2),
        ("flax", 1 / 2),
        ("keras", 1 / 2),
        ("torch", 1 / 6),
    ],
)
def test_what_a_relu_layer_does_to_the_mean_square(text, factor):
    """As the docstrings say. The log of the gain over L layers of width n is a walk of
    L steps with a variance below 5 / n each."""
    width, depth = 256, 8

    class Deep(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = x.reshape(x.shape[0], -1)
            return nn.Sequential([nn.Dense(width) for _ in range(depth)])(x)

    network = trace(Deep(), (1, 1, width), width)
    leaves = draw(parse_scheme(text), network, jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (32, width))
    start = float((jax.nn.relu(x) ** 2).mean()) * 2
    for layer in network.layers:
        x = jax.nn.relu(x) @ leaves["/".join((*layer.path, "kernel"))]
    gain = np.log(float((x**2).mean()) / start) / depth
    assert abs(gain - np.log(factor)) < 4 * sqrt(5 / width / depth)


@every_scheme
def test_the_tree_is_the_modules_and_other_leaves_stay_its_own(name):
    leaves = draws(name)
    wanted = {"/".join(path): leaf for path, leaf in NETWORK.shapes.items()}
    assert leaves.keys() == wanted.keys()
    for path, leaf in leaves.items():
        assert leaf.shape == (SEEDS, *wanted[path].shape)
        assert leaf.dtype == wanted[path].dtype
    np.testing.assert_array_equal(leaves["scale"], np.full(SEEDS, 0.7, "f4"))
    np.testing.assert_array_equal(leaves["LayerNorm_0/scale"], np.ones((SEEDS, 8)))


def test_compiled_and_batched_draws_are_the_same_to_the_bit():
    """For all schemes in one compilation: their draws do not disturb each other."""

    def draw_each(key):
        exact = [name for name in OF_LAYERS if name != "student_t"]
        return {name: draw(SCHEMES[name](), SMALL, key) for name in exact}

    compiled = jax.jit(draw_each)
    one_by_one = [compiled(key) for key in keys(2)]
    loop = jax.tree.map(lambda *leaves: np.stack(leaves), *one_by_one)
    jax.tree.map(np.testing.assert_array_equal, jax.vmap(draw_each)(keys(2)), loop)


def test_another_layer_changes_no_draw():
    longer = trace(Varied(stem=True), (4, 4, 8), 3)
    before, after = draws("torch"), draw_all(SCHEMES["torch"](), longer)
    assert set(after) - set(before) == {"stem/kernel", "stem/bias"}
    for path, leaf in before.items():
        np.testing.assert_array_equal(leaf, after[path], err_msg=path)


def test_layers_of_one_shape_and_seeds_have_draws_of_their_own():
    class Twins(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Conv(16, (3, 3))(nn.Conv(16, (3, 3))(x))
            return nn.Dense(3)(x.mean((1, 2)))

    network = trace(Twins(), (3, 3, 16), 3)
    one, other = (draw(SCHEMES["normal"](), network, key) for key in keys(2))
    kernels = [one["Conv_0/kernel"], one["Conv_1/kernel"], other["Conv_0/kernel"]]
    correlations = np.corrcoef([np.ravel(kernel) for kernel in kernels])
    off_diagonal = correlations[np.triu_indices(3, 1)]
    assert (abs(off_diagonal) < 4 / sqrt(kernels[0].size)).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("he_normal", "normal"),
        ("torch", "xavier_uniform"),
        ("flax", "truncated_normal"),
    ],
)
def test_schemes_of_one_kind_share_the_standard_draws_of_a_seed(one, other):
    for layer in FANS:
        ratio = draws(one)[f"{layer}/kernel"] / draws(other)[f"{layer}/kernel"]
        np.testing.assert_allclose(ratio, ratio.ravel()[0], rtol=1e-6)


def test_the_key_of_a_leaf_is_the_same_in_every_process():
    """Python's own hash is not. 0xCBF43926 is the check value of the CRC-32 standard
    for "123456789"; here the slash between names takes a digit's place."""
    key = jax.random.key(0)
    expected = jax.random.fold_in(key, 0xCBF43926)
    assert leaf_key(key, ("123456789",)) == expected
    assert leaf_key(key, ("12", "456789")) == leaf_key(key, ("12/456789",)) != expected


@pytest.mark.parametrize("name", ["he_normal", "torch", "orthogonal", "module"])
def test_the_generator_of_a_key_changes_no_draw(name):
    """JAX's other generators draw all members of a `vmap` from the first one's key."""
    scheme = SCHEMES[name]()
    made = jnp.stack([jax.random.key(seed, impl="rbg") for seed in range(3)])
    with jax.default_prng_impl("rbg"):
        batched = jax.vmap(lambda key: draw(scheme, SMALL, key))(made)
    for seed in range(3):
        key = jax.random.key(seed, impl="threefry2x32")
        for path, leaf in draw(scheme, SMALL, key).items():
            np.testing.assert_allclose(batched[path][seed], leaf, atol=1e-6)


def test_the_type_of_a_layers_parameters_is_kept():
    class Half(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = x.reshape(x.shape[0], -1)
            return nn.Dense(3, param_dtype=jnp.bfloat16, dtype=jnp.float32)(x)

    network = trace(Half(), (4, 4, 4), 3)
    params = draw(SCHEMES["he_normal"](), network, jax.random.key(0))
    wide = he_normal()(leaf_key(jax.random.key(0), ("Dense_0", "kernel")), (64, 3))
    assert {leaf.dtype for leaf in params.values()} == {jnp.dtype(jnp.bfloat16)}
    np.testing.assert_array_equal(params["Dense_0/kernel"], wide.astype(jnp.bfloat16))


def test_per_layer_takes_rules_initializers_and_a_law_for_the_head():
    plain = draw_all(per_layer(he_normal(), head=constant(0.25)))
    for path, leaf in draws("he_normal").items():
        expected = np.full(leaf.shape, 0.25) if path == "head/kernel" else leaf
        np.testing.assert_array_equal(plain[path], expected, err_msg=path)
    counted = draw_all(per_layer(zeros(), bias=lambda layer: constant(layer.fan_in)))
    np.testing.assert_array_equal(counted["grouped/bias"], np.full((SEEDS, 16), 18.0))


def test_per_layer_takes_jaxs_own_initializers():
    foreign, own = per_layer(jax.nn.initializers.lecun_normal()), SCHEMES["flax"]()
    leaves, expected = (draw(one, SMALL, jax.random.key(0)) for one in (foreign, own))
    for path, leaf in leaves.items():
        np.testing.assert_allclose(leaf, expected[path], rtol=1e-6, err_msg=path)


def test_a_factory_that_was_not_called_is_an_error():
    factories: Any = (he_normal, lecun_uniform, jax.nn.initializers.he_normal)
    for factory in factories:
        with pytest.raises(UserError, match=rf"per_layer\({factory.__name__}\(\)\)"):
            per_layer(factory)
