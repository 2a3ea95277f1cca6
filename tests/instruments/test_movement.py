"""Distances and angles are those of vectors whose ends are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.movement import measure_movement

BEFORE = {"conv": {"kernel": jnp.array([[3.0, 0.0]]), "bias": jnp.array([4.0])}}


def test_a_step_is_measured_for_each_tensor_and_for_all():
    after = {"conv": {"kernel": jnp.array([[0.0, 3.0]]), "bias": jnp.array([12.0])}}
    moved = jax.jit(measure_movement)(BEFORE, after)
    kernel, bias = (moved.tensors[f"conv/{name}"] for name in ("kernel", "bias"))
    np.testing.assert_allclose(
        kernel, [18**0.5, 2**0.5, 0, np.pi / 2], rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(bias, [8, 2, 1, 0], rtol=1e-6)
    # (3, 0, 4) to (0, 3, 12).
    distance, cosine = 82**0.5, 48 / (5 * 153**0.5)
    wanted = [distance, distance / 5, cosine, np.arccos(cosine)]
    np.testing.assert_allclose(moved.whole, wanted, rtol=1e-6)


def test_small_turns_and_small_numbers_are_not_lost():
    """A turn by 10⁻⁵ has the cosine 1 − 5 · 10⁻¹¹, which float32 takes for 1."""
    before = {"w": jnp.array([1e-25, 0.0])}
    after = {"w": jnp.array([1e-25, 1e-30])}
    moved = measure_movement(before, after).whole
    assert moved.angle == pytest.approx(1e-5, rel=1e-4)
    assert moved.ratio == pytest.approx(1e-5, rel=1e-4)
    assert moved.distance == pytest.approx(1e-30, rel=1e-4)


def test_a_vector_turned_round_is_at_the_angle_pi():
    moved = measure_movement(BEFORE, jax.tree.map(lambda x: -x, BEFORE)).whole
    np.testing.assert_allclose(moved, [10, 2, -1, np.pi], rtol=1e-6)


def test_what_leaves_zero_has_gone_infinitely_far():
    zeros = jax.tree.map(jnp.zeros_like, BEFORE)
    moved = measure_movement(zeros, BEFORE).whole
    assert moved.distance == 5 and moved.ratio == jnp.inf and np.isnan(moved.angle)
    still = measure_movement(zeros, zeros).whole
    assert still.distance == 0 and np.isnan(still[1:]).all()
    broken = measure_movement(BEFORE, jax.tree.map(lambda x: x * jnp.nan, BEFORE))
    assert np.isnan(broken.whole).all()


def test_members_are_measured_as_one_by_one():
    befores = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), BEFORE)
    afters = jax.tree.map(lambda x: jnp.stack([x, x]), BEFORE)
    moved = jax.vmap(measure_movement)(befores, afters)
    assert moved.whole.distance.tolist() == [0, 5]
    assert moved.tensors["conv/bias"].ratio.tolist() == [0, 0.5]


def test_two_networks_are_refused():
    with pytest.raises(UserError, match=r"'conv/bias' is \(1,\) before and absent af"):
        measure_movement(BEFORE, {"conv": {"kernel": jnp.ones((1, 2))}})
    wider = {"conv": {"kernel": jnp.ones((1, 3)), "bias": jnp.ones(1)}}
    with pytest.raises(UserError, match=r"'conv/kernel' is \(1, 2\) before and \(1, 3"):
        measure_movement(BEFORE, wider)
    with pytest.raises(UserError, match="has no tensor"):
        measure_movement({}, {})
    twice = {"a/b": jnp.ones(1), "a": {"b": jnp.ones(1)}}
    with pytest.raises(UserError, match="two tensors are named 'a/b'"):
        measure_movement(twice, twice)
