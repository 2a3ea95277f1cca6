"""Kernels of known rank have it; cosines are those of the angles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.instruments.filters import filter_cosines, kernel_ranks


def test_an_orthogonal_kernel_has_every_rank_full():
    columns, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(18, 5)))
    kernel = 0.3 * columns.reshape(3, 3, 2, 5)
    for rank in kernel_ranks(kernel[None]):
        np.testing.assert_allclose(rank, 5, rtol=1e-12)


def test_a_kernel_of_rank_one_has_one():
    rng = np.random.default_rng(1)
    kernel = np.multiply.outer(rng.normal(size=(3, 3, 2)), rng.normal(size=4))
    for rank in kernel_ranks(kernel[None]):
        np.testing.assert_allclose(rank, 1, rtol=1e-9)


def test_ranks_are_those_of_chosen_singular_values():
    """With σ = 4, 2, 2: shares ½, ¼, ¼, whose entropy is 1.5 ln 2."""
    rng = np.random.default_rng(2)
    left, _ = np.linalg.qr(rng.normal(size=(7, 3)))
    right, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = left @ np.diag([4.0, 2.0, 2.0]) @ right.T
    # Scale is no matter, even where float32 has no squares.
    kernels = np.stack([matrix, 1e-30 * matrix]).astype(np.float32)
    ranks = kernel_ranks(kernels)
    np.testing.assert_allclose(ranks.effective, 2**1.5, rtol=1e-6)
    np.testing.assert_allclose(ranks.stable, 24 / 16, rtol=1e-6)
    np.testing.assert_allclose(ranks.participation, 24**2 / (256 + 32), rtol=1e-6)


def test_a_broken_member_leaves_the_others():
    kernels = np.stack([np.eye(3), np.full((3, 3), np.nan), np.zeros((3, 3))])
    for rank in kernel_ranks(jnp.asarray(kernels, jnp.float32)):
        np.testing.assert_allclose(rank, [3, np.nan, 0], rtol=1e-12)


@pytest.mark.wrong_types
@pytest.mark.parametrize("shape", [(3,), (0, 3, 2), (2, 0, 3)])
def test_what_is_no_kernel_is_refused(shape):
    with pytest.raises(UserError, match="are no kernels: give"):
        kernel_ranks(np.ones(shape))


def test_one_parameter_has_rank_one():
    assert [rank.tolist() for rank in kernel_ranks(np.full((1, 1, 1), -2.0))] == [
        [1.0],
        [1.0],
        [1.0],
    ]


def reference(kernel):
    """Cosines of all pairs of columns, in float64 and pair by pair."""
    columns = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1]).T
    return [
        a @ b / np.sqrt((a @ a) * (b @ b))
        for i, a in enumerate(columns)
        for b in columns[:i]
    ]


def test_cosines_are_those_of_every_pair():
    kernel = np.random.default_rng(3).normal(size=(2, 3, 3, 2, 6)).astype(np.float32)
    found = jax.jit(jax.vmap(filter_cosines))(jnp.asarray(kernel))
    for member in range(2):
        wanted = reference(kernel[member])
        one = [cosine[member] for cosine in found]
        kept = [np.min(wanted), np.mean(wanted), np.max(wanted)]
        np.testing.assert_allclose(one, kept, atol=1e-6)


def test_copies_and_mirrored_filters_stand_out():
    kernel = np.random.default_rng(4).normal(size=(3, 3, 1, 4)).astype(np.float32)
    kernel[..., 2] = 5 * kernel[..., 0]
    kernel[..., 3] = -kernel[..., 1]
    found = filter_cosines(jnp.asarray(1e-25 * kernel))
    assert found.greatest == pytest.approx(1, abs=1e-6)
    assert found.least == pytest.approx(-1, abs=1e-6)


def test_filters_of_zeros_have_no_angle():
    kernel = jnp.array([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    assert filter_cosines(kernel).mean == pytest.approx(np.sqrt(0.5))
    assert np.isnan(filter_cosines(kernel[:, :2])).all()
    assert np.isnan(filter_cosines(kernel.at[0, 0].set(jnp.nan))).all()


def test_one_filter_has_no_pair():
    with pytest.raises(UserError, match="1 vector has no pair"):
        filter_cosines(jnp.ones((3, 3, 2, 1)))
