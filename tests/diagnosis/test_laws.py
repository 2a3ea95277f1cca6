"""The law that numbers follow is found, or said to be not told by so few."""

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax import traverse_util

from init_study.diagnosis.law_families import find_family, follows
from init_study.diagnosis.laws import KERNEL, leaf_laws
from init_study.network import trace
from init_study.schemes import parse_scheme

NET = nn.Sequential(
    [
        nn.Conv(16, (3, 3)),
        nn.relu,
        nn.Conv(32, (5, 5)),
        nn.relu,
        nn.ConvTranspose(20, (4, 4), strides=(2, 2)),
    ]
)


def kernels(scheme, seed=0):
    network, recipe = trace(NET, (8, 8, 40)), parse_scheme(scheme)
    params = recipe(jax.random.key(seed), network)
    flat = traverse_util.flatten_dict(params)
    leaves = {path: np.asarray(leaf) for path, leaf in flat.items()}
    laws = leaf_laws(network, leaves, recipe.explain(network))
    return [law for law in laws if law.role == KERNEL]


@pytest.mark.parametrize(
    ("scheme", "name"),
    [
        ("he_normal", "he_normal"),
        ("he_uniform", "he_uniform"),
        ("he_truncated", "he_truncated"),
        ("he_fan_out", "he_fan_out"),
        ("lecun_normal", "lecun_normal"),
        ("xavier_normal", "xavier_normal"),
        ("flax", "Flax's default"),
        ("keras", "Keras's default"),
        ("torch", "PyTorch's default"),
        ("haiku", "Haiku's default"),
        ("tensorflow1", "TensorFlow 1's he_normal"),
        ("normal(0.02)", "normal(0.02)"),
        ("normal(0.01)", "normal(0.01)"),
        ("uniform", "uniform(0.05)"),
        ("orthogonal(1.5)", "orthogonal(gain=1.5)"),
        ("delta_orthogonal", "orthogonal(gain=1)"),
        ("rademacher", "rademacher"),
        ("laplace", "laplace"),
        ("mup_output", "mup_output"),
        ("ntk", "ntk"),
    ],
)
def test_a_law_is_named(scheme, name):
    laws = kernels(scheme)
    if "orthogonal" in scheme:
        laws = [law for law in laws if "transpose" not in str(law.path).lower()][:2]
    for law in laws:
        assert name in law.names, law


@pytest.mark.parametrize(
    ("scheme", "family"),
    [
        ("ones", "constant"),
        ("zeros", "zeros"),
        ("ternary", "ternary"),
        ("identity", "identity"),
    ],
)
def test_a_family_is_found(scheme, family):
    assert {law.family for law in kernels(scheme)[:2]} == {family}


def test_a_draw_is_seldom_taken_for_another_law():
    generator = np.random.default_rng(0)
    draws = {
        "normal": generator.normal,
        "uniform": lambda size: generator.uniform(-1, 1, size),
        "Laplace": lambda size: generator.laplace(size=size),
    }
    for name, draw in draws.items():
        for count in (10, 30, 100, 300, 1000):
            families = [find_family(draw(size=(1, count))).name for _ in range(40)]
            wrong = [one for one in families if one not in (name, "too few to tell")]
            assert len(wrong) <= 2, (name, count, wrong)
            assert count < 1000 or families.count(name) >= 38


def test_a_mean_is_found():
    numbers = np.random.default_rng(0).normal(1.0, 0.02, (1, 500))
    family = find_family(numbers)
    assert family.name in ("normal", "too few to tell")
    assert family.centre == pytest.approx(1.0, abs=0.01)
    one_sided = np.random.default_rng(0).uniform(0, 0.01, (20, 30))
    assert find_family(one_sided).name == "one-sided uniform"


def test_two_draws_of_one_law_are_alike_and_of_two_are_not():
    """Of 200 pairs p is below 1 % about twice; a law of twice the variance shows."""
    draw = np.random.default_rng(1).normal
    alike = [follows(draw(size=300), draw(size=300)) for _ in range(200)]
    assert sum(p < 0.01 for p in alike) <= 6 and min(alike) > 1e-5
    other = [follows(draw(size=300), 2**0.5 * draw(size=300)) for _ in range(50)]
    assert sum(p < 1e-3 for p in other) > 40
