"""Activations shaped for a depth have the maps that the papers ask for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.activations import ACTIVATIONS
from init_study.errors import UserError
from init_study.models import build_model
from init_study.network import trace
from init_study.theory import (
    c_map,
    chi1,
    derivative_moment,
    dks,
    mean,
    q_slope,
    second_moment,
    shaped_activation,
    tat,
)

SMOOTH = ("tanh", "softplus", "gelu", "erf")


@pytest.mark.parametrize("depth", [3, 40])
@pytest.mark.parametrize("name", SMOOTH)
def test_dks_keeps_variance_and_uncorrelated_inputs_and_bounds_the_slope(name, depth):
    phi = dks(name, depth, slope=1.7)
    assert second_moment(phi) == pytest.approx(1, abs=1e-7)
    assert q_slope(phi, 1.0) == pytest.approx(1, abs=1e-6)
    assert mean(phi) == pytest.approx(0, abs=1e-7)
    assert chi1(phi, 1.0) ** depth == pytest.approx(1.7, rel=1e-6)


@pytest.mark.parametrize("depth", [3, 40])
@pytest.mark.parametrize("name", [*SMOOTH, "elu"])
def test_tat_keeps_variance_and_gradients_and_sets_the_curvature(name, depth):
    phi = tat(name, depth, curvature=0.2)
    assert second_moment(phi) == pytest.approx(1, abs=1e-7)
    assert q_slope(phi, 1.0) == pytest.approx(1, abs=1e-6)
    assert chi1(phi, 1.0) == pytest.approx(1, abs=1e-6)

    def slope(x):
        return jax.jvp(phi, (x,), (jnp.ones_like(x),))[1]

    # The second derivative of a chain at 1 is the sum of its parts', as slopes are 1.
    assert depth * derivative_moment(slope) == pytest.approx(0.2, rel=1e-5)


@pytest.mark.parametrize(("depth", "eta"), [(20, 0.9), (30, 0.5)])
def test_tat_of_relu_brings_unrelated_inputs_to_the_correlation(depth, eta):
    phi = tat("relu", depth, eta=eta)
    correlation = 0.0
    for _ in range(depth):
        correlation = c_map(phi, correlation)
    assert correlation == pytest.approx(eta, abs=1e-6)
    assert second_moment(phi) == pytest.approx(1)
    assert float(phi(jnp.array(-2.0)) / phi(jnp.array(2.0))) < 0  # leaky


def test_a_deep_random_net_does_what_the_maps_say():
    """Two unrelated inputs through 40 wide tanh layers: with DKS they stay apart, with
    tanh at the edge of chaos gradients or signals are lost."""
    depth, width = 40, 400
    rng = np.random.default_rng(0)

    def correlation(phi):
        one, other = rng.standard_normal((2, width))
        for _ in range(depth):
            weights = rng.standard_normal((width, width)) / np.sqrt(width)
            one, other = weights @ phi(one), weights @ phi(other)
        length = one @ one / width
        return length, one @ other / np.sqrt((one @ one) * (other @ other))

    shaped = [correlation(dks("tanh", depth)) for _ in range(4)]
    assert np.mean([length for length, _ in shaped]) == pytest.approx(1, abs=0.3)
    # 40 random layers of width 400: the correlation wanders by about √(40 / 400).
    assert np.abs([c for _, c in shaped]).max() < 0.7
    plain = [correlation(lambda x: np.sqrt(2) * np.maximum(x, 0)) for _ in range(4)]
    assert np.mean([c for _, c in plain]) > 0.95


def test_models_shape_for_their_own_depth():
    x = jnp.linspace(-2, 2, 9)
    for name, arguments, depth in [
        ("cnn", {"depth": 12, "width": 2}, 12),
        ("vgg_stages", {"depth": 1, "width": 2, "norm": "none"}, 2),
        ("lenet", {}, 4),
    ]:
        network = trace(
            build_model(name, 3, {**arguments, "activation": "dks(tanh)"}), (16, 16, 1)
        )
        found = network.layers[0].activation
        assert found is not None
        np.testing.assert_allclose(found(x), dks("tanh", depth)(x), rtol=1e-5)


def test_texts():
    x = jnp.linspace(-2, 2, 9)
    assert shaped_activation("tanh") is ACTIVATIONS["tanh"]
    np.testing.assert_array_equal(
        shaped_activation("tat( relu , 20 )", 3)(x), tat("relu", 20)(x)
    )
    np.testing.assert_array_equal(
        shaped_activation("dks(jax.numpy:tanh)", 9)(x), dks(jnp.tanh, 9)(x)
    )


@pytest.mark.parametrize(
    ("text", "depth", "said"),
    [
        ("tat(tanh)", None, "as tat(tanh, 20)"),
        ("tot(tanh)", 3, "Did you mean 'tat'"),
        ("tat(tnh)", 3, "Did you mean 'tanh'"),
        ("tat(tanh, 0)", None, "depth=0 is not a positive"),
        ("tat(relu)", 3, "shallow enough for a plain relu"),
        ("tat(selu)", 9, "it jumps"),
        ("dks(relu)", 9, "use tat(relu)"),
        ("dks(linear)", 9, "no shift and scale of linear"),
    ],
)
def test_what_cannot_be_shaped_is_said(text, depth, said):
    with pytest.raises(UserError) as error:
        shaped_activation(text, depth)
    assert said in str(error.value)


def test_a_residual_model_wants_the_depth():
    with pytest.raises(UserError, match=r"tat\(relu, 20\)"):
        trace(
            build_model("resnet", 3, {"activation": "tat(relu)", "width": 2}),
            (8, 8, 1),
        )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: dks("tanh", 9, slope=1.0), "slope=1.0"),
        (lambda: tat("tanh", 9, curvature=-1), "curvature=-1"),
        (lambda: tat("relu", 9, eta=2.0), "eta=2.0"),
    ],
)
def test_numbers_out_of_range(call, said):
    with pytest.raises(UserError, match=said):
        call()
