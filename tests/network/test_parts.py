"""Parts of packed kernels are layers: their fans, biases, and followers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import initialize
from init_study.errors import UserError
from init_study.instruments.signals import gradients_at_layers
from init_study.network import trace
from init_study.schemes import parse_scheme

SHAPE = (4, 4, 8)
IMAGES = jax.ShapeDtypeStruct((2, *SHAPE), "float32")
X = jnp.linspace(-2.0, 2.0, 7)


class Of(nn.Module):
    """A head behind any function of a module and its images."""

    body: object

    @nn.compact
    def __call__(self, x):
        y = self.body(self, x)
        return nn.Dense(3, name="head")(y.reshape(len(y), -1))


def parameter(module, name, *shape):
    return module.param(name, nn.initializers.normal(), shape)


def grouped(_, x):
    """Four heads of queries; one of keys and of values."""
    q, k, v = jnp.split(nn.Dense(24, name="qkv")(x), [16, 20], -1)
    q = q.reshape(*q.shape[:-1], 4, 4)
    return jnp.einsum("nijhd,nijd,nije->nijhe", q, k, v)


def parallel(_, x):
    """Values beside the hidden units of a block."""
    value, hidden = jnp.split(nn.Dense(40, name="fused")(x), [8], -1)
    return value * nn.Dense(8, name="out")(nn.gelu(hidden))


def general(_, x):
    y = nn.DenseGeneral((3, 2, 4), name="qkv")(x)
    return y[..., 0, :, :] * y[..., 1, :, :] * y[..., 2, :, :]


def gated(_, x):
    return nn.glu(nn.Conv(16, (3, 3), name="gated")(x))


def film(_, x):
    factor, shift = jnp.split(nn.Dense(16, name="film")(x.mean((1, 2))), 2, -1)
    return x * nn.tanh(factor)[:, None, None] * shift[:, None, None]


def normed(_, x):
    y = nn.Conv(16, (1, 1), name="packed")(x)
    y = nn.BatchNorm(use_running_average=False, name="norm")(y)
    left, right = jnp.split(nn.relu(y), 2, -1)
    return left * nn.Conv(8, (3, 3), name="next")(right)


def joined(module, x):
    """Two parameters as one kernel, side by side."""
    sizes = ((8, 6), (8, 10))
    leaves = [parameter(module, f"w{i}", *size) for i, size in enumerate(sizes)]
    return nn.relu(x @ jnp.concatenate(leaves, 1))


def stacked(module, x):
    leaves = [parameter(module, f"w{i}", 8, 6) for i in range(2)]
    return nn.relu(jnp.einsum("nijc,ecf->nijef", x, jnp.stack(leaves)))


# By name the kernel's shape, the fans (forward and backward) and what follows.
NETS = {
    grouped: {
        "qkv[0]": ((8, 16), 8, 16, None),
        "qkv[1]": ((8, 4), 8, 4, None),
        "qkv[2]": ((8, 4), 8, 4, None),
    },
    parallel: {
        "fused[0]": ((8, 8), 8, 8, None),
        "fused[1]": ((8, 32), 8, 32, nn.gelu),
        "out": ((32, 8), 32, 8, None),
    },
    general: {f"qkv[{i}]": ((8, 8), 8, 8, None) for i in range(3)},
    gated: {
        "gated[0]": ((3, 3, 8, 8), 72, 72, None),
        "gated[1]": ((3, 3, 8, 8), 72, 72, nn.sigmoid),
    },
    film: {
        "film[0]": ((8, 8), 8, 8, nn.tanh),
        "film[1]": ((8, 8), 8, 8, None),
    },
    normed: {
        "packed[0]": ((1, 1, 8, 8), 8, 8, nn.relu),
        "packed[1]": ((1, 1, 8, 8), 8, 8, nn.relu),
        "next": ((3, 3, 8, 8), 72, 72, None),
    },
    joined: {"w0": ((8, 6), 8, 6, nn.relu), "w1": ((8, 10), 8, 10, nn.relu)},
    stacked: {"w0": ((8, 6), 8, 6, nn.relu), "w1": ((8, 6), 8, 6, nn.relu)},
}
every = pytest.mark.parametrize("body", NETS, ids=lambda body: body.__name__)


@every
def test_each_part_is_a_layer(body):
    network = trace(Of(body), SHAPE)
    wanted = NETS[body]
    assert [layer.name for layer in network.layers] == [*wanted, "head"]
    assert not network.unknown
    for layer in network.layers[:-1]:
        shape, forward, backward, follows = wanted[layer.name]
        assert layer.kernel_shape == shape
        assert (layer.fan_in, layer.fan_out) == (forward, backward)
        if "w" not in layer.kernel[-1]:
            assert layer.bias == (
                *layer.path,
                layer.kernel[-1].replace("kernel", "bias"),
            )
        if follows is not None:
            np.testing.assert_allclose(layer.activation(X), follows(X), atol=1e-6)


@every
def test_parts_are_no_other_network(body):
    """Logits and gradients, of images and of kernels, are those of the module."""
    module = Of(body)
    network = trace(module, SHAPE)
    params = parse_scheme("torch")(jax.random.key(0), network)
    state = network.model_state(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (2, *SHAPE))
    own = network.own_variables(params, state)

    def logits(images):
        made = module.apply(own, images, mutable=["batch_stats"])
        return made[0]

    cotangent = jax.random.normal(jax.random.key(2), (2, 3))
    signals, slopes = gradients_at_layers(network, params, state, images, cotangent)
    np.testing.assert_allclose(signals.result, logits(images), rtol=1e-4, atol=1e-5)

    def of_params(params):
        made, _ = network.apply(params, state, images, train=True)
        return jnp.sum(made * cotangent)

    gradient = jax.grad(of_params)(params)
    for layer, slope in zip(network.layers, slopes, strict=True):
        if layer.bias is not None:
            leaf = gradient
            for name in layer.bias:
                leaf = leaf[name]
            summed = slope.reshape(-1, leaf.size).sum(0)
            np.testing.assert_allclose(summed, leaf.reshape(-1), rtol=1e-3, atol=1e-5)


class Mapped(nn.Module):
    """Convolutions by `nn.vmap`, stacked along any axis."""

    axis: int
    own_images: bool

    @nn.compact
    def __call__(self, x):
        x = jnp.stack([x] * 3, 1) if self.own_images else x
        mapped = nn.vmap(
            nn.Conv,
            {"params": self.axis},
            {"params": True},
            in_axes=1 if self.own_images else None,
            out_axes=1,
            axis_size=3,
        )
        return nn.relu(mapped(6, (3, 3), name="mapped")(x)).mean((1, 2, 3))


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("own_images", [False, True])
def test_a_map_over_any_axis_is_its_slices(axis, own_images):
    """3·3·8 inputs and 3·3·6 outputs each; the draw is the slice's own."""
    module = Mapped(axis, own_images)
    layers = trace(module, SHAPE).layers
    assert [layer.name for layer in layers] == [f"mapped[{i}]" for i in range(3)]
    for index, layer in enumerate(layers):
        assert (layer.fan_in, layer.fan_out, layer.groups) == (72, 54, 1)
        assert layer.bias == ("mapped", f"bias[{index}]")
        np.testing.assert_allclose(layer.activation(X), nn.relu(X))
    made = initialize(module, IMAGES, "he_fan_out", jax.random.key(0))["params"]
    kernel = np.moveaxis(made["mapped"]["kernel"], axis, 0)
    # √(2 / 54) of 432 numbers each: five standard errors are 17 %.
    np.testing.assert_allclose(kernel.std((1, 2, 3, 4)), (2 / 54) ** 0.5, rtol=0.17)


def asked(norm, batched):
    """Pool by a learned query, with or without a product for each image."""

    def body(module, x):
        x = x.reshape(len(x), 16, 8)
        probe = parameter(module, "probe", 1, 8)
        probe = nn.LayerNorm(name="norm")(probe) if norm else probe
        query = nn.Dense(8, name="query")(probe)
        key, value = nn.Dense(8, name="key")(x), nn.Dense(8, name="value")(x)
        if batched:
            query = jnp.broadcast_to(query, (len(x), 1, 8))
            scores = jnp.einsum("bqd,bkd->bqk", query, key)
        else:
            scores = jnp.einsum("qd,bkd->bqk", query, key)
        return nn.softmax(scores) @ value

    return body


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_a_learned_query_goes_through_a_dense_layer(norm, batched):
    network = trace(Of(asked(norm, batched)), SHAPE)
    names = [layer.name for layer in network.layers]
    assert names == ["query", "key", "value", "head"] and not network.unknown
    assert (network.layers[0].fan_in, network.layers[0].fan_out) == (8, 8)
    assert parse_scheme("zeros").explain(network)["probe",] == "the module's own"


def two_factors(module, x):
    """No query: the sum is over what the first factor gives."""
    first, second = parameter(module, "first", 8, 2), parameter(module, "second", 2, 8)
    return nn.softmax(x @ (first @ second))


def chosen(module, x):
    """Experts that images choose: a matrix for each place."""
    experts = parameter(module, "experts", 4, 8, 6)
    return jnp.einsum("nijc,nijcf->nijf", x, experts[(x[..., 0] > 0).astype(int)])


@pytest.mark.parametrize("body, leaf", [(two_factors, "first"), (chosen, "experts")])
def test_what_is_refused_at_a_draw_is_refused_when_explained(body, leaf):
    network, scheme = trace(Of(body), SHAPE), parse_scheme("he_normal")
    lines = []
    for call in (
        lambda: scheme(jax.random.key(0), network),
        lambda: scheme.explain(network),
    ):
        with pytest.raises(
            UserError, match=f"no rule sets {leaf}, .*'module'"
        ) as raised:
            call()
        lines.append(str(raised.value))
    assert lines[0] == lines[1]


def test_a_table_that_images_choose_from_is_the_modules_own():
    def body(_, x):
        places = (x[..., 0] > 0).astype(int)
        return nn.relu(nn.Dense(5, name="layer")(nn.Embed(2, 8, name="table")(places)))

    network, scheme = trace(Of(body), SHAPE), parse_scheme("zeros")
    table = ("table", "embedding")
    assert scheme.explain(network)[table] == "the module's own"
    assert scheme(jax.random.key(0), network)["table"]["embedding"].any()
