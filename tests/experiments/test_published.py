"""What the published results' rules are made of, against numbers of other sources."""

import re
from math import inf, log, pi
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.published import (
    RESULTS,
    edge_of_chaos,
    glorot_jacobian,
    mode_connectivity,
    thousand_seeds,
    trainable_boundary,
)
from init_study import initialize
from init_study.answers.claims.evidence import Evidence
from init_study.answers.claims.quantities import Accuracy
from init_study.initializers import torch_kernel, xavier_uniform
from init_study.network import trace

DOCS = Path(__file__).parents[2] / "docs" / "why" / "claims.md"
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(120)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def depth_scale_by_iteration(sigma_w2, sigma_b2):
    """ξ of tanh, from the maps themselves: iterate q and c, then the slope at c*.

    Correlated pairs are x = √q z and y = √q (c z + √(1 − c²) w), by quadrature.
    """
    q = 1.0
    for _ in range(2000):
        q = sigma_w2 * WEIGHTS @ np.tanh(q**0.5 * NODES) ** 2 + sigma_b2
    z, w = np.meshgrid(NODES, NODES, indexing="ij")
    both, c, x = np.outer(WEIGHTS, WEIGHTS), 0.5, q**0.5 * z
    for _ in range(300):
        y = q**0.5 * (c * z + (1 - c**2) ** 0.5 * w)
        found = (both * np.tanh(x) * np.tanh(y)).sum()
        c = min(1.0, (sigma_w2 * found + sigma_b2) / q)
    y = q**0.5 * (c * z + (1 - c**2) ** 0.5 * w)
    slopes = (both / np.cosh(x) ** 2 / np.cosh(y) ** 2).sum()
    return -1 / log(sigma_w2 * slopes)


@pytest.mark.parametrize("sigma_w2", [1.0, 4.0])
def test_the_trainable_depth_is_six_times_the_depth_scale(sigma_w2):
    """Ordered, where c* is 1 and ξ is 3.6; and chaotic, where c* is below 1."""
    expected = depth_scale_by_iteration(sigma_w2, 0.05)
    found = edge_of_chaos.trainable_depth(sigma_w2)
    assert found == pytest.approx(6 * expected, rel=1e-3)


@pytest.mark.parametrize(
    ("sigma_w2", "scale"),
    [(1.0, 3.6), (1.3, 7.8), (1.5, 15.8), (1.7, 75), (1.76, 4900)],
)
def test_the_depth_scale_diverges_at_the_edge(sigma_w2, scale):
    """−1 / log χ1 on the ordered side, for σ_b² = 0.05."""
    found = edge_of_chaos.trainable_depth(sigma_w2)
    assert found == pytest.approx(6 * scale, rel=0.02)


def test_only_critical_nets_are_predicted_to_train_at_any_depth():
    trains = {}
    for quantity, _, high in edge_of_chaos.RESULT.predictions:
        assert isinstance(quantity, Accuracy) and quantity.split == "train"
        trains[quantity.of.scheme, dict(quantity.of.where)["depth"]] = high == inf
    assert len(trains) == 6
    assert {place for place, learns in trains.items() if not learns} == {
        ("gaussian(1, 0.05)", 100),
        ("gaussian(4, 0.05)", 100),
    }


def test_the_dense_net_has_its_depth_in_hidden_layers():
    network = trace(edge_of_chaos.PlainDense(10, 3, 5), (8, 8, 1))
    shapes = [layer.kernel_shape for layer in network.layers]
    assert shapes == [(64, 5), (5, 5), (5, 5), (5, 10)]


@pytest.mark.parametrize(
    ("law", "variance"), [(torch_kernel(), 1 / 3), (xavier_uniform(), 1.0)]
)
def test_jacobians_of_small_signals_have_the_singular_values_of_their_weights(
    law, variance, monkeypatch
):
    """8 / 3π of √(n Var): the mean of the quarter-circle law, as n grows."""
    monkeypatch.setattr(glorot_jacobian, "_MEAN_SQUARE", 1e-8)
    monkeypatch.setattr(glorot_jacobian, "_WIDTH", 300)
    found = glorot_jacobian._mean_singular_value(law, seed=0)
    assert found == pytest.approx(8 / (3 * pi) * variance**0.5, rel=0.01)


@pytest.mark.parametrize(
    ("accuracy", "depth"),
    [
        ([0.9, 0.9, 0.3, 0.1, 0.1], (32 * 64) ** 0.5),
        ([0.9, 0.2, 0.1, 0.1, 0.1], 16),
        # It does not come back: the first fall counts.
        ([0.9, 0.3, 0.1, 0.9, 0.1], (16 * 32) ** 0.5),
        ([0.9] * 5, 128),
        ([0.1] * 5, 8),
    ],
)
def test_a_boundary_lies_between_two_depths_on_a_logarithmic_scale(accuracy, depth):
    found = trainable_boundary.last_depth(np.array(accuracy))
    assert found == pytest.approx(depth)


def test_the_spread_of_seeds_is_that_of_each_hundred(monkeypatch):
    seeds = np.r_[np.linspace(0.5, 0.6, 100), np.linspace(0.9, 0.1, 100)]
    monkeypatch.setattr(Accuracy, "values", lambda self, evidence: seeds)
    quantity = thousand_seeds.RESULT.predictions[0].quantity
    assert quantity.values(Evidence({}, {})) == pytest.approx([0.1, 0.8])


def test_pairs_have_a_barrier_only_where_they_part(monkeypatch):
    """At a rate at which a step leads anywhere, two orders end in two places."""
    monkeypatch.setattr(mode_connectivity, "_NET", {"depth": 2, "width": 3})
    monkeypatch.setattr(mode_connectivity, "_RATE", 3.0)
    assert mode_connectivity.barriers(3, 3, [1, 2]) == [0.0, 0.0]
    assert mode_connectivity.barriers(0, 3, [1, 2]) != [0.0, 0.0]


def test_the_deep_relu_net_is_the_linear_one_that_it_begins_as():
    """Mirrored kernels: the hidden layers of x and of −x differ by 2 W x."""
    module = edge_of_chaos.PlainDense(2, 3, 8, "relu")
    images = np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 4, 4, 1)
    drawn = initialize(module, images, "looks_linear", jax.random.key(0))
    there, back, middle = (
        np.asarray(module.apply(drawn, x)) for x in (images, -images, 0 * images)
    )
    assert np.abs(there).max() > 0.01
    np.testing.assert_allclose(there + back, 2 * middle, atol=1e-5)


def test_the_documentation_tells_every_result_as_its_file_does():
    rows = re.findall(r"^\| \[(\w+)\]\((\S+)\)(.*)\|$", DOCS.read_text(), re.MULTILINE)
    assert [name for name, _, _ in rows] == list(RESULTS)
    for name, path, cells in rows:
        *_, says, verdict = (
            cell.strip(" *") for cell in cells.split("|") if cell.strip()
        )
        assert (DOCS.parent / path).resolve().stem == name
        assert says == RESULTS[name].RESULT.text
        assert f"Measured: {verdict}" in RESULTS[name].__doc__
