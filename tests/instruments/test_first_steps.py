"""First steps are those of quadratics, where they are known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from init_study.errors import UserError
from init_study.instruments.first_steps import first_step_drops, largest_stable_rate

CURVATURES = np.array([4.0, 2.0, 0.5])


def parabolas(params):
    return (jnp.asarray(CURVATURES, jnp.float32) * params["w"] ** 2).sum() / 2


PARAMS = {"w": jnp.array([1.0, -2.0, 3.0])}


def test_a_step_of_gradient_descent_drops_as_on_paper():
    rates = np.array([0.0, 0.1, 0.5, 2.0])
    found = first_step_drops(parabolas, PARAMS, jnp.asarray(rates, jnp.float32))
    squares = np.array([1.0, 4.0, 9.0])
    factors = 1 - (1 - rates[:, None] * CURVATURES) ** 2
    wanted = (CURVATURES * squares * factors).sum(1) / 2
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_an_optimizers_own_step_is_taken():
    """Adam's first step is the rate, against the sign."""
    rates = np.array([0.1, 1.0])
    found = first_step_drops(
        parabolas, PARAMS, jnp.asarray(rates, jnp.float32), optax.adam
    )
    start = np.array([1.0, -2.0, 3.0])
    moved = start - rates[:, None] * np.sign(start)
    wanted = (CURVATURES * (start**2 - moved**2)).sum(1) / 2
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_odd_starts_have_their_drops():
    rates = jnp.array([0.1, 1e30])
    lost = first_step_drops(parabolas, {"w": jnp.full(3, jnp.nan)}, rates)
    assert jnp.isnan(lost).all()
    beyond = first_step_drops(parabolas, PARAMS, rates)
    assert jnp.isfinite(beyond[0]) and beyond[1] == -jnp.inf
    assert not first_step_drops(parabolas, {"w": jnp.zeros(3)}, rates).any()


def test_the_edge_of_a_linear_net_is_two_by_its_sharpness():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(6, 4)), rng.normal(size=6)

    def loss(weights):
        x, y = (jnp.asarray(part, jnp.float32) for part in (inputs, targets))
        return jnp.mean((x @ weights - y) ** 2) / 2

    sharpness = np.linalg.eigvalsh(inputs.T @ inputs / 6)[-1]
    found = largest_stable_rate(loss, jnp.ones(4), least=0.01, most=100, steps=2000)
    assert found.rate <= found.unstable <= 1.001 * found.rate
    assert float(found.rate) == pytest.approx(2 / sharpness, rel=1e-3)


@pytest.mark.parametrize("at_once", [1, 3])
def test_few_steps_see_slow_growth_late_by_as_much_as_is_said(at_once):
    """At the edge of the curvature 4 that of 2 is gone after one step, so that only the
    sharpest direction's share of the loss counts."""
    params = {"w": jnp.array([0.1, 1.0, 0.0])}
    share = 0.02 / 1.02
    found = largest_stable_rate(parabolas, params, steps=20, rounds=20, at_once=at_once)
    wanted = (1 + share ** (-1 / 40)) / 4
    assert float(found.rate) == pytest.approx(wanted, rel=1e-3)
    assert wanted > 1.04 * 2 / 4, "or the test shows nothing"


def test_the_lower_edge_is_found_where_there_are_several():
    """One step from w = 1 down 1 − cos w, of slope s = sin 1: up to 2 / s it comes to
    rest lower, beyond (2 π) / s it does so again in the next valley."""

    def valleys(w):
        return 1 - jnp.cos(w)

    slope = np.sin(1)
    for at_once in (1, 7):
        found = largest_stable_rate(
            valleys, jnp.ones(()), least=1, most=12, steps=1, at_once=at_once
        )
        assert float(found.rate) == pytest.approx(2 / slope, rel=1e-3)


def test_beyond_the_bracket_there_are_no_rates():
    below = largest_stable_rate(parabolas, PARAMS, least=1.0, most=2.0, steps=9)
    assert below == (0, 1)
    above = largest_stable_rate(parabolas, PARAMS, least=0.01, most=0.1, steps=9)
    assert above.rate == jnp.float32(0.1) and above.unstable == jnp.inf


def test_members_side_by_side_are_members_alone_and_odd_ones_have_their_numbers():
    """Quartics w⁴ / 4 of curvature 3 w²; NaN; no slope; a slope that is not finite."""

    def find(w):
        return largest_stable_rate(
            lambda w: w**4 / 4 + jnp.sqrt(jnp.abs(w - 7.0)) * 0, w, steps=3, rounds=9
        )

    starts = jnp.array([1.0, 2.0, jnp.nan, 0.0, 7.0])
    found = jax.jit(jax.vmap(find))(starts)
    alone = jax.jit(find)
    for member in (0, 1):
        own = alone(starts[member])
        assert float(found.rate[member]) == pytest.approx(float(own.rate), rel=1e-5)
    assert jnp.isnan(found.rate[2]) and jnp.isnan(found.unstable[2])
    assert found.rate[3] == 1000 and found.unstable[3] == jnp.inf
    assert jnp.isnan(found.rate[4])
    # Of w⁴ / 4 a start twice as far has a quarter of the rate.
    ratio = float(found.rate[0] / found.rate[1])
    assert ratio == pytest.approx(4, rel=0.05)


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match=r"most=0\.1 is not a finite number above 1"):
        largest_stable_rate(parabolas, PARAMS, least=1.0, most=0.1)
    with pytest.raises(UserError, match="steps=0"):
        largest_stable_rate(parabolas, PARAMS, steps=0)
    with pytest.raises(UserError, match=r"shape \(3,\)"):
        first_step_drops(lambda p: p["w"], PARAMS, jnp.ones(1))
