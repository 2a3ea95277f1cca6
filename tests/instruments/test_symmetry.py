"""Units that are copies on both sides stay copies; those on one side alone part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.symmetry import symmetric_units


def two_layers():
    """Six units, of which 0, 3 and 4 come in alike, and 0 and 3 go out alike too."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4, 6)).astype(np.float32)
    bias = rng.normal(size=6).astype(np.float32)
    last = rng.normal(size=(6, 2)).astype(np.float32)
    for copy in (3, 4):
        first[:, copy], bias[copy] = first[:, 0], bias[0]
    last[3] = last[0]
    return {"first": first, "bias": bias, "last": last}


def orbits_of(params):
    return symmetric_units([params["first"], params["bias"]], [params["last"]])


def test_both_sides_tell_units_apart():
    params = jax.tree.map(jnp.asarray, two_layers())
    orbits = jax.jit(orbits_of)(params)
    assert orbits.first.tolist() == [0, 1, 2, 0, 4, 5]
    assert orbits.groups == 5 and orbits.largest == 2
    # With the outgoing weights of all alike the copies are one group of three.
    same = {**params, "last": jnp.ones((6, 2))}
    assert orbits_of(same).first.tolist() == [0, 1, 2, 0, 0, 5]
    # A bias alone parts them.
    params["bias"] = params["bias"].at[3].add(1.0)
    assert orbits_of(params).groups == 6


def test_gradient_descent_keeps_a_group_and_parts_other_copies():
    params = jax.tree.map(jnp.asarray, two_layers())
    images = jax.random.normal(jax.random.key(1), (8, 4))

    def loss(params):
        hidden = jnp.tanh(images @ params["first"] + params["bias"][None])
        return jnp.mean((hidden @ params["last"] - 1.0) ** 2)

    slope = jax.jit(jax.grad(loss))
    for _ in range(5):
        params = jax.tree.map(lambda w, g: w - 0.1 * g, params, slope(params))
    first, last = params["first"], params["last"]
    # Up to rounding: a product may sum the copies in different orders.
    np.testing.assert_allclose(first[:, 0], first[:, 3], rtol=1e-5)
    np.testing.assert_allclose(last[0], last[3], rtol=1e-5)
    assert np.abs(first[:, 0] - first[:, 4]).max() > 1e-3


def test_convolutions_are_read_along_their_own_axes():
    """Of ones every unit is a copy; each tap of the next kernel belongs to its unit."""
    incoming, outgoing = jnp.ones((3, 3, 2, 4)), jnp.ones((3, 3, 4, 5))
    assert symmetric_units([incoming], [outgoing]).largest == 4
    orbits = symmetric_units([incoming], [outgoing.at[2, 0, 1, 3].set(2.0)])
    assert orbits.first.tolist() == [0, 1, 0, 0]


def test_members_are_measured_as_one_by_one():
    params = two_layers()
    other = {**params, "last": np.arange(12, dtype=np.float32).reshape(6, 2)}
    members = jax.tree.map(lambda *x: jnp.stack(x), params, other)
    orbits = jax.vmap(orbits_of)(members)
    assert orbits.groups.tolist() == [5, 6] and orbits.largest.tolist() == [2, 1]


def test_one_unit_is_one_group():
    orbits = symmetric_units([jnp.ones((2, 1))], [jnp.zeros((1, 3))])
    assert orbits.first.tolist() == [0] and orbits.groups == 1


def test_weights_that_do_not_fit_are_refused():
    ones = jnp.ones((2, 3))
    with pytest.raises(UserError, match="no outgoing weights"):
        symmetric_units([ones], [])
    with pytest.raises(UserError, match="no incoming weights"):
        symmetric_units([], [ones])
    with pytest.raises(UserError, match=r"shape \(3,\) has no axis of units"):
        symmetric_units([ones], [jnp.ones(3)])
    with pytest.raises(UserError, match="of 2 and 3 units"):
        symmetric_units([ones], [ones])
