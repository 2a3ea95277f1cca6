"""Fewer multiplications, the same convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from init_study.conv import convolve, winograd
from init_study.conv.window import Window

# (batch, height, width, in, out), kernel, padding: all wide enough for it to pay.
WIDE = [
    ((16, 8, 8, 32, 32), (3, 3), ((1, 1), (1, 1))),
    ((6, 13, 11, 48, 40), (3, 3), ((0, 0), (0, 0))),  # tiles in part
    ((8, 9, 8, 32, 64), (5, 5), ((2, 2), (2, 2))),
    ((8, 12, 12, 64, 32), (3, 5), ((2, 0), (4, 1))),
    ((7, 8, 10, 33, 65), (4, 4), ((4, 3), (0, 5))),  # more padding than taps
]


def plain(images, kernel, padding):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        images, kernel, (1, 1), padding, dimension_numbers=layout
    )


def inputs(case):
    (n, height, width, channels_in, channels_out), taps, _ = case
    rng = np.random.default_rng(0)
    images = rng.standard_normal((n, height, width, channels_in))
    kernel = rng.standard_normal((*taps, channels_in, channels_out))
    return images, kernel


def single(*arrays):
    return [jnp.asarray(array, jnp.float32) for array in arrays]


def value_and_gradients(function, images, kernel, padding):
    out, pull = jax.vjp(lambda x, k: function(x, k, padding), images, kernel)
    cotangent = np.random.default_rng(1).standard_normal(out.shape).astype(out.dtype)
    return (out, *pull(jnp.asarray(cotangent)))


def pays(case, dtype=jnp.float32, **changes):
    (n, height, width, channels_in, channels_out), taps, padding = case
    images = jnp.zeros((n, height, width, channels_in), dtype)
    window = Window((1, 1), padding, (1, 1), (1, 1))._replace(**changes)
    return winograd.pays(images, (*taps, channels_in, channels_out), window)


@pytest.mark.parametrize("taps", [3, 4, 5])
def test_the_transforms_correlate(taps):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal(6), rng.standard_normal(taps)
    of = winograd.transforms(taps)
    out = of.outputs @ ((of.taps @ kernel) * (of.inputs @ x))
    np.testing.assert_allclose(out, np.correlate(x, kernel, "valid"), rtol=1e-12)


@pytest.mark.parametrize("case", WIDE, ids=str)
def test_values_and_gradients_are_those_of_float64(case):
    assert pays(case)
    images, kernel = inputs(case)
    with jax.enable_x64(True):
        exact = value_and_gradients(
            jax.jit(plain, static_argnums=2), images, kernel, case[2]
        )
        assert exact[0].dtype == np.float64
        exact = [np.asarray(array) for array in exact]

    def ours(images, kernel, padding):
        return convolve(images, kernel, padding=padding, form="winograd")

    images, kernel = single(images, kernel)
    assert "36," in str(jax.make_jaxpr(lambda *a: ours(*a, case[2]))(images, kernel))
    found = jax.jit(lambda *a: value_and_gradients(ours, *a, case[2]))(images, kernel)
    for mine, theirs in zip(found, exact, strict=True):
        assert mine.dtype == np.float32 and mine.shape == theirs.shape
        worst = np.abs(np.asarray(mine) - theirs).max() / np.abs(theirs).max()
        assert worst < 5e-6, worst


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    size=st.tuples(*[st.integers(1, 9)] * 2),
    taps=st.tuples(*[st.integers(3, 5)] * 2),
    pads=st.tuples(*[st.integers(0, 5)] * 4),
    n=st.integers(1, 5),
)
def test_any_shape_is_xlas(size, taps, pads, n):
    padding = pads[:2], pads[2:]
    if any(size[i] + sum(padding[i]) < taps[i] for i in (0, 1)):
        return
    images, kernel = inputs(((n, *size, 3, 2), taps, padding))
    images, kernel = single(images, kernel)
    out, of_images, of_kernel = value_and_gradients(plain, images, kernel, padding)
    np.testing.assert_allclose(
        winograd.convolution(images, kernel, padding), out, rtol=1e-4, atol=1e-4
    )
    # As `convolve` takes it: the kernel turned over the cotangent.
    around = tuple(
        (t - 1 - low, t - 1 - high)
        for t, (low, high) in zip(taps, padding, strict=True)
    )
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    ones = jnp.asarray(np.random.default_rng(1).standard_normal(out.shape), jnp.float32)
    np.testing.assert_allclose(
        winograd.convolution(ones, turned, around), of_images, rtol=1e-3, atol=1e-3
    )
    cotangent = np.random.default_rng(1).standard_normal(out.shape).astype(np.float32)
    np.testing.assert_allclose(
        winograd.kernel_gradient(images, jnp.asarray(cotangent), padding, taps),
        of_kernel,
        rtol=1e-3,
        atol=1e-3,
    )


def test_it_is_for_many_channels_and_plain_windows_only():
    case = WIDE[0]
    assert pays(case)
    assert not pays(((16, 8, 8, 16, 16), (3, 3), case[2]))  # few channels
    assert not pays(((16, 5, 5, 32, 32), (3, 3), case[2]))  # tiles mostly empty
    assert not pays(((1, 4, 4, 32, 32), (3, 3), case[2]))  # one tile
    assert not pays(((16, 8, 8, 32, 32), (7, 7), case[2]))
    assert not pays(((16, 8, 8, 32, 32), (1, 1), case[2]))
    assert not pays(case, strides=(2, 2))
    assert not pays(case, kernel_dilation=(2, 2))
    assert not pays(case, input_dilation=(2, 2))
    assert not pays(case, dtype=jnp.bfloat16)
    assert not pays(case, dtype=jnp.int32)
    assert not pays(((16, 1, 1, 32, 32), (3, 3), ((0, 0), (0, 0))))  # nothing is left


def test_the_gradients_take_it_too():
    """A kernel's gradient at 36 points, an image's as 36 products."""
    images, kernel = single(*inputs(WIDE[0]))
    out, pull = jax.vjp(
        lambda x, k: convolve(x, k, padding="SAME", form="winograd"), images, kernel
    )
    backward = str(jax.make_jaxpr(pull)(out))
    assert backward.count("dot_general") >= 2 and "conv_general" not in backward


def test_loops_vmap_and_second_derivatives():
    images, kernel = single(*inputs(WIDE[0]))

    def results(form):
        def loss(kernel):
            out = convolve(images, kernel, padding="SAME", form=form)
            return jnp.mean(jnp.sin(out))

        gradient = jax.grad(loss)
        kernels = jnp.stack([kernel, 2 * kernel, -kernel])
        both = jax.vmap(lambda x, k: convolve(x, k, padding="SAME", form=form))
        return jax.jit(
            lambda: (
                both(jnp.stack([images, 2 * images, 3 * images]), kernels),
                lax.map(jax.vmap(gradient), kernels[:, None]),
                jax.grad(lambda k: jnp.sum(gradient(k) ** 2))(kernel),
                jax.jvp(gradient, (kernel,), (kernel,))[1],
            )
        )()

    for mine, theirs in zip(results("winograd"), results("xla"), strict=True):
        assert np.abs(mine - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_what_is_not_finite_is_not_hidden():
    images, kernel = single(*inputs(WIDE[0]))
    images = images.at[0, 0, 0, 0].set(np.nan)
    out = convolve(images, kernel, padding="SAME", form="winograd")
    assert np.isnan(out[0, 0, 0]).all() and np.isfinite(out[1:]).all()


def test_nothing_in_is_nothing_out():
    """Zeros stay zeros to the last bit: a net of zeros learns nothing here too."""
    images, kernel = single(*inputs(WIDE[0]))
    assert not convolve(0 * images, kernel, padding="SAME", form="winograd").any()
    assert not convolve(images, 0 * kernel, padding="SAME", form="winograd").any()
