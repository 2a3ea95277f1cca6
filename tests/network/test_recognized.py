"""What follows a layer is recognized by what it does: a norm takes the scale away and
leaves a mean square of 1, a function of one number is one at all places, and what is
neither is not recognized."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.network import trace
from init_study.theory import gain

X = jnp.array([-2.0, -1.0, 0.5, 1.0, 7.0])


class Behind(nn.Module):
    """A convolution, something behind it, and a head."""

    function: Any

    @nn.compact
    def __call__(self, x, train: bool = False):
        y = self.function(self, nn.Conv(4, (3, 3), name="layer")(x))
        return nn.Dense(3, name="head")(y.reshape(len(y), -1))


def behind(function, place=0) -> Any:
    return trace(Behind(function), (4, 4, 2)).layers[place]


def leaf(module, name, number, shape=(1, 1, 1, 4)):
    return module.param(name, nn.initializers.constant(number), shape)


def inverse_root(x, axis):
    return jax.lax.rsqrt((x * x).mean(axis, keepdims=True) + 1e-6)


def folded(m, x):
    """Batch normalization in one product and one sum, as some write it."""
    factor = leaf(m, "g", 1.0) * jax.lax.rsqrt(x.var((0, 1, 2), keepdims=True) + 1e-5)
    return x * factor + (leaf(m, "b", 0.0) - x.mean((0, 1, 2), keepdims=True) * factor)


NORMS = {
    "flax": (lambda m, x: nn.RMSNorm(name="rms")(x), ("rms", "scale"), None),
    "rms": (lambda m, x: x * inverse_root(x, -1) * leaf(m, "g", 1.0), ("g",), None),
    "response": (
        lambda m, x: (
            leaf(m, "g", 1.0) * x * inverse_root(x, (1, 2)) + leaf(m, "b", 0.0)
        ),
        ("g",),
        ("b",),
    ),
    "folded": (folded, ("g",), ("b",)),
    # The factor is 1 + g: what sets g to 0 does not set the norm to 0.
    "one and more": (
        lambda m, x: x * inverse_root(x, -1) * (1 + leaf(m, "g", 0.0)),
        None,
        None,
    ),
    "doubled before": (
        lambda m, x: nn.LayerNorm(name="n")(2 * x),
        ("n", "scale"),
        ("n", "bias"),
    ),
    "zero at its start": (
        lambda m, x: nn.LayerNorm(name="n", scale_init=nn.initializers.zeros)(x),
        ("n", "scale"),
        ("n", "bias"),
    ),
}
MOVES = {
    "concatenation": lambda x: jnp.concatenate([x, x[..., :1]], -1),
    "crop": lambda x: x[:, 1:-1],
    "pad": lambda x: jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))),
    "pool": lambda x: nn.max_pool(x, (2, 2), (2, 2)),
    "global pool": lambda x: x.max((1, 2), keepdims=True),
    "roll": lambda x: jnp.roll(x, 1, 2),
    "flip": lambda x: x[:, ::-1],
    "shuffle": lambda x: x.reshape(*x.shape[:3], 2, 2).swapaxes(3, 4).reshape(x.shape),
    "half": lambda x: jnp.split(x, 2, -1)[1],
    "lookup": lambda x: x[..., np.array([3, 1, 0, 2])],
    "nearest": lambda x: jnp.repeat(x, 2, 1),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_is_what_takes_the_scale_away(name):
    norm, scale, shift = NORMS[name]
    layer = behind(lambda m, x: nn.silu(norm(m, x)))
    assert (layer.normalized, layer.scale, layer.shift) == (True, scale, shift)
    np.testing.assert_allclose(layer.activation(X), nn.silu(X), rtol=1e-6)


@pytest.mark.parametrize("name", MOVES)
def test_an_activation_behind_a_move_is_what_follows(name):
    # The half that is read is a part of its own.
    place = 1 if name == "half" else 0
    layer = behind(lambda m, x: jnp.tanh(MOVES[name](x)), place)
    np.testing.assert_allclose(layer.activation(X), jnp.tanh(X), rtol=1e-6)
    if name not in ("half", "global pool"):
        layer = behind(lambda m, x: nn.relu(nn.LayerNorm(name="n")(MOVES[name](x))))
        assert (layer.normalized, layer.scale) == (True, ("n", "scale"))
        np.testing.assert_array_equal(layer.activation(X), nn.relu(X))


class ByReference(nn.Module):
    """Virtual batch norm (Salimans et al. 2016): a batch goes along with the images."""

    together: bool
    use_bias: bool = False

    @nn.compact
    def __call__(self, x):
        kept = self.variable("reference", "images", jnp.ones, (8, 4, 4, 2)).value
        if self.together:
            x = jnp.concatenate([kept, x])
        for i in range(2):
            layer = nn.Conv(4, (3, 3), use_bias=self.use_bias, name=f"layer{i}")
            x = layer(x)
            kept = x[: len(kept)] if self.together else layer(kept)
            ways = (0, 1, 2)
            mean, variance = (
                kept.mean(ways, keepdims=True),
                kept.var(ways, keepdims=True),
            )
            factor = jax.lax.rsqrt(variance + 1e-5) * leaf(self, f"g{i}", 1.0)
            shift = leaf(self, f"b{i}", 0.0)
            x, kept = (nn.silu((y - mean) * factor + shift) for y in (x, kept))
        x = x[len(kept) :] if self.together else x
        return nn.Dense(3, name="head")(x.reshape(len(x), -1))


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_statistics_of_a_reference_batch_are_a_norms(together, use_bias):
    network = trace(ByReference(together, use_bias), (4, 4, 2))
    names = ["layer0", "layer1", "head"]
    assert [layer.name for layer in network.layers] == names
    assert not network.unknown
    for i, layer in enumerate(network.layers[:2]):
        assert layer.normalized
        assert (layer.scale, layer.shift) == ((f"g{i}",), (f"b{i}",))
        np.testing.assert_allclose(
            (layer.activation or nn.relu)(X), nn.silu(X), rtol=1e-6
        )


def kept_norm(m, x, own, power):
    """Divide by a mixture of the deviation that is kept and of one's own."""
    kept = m.variable("reference", "kept", jnp.ones, (1, 1, 1, 4)).value
    square = jnp.square(x).mean((1, 2), keepdims=True)
    return x * jax.lax.rsqrt(own * square + (1 - own) * kept**power)


@pytest.mark.parametrize("power", [1, 2])
def test_kept_statistics_beside_ones_own_are_a_norms(power):
    assert behind(lambda m, x: nn.relu(kept_norm(m, x, 0.1, power))).normalized


def test_kept_statistics_alone_are_what_they_are_at_the_start():
    # As a batch norm in evaluation mode: of a mean 0 and a variance 1 it does nothing.
    frozen = behind(lambda m, x: nn.relu(nn.BatchNorm(True, name="n")(x)))
    assert not frozen.normalized
    np.testing.assert_array_equal(frozen.activation(X), nn.relu(X))


def test_a_square_that_is_kept_to_the_third_power_is_no_norm():
    assert not behind(lambda m, x: nn.relu(kept_norm(m, x, 0.1, 3))).normalized


# None of these takes the scale away and leaves a mean square of 1; none is a function
# of one number.
NEITHER = {
    "softmax": lambda m, x: nn.softmax(x),
    "softmax over places": lambda m, x: nn.softmax(x / 0.1, axis=1),
    "log softmax": lambda m, x: nn.log_softmax(x),
    "share": lambda m, x: x / x.sum(-1, keepdims=True),
    "centred": lambda m, x: x - x.mean((1, 2), keepdims=True),
    "by the greatest": lambda m, x: x / x.max(),
    # Over 4 channels a unit vector has a mean square of 1/4.
    "unit length": lambda m, x: x / jnp.linalg.norm(x, axis=-1, keepdims=True),
    "glu": lambda m, x: nn.glu(x),
    "own gate": lambda m, x: x * nn.sigmoid(jnp.roll(x, 1, -1)),
    "gate": lambda m, x: x * nn.sigmoid(nn.Dense(4)(x.mean((1, 2), keepdims=True))),
    "gate by einsum": lambda m, x: nn.relu(
        jnp.einsum("bhwc,bhwc->bhwc", x, nn.sigmoid(nn.Conv(4, (1, 1))(x)))
    ),
    "gate of channels, summed": lambda m, x: (
        x * nn.sigmoid(nn.Dense(4)(x.mean((1, 2), keepdims=True)))
    ).sum((1, 2)),
    "glu, then a mean": lambda m, x: nn.glu(x).mean((1, 2)),
    "gate and sum by einsum": lambda m, x: nn.relu(
        jnp.einsum("bhwc,bhwc->bc", x, nn.sigmoid(nn.Conv(4, (1, 1))(x)))
    ),
    "square by einsum": lambda m, x: jnp.einsum("bhwc,bhwc->bhwc", x, x[:, ::-1]),
    "maxout": lambda m, x: x.reshape(*x.shape[:3], 2, 2).max(-1),
    "maxout of halves": lambda m, x: jnp.maximum(x[..., :2], x[..., 2:]),
    "crelu": lambda m, x: nn.relu(jnp.concatenate([x, -x], -1)),
    "half of it": lambda m, x: jnp.concatenate([nn.relu(x[..., :2]), x[..., 2:]], -1),
    "sort": lambda m, x: jnp.sort(x, -1),
    "k winners": lambda m, x: jnp.where(x >= jnp.sort(x, -1)[..., -2:-1], x, 0),
    "cumulative sum": lambda m, x: jnp.cumsum(x, -1),
    "random slopes": lambda m, x: jnp.where(
        x > 0, x, x * jax.random.uniform(m.make_rng("dropout"), x.shape, minval=0.1)
    ),
}


@pytest.mark.parametrize("name", NEITHER)
def test_what_is_neither_is_not_recognized(name):
    layer = behind(NEITHER[name])
    assert (layer.normalized, layer.activation) == (False, None)


def weights(x):
    """Mix the rows of each column by a softmax of what a kernel makes of all."""
    return nn.softmax(nn.Dense(x.shape[1])(x.mean((1, 3))[..., None]))


LINEAR = {
    "kernel": lambda m, x: x,
    "sum": lambda m, x: x + nn.Conv(4, (1, 1))(x),
    "mean": lambda m, x: x.mean((1, 2)),
    "parts": lambda m, x: jnp.einsum("bhwc,bhwd->bcd", *jnp.split(x, 2, -1)),
    "mixture": lambda m, x: nn.relu(jnp.einsum("bwh,bhwc->bwc", weights(x), x)),
    "the same in two steps": lambda m, x: nn.relu(
        (weights(x).swapaxes(1, 2)[..., None] * x).sum(1)
    ),
    "scores in two steps": lambda m, x: nn.softmax(
        (x[:, :, :, None] * nn.Conv(4, (1, 1))(x)[:, :, None]).sum(-1)
    ),
    "mean of windows": lambda m, x: nn.relu(nn.avg_pool(x, (2, 2), (2, 2))),
}


@pytest.mark.parametrize("name", LINEAR)
def test_kernels_and_sums_alone_are_linear(name):
    np.testing.assert_array_equal(behind(LINEAR[name]).activation(X), X)


# As each starts: Flax's PReLU at a slope of 0.01, a swish of β = 1, a threshold of 0.
PARAMETRIC = {
    "prelu": (lambda m, x: nn.PReLU()(x), nn.leaky_relu),
    "per channel": (
        lambda m, x: jnp.where(x > 0, x, leaf(m, "a", 0.25) * x),
        lambda x: jnp.where(x > 0, x, x / 4),
    ),
    "swish": (lambda m, x: x * nn.sigmoid(leaf(m, "beta", 1.0, ()) * x), nn.silu),
    "threshold": (lambda m, x: jnp.maximum(x, leaf(m, "tau", 0.0)), nn.relu),
}


@pytest.mark.parametrize("name", PARAMETRIC)
def test_an_activation_with_parameters_is_as_it_starts(name):
    function, start = PARAMETRIC[name]
    np.testing.assert_allclose(behind(function).activation(X), start(X), rtol=1e-6)
    layer = behind(lambda m, x: function(m, nn.LayerNorm()(x)))
    assert layer.normalized
    np.testing.assert_allclose(layer.activation(X), start(X), rtol=1e-6)


def test_a_function_that_was_called_before_has_the_same_gain():
    """Compiled at single precision first, then asked at double precision."""
    layer = behind(lambda m, x: nn.relu(x.swapaxes(1, 2)))
    jax.jit(layer.activation)(X)
    assert gain(layer.activation) == pytest.approx(2**0.5, rel=1e-5)
