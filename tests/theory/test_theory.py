"""Maps of wide nets: closed forms, iterated maps, real nets and real convolutions."""

from math import cos, exp, inf, pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.activations import ACTIVATIONS
from init_study.errors import UserError
from init_study.theory import (
    c_map,
    chi1,
    critical_sigma_w2,
    critical_variances,
    depth_scales,
    fixed_point_c,
    fixed_point_q,
    gain,
    padding_gain,
    q_map,
    q_slope,
)

RELU, TANH, ERF, LINEAR = (
    ACTIVATIONS[name] for name in ("relu", "tanh", "erf", "linear")
)


@pytest.mark.parametrize("q", [0.01, 1.0, 30.0])
def test_the_gain_keeps_the_variance(q):
    assert gain(RELU, q) == pytest.approx(sqrt(2), rel=1e-9)
    assert q_map(TANH, q, gain(TANH, q) ** 2) == pytest.approx(q, rel=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slope_of_the_variance_map(name):
    phi = ACTIVATIONS[name]
    step = 1e-4
    difference = q_map(phi, 1 + step, 1.3, 0.2) - q_map(phi, 1 - step, 1.3, 0.2)
    assert q_slope(phi, 1.0, 1.3) == pytest.approx(difference / (2 * step), rel=1e-5)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softplus"}))
def test_the_edge_of_chaos_is_a_fixed_point_where_gradients_keep_their_size(name):
    phi = ACTIVATIONS[name]
    q = 200.0 if "sigmoid" in name else 1.0
    sigma_w2, sigma_b2 = critical_variances(phi, q)
    assert sigma_b2 >= 0
    assert q_map(phi, q, sigma_w2, sigma_b2) == pytest.approx(q, rel=1e-8)
    assert chi1(phi, sigma_w2, q) == pytest.approx(1, rel=1e-8)


def test_order_and_chaos_lie_on_either_side_of_the_edge():
    sigma_w2, sigma_b2 = critical_variances(TANH)
    assert fixed_point_q(TANH, sigma_w2, sigma_b2, start=3.0) == pytest.approx(1)
    assert depth_scales(TANH, sigma_w2, sigma_b2)[1] == inf
    assert fixed_point_c(TANH, 0.9 * sigma_w2, sigma_b2) == 1
    assert fixed_point_c(LINEAR, 1.0) == 1
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


def test_a_fixed_point_close_to_another_is_not_passed():
    """Where the map touches the diagonal at q = 1, a little less bias makes two."""
    phi = ACTIVATIONS["gelu"]
    sigma_w2 = 1 / q_slope(phi, 1.0)
    sigma_b2 = 1 - q_map(phi, 1.0, sigma_w2) - 0.002
    q = fixed_point_q(phi, sigma_w2, sigma_b2, start=0.1)
    assert 0.5 < q < 1 and q_slope(phi, q, sigma_w2) < 1
    assert q_map(phi, q, sigma_w2, sigma_b2) == pytest.approx(q, rel=1e-9)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_a_wide_net_does_what_the_maps_say(name):
    """Three layers of width 500; four standard errors over 40 nets, and the theory's
    own error of order 1 / width."""
    phi, width, nets, layers = ACTIVATIONS[name], 500, 40, 3
    sigma_w2, sigma_b2, q, c = 1.8, 0.1, 0.8, 0.4

    def net(key):
        # Any two orthogonal inputs: the first layer's weights know no direction.
        x = jnp.eye(2, width)
        y = jnp.stack([x[0], c * x[0] + sqrt(1 - c * c) * x[1]]) * sqrt(width * q)
        gram = []
        for layer in range(layers):
            w_key, b_key = jax.random.split(jax.random.fold_in(key, layer))
            weights = jax.random.normal(w_key, (width, width)) * sqrt(sigma_w2 / width)
            bias = jax.random.normal(b_key, (width,)) * sqrt(sigma_b2)
            y = (y if layer == 0 else phi(y)) @ weights + bias[None]
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
        jnp.ones((*kernel, 1, 1)) / float(np.prod(kernel)),
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
        assert padding_gain(n, n, 3, layers=3000) == pytest.approx(largest, rel=1e-3)
    assert padding_gain(5, 5, 1) == 1 == padding_gain(5, 5, 3, "circular")
    # A single pixel sees itself alone, and so for ever.
    assert padding_gain(1, 1, 3) == pytest.approx(1 / 9)
    assert padding_gain(1, 1, 3, layers=5) == pytest.approx(1 / 9)


@pytest.mark.parametrize(("n", "measured"), [(28, 0.980), (14, 0.957), (7, 0.890)])
def test_padding_gain_is_near_what_a_net_of_twenty_layers_showed(n, measured):
    assert padding_gain(n, n, 3, layers=20) == pytest.approx(measured, abs=0.005)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gain(RELU, 0), "q=0 is not"),
        (lambda: gain("rely"), "Did you mean 'relu'"),
        (lambda: fixed_point_q("nowhere:f", 1.0), "'nowhere:f'.*does not import"),
        (lambda: gain(RELU, -1.0), "q=-1.0 is not"),
        (lambda: gain(RELU, float("nan")), "q=nan is not"),
        (lambda: c_map(RELU, 1.1), "c=1.1 is not"),
        (lambda: q_map(RELU, 1.0, -1.0), "sigma_w2=-1.0 is not"),
        (lambda: q_map(RELU, 1.0, 1.0, "much"), "sigma_b2='much' is not"),
        (lambda: critical_variances(ACTIVATIONS["softplus"]), "none has one; use gain"),
        (lambda: critical_variances(ACTIVATIONS["sigmoid"]), "use q=46"),
        (lambda: critical_variances(lambda x: 0 * x + 1), "no slope"),
        (lambda: fixed_point_q(RELU, 2.5), "grows without bound"),
        (lambda: fixed_point_q(jnp.exp, 1.0), "grows without bound"),
        (lambda: fixed_point_c(TANH, 0.5), "dies out"),
        (lambda: padding_gain(0, 3, 3), "0 is not a size"),
        (lambda: padding_gain(3, 3, 3, "sane"), "Did you mean 'same'"),
        (lambda: padding_gain(3, 3, 3, layers=0.5), "layers=0.5"),
    ],
)
@pytest.mark.wrong_types
def test_what_cannot_be_is_said(call, words):
    with pytest.raises(UserError, match=words):
        call()
