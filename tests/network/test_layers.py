"""Tracing finds in modules of anybody's what one would write down by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strict import leniently

from init_study import explain, initialize
from init_study.activations import ACTIVATIONS
from init_study.errors import UserError
from init_study.initializers import zeros
from init_study.models import build_model
from init_study.network import trace
from init_study.schemes import Scheme, parse_scheme, per_layer
from init_study.schemes.scheme import Rule

IMAGES = jax.ShapeDtypeStruct((2, 8, 8, 1), "float32")


def key(seed=0):
    return jax.random.key(seed)


class ConvNeXtBlock(nn.Module):
    """As in the paper: depthwise, norm, two dense layers, a scale per channel."""

    dim: int

    # Of users' nets JAX makes types and ranks agree, in the package's code it must not.
    @leniently
    @nn.compact
    def __call__(self, x):
        y = nn.Conv(self.dim, (7, 7), feature_group_count=self.dim)(x)
        y = nn.Dense(4 * self.dim)(nn.LayerNorm()(y))
        y = nn.Dense(self.dim)(nn.gelu(y))
        gamma = self.param("gamma", nn.initializers.constant(1e-6), (self.dim,))
        return x + gamma * y


class ThirdParty(nn.Module):
    """Layouts, names and operations that no model of this package has."""

    @nn.compact
    def __call__(self, x):
        up = nn.ConvTranspose(6, (3, 3), strides=(2, 2), transpose_kernel=True)
        x = nn.leaky_relu(nn.GroupNorm(num_groups=2)(up(x)), 0.2)
        x = ConvNeXtBlock(6)(x)
        x = nn.WeightNorm(nn.Conv(4, (3, 3), strides=2, kernel_dilation=2))(x)
        x = nn.max_pool(jnp.where(x > 0, x, 2 * jnp.expm1(x)), (2, 2), (2, 2))
        w = self.param("w", nn.initializers.lecun_normal(), (5, 4))
        x = x @ w.T
        squeezed = nn.relu(nn.Dense(2, name="squeeze")(x.mean((1, 2))))
        x = x * nn.sigmoid(nn.Dense(5, name="excite")(squeezed))[:, None, None]
        x = nn.DenseGeneral((2, 3), name="general")(x.reshape(x.shape[0], -1))
        return nn.Dense(10, name="head")(x.reshape(x.shape[0], -1))


class PreActivation(nn.Module):
    """Blocks of norm, activation, convolution; the shortcut is a projection once."""

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Conv(4, (3, 3), name="stem")(x)
        for index, channels in enumerate((4, 8)):
            y = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
            if channels != x.shape[-1]:
                x = nn.Conv(channels, (1, 1), name=f"project{index}")(y)
            y = nn.Conv(channels, (3, 3), name=f"first{index}")(y)
            y = nn.relu(nn.BatchNorm(use_running_average=not train)(y))
            x = nn.Conv(channels, (3, 3), name=f"second{index}")(y) + x
        return nn.Dense(3, name="head")(nn.relu(x).mean((1, 2)))


@pytest.fixture(scope="module")
def third_party():
    return trace(ThirdParty(), (8, 8, 3))


@pytest.fixture(scope="module")
def by_name(third_party):
    return {layer.name: layer for layer in third_party.layers}


def test_every_layer_is_found_in_the_order_of_execution(by_name):
    assert list(by_name) == [
        "ConvTranspose_0",
        "ConvNeXtBlock_0/Conv_0",
        "ConvNeXtBlock_0/Dense_0",
        "ConvNeXtBlock_0/Dense_1",
        "Conv_0",
        "w",
        "squeeze",
        "excite",
        "general",
        "head",
    ]


def test_kernels_have_one_layout_whatever_is_stored(by_name, third_party):
    """[height, width, in / groups, out], with fans counted by hand."""
    up, depthwise = by_name["ConvTranspose_0"], by_name["ConvNeXtBlock_0/Conv_0"]
    assert up.kind == "conv_transpose" and up.kernel_shape == (3, 3, 3, 6)
    # Stored with inputs and outputs exchanged.
    assert third_party.shapes[up.kernel].shape == (3, 3, 6, 3)
    assert (up.fan_in, up.fan_out, up.forward_fan) == (27, 54, 27 / 4)
    assert (depthwise.groups, depthwise.kernel_shape) == (6, (7, 7, 1, 6))
    assert (depthwise.fan_in, depthwise.fan_out) == (49, 49)
    down = by_name["Conv_0"]
    assert (down.fan_out, down.backward_fan) == (36, 9)
    assert (down.strides, down.kernel_dilation) == ((2, 2), (2, 2))
    assert by_name["w"].kernel_shape == (4, 5)
    assert by_name["general"].kernel_shape == (80, 6)
    assert by_name["general"].output_shape == (2, 3)


def test_a_kernel_lands_where_the_operation_reads_it(third_party, by_name):
    """The module computes with the stored kernel what the plain one means."""
    images = jax.random.normal(key(1), (2, 4, 4, 3))
    layer = by_name["ConvTranspose_0"]
    plain = jax.random.normal(key(2), layer.kernel_shape)
    stored = layer.stored(plain).reshape(third_party.shapes[layer.kernel].shape)
    np.testing.assert_array_equal(layer.plain(stored), plain)
    up = nn.ConvTranspose(6, (3, 3), strides=(2, 2), transpose_kernel=True)
    given = {"params": {"kernel": stored, "bias": jnp.zeros(6)}}
    wanted = jax.lax.conv_general_dilated(
        images,
        plain,
        (1, 1),
        layer.padding,
        layer.input_dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(up.apply(given, images), wanted, rtol=1e-5, atol=1e-5)


def test_what_follows_a_layer(by_name):
    up = by_name["ConvTranspose_0"]
    assert up.normalized and up.scale == ("GroupNorm_0", "scale")
    x = jnp.linspace(-2.0, 2.0, 7)
    expected = {
        "ConvTranspose_0": lambda x: nn.leaky_relu(x, 0.2),
        "ConvNeXtBlock_0/Dense_0": nn.gelu,
        "Conv_0": lambda x: jnp.where(x > 0, x, 2 * jnp.expm1(x)),
        "squeeze": nn.relu,
        "excite": nn.sigmoid,
        "head": lambda x: x,
    }
    for name, function in expected.items():
        activation = by_name[name].activation
        np.testing.assert_allclose(activation(x), function(x), rtol=1e-6, err_msg=name)
    assert by_name["ConvNeXtBlock_0/Dense_1"].scale == ("ConvNeXtBlock_0", "gamma")
    assert not by_name["ConvNeXtBlock_0/Dense_1"].normalized


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_every_activation_is_found_behind_every_norm(name, norm):
    module = build_model("cnn", 3, {"depth": 2, "activation": name, "norm": norm})
    layers = trace(module, (4, 4, 1), 3).layers
    x = jnp.linspace(-3.0, 3.0, 64)
    for layer in layers[:2]:
        assert layer.normalized == (norm != "none")
        np.testing.assert_allclose(
            layer.activation(x), ACTIVATIONS[name](x), rtol=1e-5, atol=1e-6
        )


def test_branches_and_shortcuts():
    network = trace(PreActivation(), (4, 4, 1), 3)
    names = [layer.name for layer in network.layers]
    ways = [
        ([names[i] for i in b.layers], [names[i] for i in b.shortcut])
        for b in network.branches
    ]
    assert ways == [
        (["first0", "second0"], []),
        (["first1", "second1"], ["project1"]),
    ]
    assert [b.channels for b in network.branches] == [4, 8]
    branch_of = {layer.name: layer.branch for layer in network.layers}
    assert branch_of["second1"] == 1 and branch_of["stem"] is None


def test_a_gated_or_concatenated_path_is_no_branch(third_party):
    assert [len(branch.layers) for branch in third_party.branches] == [3]

    class Dense(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = jnp.concatenate([x, nn.Conv(2, (3, 3))(x)], -1)
            return nn.Dense(3)(x.mean((1, 2)))

    assert trace(Dense(), (4, 4, 1), 3).branches == ()


def test_initialize_sets_a_module_of_anybody(third_party):
    images = jax.random.normal(key(1), (2, 8, 8, 3))
    variables = initialize(ThirdParty(), images, "he_normal", key())
    own = jax.eval_shape(ThirdParty().init, key(), images)
    assert jax.tree.structure(variables) == jax.tree.structure(own)
    assert np.isfinite(ThirdParty().apply(variables, images)).all()
    # He's variance by the true fans, in the layout that is stored: strides of 2 × 2 let
    # an output see a quarter of the 27 on average.
    he = parse_scheme("he_normal")
    draws = jax.jit(jax.vmap(lambda k: he(k, third_party)["ConvTranspose_0"]))
    kernel = draws(jax.random.split(key(), 50))["kernel"]
    assert abs(kernel.var() / (4 * 2 / 27) - 1) < 4 * np.sqrt(2 / kernel.size)


def test_every_parameter_says_which_rule_set_it(third_party):
    said = explain(ThirdParty(), jnp.zeros((1, 8, 8, 3)), "torch")
    assert set(said) == {"/".join(path) for path in third_party.shapes}
    assert said["w"].startswith("torch: uniform(1/√fan_in); 4 in, 5 out; ")
    assert said["ConvTranspose_0/bias"] == "torch: uniform(1/√fan_in), of biases"
    assert said["GroupNorm_0/scale"] == "the module's own"
    scheme = "zero_head(rest='normal(0.5)')"
    said = explain(ThirdParty(), jnp.zeros((1, 8, 8, 3)), scheme)
    assert said["head/kernel"].startswith("zeros: head; ")
    assert said["w"].startswith("normal(0.5); ")


def test_wrong_input_is_one_line():
    with pytest.raises(UserError, match=r"images of shape \(3,\) have no batch"):
        initialize(ThirdParty(), jnp.zeros(3), "he_normal", key())
    wrong = per_layer(lambda layer: lambda key, shape, dtype: jnp.zeros((2, 2)))
    with pytest.raises(
        UserError, match=r"layer ConvTranspose_0 needs .*\(3, 3, 3, 6\)"
    ):
        initialize(ThirdParty(), jnp.zeros((1, 8, 8, 3)), wrong, key())
    with pytest.raises(UserError, match=r"looks at labels and was given none"):
        scheme = parse_scheme("prior_bias")
        initialize(ThirdParty(), jnp.zeros((1, 8, 8, 3)), scheme, key())


def test_initialize_says_what_is_wrong_with_a_batch():
    module, key = nn.Dense(2), jax.random.key(0)
    shape = jax.ShapeDtypeStruct((4, 3), jnp.float32)
    found = initialize(module, shape, "he_normal", key)
    assert found["params"]["kernel"].shape == (3, 2)
    for images in (shape, jnp.zeros((0, 3))):
        with pytest.raises(UserError, match="looks at images and was given none"):
            initialize(module, images, "lsuv", key)
    with pytest.raises(UserError, match="4 images and 3 labels"):
        initialize(module, jnp.zeros((4, 3)), "gradinit", key, jnp.zeros(3, int))


class Embedded(nn.Module):
    """Learned places as rows of a table; a table read at the images' values."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(32, (2, 2), strides=2, name="patches")(x).reshape(len(x), 16, 32)
        x = x + nn.Embed(16, 32, name="places")(jnp.arange(16))[None]
        return nn.Dense(3, name="head")(x.reshape(len(x), -1))


def test_a_lookup_at_fixed_places_is_no_kernel():
    """The table keeps the module's own numbers; nothing is refused."""
    said = explain(Embedded(), IMAGES, "zeros")
    assert said["places/embedding"] == "the module's own"
    made = initialize(Embedded(), IMAGES, "zeros", key())["params"]
    own = Embedded().init(key(), jnp.zeros(IMAGES.shape))["params"]
    # Compiled, and not.
    np.testing.assert_allclose(
        made["places"]["embedding"], own["places"]["embedding"], rtol=1e-6
    )
    assert not made["head"]["kernel"].any()


class Pooled(nn.Module):
    """Attention pooling: a learned query for all images."""

    flip: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (2, 2), strides=2, name="patches")(x).reshape(len(x), 16, 8)
        probe = self.param("probe", nn.initializers.normal(), (1, 2, 8))
        if self.flip:
            # As Equinox has it, w·x.
            w = self.param("query", nn.initializers.normal(), (8, 8))
            q = jnp.einsum("oi,ti->ot", w, probe[0]).T
            scores = jnp.einsum("ntd,nqd->nqt", x, jnp.broadcast_to(q, (len(x), 2, 8)))
            x = nn.softmax(scores) @ x
        else:
            query = jnp.tile(probe, [len(x), 1, 1])
            x = nn.MultiHeadDotProductAttention(2, name="pool")(query, x)
        return nn.Dense(3, name="head")(x.reshape(len(x), -1))


@pytest.mark.parametrize("flip", [False, True])
def test_a_learned_query_goes_through_a_layer(flip):
    network = trace(Pooled(flip), IMAGES.shape[1:], 3)
    names = {layer.name: layer for layer in network.layers}
    query = names["query" if flip else "pool/query"]
    assert (query.kind, query.fan_in, query.fan_out) == ("dense", 8, 8)
    assert not network.unknown
    params = parse_scheme("zeros")(key(), network)
    assert params["probe"].any() and not params["head"]["kernel"].any()


class LowRank(nn.Module):
    """A kernel that is a product of two parameters."""

    @nn.compact
    def __call__(self, x):
        first = self.param("first", nn.initializers.ones, (64, 2))
        second = self.param("second", nn.initializers.ones, (2, 3))
        return x.reshape(len(x), -1) @ (first @ second)


def test_a_kernel_of_two_parameters_is_refused_by_name():
    with pytest.raises(UserError, match=r"no rule sets (first|second),"):
        initialize(LowRank(), IMAGES, "zeros", key())


class Guarded(nn.Module):
    """A dense layer whose derivative is the user's own."""

    @nn.compact
    def __call__(self, x):
        w = self.param("guarded", nn.initializers.ones, (64, 3))

        @jax.custom_vjp
        def product(x, w):
            return x @ w

        product.defvjp(
            lambda x, w: (x @ w, (x, w)),
            lambda kept, slope: (slope @ kept[1].T, kept[0].T @ slope),
        )
        return product(x.reshape(len(x), -1), w)


def test_a_kernel_behind_a_derivative_of_its_own_is_refused_by_name():
    with pytest.raises(UserError, match="no rule sets guarded,"):
        initialize(Guarded(), IMAGES, "zeros", key())


def test_a_rule_for_what_is_not_there_is_refused_with_the_nearest_name():
    """Whether it is drawn or only said."""
    scheme = Scheme(rules=lambda network: {("kernels",): Rule("zeros", zeros())})
    for call in (
        lambda: explain(nn.Dense(3), IMAGES, scheme),
        lambda: initialize(nn.Dense(3), IMAGES, scheme, key()),
    ):
        with pytest.raises(UserError, match=r"'kernels'; did you mean 'kernel'"):
            call()
