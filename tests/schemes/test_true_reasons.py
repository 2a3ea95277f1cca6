"""Refusals name what is true of the net, and a way out other than what was given."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import initialize
from init_study.errors import UserError

KEY, X = jax.random.key(1), jax.random.normal(jax.random.key(3), (16, 3))


class Scaled(nn.Module):
    """Branches behind a scale of their own that begins at zero."""

    shape: tuple = ()
    standardized: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4, name="e")(x)
        for i in range(2):
            y = nn.relu(nn.Dense(8, name=f"a{i}")(x))
            if self.standardized:
                w = self.param(f"w{i}", nn.initializers.normal(), (8, 4))
                y = y @ ((w - w.mean(0, keepdims=True)) / w.std(0, keepdims=True))
            else:
                y = nn.Dense(4, name=f"b{i}")(y)
            x = x + self.param(f"g{i}", nn.initializers.zeros, self.shape) * y
        return nn.Dense(2, name="h")(x)


@pytest.mark.parametrize("shape", [(), (1, 4)])
def test_a_branch_that_begins_at_zero_is_scaled_behind_its_zero(shape):
    """L = 2: 1/√2, whatever stands in front of the sum."""
    net = Scaled(shape)
    he, scaled = (
        initialize(net, X, s, KEY)["params"] for s in ("he_normal", "depth_scaled")
    )
    for name in ("b0", "b1"):
        ratio = scaled[name]["kernel"] / he[name]["kernel"]
        np.testing.assert_allclose(ratio, 0.5**0.5, rtol=1e-5)
        assert not np.any(scaled[name.replace("b", "g")])


def test_a_standardized_kernel_in_front_of_a_zero_is_refused_for_itself():
    with pytest.raises(UserError, match="scale of w0 has no effect, it is normalized"):
        initialize(Scaled(standardized=True), X, "depth_scaled", KEY)


@pytest.mark.parametrize("shape", [(), (1, 4)])
def test_zeros_in_series_are_named_by_branch(shape):
    with pytest.raises(UserError) as caught:
        initialize(Scaled(shape), X, "zero_branch", KEY)
    said = str(caught.value)
    assert "zeros in series, b0/kernel and g0; " in said
    assert "rest='he_normal'" not in said and "let g0 begin at another" in said


class Squeezed(nn.Module):
    """Zeros on two levels, not in series; a gate with one hidden unit that is dead."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4, name="e")(x)
        y = x
        for i in range(2):
            hidden = nn.Dense(4, name=f"a{i}")(y)
            unit = nn.relu(nn.Dense(1, name=f"s{i}")(hidden))
            gate = nn.sigmoid(nn.Dense(4, name=f"t{i}")(unit))
            y = y + nn.Dense(4, name=f"b{i}")(nn.tanh(hidden)) * gate
        return nn.Dense(2, name="h")(x + nn.Dense(4, name="c")(y))


@pytest.mark.parametrize("seed", [9, 12])
def test_a_dead_unit_is_no_zero_in_series(seed):
    """Of images that are alike a unit is dead half of the time, as with these seeds.

    `he_normal` draws the same dead unit, and nobody refuses it.
    """
    images = jnp.broadcast_to(X[:1], X.shape) + 0.01 * X
    key = jax.random.key(seed)
    params = initialize(Squeezed(), images, "zero_branch", key)["params"]
    assert not np.any(params["c"]["kernel"]) and np.any(params["s0"]["kernel"])
