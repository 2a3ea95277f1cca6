"""Spectra of Hessians are those of quadratics that were given them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.hessian_spectra import (
    HessianSketch,
    hessian_ends,
    sketch_hessian,
    smoothed_density,
    spectral_density,
)
from init_study.instruments.lanczos import Quadrature, Tridiagonal

RNG = np.random.default_rng(0)
BASIS = np.linalg.qr(RNG.normal(size=(40, 40)))[0]
VALUES = np.concatenate([[10.0, 8.0], np.linspace(1.0, -1.0, 37), [-5.0]])
FORM = jnp.asarray(BASIS @ np.diag(VALUES) @ BASIS.T, jnp.float32)
PARAMS = {"kernel": jnp.ones((4, 5)), "bias": jnp.ones(20)}


def quadratic(params):
    flat = jnp.concatenate([params["bias"], params["kernel"].ravel()])
    return flat @ FORM @ flat / 2


def start():
    """Always the same key, which may be used once."""
    return jax.random.key(7)


# 9 · 4 products are fewer than 40 parameters, 10 · 4 are not.
@jax.jit
def by_lanczos(params):
    return sketch_hessian(quadratic, params, start(), steps=9, probes=4)


@jax.jit
def whole(params):
    return sketch_hessian(quadratic, params, start(), steps=10, probes=4)


def test_few_parameters_are_exact():
    sketch = whole(PARAMS)
    ends = hessian_ends(sketch, count=40)
    assert ends.exact
    np.testing.assert_allclose(ends.greatest, VALUES, atol=1e-5)
    np.testing.assert_allclose(ends.least, VALUES[::-1], atol=1e-5)
    nodes, weights = spectral_density(sketch)
    for power in (0, 1, 2, 3):
        found = (weights * nodes**power).sum()
        assert found == pytest.approx((VALUES**power).mean(), rel=1e-4)


def test_the_ends_of_many_are_found_from_within():
    ends = hessian_ends(by_lanczos(PARAMS), count=2)
    assert not ends.exact
    np.testing.assert_allclose(ends.greatest, VALUES[:2], rtol=1e-3)
    assert ends.least[0] == pytest.approx(-5, rel=1e-3)
    assert (ends.greatest <= VALUES[:2] + 1e-4).all() and ends.least[0] >= -5.0001
    assert ends.least[1] >= -1.0001


def test_of_several_starts_each_place_takes_the_outermost():
    """The first start ended after one step, and knows nothing of a second value."""
    diagonal = np.array([[4.0, 0.0], [3.0, 1.0]])
    found = Tridiagonal(diagonal, np.zeros((2, 2)))
    ends = hessian_ends(HessianSketch(np.zeros((0, 0)), found), count=2)
    assert ends.greatest.tolist() == [4, 1] and ends.least.tolist() == [1, 3]


def test_the_density_of_many_has_the_moments_within_their_error():
    """For v from the sphere in n dimensions vᵀ A v has the mean tr A / n and the
    variance 2 (tr A² − (tr A)² / n) / (n (n + 2))."""
    nodes, weights = spectral_density(by_lanczos(PARAMS))
    assert nodes.shape == (36,) and weights.sum() == pytest.approx(1)
    for power in (1, 2, 3):
        own = VALUES**power
        error = np.sqrt(2 * (own**2).sum() - 2 * own.sum() ** 2 / 40) / 41 / 2
        assert abs((weights * nodes**power).sum() - own.mean()) < 3 * error


def test_the_sharpness_of_a_linear_net_is_that_of_its_data():
    inputs, targets = RNG.normal(size=(6, 4)), RNG.normal(size=6)

    def loss(weights):
        x, y = (jnp.asarray(part, jnp.float32) for part in (inputs, targets))
        return jnp.mean((x @ weights - y) ** 2) / 2

    wanted = np.linalg.eigvalsh(inputs.T @ inputs / 6)[-1]
    for steps, exact in ((4, True), (3, False)):
        sketch = sketch_hessian(loss, jnp.ones(4), start(), steps=steps, probes=1)
        ends = hessian_ends(sketch)
        # Three steps of four cannot be that near but by a gap.
        assert ends.exact == exact
        assert ends.greatest[0] == pytest.approx(wanted, rel=1e-3 if exact else 0.05)


def test_members_side_by_side_are_members_alone_and_nan_stays_with_its_own():
    """A loss whose curvature is each member's own scale."""

    def measure(scale, steps):
        return sketch_hessian(
            lambda w: scale * (jnp.arange(12.0) * w**2).sum() / 2,
            jnp.ones(12),
            start(),
            steps=steps,
            probes=1,
        )

    scales = jnp.array([1.0, jnp.nan, -3.0])
    for steps in (11, 12):
        of_all = jax.jit(jax.vmap(lambda scale, n=steps: measure(scale, n)))(scales)
        ends, density = hessian_ends(of_all), spectral_density(of_all)
        wanted = [[11.0], [np.nan], [0.0]]
        # A step fewer than there are eigenvalues misses by little.
        tolerance = 1e-5 if steps == 12 else 0.3
        np.testing.assert_allclose(ends.greatest, wanted, atol=tolerance)
        wanted = [[0.0], [np.nan], [-33.0]]
        np.testing.assert_allclose(ends.least, wanted, atol=3 * tolerance)
        assert np.isnan(density.nodes[1]).all() and np.isnan(density.weights[1]).all()
        alone = hessian_ends(jax.jit(lambda n=steps: measure(jnp.float32(-3), n))())
        np.testing.assert_allclose(ends.least[2], alone.least, rtol=1e-4)


def test_a_loss_of_kinks_has_one_eigenvalue_which_is_zero():
    params = jnp.array([0.5, -2.0, 3.0])
    sketch = sketch_hessian(
        lambda w: jnp.abs(w).sum(), params, start(), steps=2, probes=1
    )
    ends, density = hessian_ends(sketch, count=2), spectral_density(sketch)
    np.testing.assert_array_equal(ends.greatest, [0, np.nan])
    np.testing.assert_array_equal(ends.least, [0, np.nan])
    np.testing.assert_array_equal(density.weights, [1, 0])


def test_one_parameter_is_its_own_curvature():
    sketch = sketch_hessian(lambda w: -2 * w**2, jnp.ones(()), start())
    assert hessian_ends(sketch) == ([-4], [-4], True)


def test_a_smoothed_density_is_bells():
    density = Quadrature(np.array([[-1.0, 3.0]]), np.array([[0.25, 0.75]]))
    places = np.linspace(-9, 9, 3601)
    curve = smoothed_density(density, places, width=0.5)
    assert curve.shape == (1, 3601)
    assert curve.sum() * 0.005 == pytest.approx(1, rel=1e-6)
    assert (curve[0] * places).sum() * 0.005 == pytest.approx(2, rel=1e-6)
    assert places[curve.argmax()] == pytest.approx(3, abs=0.01)


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match=r"count=10 is more than the 9 .* more steps"):
        hessian_ends(by_lanczos(PARAMS), count=10)
    with pytest.raises(UserError, match="steps=0"):
        sketch_hessian(quadratic, PARAMS, start(), steps=0)
    with pytest.raises(UserError, match=r"shape \(3,\)"):
        sketch_hessian(lambda w: w, jnp.ones(3), start())
    with pytest.raises(UserError, match="width=0"):
        smoothed_density(Quadrature(np.ones(1), np.ones(1)), np.ones(1), width=0)
