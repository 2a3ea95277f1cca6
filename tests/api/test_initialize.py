"""A module is traced once for all schemes; what may change is traced anew."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import init_study.api.initialize as of_api
from init_study import initialize
from init_study.errors import UserError

KEY = jax.random.key(0)


@pytest.fixture
def kept():
    """The store of traced modules, empty."""
    of_api._trace_once.cache_clear()
    yield of_api._trace_once.cache_info
    of_api._trace_once.cache_clear()


def test_a_second_scheme_finds_the_module_traced(kept):
    images = jnp.ones((2, 4))
    first = initialize(nn.Dense(3), images, "he_normal", KEY)
    again = initialize(nn.Dense(3), images, "zeros", KEY)
    assert (kept().misses, kept().hits) == (1, 1)
    assert first["params"]["kernel"].any() and not again["params"]["kernel"].any()
    initialize(nn.Dense(5), images, "zeros", KEY)
    initialize(nn.Dense(5), jnp.ones((2, 7)), "zeros", KEY)
    assert (kept().misses, kept().hits) == (3, 1)


def test_a_module_that_may_change_is_traced_anew(kept):
    net = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    for _ in range(2):
        initialize(net, jnp.ones((2, 4)), "zeros", KEY)
    assert kept().misses == kept().hits == 0


def test_the_output_that_counts_can_be_said():
    class Two(nn.Module):
        @nn.compact
        def __call__(self, x):
            return {"logits": nn.Dense(3)(x), "aux": nn.Dense(2)(x)}

    said = of_api.explain(Two(), jnp.ones((2, 4)), "zero_head", output="aux")
    assert said["Dense_1/kernel"].startswith("zeros")
    assert not said["Dense_0/kernel"].startswith("zeros")
    with pytest.raises(UserError, match="side"):
        of_api.explain(Two(), jnp.ones((2, 4)), "zero_head", output="side")
