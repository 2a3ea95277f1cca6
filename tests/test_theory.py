"""The theory of wide nets: closed forms, Monte Carlo, iterated maps and real nets."""

import json
from math import acos, asin, cos, exp, inf, pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from scipy.stats import multivariate_normal, norm
from test_launch import launch

from init_study.activations import ACTIVATIONS
from init_study.errors import UserError
from init_study.theory import (
    c_map,
    chi1,
    critical_sigma_w2,
    depth_scales,
    derivative_moment,
    edge_of_chaos,
    fixed_point_c,
    fixed_point_q,
    gain,
    mean,
    padding_gain,
    q_map,
    q_slope,
    second_moment,
)
from init_study.theory.moments import pair_moments
from init_study.theory.overview import gain_overview, gain_rows, gain_sentence

RELU, TANH, ERF, LINEAR = (
    ACTIVATIONS[name] for name in ("relu", "tanh", "erf", "linear")
)

# E[φ²], its inverse, gain, E[φ'²], χ1, mean and c(0), as found by others with a
# trapezoid of 4·10⁵ nodes; the last digit is rounded.
TABLE = {
    "linear": "1 1 1 1 1 0 0",
    "relu": ".5 2 1.4142 .5 1 .3989 .3183",
    "leaky_relu": ".50005 1.9998 1.4141 .50005 1 .3950 .3119",
    "elu": ".6449 1.5505 1.2452 .6681 1.0359 .1605 .0400",
    "selu": "1 1 1 1.0716 1.0716 0 0",
    "gelu_exact": ".4252 2.3517 1.5335 .4559 1.0720 .2821 .1871",
    "silu": ".3558 2.8108 1.6765 .3795 1.0666 .2066 .1200",
    "tanh": ".3943 2.5362 1.5925 .4644 1.1778 0 0",
    "erf": ".4646 2.1526 1.4672 .5694 1.2257 0 0",
    "sigmoid": ".2934 3.4086 1.8462 .0448 .1528 .5 .8521",
    "softplus": ".9212 1.0855 1.0419 .2934 .3185 .8061 .7053",
}


@pytest.mark.parametrize("name", TABLE)
def test_the_constants_of_the_table(name):
    found = gain_overview(name)
    keys = "second_moment scale gain derivative_moment chi1 mean c0".split()
    for key, text in zip(keys, TABLE[name].split(), strict=True):
        digits = len(text.partition(".")[2]) or 4
        assert found[key] == pytest.approx(float(text), abs=0.51 * 10**-digits), key


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


CORRELATIONS = [-1.0, -0.9999, -0.5, 0.0, 0.3, 0.9, 0.9999, 1 - 1e-9, 1.0]


@pytest.mark.parametrize("c", CORRELATIONS)
def test_correlation_maps_with_a_closed_form(c):
    angle = acos(c)
    # Cho & Saul 2009: the arc-cosine kernels of order 1 and 0.
    relu = (sqrt(1 - c * c) + (pi - angle) * c) / (2 * pi), (pi - angle) / (2 * pi)
    assert pair_moments(RELU, c, 4.0) == pytest.approx((4 * relu[0], relu[1]), abs=1e-7)
    assert c_map(RELU, c, 4.0) == pytest.approx(2 * relu[0], abs=1e-8)
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


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slope_of_the_variance_map(name):
    phi = ACTIVATIONS[name]
    step = 1e-4
    difference = q_map(phi, 1 + step, 1.3, 0.2) - q_map(phi, 1 - step, 1.3, 0.2)
    assert q_slope(phi, 1.0, 1.3) == pytest.approx(difference / (2 * step), rel=1e-5)


@pytest.mark.parametrize("name", set(ACTIVATIONS) - {"softplus"})
def test_the_edge_of_chaos_is_a_fixed_point_where_gradients_keep_their_size(name):
    phi = ACTIVATIONS[name]
    q = 200.0 if "sigmoid" in name else 1.0
    sigma_w2, sigma_b2 = edge_of_chaos(phi, q)
    assert sigma_b2 >= 0
    assert q_map(phi, q, sigma_w2, sigma_b2) == pytest.approx(q, rel=1e-8)
    assert chi1(phi, sigma_w2, q) == pytest.approx(1, rel=1e-8)


def test_order_and_chaos_lie_on_either_side_of_the_edge():
    sigma_w2, sigma_b2 = edge_of_chaos(TANH)
    assert fixed_point_q(TANH, sigma_w2, sigma_b2, start=3.0) == pytest.approx(1)
    assert depth_scales(TANH, sigma_w2, sigma_b2)[1] == inf
    assert fixed_point_c(TANH, 0.9 * sigma_w2, sigma_b2) == 1
    chaotic = fixed_point_c(TANH, 1.2 * sigma_w2, sigma_b2)
    assert 0 < chaotic < 0.95
    q = fixed_point_q(TANH, 1.2 * sigma_w2, sigma_b2)
    assert c_map(TANH, chaotic, q, 1.2 * sigma_w2, sigma_b2) == pytest.approx(chaotic)


def rate_of_approach(map_of, fixed, start, layers):
    """The factor by which the distance falls per layer, in the end."""
    at, distances = start, []
    for _ in range(layers):
        at = map_of(at)
        distances.append(abs(at - fixed))
    return distances[-1] / distances[-2]


@pytest.mark.parametrize(
    ("name", "sigma_w2", "sigma_b2"),
    [("tanh", 1.5, 0.1), ("tanh", 3.0, 0.05), ("relu", 1.5, 0.1), ("erf", 1.2, 0.3)],
)
def test_depth_scales_are_those_of_the_iterated_maps(name, sigma_w2, sigma_b2):
    phi = ACTIVATIONS[name]
    q, c = (f(phi, sigma_w2, sigma_b2) for f in (fixed_point_q, fixed_point_c))
    xi_q, xi_c = depth_scales(phi, sigma_w2, sigma_b2)

    def next_q(at):
        return q_map(phi, at, sigma_w2, sigma_b2)

    def next_c(at):
        return c_map(phi, at, q, sigma_w2, sigma_b2)

    assert rate_of_approach(next_q, q, 1.001 * q, 5) == pytest.approx(
        exp(-1 / xi_q), rel=1e-3
    )
    # c comes from below to 1, where ReLU's map has a term (1 − c)^(3/2).
    assert rate_of_approach(next_c, c, c - 1e-4, 6) == pytest.approx(
        exp(-1 / xi_c), rel=5e-3
    )


def test_depth_scales_of_a_signal_that_dies_out():
    assert fixed_point_q(TANH, 0.5) == 0
    rate = -1 / np.log(0.5)
    assert depth_scales(TANH, 0.5) == pytest.approx((rate, rate), rel=1e-6)
    assert depth_scales(RELU, 2.0) == (inf, inf) == depth_scales(TANH, 1.0)


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("tanh", 1.0),
        ("sin", 1.0),
        ("softsign", 1.0),
        ("elu", 1.0),
        ("relu", 2.0),
        ("relu6", 2.0),
        ("abs", 1.0),
        ("erf", pi / 4),
        ("leaky_relu", 2 / (1 + 0.01**2)),
        ("selu", 2 / (1.0507009873554805**2 * (1 + 1.6732632423543772**2))),
    ],
)
def test_the_critical_scale_without_a_bias(name, exact):
    assert critical_sigma_w2(ACTIVATIONS[name]) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("phi", [ACTIVATIONS["sigmoid"], jnp.cos])
def test_a_critical_scale_at_a_positive_variance(phi):
    sigma_w2 = critical_sigma_w2(phi)
    q = fixed_point_q(phi, sigma_w2)
    assert q > 0 and chi1(phi, sigma_w2, q) == pytest.approx(1, rel=1e-6)
    assert fixed_point_c(phi, 0.9 * sigma_w2) == 1 > fixed_point_c(phi, 1.5 * sigma_w2)


@pytest.mark.parametrize(
    "phi",
    [*(ACTIVATIONS[n] for n in ("gelu", "silu", "softplus")), jnp.exp, jnp.square],
)
def test_no_critical_scale_without_a_bias(phi):
    assert critical_sigma_w2(phi) is None


def test_gelus_variance_runs_away_from_its_fixed_point():
    """Variance-preserving, yes, but unstable: a little more becomes much more."""
    phi = ACTIVATIONS["gelu"]
    scale, q = gain(phi) ** 2, 1.1
    assert q_slope(phi, 1.0, scale) > 1
    for _ in range(30):
        q = q_map(phi, q, scale)
    assert q > 10
    with pytest.raises(UserError, match="grows without bound"):
        fixed_point_q(phi, scale, start=1.1)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_a_wide_net_does_what_the_maps_say(name):
    """Three layers of width 500; four standard errors over 40 nets, and the theory's
    own error of order 1 / width."""
    phi, width, nets, layers = ACTIVATIONS[name], 500, 40, 3
    sigma_w2, sigma_b2, q, c = 1.8, 0.1, 0.8, 0.4

    def net(key):
        x = jax.random.orthogonal(key, width)[:2]
        y = jnp.stack([x[0], c * x[0] + sqrt(1 - c * c) * x[1]]) * sqrt(width * q)
        gram = []
        for layer in range(layers):
            w_key, b_key = jax.random.split(jax.random.fold_in(key, layer))
            weights = jax.random.normal(w_key, (width, width)) * sqrt(sigma_w2 / width)
            bias = jax.random.normal(b_key, (width,)) * sqrt(sigma_b2)
            y = (y if layer == 0 else phi(y)) @ weights + bias
            gram.append(y @ y.T / width)
        return jnp.stack(gram)

    grams = np.asarray(jax.lax.map(net, jax.random.split(jax.random.key(3), nets)))
    for layer in range(layers):
        if layer == 0:
            q, c = (
                q_map(LINEAR, q, sigma_w2, sigma_b2),
                c_map(LINEAR, c, q, sigma_w2, sigma_b2),
            )
        else:
            q, c = (
                q_map(phi, q, sigma_w2, sigma_b2),
                c_map(phi, c, q, sigma_w2, sigma_b2),
            )
        for (i, j), value in {(0, 0): q, (1, 1): q, (0, 1): q * c}.items():
            samples = grams[:, layer, i, j]
            error = 4 * samples.std() / sqrt(nets) + 5 * q / width
            assert abs(samples.mean() - value) < error, (layer, i, j)


@pytest.mark.parametrize(("size", "kernel"), [((7, 4), (3, 3)), ((5, 6), (5, 2))])
@pytest.mark.parametrize("layers", [1, 2, 6])
def test_padding_gain_is_what_the_convolution_does(size, kernel, layers):
    """The mean square under random weights is averaged by the same window."""
    energy, window = (
        jnp.ones((1, *size, 1)),
        jnp.ones((*kernel, 1, 1)) / np.prod(kernel),
    )
    for _ in range(layers):
        energy = jax.lax.conv_general_dilated(
            energy, window, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    realised = float(energy.mean()) ** (1 / layers)
    assert padding_gain(*size, kernel, layers=layers) == pytest.approx(
        realised, rel=1e-5
    )


def test_padding_gain_has_its_closed_forms_and_limits():
    for n in (4, 7, 28):
        assert padding_gain(n, n, 3) == pytest.approx((1 - 2 / (3 * n)) ** 2)
        largest = ((1 + 2 * cos(pi / (n + 1))) / 3) ** 2
        assert padding_gain(n, n, 3, layers=inf) == pytest.approx(largest)
        assert padding_gain(n, n, 3, layers=3000) == pytest.approx(largest, rel=1e-3)
    assert padding_gain(5, 5, 1) == 1 == padding_gain(5, 5, 3, "circular")
    # A single pixel sees itself alone, and so for ever.
    assert padding_gain(1, 1, 3) == pytest.approx(1 / 9)
    assert padding_gain(1, 1, 3, layers=inf) == pytest.approx(1 / 9)


@pytest.mark.parametrize(("n", "measured"), [(28, 0.980), (14, 0.957), (7, 0.890)])
def test_padding_gain_is_near_what_a_net_of_twenty_layers_showed(n, measured):
    assert padding_gain(n, n, 3, layers=20) == pytest.approx(measured, abs=0.005)


def test_moments_that_exist_are_exact_and_others_are_refused():
    assert second_moment(jnp.exp) == pytest.approx(exp(2), rel=1e-9)
    assert second_moment(lambda x: jnp.exp(x * x / 8)) == pytest.approx(sqrt(2))
    double_factorial = float(np.prod(np.arange(39, 0, -2.0)))
    assert second_moment(lambda x: x**20) == pytest.approx(double_factorial, rel=1e-9)
    assert second_moment(lambda x: jnp.sqrt(jnp.abs(x))) == pytest.approx(sqrt(2 / pi))
    assert second_moment(jnp.sign) == pytest.approx(1)
    # f(a) = E[(1 − cos az) / z²] has f'' = exp(−a²/2); it is f(2) / 2, and NaN at 0.
    sinc = sqrt(pi / 2) * erf(sqrt(2)) - (1 - exp(-2)) / 2
    assert second_moment(lambda x: jnp.sin(x) / x) == pytest.approx(sinc, rel=1e-9)
    assert mean(lambda x: (x > 0.3) * 1.0) == pytest.approx(norm.sf(0.3), rel=1e-9)
    assert second_moment(jnp.exp, 100.0) == pytest.approx(exp(200), rel=1e-9)
    for phi in (
        lambda x: jnp.exp(x * x / 4),
        lambda x: x**200,
        lambda x: jnp.exp(jnp.exp(x)),
        lambda x: 1 / x,
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
        (jnp.log, "is nan at x="),
        (jax.nn.softmax, "not elementwise"),
        (jnp.cumsum, "not elementwise"),
        (lambda x: x - x.mean(), "not elementwise"),
        (lambda x: x * jnp.arange(x.size), "not elementwise"),
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


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gain(RELU, 0), "q=0 is not"),
        (lambda: gain(RELU, -1.0), "q=-1.0 is not"),
        (lambda: gain(RELU, float("nan")), "q=nan is not"),
        (lambda: c_map(RELU, 1.1), "c=1.1 is not"),
        (lambda: q_map(RELU, 1.0, -1.0), "sigma_w2=-1.0 is not"),
        (lambda: q_map(RELU, 1.0, 1.0, "much"), "sigma_b2='much' is not"),
        (lambda: edge_of_chaos(ACTIVATIONS["softplus"]), "none has one; use gain"),
        (lambda: edge_of_chaos(ACTIVATIONS["sigmoid"]), "use q=46"),
        (lambda: edge_of_chaos(lambda x: 0 * x + 1), "no slope"),
        (lambda: fixed_point_q(RELU, 2.5), "grows without bound"),
        (lambda: fixed_point_q(jnp.exp, 1.0), "grows without bound"),
        (lambda: fixed_point_c(TANH, 0.5), "dies out"),
        (lambda: padding_gain(0, 3, 3), "0 is not a size"),
        (lambda: padding_gain(3, 3, 3, "sane"), "Did you mean 'same'"),
        (lambda: padding_gain(3, 3, 3, layers=0.5), "layers=0.5"),
    ],
)
def test_what_cannot_be_is_said(call, words):
    with pytest.raises(UserError, match=words):
        call()


def test_the_overview_says_what_it_means():
    said = {name: gain_sentence(gain_overview(name)) for name in ACTIVATIONS}
    assert "gradients keep their size" in said["relu"]
    assert "gradients grow by 1.072" in said["selu"]
    assert "drifts further off" in said["gelu"]
    assert "gradients shrink to 0.1528" in said["sigmoid"]
    assert "no bias mends" in said["softplus"]
    rows = gain_rows(gain_overview("softplus"))
    assert [r["value"] for r in rows if r["name"] == "edge_of_chaos"] == ["none"]
    step = gain_overview("jax.numpy:sign")
    assert step["chi1"] is None and "nothing is known" in gain_sentence(step)


def test_gain_at_the_command_line(tmp_path):
    (tmp_path / "own.py").write_text("def f(x):\n    return 3 * x\n")
    code, out, err = launch("gain", "--activation=own:f", "--json", cwd=tmp_path)
    assert code == 0, err
    found = json.loads(out)
    wanted = "gain scale mean second_moment derivative_moment chi1 c0 "
    wanted += "critical_sigma_w2 edge_of_chaos"
    assert set(wanted.split()) <= set(found)
    assert found["gain"] == pytest.approx(1 / 3)
    assert found["edge_of_chaos"] == pytest.approx({"sigma_w2": 1 / 9, "sigma_b2": 0})
    code, out, _ = launch("gain", "--activation=tanh", cwd=tmp_path)
    assert code == 0 and "1.59254" in out and "grow by 1.178" in out
