"""A linear net scales with width as its parametrization says, worked out by hand.

Three dense layers x → h₁ → h₂ → f without biases, e the error at f, n the width, a step
of gradient descent with one rate for each layer. δ₂ = W₃ e and δ₁ = W₂ δ₂ come back.

Δh₁ = η₁ |x|² δ₁, Δh₂ = η₂ |h₁|² δ₂ + …, Δf = η₃ |h₂|² e + …, with |h|² ∝ n.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from init_study.errors import UserError
from init_study.instruments.instrument import ProbeBatch
from init_study.instruments.width_scaling import log_slopes, width_scaling
from init_study.network import trace

PIXELS, CLASSES, RATE = 5, 3, 2e-4
WIDTHS = (32, 128, 512)
RNG = np.random.default_rng(0)
BATCH = ProbeBatch(
    jnp.float32(RNG.normal(size=(6, 1, 1, PIXELS))),
    jnp.array([0, 1, 2, 0, 1, 2]),
    jax.random.key(0),
)


def make_network(width, layers=3):
    sizes = [width] * (layers - 1) + [CLASSES]
    flat = lambda x: x.reshape(len(x), -1)  # noqa: E731
    dense = [nn.Dense(size, use_bias=False) for size in sizes]
    return trace(nn.Sequential([flat, *dense]), (1, 1, PIXELS))


def drawn_with(last_power):
    """Weights of variance 1 / fan_in, and of the last layer n to a power."""

    def draw(key, network):
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        rng, made = np.random.default_rng(seed), {}
        for place, layer in enumerate(network.layers):
            inputs = layer.fan_in
            last = place == len(network.layers) - 1
            std = inputs ** (last_power / 2) if last else inputs**-0.5
            kernel = jnp.float32(std * rng.normal(size=layer.kernel_shape))
            made[layer.kernel[0]] = {"kernel": kernel}
        return made

    return draw


def rates_of(powers):
    """Gradient descent with the rate η · n to a power in each layer."""

    def make_optimizer(width):
        def scaled(updates, params=None):
            names = sorted(updates)
            factors = [-RATE * width**power for power in powers]
            return {
                name: jax.tree.map(lambda g, f=factor: f * g, updates[name])
                for name, factor in zip(names, factors, strict=True)
            }

        return optax.stateless(scaled)

    return make_optimizer


@pytest.mark.parametrize(
    ("last_power", "powers", "start", "change"),
    [
        # W₃ ~ n^−1/2, so δ ~ n^−1/2; all rates alike.
        pytest.param(-1, (0, 0, 0), [0, 0, 0], [-0.5, 0.5, 1], id="standard"),
        # W₃ ~ 1/n, so f ~ n^−1/2 and δ ~ 1/n; rates of n, 1 and 1/n undo it.
        pytest.param(-2, (1, 0, -1), [0, 0, -0.5], [0, 0, 0], id="muP"),
    ],
)
def test_a_linear_net_has_its_exponents(last_power, powers, start, change):
    found = width_scaling(
        make_network,
        drawn_with(last_power),
        rates_of(powers),
        WIDTHS,
        BATCH,
        steps=2,
        draws=16,
    )
    np.testing.assert_allclose(found.start_slopes, start, atol=0.12)
    for slopes in found.change_slopes:
        np.testing.assert_allclose(slopes, change, atol=0.12)
    # Twice the steps are twice the way, as the rate is small.
    np.testing.assert_allclose(found.changes[1], 2 * found.changes[0], rtol=0.25)


def test_slopes_are_those_of_powers():
    widths = np.array([2, 3, 10])
    sizes = np.stack([7.0 * widths**-1.5, widths * 0.0, widths * np.inf], 1)
    np.testing.assert_allclose(
        log_slopes(widths.tolist(), sizes), [-1.5, np.nan, np.nan]
    )


@pytest.mark.parametrize(
    ("widths", "make", "reason"),
    [
        ((4,), make_network, r"widths=\[4\] have no slope"),
        ((4, 4), make_network, r"widths=\[4, 4\] have no slope"),
        ((4, 8), lambda width: make_network(width, width // 4 + 1), r"\[2, 3\] layers"),
    ],
)
def test_what_has_no_slope_is_refused(widths, make, reason):
    with pytest.raises(UserError, match=reason):
        width_scaling(make, drawn_with(-1), rates_of((0, 0, 0)), widths, BATCH)
