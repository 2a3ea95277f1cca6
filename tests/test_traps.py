"""Traps that others walk into, each shown, and that there is none here."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util

from init_study.initializers import he_normal, orthogonal
from init_study.network import trace
from init_study.schemes import parse_scheme

IMAGES = jax.random.normal(jax.random.key(1), (12, 6, 6, 2))
LABELS = jnp.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2])


class Net(nn.Module):
    """Two convolutions and a head."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(6, (3, 3))(x))
        x = nn.relu(nn.Conv(6, (3, 3))(x))
        return nn.Dense(3)(x.reshape(len(x), -1))


def loss(params):
    logits = Net().apply({"params": params}, IMAGES)
    return optax.softmax_cross_entropy_with_integer_labels(logits, LABELS).mean()


def trained(params, steps=60):
    def step(params, _):
        gradient = jax.grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.3 * g, params, gradient), None

    return jax.jit(lambda p: jax.lax.scan(step, p, None, steps)[0])(params)


def test_one_key_for_two_shapes_gives_one_stream_of_numbers():
    """In JAX, whatever the shape. Here each parameter has the key of its path."""
    small = jax.random.normal(jax.random.key(0), (3, 3, 2, 6)).ravel()
    large = jax.random.normal(jax.random.key(0), (3, 3, 6, 6)).ravel()
    assert (small == large[: small.size]).all()
    params = parse_scheme("he_normal")(jax.random.key(0), trace(Net(), (6, 6, 2), 3))
    first = params["Conv_0"]["kernel"].ravel() * (18 / 2) ** 0.5
    second = params["Conv_1"]["kernel"].ravel() * (54 / 2) ** 0.5
    assert not np.isclose(first, second[: first.size]).any()


def test_all_zeros_learn_the_class_frequencies_and_nothing_else():
    """Only the last bias ever has a gradient; the loss stops at the entropy of the
    labels."""
    params = parse_scheme("zeros")(jax.random.key(0), trace(Net(), (6, 6, 2), 3))
    gradient = traverse_util.flatten_dict(jax.jit(jax.grad(loss))(params))
    moved = {path for path, leaf in gradient.items() if np.asarray(leaf).any()}
    assert moved == {("Dense_0", "bias")}
    after = trained(params, 400)
    flat = traverse_util.flatten_dict(after)
    assert all(not leaf.any() for path, leaf in flat.items() if path not in moved)
    shares = np.array([6, 4, 2]) / 12
    entropy = -np.sum(shares * np.log(shares))
    np.testing.assert_allclose(loss(after), entropy, atol=1e-4)


def test_constants_stay_symmetric():
    """Every channel of a layer remains a copy of the first."""
    net = trace(Net(), (6, 6, 2), 3)
    after = trained(parse_scheme("constant(0.05)")(jax.random.key(0), net))
    for name in ("Conv_0", "Conv_1"):
        kernel = np.asarray(after[name]["kernel"])
        np.testing.assert_allclose(
            kernel, kernel[..., :1] * np.ones(6), rtol=1e-4, atol=1e-6
        )
        assert np.abs(kernel - 0.05).max() > 1e-3
    drawn = trained(parse_scheme("he_normal")(jax.random.key(0), net))
    kernel = np.asarray(drawn["Conv_1"]["kernel"]).reshape(-1, 6)
    assert np.linalg.matrix_rank(kernel) == 6


def test_an_initializer_object_is_not_a_stream():
    """Two layers with one initializer object and one shape differ: the key decides."""
    shared = he_normal()

    class Twins(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Dense(4, kernel_init=shared)(x)
            return nn.Dense(4, kernel_init=shared)(x)

    params = Twins().init(jax.random.key(0), jnp.ones((1, 4)))["params"]
    assert (params["Dense_0"]["kernel"] != params["Dense_1"]["kernel"]).all()


def test_an_initializer_that_comes_late_does_nothing_in_flax_either():
    """A module's `kernel_init` counts when it is initialized; `initialize` sets the
    numbers."""
    module = nn.Dense(4)
    before = module.init(jax.random.key(0), jnp.ones((1, 4)))["params"]["kernel"]
    later = module.clone(kernel_init=nn.initializers.zeros_init())
    assert before.any()
    assert (
        later.apply(
            {"params": {"kernel": before, "bias": jnp.zeros(4)}}, jnp.ones((1, 4))
        )
        != 0
    ).any()


def test_decompositions_compile_once_for_all_draws():
    """A loop over members, made anew by every call, would be compiled anew as well;
    populations are drawn outside of `jit`."""
    init = orthogonal()
    draw = jax.vmap(lambda key: init(key, (3, 3, 3, 5)))
    compiled = []

    def note(event, duration, **_):
        if "backend_compile" in event:
            compiled.append(event)

    first, second = (jax.random.split(jax.random.key(seed), 3) for seed in (0, 1))
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        draw(first)
        before = len(compiled)
        draw(second)
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert before > 0 and len(compiled) == before
