"""A norm over all outputs of a packed layer is a norm to each of its parts."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.network import trace

X = jnp.array([-2.0, -0.5, 1.0])
NORMS = {
    "channels": lambda: nn.LayerNorm(name="norm"),
    "all axes": lambda: nn.LayerNorm(reduction_axes=(1, 2, 3), name="norm"),
    "all axes and numbers": lambda: nn.LayerNorm(
        reduction_axes=(1, 2, 3), feature_axes=(1, 2, 3), name="norm"
    ),
    "rms": lambda: nn.RMSNorm(name="norm"),
}


class Packed(nn.Module):
    """One convolution for two things, a norm of both, and a function of each."""

    norm: str
    first: int

    @nn.compact
    def __call__(self, x):
        x = NORMS[self.norm]()(nn.Conv(8, (3, 3), name="packed")(x))
        one, two = x[..., : self.first], x[..., self.first :]
        one = nn.Dense(3, name="one")(nn.relu(one).mean((1, 2)))
        return one + nn.Dense(3, name="two")(jnp.tanh(two).mean((1, 2)))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("first", [4, 2])
def test_each_part_is_normalized(norm, first):
    one, two, *_ = trace(Packed(norm, first), (6, 6, 3), 3).layers
    assert [la.kernel_shape[-1] for la in (one, two)] == [first, 8 - first]
    for layer, wanted in ((one, nn.relu), (two, jnp.tanh)):
        assert layer.normalized
        assert layer.scale == ("norm", "scale")
        assert layer.activation is not None
        np.testing.assert_allclose(layer.activation(X), wanted(X), rtol=1e-6)


def both(a, b):
    return jnp.concatenate([a, b], -1)


def root(x):
    return jnp.sqrt((x * x).mean((1, 2, 3), keepdims=True) + 1e-6)


# Joint statistics that do not take away a scale of `a`, of each of `a` and `b`.
NEITHER = {
    # a over the size of b is as large as a.
    "the other's size": lambda a, b: (a / root(both(a, b)[..., 4:]), b),
    # Only b is divided.
    "only the other": lambda a, b: (jnp.tanh(a), b / root(both(a, b))),
    "gate": lambda a, b: (a * nn.sigmoid(root(both(a, b))), b),
    "centred": lambda a, b: (a - both(a, b).mean((1, 2, 3), keepdims=True), b),
    # As large as a and b together, which have 8 numbers: a mean square of 1/8.
    "unit length": lambda a, b: (a / (8**0.5 * root(both(a, b))), b),
}


class TwoLayers(nn.Module):
    """Two layers, and what is made of both for each."""

    how: str

    @nn.compact
    def __call__(self, x):
        a, b = (nn.Conv(4, (3, 3), name=name)(x) for name in "ab")
        a, b = NEITHER[self.how](a, b)
        one = nn.Dense(3, name="one")(nn.relu(a).mean((1, 2)))
        return one + nn.Dense(3, name="two")(nn.relu(b).mean((1, 2)))


@pytest.mark.parametrize("how", NEITHER)
def test_joint_statistics_are_no_norm_by_themselves(how):
    layer, *_ = trace(TwoLayers(how), (6, 6, 3), 3).layers
    assert not layer.normalized
    assert layer.activation is None
