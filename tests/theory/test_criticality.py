"""The edge of chaos at a given variance of the biases."""

import json
from math import pi, sqrt
from typing import Any

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from init_study.errors import UserError
from init_study.network import trace
from init_study.schemes import parse_scheme
from init_study.theory import (
    chi1,
    critical_at_bias,
    critical_sigma_w2,
    critical_variances,
    q_map,
)


def normal_mean(function, q):
    def integrand(z):
        return function(sqrt(q) * z) * np.exp(-(z**2) / 2) / sqrt(2 * pi)

    kinks = [x / sqrt(q) for x in (-3, 3) if abs(x) < 12 * sqrt(q)]
    settings: Any = {"epsabs": 1e-13, "epsrel": 1e-12, "limit": 400}
    return quad(integrand, -12, 12, points=kinks, **settings)[0]


def mish(x):
    return x * np.tanh(np.logaddexp(0, x))


def mish_slope(x):
    gate = np.tanh(np.logaddexp(0, x))
    return gate + x * (1 - gate**2) / (1 + np.exp(-x))


def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def hard_swish_slope(x):
    return np.where(np.abs(x) < 3, (2 * x + 3) / 6, (x >= 3) * 1.0)


FUNCTIONS = {
    "tanh": (np.tanh, lambda x: np.cosh(x) ** -2.0),
    "mish": (mish, mish_slope),
    "hard_swish": (hard_swish, hard_swish_slope),
}


@pytest.mark.parametrize(
    ("name", "sigma_b2", "sigma_w2"),
    [
        ("tanh", 0.001, None),
        ("tanh", 0.05, 1.7610),
        ("tanh", 0.2, 2.2852),
        ("tanh", 3.0, None),
        ("hard_swish", 0.05, 2.974341),
        ("mish", 0.2, 1.949706),
    ],
)
def test_the_edge_is_that_of_another_quadrature(name, sigma_b2, sigma_w2):
    """By derivatives written here, QUADPACK and its own root; some are also known to
    the digits that are given."""
    phi, slope = FUNCTIONS[name]

    def bias(q):
        steep = normal_mean(lambda x: slope(x) ** 2, q)
        return q - normal_mean(lambda x: phi(x) ** 2, q) / steep

    wanted = brentq(lambda q: bias(q) - sigma_b2, 1e-2, 30, xtol=1e-13)
    found, q = critical_at_bias(name, sigma_b2)
    assert q == pytest.approx(wanted, rel=1e-6)
    steep = normal_mean(lambda x: slope(x) ** 2, wanted)
    assert found == pytest.approx(1 / steep, rel=1e-6)
    if sigma_w2 is not None:
        digits = len(str(sigma_w2).partition(".")[2])
        assert found == pytest.approx(sigma_w2, abs=0.6 * 10**-digits)
    assert q_map(name, q, found, sigma_b2) == pytest.approx(q, rel=1e-9)
    assert chi1(name, found, q) == pytest.approx(1, rel=1e-9)
    assert critical_variances(name, q)[1] == pytest.approx(sigma_b2, rel=1e-9)


def test_without_a_bias_it_is_the_critical_scale():
    assert critical_at_bias("relu", 0.0)[0] == pytest.approx(2)
    assert critical_at_bias("tanh", 0.0) == pytest.approx((1, 0))
    sigma_w2, q = critical_at_bias("sigmoid", 0.0)
    assert sigma_w2 == critical_sigma_w2("sigmoid") and q > 40


@pytest.mark.parametrize(
    ("name", "sigma_b2", "words"),
    [
        ("relu", 0.05, "no edge of chaos at sigma_b2=0.05; use sigma_b2=0"),
        ("gelu", 0.0, "no edge of chaos without a bias; use one"),
        ("tanh", 1e6, r"at sigma_b2=1e\+06; it has one from sigma_b2="),
        ("softplus", 0.1, "no edge of chaos at sigma_b2=0.1"),
        ("tanh", -1.0, r"sigma_b2=-1\.0 is not a finite number of at least 0"),
    ],
)
def test_where_there_is_none_one_line_says_so(name, sigma_b2, words):
    with pytest.raises(UserError, match=words) as raised:
        critical_at_bias(name, sigma_b2)
    assert "\n" not in str(raised.value)


def test_the_scheme_draws_with_these_variances():
    from init_study.models.linear import Linear

    net = trace(Linear(400), (1, 1, 400))
    scheme = parse_scheme("edge_of_chaos('tanh', sigma_b2=0.05)")
    layer = scheme(jax.random.key(0), net)["Dense_0"]
    # Four standard errors of a variance: of 160,000 numbers, and of 400.
    assert np.var(layer["kernel"]) * 400 == pytest.approx(1.7610, rel=0.015)
    assert np.var(layer["bias"]) == pytest.approx(0.05, rel=0.3)
    assert "σ_w² 1.761, σ_b² 0.05" in scheme.explain(net)["Dense_0", "kernel"]
    with pytest.raises(UserError, match="one follows from the other"):
        parse_scheme("edge_of_chaos('tanh', q=1.0, sigma_b2=0.05)")
    assert parse_scheme("edge_of_chaos").explain(net) == parse_scheme(
        "edge_of_chaos(q=1)"
    ).explain(net)


def test_the_flag_of_the_command_line(call):
    said = call("gain", "--activation=tanh", "--bias_variance=0.05")[1]
    assert "1.76095, 0.05, 0.570048" in said
    assert "The edge of chaos at q=0.57 keeps both: weights of std 1.327" in said
    found = json.loads(
        call("gain", "--activation=mish", "--bias_variance=0.2", "--json")[1]
    )
    assert found["edge_of_chaos"]["sigma_w2"] == pytest.approx(1.949706, abs=1e-6)
    code, _, error = call("gain", "--activation=relu", "--bias_variance=-1")
    assert code and "bias_variance=-1" in error
