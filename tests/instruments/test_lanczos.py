"""Lanczos finds the spectra of matrices whose spectra are known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.instruments.host_matrices import (
    matrix_singular_values,
    symmetric_eigenvalues,
)
from init_study.instruments.lanczos import (
    Tridiagonal,
    quadrature,
    ritz_values,
    tridiagonalize,
)


def with_eigenvalues(values, seed=0):
    """A dense symmetric matrix in float64."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    return basis @ np.diag(values) @ basis.T


@partial(jax.jit, static_argnums=2)
def sketch(matrix, start, steps):
    return tridiagonalize(lambda vector: matrix @ vector, start, steps)


def of(matrix, steps, seed=1):
    start = np.random.default_rng(seed).normal(size=len(matrix))
    single = (jnp.asarray(part, jnp.float32) for part in (matrix, start))
    return start, sketch(*single, steps)


def test_as_many_steps_as_rows_give_all_eigenvalues():
    values = [9.0, 4.0, 1.5, 0.5, -0.2, -3.0]
    _, found = of(with_eigenvalues(values), 10)
    assert found.diagonal.shape == (6,), "no more steps than rows"
    np.testing.assert_allclose(ritz_values(found), values, atol=1e-5)


def test_few_steps_give_the_ends_from_within():
    values = np.concatenate([[30.0, 20.0], np.linspace(1, -1, 57), [-10.0]])
    _, found = of(with_eigenvalues(values), 16)
    ritz = ritz_values(found)
    np.testing.assert_allclose(ritz[[0, 1, -1]], values[[0, 1, -1]], rtol=1e-4)
    assert (ritz <= values[:16] + 1e-4).all()
    assert (ritz[::-1] >= values[::-1][:16] - 1e-4).all()


@pytest.mark.parametrize("seed", range(5))
def test_where_directions_run_out_rounding_grows_to_no_eigenvalue(seed):
    """The Hessian of a net of zeros: of all parameters three biases have a curvature.

    What is left of them after three steps is rounding, and that lies along what was.
    """
    matrix = np.zeros((239, 239))
    matrix[5:8, 5:8] = np.eye(3) / 3 - 1 / 9
    _, found = of(matrix, 24, seed)
    ritz = ritz_values(found)
    np.testing.assert_allclose(np.nanmax(ritz), 1 / 3, rtol=1e-5)
    assert np.nanmin(ritz) > -1e-6


def test_no_eigenvalue_comes_twice_by_rounding():
    """Vectors that are not made orthogonal again find the great one anew."""
    values = np.concatenate([[1e4], np.linspace(0, 1, 49)])
    _, found = of(with_eigenvalues(values), 30)
    assert (ritz_values(found) > 10).sum() == 1


def test_the_quadrature_has_the_moments_of_the_start():
    values = np.linspace(-1, 2, 20)
    matrix = with_eigenvalues(values)
    start, found = of(matrix, 5)
    nodes, weights = quadrature(found)
    start /= np.linalg.norm(start)
    for power in range(10):
        wanted = start @ np.linalg.matrix_power(matrix, power) @ start
        assert (weights * nodes**power).sum() == pytest.approx(wanted, abs=1e-4)


def test_an_early_end_is_seen():
    matrix, start = jnp.diag(jnp.array([4.0, 1.0, 0.0])), jnp.array([2.0, 0.0, 0.0])
    found = sketch(matrix, start, 3)
    np.testing.assert_array_equal(ritz_values(found), [4, np.nan, np.nan])
    np.testing.assert_array_equal(ritz_values(found, beyond=0.0), [4, 0, 0])
    np.testing.assert_array_equal(quadrature(found).weights, [1, 0, 0])
    # Below zero what is missing is no greatest one.
    np.testing.assert_array_equal(
        ritz_values(sketch(-matrix, start, 3)), [-4, np.nan, np.nan]
    )
    np.testing.assert_array_equal(
        ritz_values(sketch(0 * matrix, start, 3)), [0, np.nan, np.nan]
    )


def test_one_row_is_its_eigenvalue():
    _, found = of(np.array([[-7.0]]), 4)
    assert ritz_values(found).tolist() == [-7] and quadrature(found).nodes == -7


def test_members_do_not_see_one_another():
    matrices = jnp.stack(
        [
            jnp.asarray(with_eigenvalues(np.linspace(1, n, 8)), jnp.float32)
            for n in (2, 5, 9)
        ]
    )
    matrices = matrices.at[1, 2, 3].set(jnp.nan)
    start = jnp.arange(1.0, 9.0)
    found = jax.jit(jax.vmap(lambda m: tridiagonalize(lambda v: m @ v, start, 8)))(
        matrices
    )
    ritz, (nodes, weights) = ritz_values(found), quadrature(found)
    assert np.isnan(ritz[1]).all() and np.isnan(nodes[1] + weights[1]).all()
    for member, greatest in ((0, 2), (2, 9)):
        wanted = np.linspace(1, greatest, 8)[::-1]
        np.testing.assert_allclose(ritz[member], wanted, rtol=1e-4)


def test_what_is_not_finite_is_nan_and_stays_with_its_matrix():
    stack = np.stack([np.diag([1.0, 3.0]), np.diag([np.inf, 1.0])])
    assert symmetric_eigenvalues(stack)[0].tolist() == [3, 1]
    assert np.isnan(symmetric_eigenvalues(stack)[1]).all()
    assert matrix_singular_values(-stack[:, :1])[0].tolist() == [1]
    assert np.isnan(matrix_singular_values(stack[:, :1])[1]).all()
    # No matrices, and what overflowed.
    assert symmetric_eigenvalues(np.zeros((0, 2, 2))).shape == (0, 2)
    overflown = Tridiagonal(np.array([1.0, np.inf]), np.zeros(2))
    assert np.isnan(ritz_values(overflown)).all()
