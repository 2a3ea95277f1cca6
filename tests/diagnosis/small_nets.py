"""Small nets for what goes on along a chain of layers."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp


class Chain(nn.Module):
    """Hidden dense layers of one width, and a head for three classes."""

    depth: int = 6
    width: int = 32
    activation: Callable = nn.relu
    bias: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)
        start = nn.initializers.constant(self.bias)
        for _ in range(self.depth):
            x = nn.Dense(self.width, bias_init=start, dtype=self.dtype)(x)
            x = self.activation(x)
        return nn.Dense(3, dtype=self.dtype)(x)


class Residual(nn.Module):
    """Residual branches of two dense layers, without norms."""

    blocks: int = 10

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(32)(x.reshape(len(x), -1))
        for _ in range(self.blocks):
            x = x + nn.Dense(32)(nn.relu(nn.Dense(32)(x)))
        return nn.Dense(3)(x)


TANH = Chain(depth=12, width=64, activation=jnp.tanh)
HALF = Chain(depth=1, dtype=jnp.float16)
RELU = Chain()
SHIFTED = Chain(depth=3, activation=jax.nn.tanh, bias=3.0)
