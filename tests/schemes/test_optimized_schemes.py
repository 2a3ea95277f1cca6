"""Schemes that optimize scales lower what they say they lower, and keep directions."""

import dataclasses
from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from init_study import initialize
from init_study.errors import UserError
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme
from init_study.schemes.optimized import gradient_quotient
from init_study.schemes.scheme import Cost, draw

IMAGES = jax.random.normal(jax.random.key(1), (16, 4, 4, 1))
LABELS = jnp.arange(16) % 3
BATCH = Batch(IMAGES, LABELS)
FEW = {"metainit": "metainit(60)", "gradinit": "gradinit(60)"}


class Net(nn.Module):
    """Two convolutions and a head."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(6, (3, 3))(x))
        x = nn.relu(nn.Conv(6, (3, 3), strides=2)(x))
        return nn.Dense(3)(x.reshape(len(x), -1))


@cache
def network():
    return trace(Net(), (4, 4, 1), 3)


def loss(params, images=IMAGES, labels=LABELS):
    logits = Net().apply({"params": params}, images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


@cache
def before_and_after(text):
    """Of five keys, [5, ...]: what is drawn, and what comes of it."""
    scheme, keys = parse_scheme(text), jax.random.split(jax.random.key(0), 5)
    drawn = jax.vmap(lambda key: draw(scheme.rules(network()), key, network()))(keys)
    refined = jax.jit(jax.vmap(lambda key: scheme(key, network(), BATCH)))
    return drawn, refined(jax.random.clone(keys))


def of_each(function, params):
    return np.asarray(jax.jit(jax.vmap(function))(params))


def after_one_step(params, size=0.1):
    gradient = jax.grad(loss)(params)
    norm = optax.tree.norm(gradient)
    stepped = jax.tree.map(lambda p, g: p - size * g / norm, params, gradient)
    return loss(stepped)


def test_gradient_quotient_is_the_papers_by_another_way():
    """H g by differences of gradients in float64; a loss that is linear has none."""
    with jax.enable_x64(True):
        params = {"w": jnp.array([0.3, -1.2, 0.7]), "v": jnp.array([[2.0]])}

        def quartic(p):
            return jnp.sum(p["w"] ** 4) / 4 + p["v"][0, 0] ** 2 * p["w"][0]

        gradient = jax.grad(quartic)(params)
        ahead, behind = (
            jax.grad(quartic)(
                jax.tree.map(lambda p, g, s=sign: p + s * 1e-6 * g, params, gradient)
            )
            for sign in (1, -1)
        )
        total = sum(
            np.abs((g - (a - b) / 2e-6) / (g + np.where(g >= 0, 1e-5, -1e-5)) - 1).sum()
            for g, a, b in zip(
                *map(jax.tree.leaves, (gradient, ahead, behind)), strict=True
            )
        )
        found = gradient_quotient(quartic, params)
        np.testing.assert_allclose(found, total / 4, rtol=1e-6)
        linear = gradient_quotient(lambda p: 3.0 * p["w"].sum() + p["v"].sum(), params)
        assert linear < 1e-4


def test_metainit_lowers_the_gradient_quotient():
    """The median over batches of noise, since single weights with g near zero make
    spikes; in most members, since the last step of momentum may be a bad one."""
    drawn, refined = before_and_after("metainit(100, rest='normal(0.7)')")
    noise = jax.random.normal(jax.random.key(7), (15, *IMAGES.shape))

    def quotient(params):
        def on(images):
            return gradient_quotient(lambda p: loss(p, images), params)

        return jnp.median(jax.vmap(on)(noise))

    before, after = of_each(quotient, drawn), of_each(quotient, refined)
    assert np.median(after / before) < 0.5, (before, after)


def test_gradinit_lowers_the_loss_behind_the_first_step():
    drawn, refined = before_and_after(FEW["gradinit"])
    before, after = of_each(after_one_step, drawn), of_each(after_one_step, refined)
    assert (after < before).all(), (before, after)
    assert (before - after).mean() > 0.03, (before, after)


def test_gradinit_bounds_the_gradient():
    """Begun with weights far too large."""
    text = "gradinit(150, rate=0.02, rest='normal(2.0)')"
    drawn, refined = before_and_after(text)

    def norm(params):
        return optax.tree.norm(jax.grad(loss)(params))

    before, after = of_each(norm, drawn), of_each(norm, refined)
    assert (before > 3).all()
    assert (after < 2).all(), (before, after)


@pytest.mark.parametrize("name", FEW)
def test_directions_stay(name):
    drawn, refined = map(traverse_util.flatten_dict, before_and_after(FEW[name]))
    for path, leaf in drawn.items():
        one, two = leaf.reshape(5, -1), refined[path].reshape(5, -1)
        scale = jnp.linalg.norm(two, axis=1) / jnp.linalg.norm(one, axis=1)
        scale = jnp.nan_to_num(scale)[:, None]
        np.testing.assert_allclose(two, one * scale, rtol=1e-4, atol=1e-7)
        if path[-1] == "kernel":
            assert (scale > 0).all()
            assert (jnp.abs(scale - 1) > 1e-3).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_one_member_is_what_it_is_among_others(name):
    scheme = parse_scheme(FEW[name])
    keys = jax.random.split(jax.random.key(0), 5)
    alone = jax.jit(lambda key: scheme(key, network(), BATCH))(keys[1])
    _, together = before_and_after(FEW[name])
    for one, many in zip(*map(jax.tree.leaves, (alone, together)), strict=True):
        np.testing.assert_allclose(one, many[1], rtol=2e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_zeros_have_no_scale_to_be_found(name):
    """And nothing becomes NaN by it."""
    scheme = parse_scheme(f"{name}(3, rest='zeros')")
    params = jax.jit(lambda key: scheme(key, network(), BATCH))(jax.random.key(0))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(params))


def test_costs_and_changes_are_declared():
    assert parse_scheme("metainit(7)").cost(network()) == Cost(7, 35)
    assert parse_scheme("gradinit(7)").cost(network()) == Cost(14, 28)
    said = parse_scheme("gradinit(7)").explain(network())
    assert said["Conv_0", "kernel"] == "he_normal, then GradInit, 7 steps"
    said = parse_scheme("metainit(7)").explain(network())
    assert said["Dense_0", "kernel"] == "he_normal, then MetaInit, 7 steps"
    assert said["Dense_0", "bias"] == "zeros"


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("metainit(0)", "steps=0 is not a positive whole number"),
        ("metainit(2.5)", "steps=2.5 is not a positive whole number"),
        ("metainit(momentum=2)", "momentum=2 is not a finite number of at least 0"),
        ("gradinit(rate=0)", "rate=0 is not a finite number above 0"),
        ("gradinit(largest='x')", "largest='x' is not a finite number above 0"),
    ],
)
def test_what_makes_no_sense_is_one_line(text, words):
    with pytest.raises(UserError, match=words):
        parse_scheme(text)


def test_gradinit_needs_a_batch_with_labels_that_can_be_split():
    scheme = parse_scheme("gradinit(2)")
    for batch, words in (
        (None, "looks at labels"),
        (Batch(IMAGES), "looks at labels"),
        (Batch(IMAGES[:3], LABELS[:3]), "splits its batch in four, and got 3 images"),
    ):
        with pytest.raises(UserError, match=words):
            scheme(jax.random.key(0), network(), batch)


def test_gradinit_goes_on_after_a_gradient_that_is_not_finite():
    """One of eight images is broken, and six of them meet in a step: three of four
    steps are lost, and the others still count."""
    images = IMAGES[:8].at[0].set(jnp.inf)
    batch = Batch(images, LABELS[:8])
    scheme = parse_scheme("gradinit(40, rest='normal(0.7)')")
    params = jax.jit(lambda key: scheme(key, network(), batch))(jax.random.key(0))
    plain = parse_scheme("normal(0.7)")(jax.random.key(0), network())
    kernel, drawn = params["Conv_0"]["kernel"], plain["Conv_0"]["kernel"]
    scale = jnp.linalg.norm(kernel) / jnp.linalg.norm(drawn)
    assert jnp.isfinite(kernel).all()
    assert abs(scale - 1) > 0.03


@pytest.mark.parametrize(
    "name", ["metainit(steps=2)", "gradinit(steps=2)", "krahenbuhl"]
)
def test_no_label_feeds_a_random_key(name):
    """A reworded scheme draws what it drew."""
    scheme = parse_scheme(name)
    steps = tuple(s._replace(name="reworded") for s in scheme.refinements)
    reworded = dataclasses.replace(scheme, refinements=steps)
    drawn = [one(jax.random.key(0), network(), BATCH) for one in (scheme, reworded)]
    jax.tree.map(np.testing.assert_array_equal, *drawn)
    assert len({step.stream for step in steps}) == len(steps)


@pytest.mark.parametrize("text", ["metainit(1)", "gradinit(1)"])
def test_a_module_that_gives_maps_has_no_loss(text):
    images, labels = jnp.ones((8, 4, 4, 1)), np.zeros(8, np.int32)
    with pytest.raises(UserError, match=r"shape \[\d, 4, 4, 2\].*with its head"):
        initialize(nn.Conv(2, (3, 3)), images, text, jax.random.key(0), labels=labels)
