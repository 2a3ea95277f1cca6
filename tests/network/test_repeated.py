"""A function that is applied twice to one value is one function, and computed once."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.network import graph, trace

X = jnp.linspace(-3.0, 3.0, 13)


class Twice(nn.Module):
    """What follows the first layer is written down by each of its readers."""

    function: Callable

    @nn.compact
    def __call__(self, x):
        c = nn.Dense(4)(x)
        one, two = (nn.Dense(2, name=n)(self.function(c)) for n in ("one", "two"))
        return one + two


def gated(x):
    return x * nn.sigmoid(1.702 * x)


@pytest.mark.parametrize("function", [nn.silu, nn.relu, nn.gelu, gated])
def test_a_function_that_two_readers_apply_is_known(function):
    activation = trace(Twice(function), (3,)).layers[0].activation
    assert activation is not None
    np.testing.assert_allclose(activation(X), function(X), rtol=1e-5, atol=1e-6)


def test_two_functions_are_not_one():
    turns = iter([nn.silu, nn.relu] * 20)
    network = trace(Twice(lambda x: next(turns)(x)), (3,))
    assert network.layers[0].activation is None


@jax.custom_jvp
def passing(x):
    """Apply a ReLU whose gradient is that of the identity."""
    return jnp.maximum(x, 0)


passing.defjvp(lambda primals, tangents: (passing(*primals), tangents[0]))


@jax.custom_jvp
def stopping(x):
    return jnp.maximum(x, 0)


stopping.defjvp(lambda primals, tangents: (stopping(*primals), 0 * tangents[0]))


def test_the_same_numbers_with_other_gradients_are_computed_twice():
    """d/dx of passing is 1, of stopping 0, of both together 1; of passing twice 2."""

    def gradient(function):
        traced, _ = graph.make_graph(lambda p, x: function(x), {}, -1.0)
        run = lambda x: graph.compute(traced, {}, x, traced.outputs)[0]  # noqa: E731
        return float(jax.grad(run)(-1.0)), len(traced.nodes)

    assert gradient(lambda x: passing(x) + stopping(x)) == (1.0, 3)
    assert gradient(lambda x: passing(x) + passing(x)) == (2.0, 2)


def test_uses_of_a_kernel_are_counted_one_by_one():
    class Shared(nn.Module):
        @nn.compact
        def __call__(self, x):
            layer = nn.Dense(3)
            return layer(x) * jnp.tanh(layer(x))

    assert trace(Shared(), (3,)).layers[0].uses == 2
