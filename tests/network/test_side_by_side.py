"""Kernels side by side are drawn each by itself, with the fans of one."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import initialize
from init_study.diagnosis.layer_table import inspect_scheme, layer_columns
from init_study.errors import UserError
from init_study.instruments.gains import layer_gains, tap_squares
from init_study.instruments.signals import gradients_at_layers, layer_signals
from init_study.mean_field.predict import predict
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme

UNITS = 64
X = jnp.linspace(-2.0, 2.0, 7)
IMAGES = jax.ShapeDtypeStruct((2, 4, 4, UNITS), "float32")


def thirds(y):
    return y[..., :UNITS], y[..., UNITS : 2 * UNITS], y[..., 2 * UNITS :]


def heads_first(y):
    """As timm has it: `[3, n, heads, places, units]`."""
    y = y.reshape(*y.shape[:-1], 3, 4, UNITS // 4).transpose(2, 0, 3, 1, 4)
    return tuple(one.swapaxes(1, 2).reshape(*one.shape[:1], 16, UNITS) for one in y)


def inner_axis(y):
    y = y.reshape(*y.shape[:-1], 3, UNITS)
    return y[..., 0, :], y[..., 1, :], y[..., 2, :]


def scattered(y):
    y = y.reshape(*y.shape[:-1], UNITS, 3)
    return y[..., 0], y[..., 1], y[..., 2]


def dynamic(y):
    cut = jax.lax.dynamic_slice_in_dim
    return tuple(cut(y, i * UNITS, UNITS, y.ndim - 1) for i in range(3))


def each_head(y):
    """Of each of four heads a query, a key and a value: `(h 3 d)`."""
    y = y.reshape(*y.shape[:-1], 4, 3, UNITS // 4)
    return y[..., 0, :], y[..., 1, :], y[..., 2, :]


def turned(y):
    """A rotation of the halves of queries and keys, as of places."""
    query, key, value = jnp.split(y, 3, -1)

    def turn(one):
        left, right = jnp.split(one, 2, -1)
        return jnp.concatenate([0.6 * left - 0.8 * right, 0.8 * left + 0.6 * right], -1)

    return turn(query), turn(key), value


# With the places of the first part in the whole.
FIRST = np.arange(UNITS)
HEADS = (3 * UNITS // 4 * np.arange(4)[:, None] + np.arange(UNITS // 4)).ravel()
PACKED = {
    "split": (lambda y: jnp.split(y, 3, -1), FIRST),
    "slices": (thirds, FIRST),
    "dynamic": (dynamic, FIRST),
    "heads first": (heads_first, FIRST),
    "inner axis": (inner_axis, FIRST),
    "scattered": (scattered, 3 * np.arange(UNITS)),
    "in each head": (each_head, HEADS),
    "behind a function": (lambda y: jnp.split(jnp.tanh(y) * 1.0, 3, -1), FIRST),
    "turned": (turned, FIRST),
}
WHOLE = {
    "read whole too": lambda y: (y.sum(-1), *jnp.split(jnp.tanh(y), 3, -1)[1:]),
    "overlapping": lambda y: (y[..., :100], y[..., 60:160], y[..., 92:]),
    "a part unread": lambda y: (y[..., :UNITS], 1.0, 1.0),
    "rolled": lambda y: (jnp.roll(y, 7, -1), 1.0, 1.0),
    "groups": lambda y: jnp.split(y, 12, -1),
}


class Attention(nn.Module):
    """One dense layer for queries, keys and values."""

    cut: object

    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1, UNITS)
        parts = self.cut(nn.Dense(3 * UNITS, name="qkv")(x))
        return nn.Dense(3)(sum(jnp.mean(one) for one in parts) * x.mean(1))


@pytest.mark.parametrize("name", PACKED)
def test_packed_projections_have_the_fans_of_each(name):
    """Three of 64 × 64: √(2 / (64 + 64)) = 0.125; the whole would be 0.0884."""
    cut, first = PACKED[name]
    module = Attention(cut)
    layers = trace(module, IMAGES.shape[1:], 3).layers
    assert [layer.name for layer in layers[:3]] == ["qkv[0]", "qkv[1]", "qkv[2]"]
    for layer in layers[:3]:
        assert (layer.parts, layer.kernel_shape) == (1, (UNITS, UNITS))
        assert (layer.fan_in, layer.fan_out) == (UNITS, UNITS)
        assert layer.bias == ("qkv", layer.kernel[-1].replace("kernel", "bias"))
    made = initialize(module, IMAGES, "xavier_uniform", jax.random.key(0))
    kernel = made["params"]["qkv"]["kernel"]
    np.testing.assert_allclose(kernel.std(), 0.125, rtol=0.02)
    made = initialize(module, IMAGES, "orthogonal", jax.random.key(0))
    kernel = made["params"]["qkv"]["kernel"]
    query = kernel[:, first]
    np.testing.assert_allclose(query.T @ query, np.eye(UNITS), atol=1e-5)
    # Drawn independently: a product of two is no identity but another orthogonal one.
    rest = np.delete(kernel, first, axis=1)
    assert abs(jnp.trace(query.T @ rest[:, :UNITS])) < 5


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_not_read_in_parts_is_one_kernel(name):
    layer = trace(Attention(WHOLE[name]), IMAGES.shape[1:], 3).layers[0]
    assert (layer.parts, layer.kernel_shape) == (1, (UNITS, 3 * UNITS))


class Branch(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        x = nn.tanh(nn.Conv(6, (3, 3), feature_group_count=2)(x))
        x = nn.relu(nn.Dense(16)(x.reshape(len(x), -1)))
        return nn.Dense(5)(x)


class Mapped(nn.Module):
    """Four branches by `nn.vmap`, of the same images or of images of their own."""

    own_images: bool = False

    @nn.compact
    def __call__(self, x):
        axis = 0 if self.own_images else None
        x = jnp.stack([x] * 4) if self.own_images else x
        branches = nn.vmap(
            Branch, {"params": 0}, {"params": True}, in_axes=axis, axis_size=4
        )
        return nn.Dense(3)(branches(name="branches")(x).sum(0))


class OneByOne(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(sum(Branch(name=f"branch_{i}")(x) for i in range(4)))


SHAPE = (4, 4, 3)
both = pytest.mark.parametrize("own_images", [False, True])


@both
def test_mapped_blocks_have_the_fans_of_one(own_images):
    mapped = trace(Mapped(own_images), SHAPE, 3)
    alone = trace(Branch(), SHAPE, 5)
    assert not mapped.unknown
    for layer, one in zip(mapped.layers[:-1], alone.layers, strict=True):
        assert (layer.parts, layer.stacked) == (4, True)
        for field in ("kernel_shape", "fan_in", "fan_out", "groups", "kind", "strides"):
            assert getattr(layer, field) == getattr(one, field), field
        assert layer.bias == ("branches", *one.bias)
        np.testing.assert_allclose(layer.activation(X), one.activation(X), atol=1e-6)


def check_mapped(kernel, deviation, rtol):
    for one in kernel:
        np.testing.assert_allclose(one.std(), deviation, rtol=rtol)
    flat = np.asarray(kernel).reshape(4, -1)
    correlations = np.corrcoef(flat) - np.eye(4)
    assert np.abs(correlations).max() < 5 / flat.shape[1] ** 0.5


@both
def test_mapped_blocks_are_drawn_each_by_itself(own_images):
    images = jax.ShapeDtypeStruct((2, *SHAPE), "float32")
    key = jax.random.key(0)
    drawn = initialize(Mapped(own_images), images, "xavier_normal", key)
    found = drawn["params"]["branches"]
    # √(2 / (fan_in + fan_out)) of one block; of 216, 216 and 1536 numbers.
    check_mapped(found["Conv_0"]["kernel"], (2 / (27 + 72)) ** 0.5, 0.2)
    check_mapped(found["Conv_1"]["kernel"], (2 / (36 + 27)) ** 0.5, 0.2)
    check_mapped(found["Dense_0"]["kernel"], (2 / (96 + 16)) ** 0.5, 0.08)
    drawn = initialize(Mapped(own_images), images, "orthogonal", key)
    for one in drawn["params"]["branches"]["Dense_0"]["kernel"]:
        np.testing.assert_allclose(one.T @ one, np.eye(16), atol=1e-5)


@both
def test_instruments_see_all_units_of_mapped_blocks(own_images):
    """Those of the four blocks side by side, as without a map."""
    mapped, plain = trace(Mapped(own_images), SHAPE, 3), trace(OneByOne(), SHAPE, 3)
    params = parse_scheme("torch")(jax.random.key(0), mapped)
    ours = {"Dense_0": params["Dense_0"]} | {
        f"branch_{i}": jax.tree.map(lambda leaf, i=i: leaf[i], params["branches"])
        for i in range(4)
    }
    images = jax.random.normal(jax.random.key(1), (2, *SHAPE))
    cotangent = jax.random.normal(jax.random.key(2), (2, 3))
    mine, slopes = gradients_at_layers(mapped, params, {}, images, cotangent)
    theirs, expected = gradients_at_layers(plain, ours, {}, images, cotangent)
    np.testing.assert_allclose(mine.result, theirs.result, rtol=1e-5, atol=1e-5)
    order = {layer.name: place for place, layer in enumerate(plain.layers)}
    for place, layer in enumerate(mapped.layers[:-1]):
        name = layer.name.removeprefix("branches/")
        parts = [order[f"branch_{i}/{name}"] for i in range(4)]
        for got, wanted in ((mine.outputs, theirs.outputs), (slopes, expected)):
            whole = jnp.concatenate([wanted[i] for i in parts], -1)
            np.testing.assert_allclose(got[place], whole, rtol=1e-4, atol=1e-5)


def test_weight_norm_takes_every_channel_of_mapped_blocks():
    network = trace(Mapped(), SHAPE, 3)
    images = jax.random.normal(jax.random.key(1), (32, *SHAPE))
    scheme = parse_scheme("weight_norm")
    params = jax.jit(lambda key: scheme(key, network, Batch(images)))(jax.random.key(0))
    for out in layer_signals(network, params, {}, images).outputs:
        flat = out.reshape(-1, out.shape[-1])
        np.testing.assert_allclose(flat.mean(0), 0.0, atol=1e-3)
        np.testing.assert_allclose(flat.var(0), 1.0, atol=1e-2)


def test_what_cannot_be_for_mapped_blocks_is_refused_by_name():
    images = jax.random.normal(jax.random.key(1), (8, *SHAPE))
    with pytest.raises(UserError, match=r"lsuv .*branches/Conv_0 is 4 kernels.*vmap"):
        initialize(Mapped(), images, "lsuv", jax.random.key(0))
    with pytest.raises(UserError, match=r"whitened .*branches/Conv_0 .* 4 of"):
        initialize(Mapped(), images, "whitened", jax.random.key(0))
    network = trace(Mapped(), SHAPE, 3)
    params = parse_scheme("zeros")(jax.random.key(0), network)
    squares = tap_squares(network, params)
    with pytest.raises(UserError, match=r"mapped over.*branches/Conv_0/kernel"):
        predict(network, params, {}, squares, images, jax.random.key(0))


@pytest.mark.parametrize(
    "own_images", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_gains_of_mapped_blocks_are_those_of_their_weights(own_images):
    """Measured on noise, against counted taps and mean squares."""
    network = trace(Mapped(own_images), SHAPE, 3)
    params = parse_scheme("he_normal")(jax.random.key(0), network)
    squares = tap_squares(network, params)
    found = layer_gains(network, params, {}, squares, jax.random.key(1))
    for measured, predicted in zip(*found, strict=True):
        np.testing.assert_allclose(measured.forward, predicted.forward, rtol=0.05)
        np.testing.assert_allclose(measured.backward, predicted.backward, rtol=0.05)


class Ensemble(eqx.Module):
    nets: eqx.nn.MLP

    def __init__(self, num_classes, *, key):
        keys = jax.random.split(key, 5)
        make = eqx.filter_vmap(lambda k: eqx.nn.MLP(48, num_classes, 32, 1, key=k))
        self.nets = make(keys)

    def __call__(self, x):
        call = eqx.filter_vmap(lambda net, x: net(x), in_axes=(eqx.if_array(0), None))
        return call(self.nets, x.ravel()).mean(0)


def test_an_ensemble_of_equinox_is_its_nets():
    network = trace(Ensemble, SHAPE, 3)
    first, last = network.layers
    assert (first.parts, first.kernel_shape, first.fan_out) == (5, (48, 32), 32)
    assert (last.parts, last.kernel_shape, last.fan_in) == (5, (32, 3), 32)
    assert first.bias == ("nets", "layers", "0", "bias")


def test_the_table_of_layers_says_how_many_there_are():
    network = trace(Ensemble, SHAPE, 3)
    batch = Batch(jax.random.normal(jax.random.key(1), (8, *SHAPE)))
    rows = inspect_scheme(parse_scheme("he_normal"), network, batch)
    assert [row["kernel"] for row in layer_columns(rows)] == ["5 of 48×32", "5 of 32×3"]
    # √(2/48) of 7680 numbers.
    np.testing.assert_allclose(rows[0]["std"], (2 / 48) ** 0.5, rtol=0.04)
    assert rows[0]["predicted_signal"] is None


class Experts(nn.Module):
    """A matrix for each expert, by hand."""

    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)
        w = self.param("w", nn.initializers.ones, (4, 48, 16))
        v = self.param("v", nn.initializers.ones, (4, 16, 3))
        hidden = nn.relu(jnp.einsum("nd,edf->nef", x, w))
        return jnp.einsum("nef,efk->nk", hidden, v)


def test_a_matrix_for_each_expert_is_a_part():
    first, last = trace(Experts(), SHAPE, 3).layers
    assert (first.parts, first.kernel_shape) == (4, (48, 16))
    # All experts are summed: this is one matrix of 64 inputs.
    assert (last.parts, last.kernel_shape) == (1, (64, 3))


class SameShape(nn.Module):
    """Kernels `[4, 4, 6]`: of experts, of a dense layer of 4 by 6 units, of a sum."""

    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)[:, :16].reshape(len(x), 4, 4)
        first, second, third = (
            self.param(name, nn.initializers.ones, (4, 4, 6))
            for name in ("experts", "units", "sum")
        )
        experts = jnp.einsum("ned,edf->nef", x, first).sum((1, 2))
        units = nn.DenseGeneral((4, 6), name="general")(x).sum((1, 2, 3))
        units += jnp.einsum("nsd,def->nsef", x, second).sum((1, 2, 3))
        summed = jnp.einsum("ned,edf->nf", x, third).sum(1)
        return jnp.stack([experts, units, summed], -1)


def test_what_a_product_does_tells_experts_from_units_of_one_shape():
    """Fans: 4 and 6 for each of 4 experts; 4 and 24; 16 and 6."""
    layers = {layer.name: layer for layer in trace(SameShape(), SHAPE, 3).layers}
    found = {
        name: (la.parts, la.kernel_shape, la.forward_fan, la.backward_fan)
        for name, la in layers.items()
    }
    assert found == {
        "experts": (4, (4, 6), 4, 6),
        "general": (1, (4, 24), 4, 24),
        "units": (1, (4, 24), 4, 24),
        "sum": (1, (16, 6), 16, 6),
    }


class Heads(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1, 8)
        return nn.MultiHeadDotProductAttention(2, qkv_features=16)(x).mean(1)


def test_the_projections_of_flax_are_one_kernel_each():
    layers = trace(Heads(), SHAPE).layers
    assert [layer.parts for layer in layers] == [1, 1, 1, 1]
