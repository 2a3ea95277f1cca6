"""Every law is the one it names: one table of laws, one battery of tests.

All keys are fixed, so nothing here is left to chance; tolerances are four standard
errors of the estimate, derived beside it.
"""

from functools import partial
from math import prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from laws import KERNELS, LARGE, LAWS, SMALL
from scipy import stats

from init_study import initializers
from init_study.errors import UserError
from init_study.initializers import (
    INITIALIZERS,
    constant,
    fans,
    he_normal,
    he_uniform,
    normal,
    truncated_normal,
    uniform,
    variance_scaling,
    zeros,
)
from init_study.initializers.fans import MODES

every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
every_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
# Discrete or not independent from number to number: test_structured.py.
STRUCTURED = {
    *("ones", "rademacher", "ternary"),
    *("orthogonal", "scaled_orthogonal", "delta_orthogonal"),
    *("scaled_delta_orthogonal", "orthogonal_convolution"),
    *("identity", "repeated_identity", "zero_hadamard", "partial_dirac"),
    *("looks_linear", "sparse", "gabor", "gaussian_field"),
}
every_initializer = pytest.mark.parametrize(
    "init",
    [factory() for factory in INITIALIZERS.values()],
    ids=INITIALIZERS,
)


def numbers(init, shape=LARGE, dtype: Any = None, seed=0):
    return np.asarray(init(jax.random.key(seed), shape, dtype)).astype(np.float64)


def test_the_table_of_laws_leaves_none_out():
    assert set(INITIALIZERS) - set(LAWS) == {"zeros", "constant"} | STRUCTURED
    np.testing.assert_array_equal(numbers(zeros()), np.zeros(LARGE))
    np.testing.assert_array_equal(numbers(constant(-0.25)), np.full(LARGE, -0.25))


@every_law
def test_mean_variance_and_support(law):
    """Standard errors: σ / √n of the mean, σ² √((kurtosis − 1) / n) of the variance."""
    drawn, expected = numbers(law.make(1)).ravel(), law.of(640, 2560)
    std, kurtosis = expected.std(), float(expected.stats("k")) + 3
    assert abs(drawn.mean()) < 4 * std / sqrt(drawn.size)
    relative = 4 * sqrt((kurtosis - 1) / drawn.size)
    assert abs(drawn.var() / std**2 - 1) < relative < 0.025
    low, high = expected.support()
    assert low * (1 + 1e-6) <= drawn.min() and drawn.max() <= high * (1 + 1e-6)
    if np.isfinite(high):
        assert min(-drawn.min(), drawn.max()) > 0.999 * high


@every_law
def test_the_law_by_kolmogorov_and_smirnov(law):
    """At this size a distance of 0.4 % of probability is already rejected."""
    result = stats.kstest(numbers(law.make(1)).ravel(), law.of(640, 2560).cdf)
    assert result.pvalue > 0.01


def layer_op(x, weights, groups):
    """The layer as networks compute it, without padding."""
    if weights.ndim == 2:
        return x @ weights
    return lax.conv_general_dilated(
        x,
        weights,
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


@partial(jax.jit, static_argnames="groups")
def gains(weights, groups):
    """Mean squares for white noise: of what comes out of one position, and of the
    gradient at the one pixel that every tap reaches."""
    noise, *sizes = np.random.default_rng(1), *weights.shape[:-2]
    channels = weights.shape[-2] * groups
    x = noise.normal(size=(256, *sizes, channels)).astype("f")
    forward = layer_op(x, weights, groups)
    wide = jnp.zeros((256, *[2 * size - 1 for size in sizes], channels))
    out, pull = jax.vjp(lambda x: layer_op(x, weights, groups), wide)
    (gradient,) = pull(jnp.asarray(noise.normal(size=out.shape).astype("f")))
    middle = gradient[(slice(None), *[size - 1 for size in sizes])]
    return (forward**2).mean(), (middle**2).mean()


def gain_tolerance(kernel, kurtosis=3.0):
    """Four standard errors of a gain, for Gaussian noise.

    For weights K of one group, E[y²] is a mean over the noise of x'KK'x / out. The
    weights' own mean square has relative variance (kurtosis − 1) / size; the noise
    adds, over 256 inputs and all groups, 2 / (256 groups) × (1 / in + 1 / out).
    """
    noise = (1 / kernel.fan_in + kernel.groups / kernel.shape[-1]) / kernel.groups
    return 4 * sqrt((kurtosis - 1) / prod(kernel.shape) + 2 / 256 * noise)


@every_kernel
@every_law
def test_realised_gains_are_the_laws(law, kernel):
    """n Var(W), with n the inputs of an output or the outputs of an input."""
    weights = law.make(kernel.groups)(jax.random.key(0), kernel.shape)
    variance = law.of(kernel.fan_in, kernel.fan_out).var()
    forward, backward = gains(weights, kernel.groups)
    kurtosis = float(law.of(kernel.fan_in, kernel.fan_out).stats("k")) + 3
    tolerance = gain_tolerance(kernel, max(3.0, kurtosis))
    assert tolerance < 0.16
    assert abs(forward / (kernel.fan_in * variance) - 1) < tolerance
    assert abs(backward / (kernel.fan_out * variance) - 1) < tolerance


@every_kernel
def test_what_the_famous_laws_preserve(kernel):
    """The claims themselves, without any fan in the test."""

    def of(init):
        return gains(init(jax.random.key(0), kernel.shape), kernel.groups)

    tolerance, groups = gain_tolerance(kernel), kernel.groups
    assert abs(of(initializers.lecun_normal(groups=groups))[0] - 1) < tolerance
    fan_out = variance_scaling(1.0, "fan_out", "normal", groups=groups)
    assert abs(of(fan_out)[1] - 1) < tolerance
    # (in + out) Var = 2, and with the geometric mean √(in out) Var = 1.
    assert abs(sum(of(initializers.xavier_normal(groups=groups))) - 2) < 2 * tolerance
    geometric = variance_scaling(1.0, "fan_geo_avg", "uniform", groups=groups)
    assert abs(prod(of(geometric)) - 1) < 2 * tolerance


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3])
def test_he_keeps_the_mean_square_through_leaky_relu(slope):
    """From one pre-activation to the next, over 16 draws of a layer.

    The activation's mean, with at most 0.32 of its mean square, makes the gain of an
    output vary by √2 × 0.32; what is left adds less. Hence 4 × √(1 / (16 out)).
    """
    (width, outputs), he = KERNELS["dense"].shape, he_normal(slope)
    z = np.random.default_rng(2).normal(size=(1000, width))
    active = np.where(z > 0, z, slope * z)
    layers = [numbers(he, (width, outputs), seed=seed) for seed in range(16)]
    gain = np.mean([((active @ layer) ** 2).mean() for layer in layers])
    assert abs(gain - 1) < 4 / sqrt(16 * outputs)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_key_fixes_the_draw(name):
    init = INITIALIZERS[name]()
    again, other = numbers(init, seed=3), numbers(init, seed=4)
    np.testing.assert_array_equal(again, numbers(init, seed=3))
    fixed = ("identity", "repeated_identity", "zero_hadamard", "partial_dirac")
    if again.std() > 0 and name not in fixed:
        drawn = np.count_nonzero(again)
        correlation = np.corrcoef(again.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 4 / sqrt(drawn)


def test_compiled_and_batched_draws_are_the_same():
    """To the bit: op by op, compiled, and under `vmap`."""

    def draw_all(key):
        """Every initializer in every type: one program, as compiling is slow here."""
        return {
            (name, dtype): factory()(jax.random.clone(key), SMALL, dtype)
            for name, factory in INITIALIZERS.items()
            if name not in {*STRUCTURED, "student_t"}
            for dtype in ("float32", "bfloat16")
        }

    def keys():
        return jax.random.split(jax.random.key(5), 3)

    compiled = jax.jit(draw_all)
    loop = [compiled(key) for key in keys()]
    batched = jax.jit(jax.vmap(draw_all))(keys())
    eager = draw_all(keys()[1])
    for case, draws in batched.items():
        np.testing.assert_array_equal(
            draws, jnp.stack([member[case] for member in loop]), str(case)
        )
        np.testing.assert_array_equal(loop[1][case], eager[case], str(case))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@every_initializer
def test_the_type_asked_for_is_the_type_given(init, dtype):
    assert init(jax.random.key(0), LARGE, dtype).dtype == dtype
    assert init(jax.random.key(0), LARGE).dtype == jnp.float32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@every_law
def test_small_types_are_drawn_wide_then_rounded(law, dtype):
    init = law.make(1)
    rounded = jnp.asarray(init(jax.random.key(0), LARGE), dtype)
    np.testing.assert_array_equal(init(jax.random.key(0), LARGE, dtype), rounded)
    drawn, std = np.asarray(rounded, np.float64), law.of(640, 2560).std()
    assert abs(drawn.mean()) < 4 * std / sqrt(drawn.size)


def test_jax_in_bfloat16_is_biased_where_this_is_not():
    """The trap that drawing wide avoids: jax has 7 random bits there, and a mean."""
    size = 10**6
    narrow, wide = (
        numbers(init, (size,), jnp.bfloat16)
        for init in (jax.nn.initializers.normal(1.0), normal(1.0))
    )
    error = 1 / sqrt(size)
    assert narrow.mean() < -5 * error
    assert abs(wide.mean()) < 4 * error
    assert len(np.unique(narrow)) < 200 < 1000 < len(np.unique(wide)) < size
    # The tails: beyond 3σ lie 0.27 % of a normal law, none of the narrow one.
    assert (np.abs(narrow) > 3).mean() == 0
    assert abs((np.abs(wide) > 3).mean() / (2 * stats.norm.sf(3)) - 1) < 0.2


def test_truncated_normal_has_the_deviation_asked_for():
    """jax's has 0.88 of it: its argument is that of the law before the cut. The
    standard error of a deviation is below that of a normal law, σ / √(2n)."""
    error = 1 / sqrt(2 * prod(LARGE))
    assert abs(numbers(truncated_normal(0.5)).std() / 0.5 - 1) < 4 * error
    theirs = numbers(jax.nn.initializers.truncated_normal(0.5)).std() / 0.5
    assert abs(theirs - stats.truncnorm.std(-2, 2)) < 4 * error


def test_uniform_is_symmetric_where_jaxs_is_one_sided():
    ours, theirs = numbers(uniform(0.05)), numbers(jax.nn.initializers.uniform(0.05))
    error = 0.05 / sqrt(3 * prod(LARGE))
    assert abs(ours.mean()) < 4 * error and ours.min() < -0.0499
    assert abs(theirs.mean() - 0.025) < 4 * error and theirs.min() >= 0


@pytest.mark.parametrize("mode", MODES)
def test_without_groups_the_scales_are_jaxs(mode):
    """Both have the standard error σ / √(2n) at most."""
    for distribution in ("normal", "truncated_normal", "uniform"):
        ours = variance_scaling(1.3, mode, distribution)
        theirs: Any = jax.nn.initializers.variance_scaling(1.3, mode, distribution)  # pyright: ignore[reportArgumentType]
        ratio = numbers(ours).std() / numbers(theirs, seed=1).std()
        assert abs(ratio - 1) < 4 / sqrt(prod(LARGE))


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(1, 3), max_size=3), *[st.integers(1, 4)] * 3)
def test_fans_count_the_connections(field, inputs, outputs, groups):
    """Over all triples (tap, input, output) of the same group."""
    connected = [
        (source, target)
        for source in range(inputs * groups)
        for target in range(outputs * groups)
        if source // inputs == target // outputs
    ] * prod(field)
    into = {[t for _, t in connected].count(i) for i in range(outputs * groups)}
    out_of = {[s for s, _ in connected].count(i) for i in range(inputs * groups)}
    fan_in, fan_out = fans((*field, inputs, outputs * groups), groups)
    assert (into, out_of) == ({fan_in}, {fan_out})


CONSTANT = ("zeros", "ones", "constant")
# Laws that JAX has of complex numbers, and what is made of them.
COMPLEX = {
    *("normal", "ntk", "variance_scaling", "torch_kernel"),
    *("xavier_normal", "xavier_uniform", "xavier_truncated"),
    *("he_normal", "he_uniform", "he_truncated", "he_fan_out"),
    *("lecun_normal", "lecun_uniform", "lecun_truncated"),
    *("gain_normal", "gain_uniform"),
    *("orthogonal", "scaled_orthogonal"),
    *("delta_orthogonal", "scaled_delta_orthogonal"),
}


@pytest.mark.parametrize("name", [n for n in INITIALIZERS if n not in CONSTANT])
def test_a_type_that_is_not_floating_is_refused(name):
    init = INITIALIZERS[name]()
    for dtype in (jnp.int32, bool, jnp.complex64):
        if dtype == jnp.complex64 and name in COMPLEX:
            drawn = init(jax.random.key(0), (2, 3), dtype)
            assert drawn.dtype == dtype and drawn.imag.any()
            continue
        with pytest.raises(UserError, match="is not a floating one; use float32"):
            init(jax.random.key(0), (2, 3), dtype)


@pytest.mark.wrong_types
@pytest.mark.parametrize("shape", [(3, 3, -4, 4), (3, 3, 4.0, 4)], ids=str)
def test_sizes_that_are_no_positive_whole_numbers_are_refused(shape):
    with pytest.raises(UserError, match=r"has no fans"):
        he_normal()(jax.random.key(0), shape)


@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (3, 3, 0, 4), (3, 0)], ids=str)
def test_a_shape_without_fans_is_refused_by_laws_that_need_them(shape):
    key = partial(jax.random.key, 0)
    with pytest.raises(UserError, match=r"has no fans.*without empty axes"):
        fans(shape)
    if 0 not in shape:
        with pytest.raises(UserError, match="has no fans"):
            he_normal()(key(), shape)
    # The laws that the message recommends do take it.
    for init in (zeros(), constant(), uniform(), normal(), truncated_normal()):
        drawn = jax.eval_shape(lambda key, init=init: init(key, shape), key())
        assert drawn.shape == shape


@pytest.mark.parametrize("groups", [3, 0, -1, 16])
def test_groups_that_do_not_divide_are_refused(groups):
    message = f"8 outputs do not divide into {groups} groups"
    with pytest.raises(UserError, match=message):
        initializers.xavier_normal(groups=groups)(jax.random.key(0), (3, 3, 2, 8))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: uniform(-0.1), "scale=-0.1"),
        (lambda: normal(-1), "stddev=-1"),
        (lambda: normal(float("nan")), "stddev=nan"),
        (lambda: truncated_normal(float("inf")), "stddev=inf"),
        (lambda: variance_scaling(-2.0), "scale=-2.0"),
        (lambda: constant(float("nan")), "value=nan"),
        (lambda: he_normal(float("inf")), "negative_slope=inf"),
        (lambda: he_uniform(float("nan")), "negative_slope=nan"),
        (lambda: variance_scaling(1.0, "fan_inn"), "mode.*Did you mean 'fan_in'"),
        (
            lambda: variance_scaling(1.0, "fan_in", "gaussian"),
            "unknown distribution 'gaussian'.*normal, truncated_normal, uniform",
        ),
    ],
)
def test_what_is_no_law_is_said_in_a_line(make, words):
    with pytest.raises(UserError, match=words) as error:
        make()
    assert "\n" not in str(error.value)
