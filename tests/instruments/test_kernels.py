"""Tangent kernels are those of nets whose kernels are known on paper."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.conv import convolve
from init_study.errors import UserError
from init_study.instruments.kernels import (
    kernel_alignment,
    kernel_change,
    kernel_spectrum,
    sum_of_logits_kernel,
    tangent_kernel,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 4))
FIRST, SECOND = RNG.normal(size=(4, 5)), RNG.normal(size=(5, 2))
PARAMS = {
    "first": jnp.asarray(FIRST, jnp.float32),
    "second": jnp.asarray(SECOND, jnp.float32),
}
LABELS = np.array([0, 1, 0])


def net(params):
    """tanh(X W) V: one hidden layer."""
    hidden = jnp.tanh(jnp.asarray(IMAGES, jnp.float32) @ params["first"])
    return hidden @ params["second"]


def kernel_on_paper(first, second):
    """δ_ab φ(h_i)·φ(h_j) + x_i·x_j Σ_m V_ma V_mb φ'(h_im) φ'(h_jm)."""
    hidden = np.tanh(IMAGES @ first)
    slopes = 1 - hidden**2
    upper = np.kron(hidden @ hidden.T, np.eye(second.shape[1]))
    lower = np.einsum(
        "ij,ma,mb,im,jm->iajb", IMAGES @ IMAGES.T, second, second, slopes, slopes
    )
    return upper + lower.reshape(upper.shape)


@partial(jax.jit, static_argnums=(1, 2))
def of_net(params, rows=1, most_numbers=1000):
    return tangent_kernel(net, params, rows=rows, most_numbers=most_numbers)


def test_the_kernel_of_a_linear_model_is_its_gram_matrix_for_each_output():
    inputs = jnp.asarray(IMAGES, jnp.float32)
    found = tangent_kernel(lambda w: inputs @ w, jnp.ones((4, 2)))
    wanted = np.kron(IMAGES @ IMAGES.T, np.eye(2))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


# 6 outputs by 30 parameters.
@pytest.mark.parametrize("most_numbers", [180, 179])
@pytest.mark.parametrize("rows", [1, 4, 100])
def test_the_kernel_of_one_hidden_layer_has_its_closed_form(rows, most_numbers):
    wanted = kernel_on_paper(FIRST, SECOND)
    found = of_net(PARAMS, rows, most_numbers)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("form", ["canonical", "patches"])
def test_fast_convolutions_have_the_kernel_of_slow_ones(form):
    """Of a convolution by one weight in each place, and a mean: by its patches."""
    images = RNG.normal(size=(2, 4, 4, 1))
    patches = np.stack(
        [images[:, i : i + 3, j : j + 3, 0].mean((1, 2)) for i, j in np.ndindex(2, 2)]
    )

    def outputs(kernel):
        made = convolve(jnp.asarray(images, jnp.float32), kernel, form=form)
        return made.mean((1, 2))

    for most in (100, 0):
        found = tangent_kernel(outputs, jnp.ones((2, 2, 1, 1)), most_numbers=most)
        np.testing.assert_allclose(found, patches.T @ patches, rtol=1e-4)


def test_the_sum_of_logits_sums_over_outputs():
    blocks = kernel_on_paper(FIRST, SECOND).reshape(3, 2, 3, 2)
    found = jax.jit(lambda p: sum_of_logits_kernel(net, p))(PARAMS)
    np.testing.assert_allclose(found, blocks.sum((1, 3)), rtol=1e-3, atol=1e-4)
    # Of probabilities nothing is left.
    flat = sum_of_logits_kernel(lambda p: jax.nn.softmax(net(p)), PARAMS)
    assert np.abs(flat).max() < 1e-6


def test_the_spectrum_is_that_of_the_matrix():
    found = kernel_spectrum(of_net(PARAMS))
    values = np.linalg.eigvalsh(kernel_on_paper(FIRST, SECOND))[::-1]
    np.testing.assert_allclose(found.eigenvalues, values, rtol=1e-3)
    assert found.condition == pytest.approx(values[0] / values[-1], rel=1e-3)
    assert found.trace == pytest.approx(values.sum(), rel=1e-4)


def test_odd_kernels_have_their_numbers():
    kernels = np.stack(
        [np.diag([2.0, 1e-9]), np.zeros((2, 2)), np.diag([np.nan, 1.0]), np.eye(2)]
    )
    found = kernel_spectrum(kernels)
    np.testing.assert_array_equal(found.condition, [np.inf, np.nan, np.nan, 1])
    np.testing.assert_array_equal(found.trace, [2 + 1e-9, 0, np.nan, 2])
    moved = kernel_change(kernels, kernels + np.eye(2))
    np.testing.assert_allclose(moved, [1 / np.sqrt(2), np.inf, np.nan, 1])
    assert np.isnan(kernel_change(kernels[1], kernels[1]))
    aligned = kernel_alignment(kernels, np.array([0, 1]), classes=1 + 1)
    assert np.isnan(aligned[[1, 2]]).all()


def test_alignment_is_one_along_the_labels_and_nothing_where_all_are_alike():
    hot = np.eye(2)[LABELS]
    targets = hot - hot.mean(0)
    whole = np.outer(targets.ravel(), targets.ravel())
    assert kernel_alignment(whole, LABELS, classes=2) == pytest.approx(1)
    assert kernel_alignment(targets @ targets.T, LABELS, classes=2) == pytest.approx(1)
    # yᵀ y / (‖y‖² √6), and one that sees no example from another.
    assert kernel_alignment(np.eye(6), LABELS, 2) == pytest.approx(1 / np.sqrt(6))
    assert kernel_alignment(np.ones((6, 6)), LABELS, 2) == pytest.approx(0, abs=1e-12)
    assert kernel_alignment(np.ones((3, 3)), LABELS, 2) == pytest.approx(0, abs=1e-12)
    # By its definition, of a kernel that is neither.
    kernel, y = kernel_on_paper(FIRST, SECOND), targets.ravel()
    wanted = y @ kernel @ y / (y @ y * np.sqrt((kernel**2).sum()))
    assert kernel_alignment(kernel, LABELS, 2) == pytest.approx(wanted)
    assert np.isnan(kernel_alignment(np.eye(6), np.zeros(3, int), 2))


def test_a_kernel_moves_by_what_its_parameters_move():
    """Twice the parameters of a linear net of two layers have four times the kernel."""

    def deep(params):
        return params["first"].T @ params["first"][:, :1] * params["second"].sum()

    before = tangent_kernel(deep, PARAMS)
    after = tangent_kernel(deep, jax.tree.map(lambda leaf: 2 * leaf, PARAMS))
    # Outputs of degree 3 have slopes of degree 2, and their products of degree 4.
    assert kernel_change(before, after) == pytest.approx(15, rel=1e-4)


def test_members_side_by_side_are_members_alone_and_nan_stays_with_its_own():
    scales = jnp.array([1.0, -0.5, jnp.nan])
    members = jax.tree.map(lambda leaf: scales[:, None, None] * leaf[None], PARAMS)
    found = jax.jit(jax.vmap(partial(tangent_kernel, net)))(members)
    for member, scale in enumerate([1.0, -0.5]):
        wanted = kernel_on_paper(scale * FIRST, scale * SECOND)
        np.testing.assert_allclose(found[member], wanted, rtol=1e-3, atol=1e-4)
    spectrum = kernel_spectrum(found)
    assert np.isfinite(spectrum.condition[:2]).all()
    assert np.isnan(spectrum.eigenvalues[2]).all()
    aligned = kernel_alignment(found, LABELS, 2)
    own = kernel_alignment(found[1], LABELS, 2)
    assert aligned[1] == pytest.approx(own) and np.isnan(aligned[2])


def test_one_example_and_one_parameter_are_a_number():
    for most in (1, 0):
        found = tangent_kernel(
            lambda w: (w**2).reshape(1, 1), jnp.array(3.0), rows=7, most_numbers=most
        )
        assert found.tolist() == [[36]]
    assert kernel_spectrum(found).condition == 1
    # Outputs that do not see the parameters.
    still = tangent_kernel(lambda w: jnp.zeros((2, 1)) + 0 * w, jnp.array(3.0))
    assert not still.any()


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match=r"shape \(3,\), and not \[examples, outputs\]"):
        tangent_kernel(lambda w: w, jnp.ones(3))
    with pytest.raises(UserError, match="0 parameters"):
        tangent_kernel(lambda w: jnp.ones((1, 1)), {})
    with pytest.raises(UserError, match="rows=0"):
        tangent_kernel(net, PARAMS, rows=0)
    with pytest.raises(UserError, match="5 rows fits neither 3 labels nor their 6"):
        kernel_alignment(np.eye(5), LABELS, 2)
    with pytest.raises(UserError, match="labels go from 0 to 1, beyond classes=1"):
        kernel_alignment(np.eye(3), LABELS, 1)


@pytest.mark.wrong_types
def test_kernels_of_two_batches_are_said():
    with pytest.raises(UserError, match="not of one batch"):
        kernel_change(np.eye(2), np.eye(3))
