"""Gaussian moments of activations: closed forms, Monte Carlo, and what has none."""

from math import acos, asin, cosh, exp, pi, sinh, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from scipy.stats import multivariate_normal, norm

from init_study.activations import ACTIVATIONS
from init_study.errors import UserError
from init_study.theory import (
    c_map,
    derivative_moment,
    gain,
    mean,
    second_moment,
)
from init_study.theory.pairs import pair_moments

RELU, TANH, ERF, LINEAR = (
    ACTIVATIONS[name] for name in ("relu", "tanh", "erf", "linear")
)


@pytest.mark.parametrize("kink", [0.0, 0.7, -2.0])
def test_kinks_are_found_wherever_they_lie(kink):
    """E over z > a of (z − a)² and the like: known exactly. As q moves, so does the
    place of the kink among the nodes."""

    def phi(x):
        return jnp.maximum(x - kink, 0)

    for q in np.geomspace(0.02, 50, 120):
        a, root = kink / sqrt(q), sqrt(q)
        tail, density = norm.sf(a), norm.pdf(a)
        exact = root * (density - a * tail), q * ((1 + a * a) * tail - a * density)
        assert mean(phi, q) == pytest.approx(exact[0], rel=1e-8, abs=1e-14)
        assert second_moment(phi, q) == pytest.approx(exact[1], rel=1e-8, abs=1e-14)
        assert derivative_moment(phi, q) == pytest.approx(tail, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("c", [-0.999, -0.4, 0.7, 0.9999])
@pytest.mark.parametrize("kink", [0.7, -1.3])
def test_a_kink_in_two_dimensions(kink, c):
    """φ' of a shifted ReLU is a step: E[φ' φ'] is the chance that both are above."""
    both_above = multivariate_normal.cdf([-kink / 2, -kink / 2], cov=[[1, c], [c, 1]])
    found = pair_moments(lambda x: jnp.maximum(x - kink, 0), c, 4.0)[1]
    assert found == pytest.approx(both_above, abs=1e-6)


def random_function(seed):
    """Smooth parts and kinks at odd places."""
    numbers = np.random.default_rng(seed).normal(size=(4, 3))

    def phi(x):
        kinks = sum(a * jnp.abs(x - b) for a, b in numbers[:2].T[:, :2])
        return kinks + numbers[2, 0] * jnp.tanh(numbers[2, 1] * x) + numbers[3, 0]

    return phi


@pytest.mark.parametrize("seed", range(3))
def test_moments_are_those_of_monte_carlo(seed):
    phi, n, q, c = random_function(seed), 400_000, 1.7, 0.6
    z = np.random.default_rng(seed + 9).normal(size=(2, n)).astype(np.float32)
    x, y = sqrt(q) * z[0], sqrt(q) * (c * z[0] + sqrt(1 - c * c) * z[1])
    both = jax.jit(lambda t: jax.jvp(phi, (t,), (jnp.ones_like(t),)))
    (f, df), (g, dg) = (map(np.float64, both(t)) for t in (x, y))
    theory = [
        (f, mean(phi, q)),
        (f**2, second_moment(phi, q)),
        (df**2, derivative_moment(phi, q)),
        (f * g, pair_moments(phi, c, q)[0]),
        (df * dg, pair_moments(phi, c, q)[1]),
    ]
    for samples, value in theory:
        error = samples.std() / sqrt(n)
        assert abs(samples.mean() - value) < 4 * error


def leaky_relu(x):
    return jnp.where(x > 0, x, 0.2 * x)


CORRELATIONS = [-1.0, -0.9999, -0.5, 0.0, 0.3, 0.9, 0.9999, 1 - 1e-9, 1.0]


@pytest.mark.parametrize("c", CORRELATIONS)
def test_correlation_maps_with_a_closed_form(c):
    angle = acos(c)
    # Cho & Saul 2009: the arc-cosine kernels of order 1 and 0.
    relu = (sqrt(1 - c * c) + (pi - angle) * c) / (2 * pi), (pi - angle) / (2 * pi)
    # Their values at −c, for one input above zero and the other below.
    apart = (sqrt(1 - c * c) - angle * c) / (2 * pi), angle / (2 * pi)
    leaky = 1.04 * relu[0] - 0.4 * apart[0], 1.04 * relu[1] + 0.4 * apart[1]
    assert pair_moments(RELU, c, 4.0) == pytest.approx((4 * relu[0], relu[1]), abs=1e-7)
    assert c_map(RELU, c, 4.0) == pytest.approx(2 * relu[0], abs=1e-8)
    assert pair_moments(leaky_relu, c) == pytest.approx(leaky, abs=1e-7)
    found = pair_moments(jnp.cos, c, 2.0)
    waves = exp(-2) * cosh(2 * c), exp(-2) * sinh(2 * c)
    assert found == pytest.approx(waves, abs=1e-9)
    assert pair_moments(jnp.abs, c)[1] == pytest.approx(2 / pi * asin(c), abs=1e-7)
    for q in (0.5, 200.0):
        # Williams 1997.
        exact = 2 / pi * asin(2 * q * c / (1 + 2 * q))
        assert pair_moments(ERF, c, q)[0] == pytest.approx(exact, abs=1e-9)
    assert c_map(LINEAR, c, 3.0, 2.0, 1.0) == pytest.approx((6 * c + 1) / 7, abs=1e-9)


@given(st.floats(-0.99, 0.99), st.floats(0.1, 10), st.sampled_from(sorted(ACTIVATIONS)))
@settings(max_examples=25, deadline=None)
def test_prices_theorem_ties_the_two_pair_moments(c, q, name):
    """d/dc E[φ(x) φ(y)] = q E[φ'(x) φ'(y)], and c maps into [−1, 1]."""
    phi, step = ACTIVATIONS[name], 1e-4
    ends = [pair_moments(phi, c + side * step, q)[0] for side in (-1, 1)]
    slope = q * pair_moments(phi, c, q)[1]
    scale = second_moment(phi, q)
    assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(slope, abs=1e-3 * scale)
    assert abs(c_map(phi, c, q)) <= 1 + 1e-9


def test_moments_that_exist_are_exact_and_others_are_refused():
    assert second_moment(jnp.exp) == pytest.approx(exp(2), rel=1e-9)
    assert second_moment(lambda x: jnp.exp(x * x / 8)) == pytest.approx(sqrt(2))
    double_factorial = float(np.prod(np.arange(39, 0, -2.0)))
    assert second_moment(lambda x: x**20) == pytest.approx(double_factorial, rel=1e-9)
    assert second_moment(lambda x: jnp.sqrt(jnp.abs(x))) == pytest.approx(sqrt(2 / pi))
    assert second_moment(jnp.sign) == pytest.approx(1)
    # f(a) = E[(1 − cos az) / z²] has f'' = exp(−a²/2); it is f(2) / 2.
    sinc = sqrt(pi / 2) * erf(sqrt(2)) - (1 - exp(-2)) / 2
    assert second_moment(lambda x: jnp.sinc(x / pi)) == pytest.approx(sinc, rel=1e-9)
    assert mean(lambda x: jnp.where(x > 0.3, 1.0, 0.0)) == pytest.approx(
        norm.sf(0.3), rel=1e-9
    )
    assert second_moment(jnp.exp, 100.0) == pytest.approx(exp(200), rel=1e-9)
    for phi in (
        lambda x: jnp.exp(x * x / 4),
        lambda x: x**200,
        lambda x: jnp.exp(jnp.exp(x)),
        lambda x: 1 / (x - 0.3),
        lambda x: jnp.sin(1e6 * x),
    ):
        with pytest.raises(UserError, match="has no E"):
            second_moment(phi)
    jumps = (jnp.sign, jnp.round, lambda x: jnp.where(x > 0.123, 1.0, 0.0))
    for phi in (*jumps, lambda x: jnp.sqrt(jnp.abs(x))):
        with pytest.raises(UserError, match=r"has no E\[φ'²\]"):
            derivative_moment(phi)


def test_functions_steeper_than_the_first_panels():
    assert second_moment(jnp.sin, 1e4) == pytest.approx(0.5)
    steep = 1e6

    def phi(x):
        return jax.lax.erf(steep * x)

    q = steep * steep
    exact = 2 / pi * asin(2 * q / (1 + 2 * q))
    assert second_moment(phi) == pytest.approx(exact, rel=1e-9)
    # E[φ'²] = 4/π E[exp(−2 q z²)] q.
    assert derivative_moment(phi) == pytest.approx(4 * q / pi / sqrt(1 + 4 * q))


def test_functions_that_compute_in_float32():
    for phi in (
        lambda x: jnp.tanh(x.astype(jnp.float32)),
        lambda x: jnp.tanh(x.astype(jnp.float32)).astype(x.dtype),
    ):
        for q in (0.3, 1.0):
            assert gain(phi, q) == pytest.approx(gain(TANH, q), rel=1e-6)
        assert c_map(phi, 0.7) == pytest.approx(c_map(TANH, 0.7), rel=1e-6)


def test_the_theory_leaves_jax_as_it_is_and_works_while_tracing():
    def phi(x):
        return jnp.arctan(x) + 0.1 * x

    assert jax.jit(lambda x: x * gain(phi))(2.0) == pytest.approx(2 * gain(phi))
    assert jax.vmap(lambda x: x * c_map(phi, 0.3))(jnp.ones(2))[0] > 0
    assert not jax.config.jax_enable_x64
    assert jnp.zeros(1).dtype == jnp.float32 == (jnp.ones(1) * gain(phi)).dtype


@pytest.mark.parametrize(
    ("phi", "words"),
    [
        (jnp.log, "is -inf at x=0"),
        (jnp.arccos, r"is nan at x=1\.5; give it"),
        (jax.nn.softmax, "not elementwise"),
        (jnp.cumsum, "not elementwise"),
        (lambda x: x - x.mean(), "not elementwise"),
        (lambda x: x * jnp.arange(1.0 * x.size), "not elementwise"),
        (jax.nn.glu, "not elementwise.*became shape"),
        (lambda x: 1.0, "not elementwise"),
        (lambda x: x > 0, "gives bool"),
        (lambda x: x.astype(jnp.bfloat16), "gives bfloat16"),
        (lambda x: x if x > 0 else 0 * x, "fails on an array.*jnp.where"),
        (np.tanh, "fails on an array.*jax.numpy"),
        (lambda x, y: x, "TypeError.*'y'"),
        (lambda x: 0 * x, "zero at q=1"),
    ],
)
def test_functions_without_a_gain_are_said(phi, words):
    with pytest.raises(UserError, match=words) as raised:
        gain(phi)
    assert "\n" not in str(raised.value)
