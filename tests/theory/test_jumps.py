"""Jumps leave no E[φ'²], wherever they lie; steep and rough functions do."""

from itertools import pairwise
from math import pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from init_study.errors import UserError
from init_study.theory import chi1, derivative_moment, gain, q_slope, second_moment
from init_study.theory.moments import moments

SIZES = [*range(1, 11), 16, 32, 64, 100, 256]


def expectation(function, q=1.0, radius=45.0, points=()):
    """E over x of variance q, by QUADPACK: an integral that is not this package's."""

    def integrand(z):
        return function(sqrt(q) * z) * np.exp(-(z**2) / 2) / sqrt(2 * pi)

    edges = sorted({-radius, radius, *np.arange(-radius, radius), *points})
    pieces = pairwise(edges)
    return sum(quad(integrand, *ends, epsabs=0, epsrel=1e-11)[0] for ends in pieces)


@pytest.mark.parametrize("steps", SIZES)
def test_steps_are_found_dyadic_ones_too(steps):
    """Nodes of halved panels can meet every step at a round number, or none."""
    for extra in (0.0, 1.0, -1.0):
        with pytest.raises(UserError, match=r"has no E\[φ'²\].*it jumps at x="):
            chi1(lambda x, extra=extra: jnp.round(steps * x) / steps + extra * x, 1.0)


@pytest.mark.parametrize("place", [0.125, 8.0, -16.0, 32.0, 37.0])
@pytest.mark.parametrize("size", [1.0, 1e-4])
def test_a_jump_counts_however_far_out(place, size):
    def phi(x):
        return jnp.where(x > place, size, 0.0) + x

    assert moments(phi).jump == pytest.approx(place)
    assert moments(phi, 0.9 * place**2).jump == pytest.approx(place)
    # 64 is 32 deviations away at q = 4, and beyond all float64 densities at q = 1.
    far = moments(lambda x: jnp.where(x > 64, size * x, x), 4.0)
    assert far.jump is None if size == 1 else far.jump == pytest.approx(64)


def test_a_square_wave_whose_steps_cancel_in_a_panel():
    with pytest.raises(UserError, match="it jumps at x="):
        derivative_moment(lambda x: jnp.sign(jnp.sin(40 * jnp.pi * x)))


def test_a_jump_beside_a_derivative_that_is_not_the_functions_own():
    def own(x):
        return x + 0.5 * jax.lax.stop_gradient(x)

    assert derivative_moment(own) == pytest.approx(1)
    with pytest.raises(UserError, match=r"it jumps at x=0\.3\b"):
        derivative_moment(lambda x: own(x) + jnp.where(x > 0.3, 1e-3, 0.0))
    # A rounding with the gradient of the identity.
    with pytest.raises(UserError, match="it jumps at x="):
        derivative_moment(lambda x: x + jax.lax.stop_gradient(jnp.round(x) - x))


@pytest.mark.parametrize("place", [0.0, 0.3, 7.3, 20.1])
def test_what_is_steep_or_has_a_kink_does_not_jump(place):
    assert moments(lambda x: jnp.tanh(1e5 * (x - place))).jump is None
    assert moments(lambda x: jnp.abs(x - place)).jump is None
    assert moments(lambda x: jnp.maximum(x - place, 0) ** 3).jump is None
    # |x|^0.6 has E[φ'²] at its kink, and so it has no jump.
    assert moments(lambda x: jnp.abs(x - place) ** 0.6).jump is None


def test_functions_that_grow_almost_too_fast():
    """exp(0.24 x²): with the density, normal numbers of variance 25."""

    def phi(x):
        return jnp.exp(0.24 * x * x)

    assert second_moment(phi) == pytest.approx(5, rel=1e-9)
    assert derivative_moment(phi) == pytest.approx(0.48**2 * 5**3, rel=1e-9)
    # E[φ²] is (1 − 0.96 q)^(−1/2), whose derivative at 1 is 0.48 · 5³.
    assert q_slope(phi, 1.0) == pytest.approx(60, rel=1e-9)
    assert q_slope(phi, 1.0, gain(phi) ** 2) == pytest.approx(12, rel=1e-9)
    with pytest.raises(UserError, match=r"has no E\[φ²\].*grows too fast"):
        second_moment(lambda x: jnp.exp(0.2499 * x * x))


def rough(x):
    return np.tanh(3 * x - 1) + np.abs(x - 0.3) + 0.2 * np.sin(9 * x)


def rough_slope(x):
    bend = 3 / np.cosh(3 * x - 1) ** 2
    return bend + np.sign(x - 0.3) + 1.8 * np.cos(9 * x)


@pytest.mark.parametrize("q", [0.02, 1.0, 40.0])
def test_moments_are_those_of_another_quadrature(q):
    def phi(x):
        return jnp.tanh(3 * x - 1) + jnp.abs(x - 0.3) + 0.2 * jnp.sin(9 * x)

    def over(function):
        return expectation(function, q, radius=10.0, points=(0.3 / sqrt(q),))

    second = over(lambda x: rough(x) ** 2)
    weighted = over(lambda x: x**2 / q * rough(x) ** 2)
    assert second_moment(phi, q) == pytest.approx(second, rel=1e-8)
    slope = over(lambda x: rough_slope(x) ** 2)
    assert derivative_moment(phi, q) == pytest.approx(slope, rel=1e-8)
    wanted = (weighted - second) / (2 * q)
    assert q_slope(phi, q) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("phi", "words"),
    [
        (lambda x: jnp.where(x == 0, jnp.nan, x), "is nan at x=0, where black pixels"),
        (lambda x: jnp.sin(x) / x, "is nan at x=0, where black pixels are"),
        (lambda x: 1 / x, "is inf at x=0, where black pixels are"),
        (lambda x: jnp.log(jnp.abs(x)), "is -inf at x=0, where black pixels are"),
        (lambda x: jnp.where(x == -3, jnp.nan, x), "is nan at x=-3; give it a value"),
        (lambda x: jnp.where(x == 1.5, jnp.nan, x), r"is nan at x=1\.5"),
    ],
)
def test_what_has_no_value_at_a_round_number_is_one_line(phi, words):
    for compute in (gain, second_moment, derivative_moment):
        with pytest.raises(UserError, match=words) as raised:
            compute(phi)
        assert "\n" not in str(raised.value)


def test_a_slope_without_a_value_at_zero_is_said_and_the_gain_stays():
    def phi(x):
        return jnp.sqrt(x * x)

    assert gain(phi) == pytest.approx(1)
    with pytest.raises(UserError, match="its derivative is nan at x=0"):
        derivative_moment(phi)
