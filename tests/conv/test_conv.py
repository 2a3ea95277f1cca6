"""The convolution is XLA's, in value and in both gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from init_study.conv import FORMS, convolve
from init_study.errors import UserError

LAYOUT = ("NHWC", "HWIO", "NHWC")
ONES = (1, 1)
# (height, width, in, out), kernel, strides, padding, input and kernel dilation, groups
CASES = [
    ((8, 8, 3, 4), (3, 3), (1, 1), "SAME", ONES, ONES, 1),
    ((8, 6, 3, 4), (3, 3), (2, 2), "SAME", ONES, ONES, 1),
    ((7, 9, 2, 3), (5, 5), (1, 1), "VALID", ONES, ONES, 1),
    ((8, 7, 3, 2), (4, 2), (3, 2), "SAME", ONES, ONES, 1),
    ((6, 6, 3, 5), (1, 1), (2, 2), "VALID", ONES, ONES, 1),
    ((6, 6, 3, 2), (3, 3), (2, 2), ((2, 0), (1, 3)), ONES, ONES, 1),
    ((5, 5, 2, 2), (3, 3), (1, 1), ((4, 3), (0, 5)), ONES, ONES, 1),
    ((5, 5, 2, 2), (1, 1), (1, 1), ((1, 1), (2, 0)), ONES, ONES, 1),
    ((5, 5, 2, 2), (2, 2), (3, 3), "VALID", ONES, ONES, 1),  # stride > kernel
    ((1, 1, 3, 4), (3, 3), (1, 1), "SAME", ONES, ONES, 1),  # one pixel
    ((9, 8, 2, 3), (3, 3), (2, 1), ((2, 0), (1, 3)), ONES, (2, 2), 1),
    ((9, 9, 2, 3), (3, 2), (1, 1), "SAME", ONES, (3, 2), 1),
    ((5, 5, 2, 3), (3, 3), (1, 1), ((1, 2), (1, 2)), (2, 2), ONES, 1),  # transposed
    ((4, 5, 3, 2), (2, 3), (1, 1), ((1, 1), (2, 2)), (3, 2), ONES, 1),
    ((8, 8, 4, 8), (3, 3), (2, 2), "SAME", ONES, ONES, 2),
    ((8, 8, 12, 18), (3, 3), (1, 1), "SAME", ONES, ONES, 6),
    ((6, 6, 64, 64), (3, 3), (1, 1), "SAME", ONES, ONES, 4),
    ((8, 8, 6, 6), (3, 3), (1, 1), "SAME", ONES, ONES, 6),  # depthwise
    ((8, 8, 3, 6), (3, 2), (2, 2), "SAME", ONES, (2, 2), 3),  # with a multiplier
    ((5, 5, 4, 4), (2, 2), (1, 1), ((1, 2), (1, 2)), (2, 2), ONES, 4),
    ((9, 10, 1, 6), (5, 5), (1, 1), "SAME", ONES, ONES, 1),  # bands, with a rest
    ((6, 8, 2, 16), (3, 3), (2, 1), "VALID", ONES, ONES, 1),
    ((4, 4, 63, 9), (3, 3), (1, 1), "SAME", ONES, ONES, 9),  # 3 groups at a time
    ((4, 4, 10, 10), (3, 3), (1, 1), "SAME", ONES, ONES, 5),  # all at a time
    ((7, 6, 3, 8), (5, 5), (1, 1), "VALID", ONES, ONES, 1),  # gradient by rows
    ((2, 3, 8, 3), (5, 4), (1, 1), ((4, 5), (0, 4)), ONES, ONES, 1),  # by rows
]
GROUPED = next(case for case in CASES if case[-1] == 4)
BANDED = next(case for case in CASES if case[0] == (9, 10, 1, 6))
# What autodiff's own transposes are in the same order of sums.
SAME_BITS = CASES[:3] + CASES[6:7]


def conv(case, form):
    """`(images, kernel) -> outputs` by one form; `autodiff` without this package."""
    _, _, *window, groups = case

    def plain(images, kernel):
        return lax.conv_general_dilated(images, kernel, *window, LAYOUT, groups)

    def ours(images, kernel):
        return convolve(images, kernel, *window, groups, form)

    return plain if form == "autodiff" else ours


def inputs(case, batch=3):
    (height, width, channels_in, out), kernel, *_, groups = case
    draw = np.random.default_rng(0).standard_normal
    images = draw((batch, height, width, channels_in)).astype(np.float32)
    weights = draw((*kernel, channels_in // groups, out)).astype(np.float32)
    return jnp.asarray(images), jnp.asarray(weights)


def value_and_gradients(function, images, kernel):
    shape = jax.eval_shape(function, images, kernel).shape
    target = np.random.default_rng(1).standard_normal(shape).astype(images.dtype)

    def loss(images, kernel):
        return jnp.sum(function(images, kernel) * target)

    out = jax.jit(function)(images, kernel)
    return (out, *jax.jit(jax.grad(loss, (0, 1)))(images, kernel))


def error(mine, exact):
    mine, exact = np.asarray(mine, np.float64), np.asarray(exact, np.float64)
    return np.abs(mine - exact).max() / max(np.abs(exact).max(), 1e-30)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_gradients_are_those_of_float64(case):
    images, kernel = inputs(case)
    with jax.enable_x64(True):
        exact = value_and_gradients(
            conv(case, "autodiff"),
            np.asarray(images, np.float64),
            np.asarray(kernel, np.float64),
        )
        assert exact[0].dtype == np.float64
    for form in FORMS:
        found = value_and_gradients(conv(case, form), images, kernel)
        for mine, theirs in zip(found, exact, strict=True):
            assert mine.shape == theirs.shape and mine.dtype == np.float32
            assert error(mine, theirs) < 1e-5, form


@pytest.mark.parametrize("case", SAME_BITS, ids=str)
def test_the_canonical_form_has_the_bits_of_autodiff(case):
    images, kernel = inputs(case)
    mine = value_and_gradients(conv(case, "canonical"), images, kernel)
    theirs = value_and_gradients(conv(case, "autodiff"), images, kernel)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.sampled_from([ONES, (2, 1), (2, 2)]),
    pads=st.tuples(*[st.integers(0, 4)] * 4),
    groups=st.sampled_from([1, 2, 4]),
)
def test_any_shape_is_xlas(size, kernel, strides, dilation, pads, groups):
    padding = (pads[:2], pads[2:])
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        if size[axis] + sum(padding[axis]) < reach:
            return
    case = ((*size, 4, 4), kernel, strides, padding, ONES, dilation, groups)
    images, weights = inputs(case, batch=2)
    mine = value_and_gradients(conv(case, "blocked"), images, weights)
    theirs = value_and_gradients(conv(case, "autodiff"), images, weights)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", [CASES[i] for i in (1, 15, 17, 18, 20)], ids=str)
def test_it_composes_with_loops_vmap_and_second_derivatives(case):
    images, kernel = inputs(case)

    def results(form):
        function = conv(case, form)

        def loss(kernel):
            return jnp.mean(jnp.sin(function(images, kernel)))

        gradient = jax.grad(loss)
        kernels = jnp.stack([kernel, 2 * kernel])
        return jax.jit(
            lambda: (
                lax.map(jax.vmap(gradient), kernels[:, None]),
                jax.grad(lambda k: jnp.sum(gradient(k) ** 2))(kernel),
                jax.jvp(gradient, (kernel,), (kernel,))[1],
                jax.grad(jax.checkpoint(loss))(kernel),
            )
        )()

    for mine, theirs in zip(results("blocked"), results("autodiff"), strict=True):
        assert error(mine, theirs) < 1e-4


def test_plain_forward_mode_needs_a_form_without_a_rule_of_its_own():
    images, kernel = inputs(CASES[0])

    def directional(form):
        return jax.jvp(lambda k: conv(CASES[0], form)(images, k), (kernel,), (kernel,))

    with pytest.raises(TypeError, match="custom_vjp"):
        directional("blocked")
    for form in ("xla", "patches"):
        out, tangent = directional(form)
        np.testing.assert_allclose(out, tangent, rtol=1e-6)


# Enough examples that a kernel's gradient is summed over blocks of them.
MANY = ((8, 8, 4, 32), (3, 3), (1, 1), "SAME", ONES, ONES, 1)


def test_gradients_in_blocks_are_the_whole_batchs():
    images, kernel = inputs(MANY, batch=64)
    blocked = value_and_gradients(conv(MANY, "blocked"), images, kernel)
    whole = value_and_gradients(conv(MANY, "autodiff"), images, kernel)
    for mine, theirs in zip(blocked, whole, strict=True):
        assert error(mine, theirs) < 1e-5
    gradient = jax.grad(lambda k: conv(MANY, "blocked")(images, k).sum())
    assert "scan" in str(jax.make_jaxpr(gradient)(kernel))


def test_rows_are_for_outputs_larger_than_inputs():
    """By every form's own choice; what is computed is tested by the cases."""
    full, same, valid = (((n, n), (n, n)) for n in (4, 2, 0))

    def by_rows(size, channels, padding, form="winograd"):
        images = jnp.zeros((2, *size, channels[0]))
        kernel = jnp.zeros((5, 5, *channels))
        text = str(
            jax.make_jaxpr(lambda x, k: convolve(x, k, padding=padding, form=form))(
                images, kernel
            )
        )
        return "conv_general_dilated" not in text

    assert by_rows((10, 10), (16, 6), full)
    assert not by_rows((14, 14), (6, 16), valid)
    assert not by_rows((14, 14), (16, 6), same)
    assert not by_rows((10, 10), (16, 6), full, form="canonical")


def test_bands_are_for_few_channels_only():
    def in_bands(case):
        images, kernel = inputs(case)
        jaxpr = jax.make_jaxpr(conv(case, "blocked"))(images, kernel)
        return "reshape" in str(jaxpr)

    assert in_bands(CASES[20])
    assert not in_bands(((8, 8, 32, 32), (3, 3), (1, 1), "SAME", ONES, ONES, 1))
    assert not in_bands(((8, 8, 3, 4), (3, 3), (2, 2), "SAME", ONES, ONES, 1))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("case", [CASES[0], CASES[17], CASES[20]], ids=str)
def test_other_types_stay_what_they_are(case, dtype):
    images, kernel = (jnp.asarray(x, dtype) for x in inputs(case))
    found = value_and_gradients(conv(case, "winograd"), images, kernel)
    exact = value_and_gradients(conv(case, "autodiff"), *inputs(case))
    for mine, theirs in zip(found, exact, strict=True):
        assert mine.dtype == dtype and error(mine, theirs) < 0.05


def test_an_input_that_is_not_finite_is_not_hidden_in_the_kernels_gradient():
    images, kernel = inputs(CASES[0])
    images = images.at[0, 0, 0, 0].set(np.nan)
    gradients = jax.grad(
        lambda x, k: convolve(x, k, padding="SAME").sum(), argnums=(0, 1)
    )(images, kernel)
    assert np.isnan(gradients[1]).any() and np.isfinite(gradients[0]).all()


@pytest.mark.parametrize("case", [CASES[0], GROUPED, BANDED], ids=str)
def test_infinity_spoils_no_more_than_its_group_and_band(case):
    images, kernel = inputs(case)
    images = images.at[0, 0, 0, 0].set(np.inf)
    exact, mine = (conv(case, form)(images, kernel) for form in ("xla", "blocked"))
    spoiled, should = (~np.isfinite(np.asarray(out)) for out in (mine, exact))
    assert should.any() and not (should & ~spoiled).any()
    # Another example is another sum, and so are columns that are no neighbours.
    assert not spoiled[1:].any() and not spoiled[:, :, 6:].any()


EMPTY = [
    ((0, 8, 8, 4), (3, 3, 4, 8), 1, "SAME"),
    ((2, 8, 8, 0), (3, 3, 0, 8), 1, "SAME"),
    ((2, 8, 8, 4), (3, 3, 4, 0), 1, "SAME"),
    ((2, 2, 8, 4), (3, 3, 4, 8), 1, "VALID"),  # the map is used up
    ((2, 2, 2, 8), (3, 3, 1, 8), 8, "VALID"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", EMPTY, ids=str)
def test_nothing_in_or_out_is_xlas(case, form):
    images, kernel, groups, padding = case
    images, kernel = jnp.ones(images), jnp.ones(kernel)
    out, pull = jax.vjp(
        lambda x, k: convolve(x, k, padding=padding, groups=groups, form=form),
        images,
        kernel,
    )
    window = (ONES, padding, ONES, ONES)
    exact = lax.conv_general_dilated(images, kernel, *window, LAYOUT, groups)
    assert out.shape == exact.shape and not out.any()
    gradients = pull(jnp.ones_like(out))
    assert [g.shape for g in gradients] == [images.shape, kernel.shape]
    assert not any(g.any() for g in gradients)


@pytest.mark.parametrize(
    ("images", "kernel", "groups", "said"),
    [
        (jnp.ones((1, 4, 4, 3)), jnp.ones((3, 3, 4, 8)), 1, r"\[1, 4, 4, 3\]"),
        (jnp.ones((1, 4, 4, 4)), jnp.ones((3, 3, 1, 6)), 4, "groups=4"),
        (jnp.ones((1, 4, 4, 4)), jnp.ones((3, 3, 2, 4)), 4, "groups=4"),
        (jnp.ones((1, 4, 4, 4), jnp.bfloat16), jnp.ones((3, 3, 4, 8)), 1, "bfloat16"),
    ],
)
def test_shapes_and_types_that_do_not_fit_are_named(images, kernel, groups, said):
    for form in FORMS:
        with pytest.raises(UserError, match=said) as caught:
            convolve(images, kernel, groups=groups, form=form)
        assert "\n" not in str(caught.value)


def test_a_misspelt_padding_is_said():
    images, kernel = inputs(CASES[0])
    with pytest.raises(UserError, match="Did you mean 'SAME'"):
        convolve(images, kernel, padding="SMAE")


def test_padding_by_name_is_refused_where_it_means_nothing():
    images, kernel = inputs(CASES[0])
    with pytest.raises(UserError, match="input dilation"):
        convolve(images, kernel, padding="SAME", input_dilation=(2, 2))


def test_an_unknown_form_is_said():
    images, kernel = inputs(CASES[0])
    with pytest.raises(UserError, match="Did you mean 'blocked'"):
        convolve(images, kernel, form="block")
    assert set(FORMS) == {"xla", "canonical", "blocked", "winograd", "patches"}
