"""An Equinox module is made by one program if it can be, and as it says if not."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.network import trace


class Drawn(eqx.Module):
    """Layers of several shapes, whole numbers, and a state."""

    order: jax.Array
    norm: eqx.nn.BatchNorm
    layers: list

    def __init__(self, *, key):
        self.order = jnp.array([2, 0, 1])
        self.norm = eqx.nn.BatchNorm(3, axis_name="images", mode="batch")
        keys = zip((3, 4, 5, 6, 7, 8), jax.random.split(key, 6), strict=True)
        self.layers = [eqx.nn.Linear(3, width, key=one) for width, one in keys]

    def __call__(self, x, state):
        x, state = self.norm(x[self.order], state)
        return sum(layer(x).mean() for layer in self.layers) + x, state


class Closure(eqx.Module):
    """An array, made in `__init__`, that only a function of its own holds."""

    layer: eqx.nn.Linear
    moved: Callable

    def __init__(self, *, key):
        self.layer = eqx.nn.Linear(3, 3, key=key)
        shift = jnp.arange(3.0) + 1
        self.moved = lambda x: x + shift

    def __call__(self, x):
        return self.moved(self.layer(x))


@pytest.fixture
def compiled():
    """List the programs that are compiled, by name."""
    found = []

    def note(event, duration_secs, **kwargs):
        del duration_secs
        if event.endswith("/backend_compile_duration"):
            found.append(str(kwargs.get("fun_name")))

    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)


def test_a_module_is_made_without_a_program_for_each_draw(compiled):
    """Its six layers have twelve draws, of eleven shapes."""
    network = trace(Drawn, (3,))
    assert len(network.layers) == 6
    assert not [name for name in compiled if "uniform" in name]


def test_a_module_that_keeps_what_was_traced_is_made_as_it_is():
    network = trace(Closure, (3,))
    params = network.own_init(jax.random.key(1))
    made = Closure(key=jax.random.key(0))
    images = jax.random.normal(jax.random.key(2), (4, 3))
    own = eqx.tree_at(
        lambda m: (m.layer.weight, m.layer.bias),
        made,
        (params["layer"]["weight"], params["layer"]["bias"]),
    )
    found, _ = network.apply(params, {}, images, train=False)
    np.testing.assert_allclose(found, jax.vmap(own)(images), rtol=1e-6)
