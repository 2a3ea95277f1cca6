"""Norms and activations behind a layer are found in any precision and at any size, and
what is random on the way counts as its mean."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from init_study.network import trace

NORMS = {
    "BatchNorm": {"momentum": 0.9},
    "LayerNorm": {},
    "GroupNorm": {"num_groups": 2},
}
X = jnp.linspace(-2.0, 2.0, 7)
KEPT = 0.8


class Normed(nn.Module):
    """Convolution, norm, ReLU, global mean, head."""

    norm: str
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Conv(4, (3, 3), dtype=self.dtype)(x)
        arguments = dict(NORMS[self.norm])
        if self.norm == "BatchNorm":
            arguments["use_running_average"] = not train
        x = nn.relu(getattr(nn, self.norm)(**arguments, name="norm")(x))
        return nn.Dense(3)(x.mean((1, 2)))


class NnxNormed(nnx.Module):
    def __init__(self, norm, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), dtype=jnp.bfloat16, rngs=rngs)
        self.norm = getattr(nnx, norm)(4, **NORMS[norm], rngs=rngs)
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.norm(self.conv(x))).mean((1, 2)))


class Behind(nn.Module):
    """A dense layer, and a function of its output that may draw."""

    function: object

    @nn.compact
    def __call__(self, x, train: bool = False):
        x = nn.Dense(8)(x.reshape(len(x), -1))
        return self.function(self, x)


def behind(function):
    return trace(Behind(function), (2, 2, 1)).layers[0]


def noise(module, x):
    return jax.random.normal(module.make_rng("noise"), x.shape, x.dtype)


def mask(module, x):
    kept = jax.random.bernoulli(module.make_rng("dropout"), KEPT, x.shape)
    return kept.astype(x.dtype)


def promoting():
    """Flax itself promotes behind layers of half precision."""
    return jax.numpy_dtype_promotion("standard")


def check_norm(layer):
    assert layer.normalized
    assert (layer.scale, layer.shift) == (("norm", "scale"), ("norm", "bias"))
    check_activation(layer, nn.relu)


def check_activation(layer, function):
    np.testing.assert_allclose(layer.activation(X), function(X), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("size", [6, 1])
def test_a_norm_is_found_in_any_precision_and_at_any_size(norm, dtype, size):
    with promoting():
        check_norm(trace(Normed(norm, dtype), (size, size, 3), 3).layers[0])


@pytest.mark.parametrize("norm", NORMS)
def test_a_norm_of_nnx_is_found_behind_half_precision(norm):
    with promoting():
        check_norm(trace(NnxNormed(norm, nnx.Rngs(0)), (6, 6, 3), 3).layers[0])


@pytest.mark.parametrize("reduce", [jnp.mean, jnp.max])
def test_a_pool_of_one_place_is_a_move(reduce):
    """What stands behind it is part of the activation, as it is without a pool."""

    class Pooled(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3)(jnp.tanh(reduce(nn.Conv(4, (3, 3))(x), (1, 2))))

    layer = trace(Pooled(), (1, 1, 3), 3).layers[0]
    assert not layer.normalized
    check_activation(layer, jnp.tanh)


NOISES = {
    "sum": lambda m, x: x + noise(m, x),
    "sum, noise first": lambda m, x: 0.1 * noise(m, x) + x,
    "difference": lambda m, x: x - noise(m, x),
    "as large as the layer": lambda m, x: x + noise(m, x) * x.std(),
    "of a learned size": lambda m, x: (
        x + m.param("size", nn.initializers.ones, (1, 8)) * noise(m, x)
    ),
}


@pytest.mark.parametrize("name", NOISES)
def test_additive_noise_is_no_norm(name):
    layer = behind(lambda m, x: jnp.tanh(NOISES[name](m, x)))
    assert (layer.normalized, layer.scale, layer.shift) == (False, None, None)
    check_activation(layer, jnp.tanh)


def test_a_norm_behind_noise_is_one():
    check_norm(behind(lambda m, x: nn.relu(nn.LayerNorm(name="norm")(x + noise(m, x)))))


DROPOUTS = {
    "divided before": lambda m, x: x / KEPT * mask(m, x),
    "divided after": lambda m, x: x * mask(m, x) / KEPT,
    "multiplied before": lambda m, x: x * (1 / KEPT) * mask(m, x),
    "multiplied after": lambda m, x: mask(m, x) * x * (1 / KEPT),
    "divided mask": lambda m, x: x * (mask(m, x) / KEPT),
    "never divided": lambda m, x: x * mask(m, x),
    "chosen": lambda m, x: jnp.where(mask(m, x) == 1, x / KEPT, 0.0),
    "twice": lambda m, x: x * mask(m, x) / KEPT * mask(m, x) / KEPT,
    "flax": lambda m, x: nn.Dropout(1 - KEPT, deterministic=False)(x),
}


@pytest.mark.parametrize("name", DROPOUTS)
@pytest.mark.parametrize("number", [0.1, 2.0])
def test_a_number_beside_dropout_stays(name, number):
    """Only the division by the share that is kept is a mask's own."""
    drop = DROPOUTS[name]
    check_activation(
        behind(lambda m, x: jnp.tanh(number * drop(m, x))),
        lambda x: jnp.tanh(number * x),
    )
    check_activation(
        behind(lambda m, x: jnp.tanh(drop(m, x / number))),
        lambda x: jnp.tanh(x / number),
    )


def squares_around(x):
    """Sums of squares over five channels, as a window has them."""
    window = ((0, 0), (2, 2))
    squares = jax.lax.square(x)
    return jax.lax.reduce_window(squares, 0.0, jax.lax.add, (1, 5), (1, 1), window)


RESPONSES = {
    "squares": lambda x: x / (2.0 + 1e-4 * squares_around(x)) ** 0.75,
    "products": lambda x: x * (2.0 + squares_around(x * x)) ** -0.75,
    # Global response normalization, ConvNeXt V2's.
    "global": lambda x: x * (jnp.sqrt((x * x).sum(-1, keepdims=True)) + 1e-6),
    "two readers": lambda x: jnp.concatenate([x, 3.0 * x], -1),
}


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("function", [nn.relu, nn.gelu, nn.silu, jnp.tanh])
def test_a_response_normalization_hides_no_activation(name, function):
    """All that reads the layer goes through the activation."""
    layer = behind(lambda m, x: RESPONSES[name](function(x)))
    assert not layer.normalized
    check_activation(layer, function)


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.concatenate([nn.relu(x), nn.relu(-x)], -1),
        lambda x: jnp.concatenate([jnp.tanh(x), nn.relu(x)], -1),
    ],
)
def test_two_functions_of_one_output_are_none(function, scale):
    """CReLU has no activation that all goes through, whatever scales it before."""
    assert behind(lambda m, x: function(scale * x)).activation is None


def test_numbers_that_are_moved_on_the_way_are_those_that_were_asked_for():
    """Token mixing: the activation reads a transposed output."""
    turned = behind(lambda m, x: nn.relu(x.reshape(len(x), 2, 4).swapaxes(1, 2)))
    x = jnp.array([-2.0, -1.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(turned.activation(x), [0, 0, 1, 2, 3])
