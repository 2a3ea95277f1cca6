"""Jacobians have the singular values of matrices that are known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.conv import convolve
from init_study.errors import UserError
from init_study.instruments.jacobians import singular_values, sketch_jacobian

RNG = np.random.default_rng(0)
LAYERS = [RNG.normal(size=shape) for shape in ((12, 8), (8, 9), (9, 5))]


def start():
    """Always the same key, which may be used once."""
    return jax.random.key(0)


def deep_linear(layers, inputs):
    x = inputs.ravel()
    for layer in layers:
        x = x @ jnp.asarray(layer, jnp.float32)
    return x.reshape(-1, 1)


def known(layers):
    product = layers[0]
    for layer in layers[1:]:
        product = product @ layer
    return np.linalg.svd(product, compute_uv=False)


@pytest.mark.parametrize("layers", [LAYERS, [m.T for m in LAYERS[::-1]]])
def test_a_deep_linear_nets_are_those_of_the_product(layers):
    function = partial(deep_linear, layers)
    inputs = jnp.ones((len(layers[0]), 1))
    found = singular_values(
        jax.jit(partial(sketch_jacobian, function))(inputs, start())
    )
    assert found.exact
    np.testing.assert_allclose(found.values, known(layers), rtol=1e-4)
    lanczos = jax.jit(partial(sketch_jacobian, function, most_passes=0))
    found = singular_values(lanczos(inputs, start()))
    assert not found.exact and found.values.shape == (5,), "the shorter side"
    np.testing.assert_allclose(found.values, known(layers), rtol=1e-3)


def test_the_greatest_of_many_is_found_from_below():
    left, _ = np.linalg.qr(RNG.normal(size=(60, 40)))
    right, _ = np.linalg.qr(RNG.normal(size=(40, 40)))
    values = np.concatenate([[4.0, 3.0], np.linspace(1, 0, 38)])
    matrix = left @ np.diag(values) @ right.T
    function = partial(deep_linear, [matrix])
    sketch = sketch_jacobian(function, jnp.ones(60), start(), steps=9, most_passes=39)
    found = singular_values(sketch)
    assert not found.exact and found.values.shape == (9,)
    np.testing.assert_allclose(found.values[:2], [4, 3], rtol=1e-3)
    assert (found.values <= values[:9] + 1e-4).all()
    whole = sketch_jacobian(function, jnp.ones(60), start(), steps=9, most_passes=40)
    np.testing.assert_allclose(singular_values(whole).values, values, atol=1e-5)


@pytest.mark.parametrize("form", ["canonical", "patches"])
def test_fast_convolutions_are_seen_by_lanczos(form):
    """They have no forward mode; the matrix of one is its kernel in shifted places."""
    kernel, matrix = RNG.normal(size=(2, 2)), np.zeros((4, 9))
    for row, (i, j) in enumerate(np.ndindex(2, 2)):
        for a, b in np.ndindex(2, 2):
            matrix[row, (i + a) * 3 + j + b] = kernel[a, b]

    def function(image):
        taps = jnp.asarray(kernel[:, :, None, None], jnp.float32)
        return convolve(image[None, :, :, None], taps, form=form)

    sketch = sketch_jacobian(function, jnp.ones((3, 3)), start(), most_passes=0)
    wanted = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(singular_values(sketch).values, wanted, rtol=1e-3)


def test_large_matrices_are_not_made():
    """By their entries, too: 100 rows would be few."""
    inputs = jax.ShapeDtypeStruct((50_000,), jnp.float32)

    def function(x):
        return x[:100]

    sketch = jax.eval_shape(partial(sketch_jacobian, function), inputs, start())
    assert sketch.matrix.shape == (0, 0) and sketch.squares.diagonal.shape == (32,)


def test_each_image_has_its_own_and_nan_stays_there():
    """Of x² elementwise it is diag(2 x)."""
    images = jnp.array([[[1.0, -2.0]], [[jnp.nan, 1.0]], [[0.0, 5.0]]])
    for passes in (2, 0):
        of_all = jax.jit(
            jax.vmap(
                lambda x, n=passes: sketch_jacobian(
                    lambda x: x**2, x, start(), most_passes=n
                )
            )
        )(images)
        found = singular_values(of_all).values
        assert np.isnan(found[1]).all()
        np.testing.assert_allclose(found[[0, 2]], [[4, 2], [10, 0]], atol=1e-5)
        alone = sketch_jacobian(lambda x: x**2, images[0], start(), most_passes=passes)
        np.testing.assert_allclose(found[0], singular_values(alone).values, rtol=1e-5)


def test_what_is_flat_stretches_nothing():
    dead = partial(sketch_jacobian, lambda x: jax.nn.relu(x - 9.0), jnp.ones(3))
    assert singular_values(dead(start())).values.tolist() == [0, 0, 0]
    found = singular_values(dead(start(), most_passes=0)).values
    np.testing.assert_array_equal(found, [0, np.nan, np.nan])


def test_one_number_is_its_slope():
    sketch = sketch_jacobian(lambda x: -3 * x, jnp.ones(()), start())
    assert singular_values(sketch) == ([3], True)


def test_rounding_is_no_stretch():
    """Squares in float32 do not tell 1e-5 from nothing; the whole matrix does."""

    def function(x):
        return x * jnp.array([1.0, 1e-5])

    exact = singular_values(sketch_jacobian(function, jnp.ones(2), start())).values
    np.testing.assert_allclose(exact, [1, 1e-5], rtol=1e-5)
    key = start()
    sketch = sketch_jacobian(function, jnp.ones(2), key, most_passes=0)
    np.testing.assert_allclose(singular_values(sketch).values, [1, 0], rtol=1e-5)


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match="0 outputs by 2 inputs has no entries"):
        sketch_jacobian(lambda x: x[:0], jnp.ones(2), start())
    with pytest.raises(UserError, match="steps=-1"):
        sketch_jacobian(lambda x: x, jnp.ones(2), start(), steps=-1)
