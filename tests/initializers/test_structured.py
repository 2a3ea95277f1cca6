"""Initializers with structure keep what they promise, through the real operation."""

from functools import cache
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from init_study import initializers as I
from init_study.errors import UserError

NOISE = jax.random.normal(jax.random.key(9), (64, 5, 5, 8))


def draw(init, shape, seed=0, dtype=jnp.float32):
    return np.asarray(init(jax.random.key(seed), shape, dtype)).astype(np.float64)


def matrix(kernel):
    return kernel.reshape(-1, kernel.shape[-1])


@cache
def _convolution(groups, padding, strides):
    @jax.jit
    def convolve(x, kernel):
        if padding == "CIRCULAR":
            pads = [((k - 1) // 2, k // 2) for k in kernel.shape[:2]]
            x = jnp.pad(x, ((0, 0), *pads, (0, 0)), mode="wrap")
        return lax.conv_general_dilated(
            x,
            kernel,
            (strides, strides),
            "VALID" if padding == "CIRCULAR" else padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    return convolve


def convolve(x, kernel, groups=1, padding="CIRCULAR", strides=1):
    kernel = jnp.asarray(kernel, jnp.float32)
    return np.asarray(_convolution(groups, padding, strides)(x, kernel))


def norms(images):
    return np.sqrt(
        (np.asarray(images, np.float64) ** 2).reshape(len(images), -1).sum(1)
    )


ORTHOGONAL = (I.orthogonal, I.scaled_orthogonal)


@pytest.mark.parametrize(
    "shape", [(3, 3, 4, 8), (64, 64), (24, 8), (40, 16), (4, 64), (3, 3, 1, 16), (7, 1)]
)
@pytest.mark.parametrize("make", ORTHOGONAL)
def test_kernels_are_semi_orthogonal(make, shape):
    """Every way to compute Q: QR, Cholesky once and twice, a single column."""
    w = matrix(draw(make(1.5), shape))
    product = w.T @ w if len(w) >= w.shape[1] else w @ w.T
    widens = make is I.scaled_orthogonal and len(w) < w.shape[1]
    wanted = 1.5**2 * (w.shape[1] / len(w) if widens else 1.0)
    np.testing.assert_allclose(product, wanted * np.eye(len(product)), atol=2e-5)


def test_every_group_is_orthogonal_by_itself():
    w = draw(I.orthogonal(groups=4), (3, 3, 2, 16)).reshape(18, 4, 4)
    for group in range(4):
        one = w[:, group]
        np.testing.assert_allclose(one.T @ one, np.eye(4), atol=1e-6)
    # Each with draws of its own.
    assert abs((w[:, 0] * w[:, 1]).sum()) < 3


@pytest.mark.parametrize("shape", [(3, 3), (9, 3)])
def test_matrices_are_haar(shape):
    """Invariant under rotation: any entry has mean 0 and mean square 1 / rows, and so
    has an entry of the product with a fixed rotation; traces have mean 0, which the
    sign convention of a plain QR does not give."""
    keys = jax.random.split(jax.random.key(0), 2000)
    w = np.asarray(jax.jit(jax.vmap(lambda k: I.orthogonal()(k, shape)))(keys))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(shape[0],) * 2))[0]
    for entry in (w[:, 0, 0], w[:, -1, -1], (turn @ w)[:, 0, 0]):
        # Of a coordinate on the sphere: mean square 1/n, variance of the square < 2/n².
        rows = shape[0]
        assert abs(entry.mean()) < 4 / sqrt(rows * 2000)
        assert abs((entry**2).mean() - 1 / rows) < 4 * sqrt(2 / 2000) / rows
    trace = np.trace(w[:, :3], axis1=1, axis2=2)
    assert abs(trace.mean()) < 4 * trace.std() / sqrt(2000)


def test_widening_layers_are_under_scaled_by_jax_and_not_here():
    """fan_in Var(W): rows / columns for a semi-orthogonal matrix, 1 for the scaled."""
    for shape, share in (((3, 3, 1, 32), 9 / 32), ((10, 64), 10 / 64)):
        fan_in = np.prod(shape[:-1])
        theirs = draw(jax.nn.initializers.orthogonal(), shape)
        np.testing.assert_allclose(fan_in * (theirs**2).mean(), share, rtol=1e-5)
        ours = draw(I.scaled_orthogonal(), shape)
        np.testing.assert_allclose(fan_in * (ours**2).mean(), 1.0, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("padding", ["CIRCULAR", "SAME"])
def test_delta_orthogonal_keeps_every_norm(size, padding):
    """At even sizes too."""
    kernel = draw(I.delta_orthogonal(0.7), (size, size, 8, 12))
    out = convolve(NOISE, kernel, padding=padding)
    np.testing.assert_allclose(norms(out), 0.7 * norms(NOISE), rtol=1e-5)
    assert np.count_nonzero(np.abs(kernel).sum((2, 3))) == 1


def test_delta_orthogonal_narrows_where_jax_refuses():
    """in > out: the columns are orthonormal, outputs have the inputs' mean square."""
    shape = (3, 3, 8, 2)
    with pytest.raises(ValueError, match="must be less or equal"):
        jax.nn.initializers.delta_orthogonal()(jax.random.key(0), shape)
    centre = draw(I.delta_orthogonal(), shape)[1, 1]
    np.testing.assert_allclose(centre.T @ centre, np.eye(2), atol=1e-6)


def test_scaled_delta_orthogonal_keeps_the_mean_square_of_outputs():
    kernel = draw(I.scaled_delta_orthogonal(), (3, 3, 8, 32))
    out = convolve(NOISE, kernel)
    np.testing.assert_allclose((out**2).mean(), (np.asarray(NOISE) ** 2).mean(), 1e-5)


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (2, 2, 8, 10), (1, 3, 8, 9), (8, 8)])
def test_orthogonal_convolution_is_an_isometry_with_all_its_taps(shape):
    kernel = draw(I.orthogonal_convolution(2.0), shape)
    if len(shape) == 4:
        out = convolve(NOISE, kernel)
    else:
        out = np.asarray(NOISE) @ kernel
    np.testing.assert_allclose(norms(out), 2.0 * norms(NOISE), rtol=1e-5)
    assert (np.abs(kernel).sum((-2, -1)) > 1e-3).all()


def test_orthogonal_convolution_refuses_to_narrow():
    with pytest.raises(UserError, match=r"8 inputs and 4 outputs .*delta_orthogonal"):
        draw(I.orthogonal_convolution(), (3, 3, 8, 4))


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_identity_passes_the_image_on(size, groups):
    kernel = draw(I.identity(1.0, groups), (size, size, 8 // groups, 8))
    np.testing.assert_array_equal(convolve(NOISE, kernel, groups, "SAME"), NOISE)


def test_identities_that_widen_and_narrow():
    wide = convolve(NOISE, draw(I.identity(), (3, 3, 8, 12)))
    np.testing.assert_array_equal(wide[..., :8], NOISE)
    assert not wide[..., 8:].any()
    again = convolve(NOISE, draw(I.repeated_identity(), (3, 3, 8, 12)))
    np.testing.assert_array_equal(again, np.asarray(NOISE)[..., np.arange(12) % 8])
    narrow = draw(I.repeated_identity(), (8, 4))
    folded = np.asarray(NOISE).reshape(-1, 2, 4).sum(1)
    np.testing.assert_allclose(
        np.asarray(NOISE).reshape(-1, 8) @ narrow, folded, rtol=1e-6
    )


def test_zero_hadamard_is_the_identity_or_an_isometry_of_ones():
    np.testing.assert_array_equal(draw(I.zero_hadamard(), (8, 8)), np.eye(8))
    np.testing.assert_array_equal(draw(I.zero_hadamard(), (8, 3)), np.eye(8, 3))
    kernel = draw(I.zero_hadamard(), (3, 3, 8, 16))
    assert set(np.unique(np.abs(kernel))) == {0.0, 0.25}
    np.testing.assert_allclose(norms(convolve(NOISE, kernel)), norms(NOISE), rtol=1e-5)
    odd = draw(I.zero_hadamard(), (6, 12))
    np.testing.assert_allclose((odd**2).sum(1), 12 / 16)


def test_deterministic_laws_do_not_look_at_the_key():
    for make in (I.identity, I.repeated_identity, I.zero_hadamard):
        one, other = (draw(make(), (3, 3, 4, 8), seed) for seed in (0, 1))
        np.testing.assert_array_equal(one, other)


def test_partial_dirac_is_the_identity_and_hes_law_beside_it():
    for groups in (1, 2):
        kernel = draw(I.partial_dirac(groups=groups), (3, 3, 8 // groups, 256))
        first = np.arange(256) % (256 // groups) < 8 // groups
        dirac = draw(I.identity(1.0, groups), kernel.shape)
        np.testing.assert_array_equal(kernel[..., first], dirac[..., first])
        rest = kernel[..., ~first]
        fan_in = 9 * 8 // groups
        assert abs(fan_in * rest.var() / 2 - 1) < 4 * sqrt(2 / rest.size)


def test_looks_linear_is_linear_through_relu():
    """Ten layers of ReLU keep the norm of the pairs' difference exactly."""
    first = draw(I.looks_linear(), (7, 16), 0)
    x, y = (np.random.default_rng(s).normal(size=(5, 7)) for s in (0, 1))

    def net(h):
        for layer in range(10):
            kernel = first if layer == 0 else draw(I.looks_linear(), (16, 16), layer)
            h = h @ kernel if layer == 0 else np.maximum(h, 0) @ kernel
        return h

    np.testing.assert_allclose(net(x) + net(y), net(x + y), atol=1e-5)
    np.testing.assert_allclose(norms(net(x)), sqrt(2) * norms(x), rtol=1e-5)
    with pytest.raises(UserError, match=r"shape \(4, 3\) has 3, an odd number"):
        draw(I.looks_linear(), (4, 3))


def test_sparse_has_so_many_weights_per_output():
    kernel = matrix(draw(I.sparse(15, 2.0), (3, 3, 8, 512)))
    assert ((kernel != 0).sum(0) == 15).all()
    values = kernel[kernel != 0]
    assert abs(values.var() / 4 - 1) < 4 * sqrt(2 / values.size)
    # Anywhere: every place is taken 15 / 72 of the time.
    taken = (kernel != 0).mean(1)
    assert np.abs(taken - 15 / 72).max() < 4.5 * sqrt(15 / 72 / 512)
    assert (draw(I.sparse(), (4, 6)) != 0).all()


def test_gabor_filters_have_one_norm_and_are_waves():
    kernel = draw(I.gabor(2.0), (7, 7, 3, 64))
    np.testing.assert_allclose((matrix(kernel) ** 2).sum(0), 2.0, rtol=1e-5)
    # One picture for all channels: of rank one.
    singular = np.linalg.svd(kernel.transpose(3, 0, 1, 2).reshape(64, 49, 3))[1]
    assert (singular[:, 1] < 1e-5 * singular[:, 0]).all()
    border = (kernel[0] ** 2).sum() + (kernel[-1] ** 2).sum()
    assert border < (kernel[3] ** 2).sum()
    for shape in ((8, 8), (1, 1, 3, 8), (3, 1, 3, 8)):
        with pytest.raises(UserError, match="gabor needs a kernel"):
            draw(I.gabor(), shape)


def test_gaussian_field_is_smooth_and_of_hes_mean_square():
    kernel = draw(I.gaussian_field(length=1.5), (7, 7, 1, 4096))
    relative = 49 * (kernel**2).mean() / 2 - 1
    # Few modes make up a field: at least 4 each, by the trace of the square.
    assert abs(relative) < 4 * sqrt(2 / (4 * 4096))
    middle, near, far = kernel[3, 3, 0], kernel[3, 4, 0], kernel[0, 0, 0]
    correlation = np.corrcoef([middle, near, far])
    assert abs(correlation[0, 1] - np.exp(-1 / (2 * 1.5**2))) < 4 / sqrt(4096)
    assert abs(correlation[0, 2] - np.exp(-18 / (2 * 1.5**2))) < 4 / sqrt(4096)
    assert (kernel[3, 3] ** 2).mean() > 2 * (kernel[0, 0] ** 2).mean()


def test_controls_of_two_and_three_values():
    signs = draw(I.rademacher(2.0), (3, 3, 8, 64))
    np.testing.assert_allclose(np.abs(signs), sqrt(2 / 72), rtol=1e-6)
    assert abs(np.sign(signs).mean()) < 4 / sqrt(signs.size)
    three = draw(I.ternary(0.25, 2.0), (3, 3, 8, 512))
    size = sqrt(2 / 72 / 0.25)
    assert np.allclose(np.abs(three[three != 0]), size)
    assert abs((three != 0).mean() - 0.25) < 4 * sqrt(0.25 * 0.75 / three.size)
    assert abs(np.sign(three).mean()) < 4 * sqrt(0.25 / three.size)
    np.testing.assert_array_equal(draw(I.ones(), (2, 3)), np.ones((2, 3)))


MEAN_SQUARE = {
    # fan_in E[W²], of the defaults, for a layer that does not widen.
    "rademacher": 2.0,
    "ternary": 2.0,
    "gabor": 2.0,
    "gaussian_field": 2.0,
    "orthogonal": 1.0,
    "scaled_orthogonal": 1.0,
    "delta_orthogonal": 1.0,
    "scaled_delta_orthogonal": 1.0,
    "orthogonal_convolution": 1.0,
    "identity": 1.0,
    "repeated_identity": 1.0,
    "zero_hadamard": 1.0,
}


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", ["CIRCULAR", "VALID"])
@pytest.mark.parametrize("name", MEAN_SQUARE)
def test_white_noise_comes_out_with_the_mean_square_promised(name, padding, strides):
    """Over 64 images of 8 channels; relative standard error √(2 / outputs used)."""
    kernel = draw(I.INITIALIZERS[name](), (3, 3, 8, 8))
    out = convolve(NOISE, kernel, padding=padding, strides=strides)
    spread = 4 * (sqrt(2 / (out.size / 3)) + sqrt(2 / (kernel.size / 9)))
    exact = {"rademacher", "gabor"} | set(list(MEAN_SQUARE)[4:])
    wanted, tolerance = MEAN_SQUARE[name], 0.2 if name in exact else spread
    assert abs((out**2).mean() / wanted - 1) < tolerance


@settings(deadline=None, derandomize=True, database=None, max_examples=15)
@given(
    st.sampled_from(sorted({*MEAN_SQUARE, "sparse", "partial_dirac"} - {"gabor"})),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
)
def test_any_shape_gives_finite_numbers_or_one_line(name, height, inputs, more):
    shape = (height, height, inputs, inputs + more)
    kernel = draw(I.INITIALIZERS[name](), shape)
    assert kernel.shape == shape and np.isfinite(kernel).all()


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: I.orthogonal(float("nan")), "gain=nan"),
        (lambda: I.sparse(0), "nonzero=0 is not a positive whole number"),
        (lambda: I.sparse(2.5), "nonzero=2.5"),
        (lambda: I.student_t(2.0), "a variance only above df=2"),
        (lambda: I.ternary(0.0), r"density=0.0 is not in \(0, 1\]"),
        (lambda: I.gaussian_field(length=0.0), "length=0.0 is not positive"),
        (lambda: I.gain_normal("rela"), "Did you mean 'relu'"),
        (lambda: I.gain_normal(lambda x: jnp.exp(x**2)), "grows too fast"),
    ],
)
def test_what_is_no_law_is_said_in_a_line(make, words):
    with pytest.raises(UserError, match=words) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 3, 2, 4), (6, 6)])
def test_compiled_and_batched_draws_are_the_same(shape):
    """To the bit: op by op, compiled, and under `vmap`; to rounding where matrix
    products or several functions make a number, which compilers join differently."""
    names = sorted({*MEAN_SQUARE, "sparse", "partial_dirac", "looks_linear"})
    names.append("student_t")
    if len(shape) == 2:
        names = [n for n in names if n not in ("gabor", "gaussian_field")]
    if shape[-2] > shape[-1]:
        names.remove("orthogonal_convolution")

    def draw_all(key):
        return {
            (name, dtype): I.INITIALIZERS[name]()(jax.random.clone(key), shape, dtype)
            for name in names
            for dtype in ("float32", "bfloat16")
        }

    keys = [jax.random.key(seed) for seed in range(3)]
    compiled = jax.jit(draw_all)
    loop = [compiled(jax.random.clone(key)) for key in keys]
    batched = jax.jit(jax.vmap(draw_all))(jnp.stack(keys))
    eager = draw_all(jax.random.key(1))
    for case, draws in batched.items():
        alone = jnp.stack([member[case] for member in loop])
        rounded = ("gabor", "gaussian_field", "student_t", "looks_linear")
        exact = case[0] not in rounded and "orthogonal" not in case[0]
        atol = 0 if exact else {"float32": 2e-6, "bfloat16": 0.01}[case[1]]
        for ours, theirs in ((draws, alone), (loop[1][case], eager[case])):
            ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
            np.testing.assert_allclose(ours, theirs, 0, atol, err_msg=str(case))


def test_float64_is_computed_in_float64():
    with jax.enable_x64(True):
        w = I.orthogonal()(jax.random.key(0), (6, 6), jnp.float64)
        error = np.abs(np.asarray(w.T @ w) - np.eye(6)).max()
    assert w.dtype == np.float64 and error < 1e-14
