"""What a layer's operation does to noise is what its weights predict, whatever its
stride, groups, padding, dilation or type."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.instruments.gains import layer_gains, tap_squares
from init_study.network import trace
from init_study.schemes import parse_scheme
from init_study.theory import padding_gain

OPERATIONS = {
    "plain": nn.Conv(8, (3, 3)),
    "valid": nn.Conv(8, (3, 3), padding="VALID"),
    "circular": nn.Conv(8, (3, 3), padding="CIRCULAR"),
    "stride": nn.Conv(8, (3, 3), strides=2),
    "stride beyond the kernel": nn.Conv(8, (2, 2), strides=3),
    "even": nn.Conv(8, (4, 2)),
    "uneven padding": nn.Conv(8, (5, 3), padding=((0, 4), (1, 0))),
    "dilated": nn.Conv(8, (3, 3), kernel_dilation=2),
    "groups": nn.Conv(12, (3, 3), feature_group_count=4),
    "depthwise": nn.Conv(8, (5, 5), feature_group_count=8),
    "multiplier": nn.Conv(16, (3, 3), feature_group_count=8, strides=2),
    "1x1": nn.Conv(16, (1, 1)),
    "transposed": nn.ConvTranspose(8, (3, 3), strides=(2, 2)),
    "transposed kernel": nn.ConvTranspose(
        6, (4, 4), strides=(2, 2), transpose_kernel=True
    ),
    "bfloat16": nn.Conv(8, (3, 3), dtype=jnp.bfloat16, param_dtype=jnp.bfloat16),
    "float16": nn.Conv(8, (3, 3), dtype=jnp.float16, param_dtype=jnp.float16),
    "dense": nn.Dense(20),
}


# One of each kind, and the others with the slow tests.
FEW = ("plain", "stride", "uneven padding", "groups", "transposed kernel", "dense")
every_operation = pytest.mark.parametrize(
    "name",
    [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in OPERATIONS],
)


class Around(nn.Module):
    """An operation, and a head that sees all of it."""

    operation: nn.Module

    @nn.compact
    def __call__(self, x):
        x = self.operation(x).mean((1, 2))
        return nn.Dense(3, dtype=jnp.float32, name="head")(x)


@every_operation
@pytest.mark.parametrize(
    "scheme", ["he_normal", pytest.param("xavier_uniform", marks=pytest.mark.slow)]
)
def test_noise_gains_what_the_weights_predict(name, scheme):
    network = trace(Around(OPERATIONS[name]), (7, 7, 8))
    key = jax.random.key(3)
    params = parse_scheme(scheme)(key, network)
    squares = tap_squares(network, params)
    measured, predicted = layer_gains(network, params, {}, squares, jax.random.key(0))
    np.testing.assert_allclose(measured[0], predicted[0], rtol=0.03)
    np.testing.assert_allclose(measured[1], predicted[1], rtol=0.12)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in OPERATIONS if "padding" not in n])
def test_he_normal_gains_two_but_for_the_border(name):
    """Over many draws: 2 per layer where nothing is padded, whatever the operation."""
    network = trace(Around(OPERATIONS[name]), (7, 7, 8))
    keys = jax.random.split(jax.random.key(0), 100)
    squares = jax.vmap(
        lambda key: tap_squares(network, parse_scheme("he_normal")(key, network))
    )(keys)
    mean = [square.mean(0) for square in squares]
    params = parse_scheme("he_normal")(jax.random.key(1), network)
    _, predicted = layer_gains(network, params, {}, mean, jax.random.key(0))
    if name in ("valid", "circular", "1x1", "dense"):
        assert predicted[0].forward == pytest.approx(2, rel=0.05)
    assert predicted[0].forward < 2.1
    if name == "plain":
        expected = 2 * padding_gain(7, 7, 3)
        assert predicted[0].forward == pytest.approx(expected, rel=0.05)


def test_a_centre_tap_loses_nothing_at_the_border():
    network = trace(Around(nn.Conv(8, (3, 3))), (3, 3, 8))
    params = parse_scheme("delta_orthogonal")(jax.random.key(0), network)
    measured, predicted = layer_gains(
        network, params, {}, tap_squares(network, params), jax.random.key(1)
    )
    np.testing.assert_allclose(predicted[0], 1.0, rtol=1e-5)
    np.testing.assert_allclose(measured[0], 1.0, rtol=0.02)


def test_a_wrong_fan_is_seen():
    """Flax's own Glorot takes a depthwise layer's fan for that of a full one: its
    outputs are 64 times too small, where ours are not."""
    own = nn.Conv(
        64, (3, 3), feature_group_count=64, kernel_init=nn.initializers.glorot_normal()
    )
    network = trace(Around(own), (8, 8, 64))
    gains = {}
    for name in ("module", "xavier_normal"):
        params = parse_scheme(name)(jax.random.key(0), network)
        squares = tap_squares(network, params)
        measured, _ = layer_gains(network, params, {}, squares, jax.random.key(1))
        gains[name] = float(measured[0].forward)
    assert gains["xavier_normal"] == pytest.approx(padding_gain(8, 8, 3), rel=0.15)
    assert gains["module"] < 0.05
