"""Dead, always-on and saturated units are counted; places are told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.units import map_squares, measure_units


def made_up():
    """Four images of 2 × 2 with 5 units: dead, always on, mostly off, mostly on, and
    off but at a single place of one image."""
    rng = np.random.default_rng(0)
    size = rng.uniform(0.5, 2.0, (4, 2, 2, 5)).astype(np.float32)
    sign = np.ones_like(size)
    sign[..., 0] = -1
    sign[:3, ..., 2] = -1
    sign[0, ..., 3] = -1
    sign[..., 4] = -1
    sign[3, 1, 0, 4] = 1
    return jnp.asarray(size * sign)


def test_units_are_counted_by_what_they_do():
    shares = jax.jit(lambda h: measure_units(h, jax.nn.relu))(made_up())
    assert shares.dead == pytest.approx(1 / 5)
    assert shares.always_on == pytest.approx(1 / 5)
    # The dead one, the one that is on in 1 of 4 images, the one on in 1 of 16 places.
    assert shares.saturated == pytest.approx(3 / 5)


def test_a_leaky_unit_never_dies():
    shares = measure_units(made_up(), lambda h: jax.nn.leaky_relu(h, 0.01))
    assert shares.dead == 0 and shares.saturated == pytest.approx(3 / 5)


def test_a_slope_without_an_output_is_no_death():
    """tanh(0) = 0 with slope 1; a constant gives something, with slope 0."""
    zeros = jnp.zeros((3, 2))
    assert measure_units(zeros, jnp.tanh).dead == 0
    shares = measure_units(zeros, lambda h: 0 * h + 1)
    assert shares.dead == 0 and shares.saturated == 1
    assert measure_units(zeros, jax.nn.relu).dead == 1


def test_tanh_is_flat_from_where_its_slope_is_a_twentieth():
    """1 − tanh² = 0.05 at atanh(√0.95)."""
    edge = float(np.arctanh(np.sqrt(0.95)))
    outputs = jnp.array([[0.99 * edge, 1.01 * edge, -1.01 * edge, 0.0]])
    assert measure_units(outputs, jnp.tanh).saturated == pytest.approx(2 / 4)


def test_half_of_the_places_are_not_most():
    outputs = jnp.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]])
    assert measure_units(outputs, jax.nn.relu).saturated == pytest.approx(1 / 2)


def test_nan_is_no_healthy_unit():
    outputs = made_up().at[0, 0, 0, 1].set(jnp.nan)
    assert all(np.isnan(share) for share in measure_units(outputs, jax.nn.relu))
    assert np.isnan(map_squares(outputs).channels).tolist() == [0, 1, 0, 0, 0]


def test_members_are_measured_as_one_by_one():
    members = jnp.stack([made_up(), -made_up()])
    together = jax.vmap(lambda h: measure_units(h, jax.nn.relu))(members)
    alone = [measure_units(h, jax.nn.relu) for h in members]
    # Turned round, the dead one is always on and that one is dead.
    assert together.dead.tolist() == [share.dead for share in alone]
    assert together.saturated.tolist() == [share.saturated for share in alone]
    squares = jax.vmap(map_squares)(jnp.ones((2, 1, 3, 3, 2)))
    assert squares.channels.shape == (2, 2) and squares.centre.tolist() == [1, 1]


def test_places_are_told_apart():
    """A map of 5 × 4: 1 at the 14 border places but 5 at one of each side, 2 inside, 3
    at the middle two."""
    plane = np.ones((5, 4), np.float32)
    plane[0, 1] = plane[4, 1] = plane[2, 0] = plane[2, 3] = 5
    plane[1:4, 1:3] = 2
    plane[2, 1:3] = 3
    outputs = jnp.asarray(np.stack([plane, 10 * plane], -1)[None])
    squares = jax.jit(map_squares)(outputs)
    border = 10 * 1 + 4 * 25
    one = (border + 4 * 4 + 2 * 9) / 20
    np.testing.assert_allclose(squares.channels, [one, 100 * one], rtol=1e-6)
    assert squares.border == pytest.approx(border / 14 * (1 + 100) / 2)
    assert squares.centre == pytest.approx(9 * (1 + 100) / 2)


def test_padding_weakens_the_border():
    """White noise through ones of 3 × 3: 9 taps inside, 6 at an edge, 4 in a corner."""
    noise = jax.random.normal(jax.random.key(0), (4000, 3, 3, 1))
    outputs = jax.lax.conv_general_dilated(
        noise,
        jnp.ones((3, 3, 1, 1)),
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    squares = map_squares(outputs)
    # The standard deviation of a mean of squares is √(2 / n) of it.
    assert squares.centre == pytest.approx(9, rel=0.1)
    assert squares.border == pytest.approx((4 * 6 + 4 * 4) / 8, rel=0.1)


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 5, 4), (3, 5, 1, 4)])
def test_without_an_inside_there_is_no_centre(shape):
    squares = map_squares(jnp.ones(shape))
    assert squares.channels.tolist() == [1] * 4
    assert np.isnan(squares.border) and np.isnan(squares.centre)


def test_an_empty_batch_is_refused():
    for measure in (map_squares, lambda h: measure_units(h, jax.nn.relu)):
        with pytest.raises(UserError, match=r"\(0, 2, 2, 3\) hold no number: give at"):
            measure(jnp.zeros((0, 2, 2, 3)))
