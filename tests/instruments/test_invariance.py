"""A layer before a norm does not feel its scale; a linear one feels all of it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.invariance import residual_balance, scale_scores


class Net(nn.Module):
    """A convolution, with or without a norm after it, and a linear head."""

    norm: bool

    @nn.compact
    def __call__(self, images):
        x = nn.Conv(3, (3, 3), use_bias=False, name="conv")(images)
        if self.norm:
            x = nn.BatchNorm(use_running_average=False, name="norm")(x)
        x = jax.nn.relu(x).mean((1, 2))
        return nn.Dense(2, use_bias=False, name="head")(x)


IMAGES = jax.random.normal(jax.random.key(0), (4, 4, 4, 2))


def scored(norm, factor):
    """The scores of two members, vmapped, and what gives those of each by itself."""
    net = Net(norm)
    members = jax.vmap(lambda key: net.init(key, IMAGES))(
        jax.random.split(jax.random.key(1), 2)
    )
    state = {"batch_stats": members["batch_stats"]} if norm else {}

    def scores(params):
        def function(params):
            one = jax.tree.map(lambda x: x[0], state)
            variables = {"params": params, **one}
            return net.apply(variables, IMAGES, mutable=["batch_stats"])[0]

        return scale_scores(function, params, factor)

    params = members["params"]
    alone = jax.jit(scores)
    return jax.jit(jax.vmap(scores))(params), lambda member: alone(
        jax.tree.map(lambda x: x[member], params)
    )


def test_a_norm_takes_the_scale_away():
    found, alone = scored(True, 0.5)
    # The norm's epsilon of 10⁻⁵ is all that is left.
    np.testing.assert_allclose(found["conv/kernel"], 0, atol=1e-3)
    np.testing.assert_allclose(found["norm/scale"], 0.5, rtol=1e-4)
    np.testing.assert_allclose(found["head/kernel"], 0.5, rtol=1e-4)
    # A bias of zeros is not moved.
    assert np.isnan(found["norm/bias"]).all()
    for member in range(2):
        for name, score in alone(member).items():
            np.testing.assert_allclose(found[name][member], score, atol=1e-5)


def test_without_a_norm_every_kernel_scores_the_factor_less_one():
    found, _ = scored(False, 3.0)
    assert list(found) == ["conv/kernel", "head/kernel"]
    for score in found.values():
        np.testing.assert_allclose(score, 2, rtol=1e-5)


def test_a_bias_scores_its_part_of_the_output():
    """Of w + b with w = 3 and b = 1 twice w adds 3 / 4, and twice b adds 1 / 4."""
    params = {"w": jnp.array([3.0]), "b": jnp.array([1.0])}
    found = scale_scores(lambda p: p["w"] + p["b"], params)
    assert found["w"] == 0.75 and found["b"] == 0.25


def test_odd_outputs_give_documented_scores():
    params = {"w": jnp.array([1.0])}
    assert np.isnan(scale_scores(lambda p: 0 * p["w"], params)["w"])
    assert scale_scores(lambda p: p["w"] - 1, params)["w"] == jnp.inf
    assert np.isnan(scale_scores(lambda p: p["w"] * jnp.nan, params)["w"])


def test_factors_that_change_nothing_are_refused():
    params = {"w": jnp.ones(1)}
    with pytest.raises(UserError, match="factor=1 changes no tensor"):
        scale_scores(lambda p: p["w"], params, 1.0)
    with pytest.raises(UserError, match="factor=nan is not a finite number"):
        scale_scores(lambda p: p["w"], params, float("nan"))
    with pytest.raises(UserError, match="has no tensor"):
        scale_scores(lambda p: jnp.ones(1), {})


def test_a_branch_is_weighed_against_its_skip():
    rng = np.random.default_rng(2)
    branch, skip = rng.normal(size=(2, 2, 3, 3, 4)).astype(np.float32)
    wanted = np.sqrt(
        (branch.astype(float) ** 2).mean() / (skip.astype(float) ** 2).mean()
    )
    found = jax.jit(residual_balance)(jnp.asarray(branch), jnp.asarray(skip))
    assert found == pytest.approx(wanted, rel=1e-5)
    small = [jnp.asarray(1e-25 * x) for x in (branch, skip)]
    assert residual_balance(*small) == pytest.approx(wanted, rel=1e-5)
    pairs = jnp.array([[[1.0]], [[4.0]]]), jnp.array([[[2.0]], [[2.0]]])
    assert jax.vmap(residual_balance)(*pairs).tolist() == [0.5, 2]


def test_silent_parts_have_documented_ratios():
    zeros, ones = jnp.zeros((2, 3)), jnp.ones((2, 3))
    assert residual_balance(zeros, ones) == 0
    assert residual_balance(ones, zeros) == jnp.inf
    assert np.isnan(residual_balance(zeros, zeros))
    assert np.isnan(residual_balance(ones * jnp.nan, ones))
    with pytest.raises(UserError, match=r"\(2, 3\) and a skip of shape \(2, 1\)"):
        residual_balance(ones, ones[:, :1])
