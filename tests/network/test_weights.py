"""What kernels go through on their way is told on numbers, and uses are counted."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.network import trace


class Made(nn.Module):
    """A product with weights that are made of a parameter."""

    make: Any

    @nn.compact
    def __call__(self, x):
        w = self.param("w", nn.initializers.normal(), (8, 8))
        return nn.Dense(3, name="head")(nn.relu(x @ self.make(self, w)))


def made(make):
    return trace(Made(make), (8,))


def gain(module):
    return module.param("gain", nn.initializers.ones, (1, 8))


FREE = {
    "standardized": lambda m, w: nn.standardize(w, axis=0) / 8**0.5,
    "with a gain": lambda m, w: (w - w.mean()) / jnp.sqrt(w.var() + 1e-5) * gain(m),
    "weight norm": lambda m, w: gain(m) * w / jnp.linalg.norm(w, axis=0, keepdims=True),
    "of inputs": lambda m, w: w / jnp.linalg.norm(w, axis=1, keepdims=True),
    "as a whole": lambda m, w: w / jnp.linalg.norm(w),
}


@pytest.mark.parametrize("name", FREE)
def test_a_normalized_kernel_is_scale_free(name):
    layer = made(FREE[name]).layers[0]
    assert (layer.kernel, layer.scale_free, layer.multiplier) == (("w",), True, 1.0)


def test_the_frameworks_own_norms_of_weights_are_scale_free():
    class Net(nn.Module):
        norm: Any

        @nn.compact
        def __call__(self, x, train: bool = False):
            given = {"update_stats": train} if self.norm is nn.SpectralNorm else {}
            x = self.norm(nn.Conv(4, (3, 3), name="c"), name="n")(x, **given)
            return nn.Dense(3)(nn.relu(x).mean((1, 2)))

    for norm in (nn.WeightNorm, nn.SpectralNorm):
        conv, head = trace(Net(norm), (4, 4, 2)).layers
        assert (conv.name, conv.scale_free, head.scale_free) == ("c", True, False)


@pytest.mark.parametrize(
    ("make", "multiplier"),
    [
        (lambda m, w: w, 1.0),
        (lambda m, w: w.T.reshape(-1).reshape(8, 8), 1.0),
        (lambda m, w: w * gain(m), 1.0),
        (lambda m, w: w / 8**0.5, 8**-0.5),
        (lambda m, w: -3.0 * w.T, -3.0),
    ],
)
def test_a_constant_factor_is_the_multiplier(make, multiplier):
    layer = made(make).layers[0]
    assert not layer.scale_free
    assert layer.multiplier == pytest.approx(multiplier, rel=1e-6)


UNKNOWN = {
    "absolute": lambda m, w: jnp.abs(w),
    "sign": lambda m, w: jnp.sign(w),
    "symmetric": lambda m, w: (w + w.T) / 2,
    "mask": lambda m, w: w * np.tril(np.ones((8, 8), np.float32)),
    "orthogonal": lambda m, w: jnp.linalg.qr(w)[0],
    "low rank": lambda m, w: (
        w
        + m.param("a", nn.initializers.normal(), (8, 2))
        @ m.param("b", nn.initializers.zeros, (2, 8))
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_other_weights_are_not_recognized(name):
    network = made(UNKNOWN[name])
    assert [layer.name for layer in network.layers] == ["head"]
    assert ("w",) in network.unknown


class Tied(nn.Module):
    """One dense layer, several times."""

    functions: tuple

    @nn.compact
    def __call__(self, x):
        layer = nn.Dense(8, name="layer")
        for function in self.functions:
            x = function(layer(x))
        return nn.Dense(3, name="head")(x)


def test_uses_are_counted_and_what_they_do_not_share_is_not_said():
    layer: Any
    layer, head = trace(Tied((jnp.tanh, jnp.tanh, jnp.tanh)), (8,)).layers
    assert (layer.uses, head.uses) == (3, 1)
    np.testing.assert_allclose(layer.activation(jnp.ones(())), np.tanh(1), rtol=1e-6)
    layer, _ = trace(Tied((jnp.tanh, nn.relu)), (8,)).layers
    assert (layer.uses, layer.activation) == (2, None)
