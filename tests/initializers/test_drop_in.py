"""Beside `jax.nn.initializers` itself: the same calls, the same laws.

Where the laws are the same, so are the draws, to rounding: both draw by Threefry.
What differs stands in docs/reference/initializers.md, and here.
"""

import inspect
import itertools
from math import expm1, prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy import stats

from init_study import initializers as I
from init_study.errors import UserError
from init_study.initializers.draws import flat
from init_study.keys import threefry

THEIRS = jax.nn.initializers
# Of JAX's names, ours of the same law.
SAME = {
    "glorot_uniform": I.glorot_uniform,
    "xavier_uniform": I.xavier_uniform,
    "glorot_normal": I.xavier_truncated,
    "xavier_normal": I.xavier_truncated,
    "lecun_uniform": I.lecun_uniform,
    "lecun_normal": I.lecun_truncated,
    "he_uniform": I.he_uniform,
    "kaiming_uniform": I.kaiming_uniform,
    "he_normal": I.he_truncated,
    "kaiming_normal": I.he_truncated,
}
AXES = [
    ((4, 6), {}),
    ((3, 5, 4, 6), {}),
    ((3, 5, 4, 6), {"in_axis": 0, "out_axis": 3}),
    ((3, 5, 4, 6), {"in_axis": (0, 2), "out_axis": 1}),
    ((3, 5, 4, 6), {"in_axis": -1, "out_axis": [0, 1]}),
    ((7, 3, 3, 4, 6), {"batch_axis": 0}),
    ((7, 4, 2, 6), {"batch_axis": (0, 2), "in_axis": 1}),
    ((5,), {"in_axis": 0}),
    ((5,), {"in_axis": (), "out_axis": 0}),
]


def key(seed=0):
    return jax.random.key(seed)


def alike(ours, theirs, rtol=2e-5):
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    atol = rtol * float(jnp.abs(theirs).max()) if theirs.size else 0
    np.testing.assert_allclose(ours, theirs, rtol, atol)


def test_every_name_of_jax_is_here():
    names = {n for n in dir(THEIRS) if not n.startswith("_")}
    assert names - {"Initializer"} <= set(I.__all__)
    for name in names - {"Initializer"}:
        theirs = inspect.signature(getattr(THEIRS, name)).parameters
        ours = inspect.signature(getattr(I, name)).parameters
        assert set(theirs) - set(ours) <= {"out_sharding"}, name


@pytest.mark.parametrize(("shape", "axes"), AXES, ids=str)
def test_axes_mean_what_they_mean_in_jax(shape, axes):
    for name, ours in SAME.items():
        theirs = getattr(THEIRS, name)
        alike(ours(**axes)(key(), shape), theirs(**axes)(key(), shape))


@pytest.mark.parametrize(("shape", "axes"), AXES[2:4], ids=str)
def test_modes_mean_what_they_mean_in_jax(shape, axes):
    modes = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
    laws = ("truncated_normal", "normal", "uniform")
    for mode, law in itertools.product(modes, laws):
        made: Any = THEIRS.variance_scaling
        theirs = made(1.7, mode, law, **axes)(key(), shape)
        alike(I.variance_scaling(1.7, mode, law, **axes)(key(), shape), theirs)


def test_arguments_stand_in_jaxs_order():
    shape = (3, 5, 4, 6)
    made: Any = THEIRS.variance_scaling
    given = (2.0, "fan_out", "uniform", 0, (1, 3), 2, jnp.float32)
    alike(I.variance_scaling(*given)(key(), shape), made(*given)(key(), shape))
    for name in ("glorot_uniform", "lecun_uniform", "glorot_normal", "lecun_normal"):
        theirs = getattr(THEIRS, name)(0, 1, 2, jnp.float32)(key(), shape)
        alike(SAME[name](0, 1, 2, jnp.float32)(key(), shape), theirs)
    alike(I.normal(0.3, jnp.float32)(key(), shape), THEIRS.normal(0.3)(key(), shape))


@pytest.mark.parametrize("name", ["he_normal", "glorot_uniform", "normal", "constant"])
def test_the_factorys_type_is_the_default(name):
    made = getattr(I, name)
    for dtype in (jnp.bfloat16, jnp.float16, jnp.complex64, np.dtype("float32")):
        assert made(dtype=dtype)(key(), (2, 3)).dtype == dtype
        assert made(dtype=dtype)(key(), (2, 3), jnp.float32).dtype == jnp.float32
        assert made(dtype=dtype)(key(), (2, 3), None).dtype == jnp.float32
    with jax.enable_x64(True):
        assert made()(key(), (2, 3)).dtype == jnp.float64


def test_both_forms_of_zeros_and_ones():
    for value, ours, theirs in ((0, I.zeros, THEIRS.zeros), (1, I.ones, THEIRS.ones)):
        expected = theirs(key(), (2, 3), jnp.bfloat16)
        alike(ours(key(), (2, 3), jnp.bfloat16), expected)
        alike(ours()(key(), (2, 3), jnp.bfloat16), expected)
        alike(ours(dtype=jnp.bfloat16)(key(), (2, 3)), expected)
        alike(ours(key(), (2,)), theirs(key(), (2,)))
        alike(ours(key(), (), jnp.int32), theirs(key(), (), jnp.int32))
        for given in (ours, ours()):
            layer = nn.Dense(3, kernel_init=given, bias_init=given)
            params: Any = layer.init(key(), jnp.ones((1, 2)))["params"]
            assert (params["kernel"] == value).all() and (params["bias"] == value).all()
    with pytest.raises(UserError, match="zeros of a key needs a shape"):
        I.zeros(key())


def test_a_traced_scale_is_taken_and_has_a_gradient():
    shape = (4, 6)
    for make in (
        I.normal,
        I.uniform,
        I.truncated_normal,
        I.variance_scaling,
        lambda s: I.he_normal(gain=s),
        lambda s: I.he_uniform(s),
        lambda s: I.xavier_uniform(gain=s),
        I.orthogonal,
        I.delta_orthogonal,
        I.constant,
        I.laplace,
        I.mup_output,
    ):
        at_once = make(0.7)(key(), shape)
        later = jax.jit(lambda s, make=make: make(s)(key(), shape))(0.7)
        np.testing.assert_allclose(later, at_once, rtol=1e-5, atol=1e-7)
        several = jax.vmap(lambda s, make=make: make(s)(key(), shape))
        assert several(jnp.array([0.7, 1.4])).shape == (2, *shape)
    # d/dσ of σ z is z.
    pulled = jax.grad(lambda s: I.normal(s)(key(), shape).sum())(0.5)
    assert float(pulled) == pytest.approx(float(I.normal(1.0)(key(), shape).sum()))


@pytest.mark.parametrize("name", sorted({*SAME, "normal", "orthogonal"}))
def test_empty_axes_give_empty_arrays(name):
    for shape in ((0, 3), (3, 0), (3, 3, 0, 4)):
        assert getattr(I, name)()(key(), shape).shape == shape
    assert I.delta_orthogonal()(key(), (3, 3, 0, 4)).shape == (3, 3, 0, 4)


def test_a_number_is_a_shape_where_it_is_one_in_jax():
    size: Any = 5
    alike(I.normal(0.01)(key(), size), THEIRS.normal()(key(), size))
    alike(I.constant(2.0)(key(), size), THEIRS.constant(2.0)(key(), size))


def test_constants_may_be_arrays():
    value = np.arange(3.0, dtype=np.float32)
    alike(I.constant(value)(key(), (2, 3)), THEIRS.constant(value)(key(), (2, 3)))
    alike(I.constant(7)(key(), (2,), "int32"), THEIRS.constant(7)(key(), (2,), "int32"))
    given = I.constant(1j, jnp.complex64)(key(), (2,))
    alike(given, THEIRS.constant(1j, jnp.complex64)(key(), (2,)))
    with pytest.raises(
        UserError, match=r"value=0\.5 is none that dtype int32 can hold"
    ):
        I.constant(0.5)(key(), (2,), jnp.int32)


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("shape", [(6, 6), (4, 2, 9), (9, 2, 4)], ids=str)
def test_orthogonal_has_the_columns_of_jax(shape, axis):
    """Not the same draws: the signs that make both Haar's are found otherwise."""
    for dtype in (jnp.float32, jnp.complex64):
        grams = []
        for make in (I.orthogonal, THEIRS.orthogonal):
            w = make(scale=2.0, column_axis=axis)(key(), shape, dtype)
            assert w.shape == shape and w.dtype == dtype
            flat = np.moveaxis(np.asarray(w), axis, -1).reshape(-1, shape[axis])
            wide = flat if flat.shape[0] < flat.shape[1] else flat.conj().T
            grams.append(wide @ wide.conj().T)
        np.testing.assert_allclose(grams[0], grams[1], atol=1e-5)


def test_complex_orthogonal_matrices_are_haars():
    """Every number of such a matrix has a modulus whose square is Beta(1, n − 1)."""
    draws = jax.vmap(lambda k: I.orthogonal()(k, (4, 4), jnp.complex64))
    corner = np.asarray(draws(jax.random.split(key(), 500)))[:, 0, 0]
    assert stats.kstest(np.abs(corner) ** 2, stats.beta(1, 3).cdf).pvalue > 0.01
    assert (
        stats.kstest(np.angle(corner), stats.uniform(-np.pi, 2 * np.pi).cdf)[1] > 0.01
    )


@pytest.mark.parametrize("law", ["normal", "uniform", "truncated_normal"])
def test_complex_numbers_have_the_variance(law):
    shape = (100, 400)
    made: Any = THEIRS.variance_scaling
    theirs = made(2.0, "fan_in", law)(key(), shape, jnp.complex64)
    ours = I.variance_scaling(2.0, "fan_in", law)(key(), shape, jnp.complex64)
    # JAX divides by 0.9531; the deviation of a normal law cut at modulus 2 is 0.9620.
    ratio = 0.95311164380491208 / sqrt(1 - 4 / expm1(4)) if law[0] == "t" else 1.0
    alike(ours, (ratio * theirs).astype(jnp.complex64), rtol=1e-3)
    # A square has a relative deviation of 1 at most.
    assert 50 * float((jnp.abs(ours) ** 2).mean()) == pytest.approx(1, abs=4 / 200)
    for part in (ours.real, ours.imag):
        assert abs(float(part.mean())) < 4 * 0.1 / 200


def test_cuts_other_than_two_deviations():
    """The law of JAX's, brought to the deviation that is asked for."""
    for low, high in ((-1.0, 1.0), (-3.0, 1.0), (0.5, 2.0), (-np.inf, 0.0), (4.0, 5.0)):
        law = stats.truncnorm(low, high)
        ours = I.truncated_normal(0.3, jnp.float32, low, high)(key(), (40_000,))
        theirs = THEIRS.truncated_normal(1.0, lower=low, upper=high)(key(), (40_000,))
        alike(ours, 0.3 / float(law.std()) * theirs, rtol=1e-4)
    with pytest.raises(UserError, match=r"lower=1.0, upper=1.0 leave nothing"):
        I.truncated_normal(lower=1.0, upper=1.0)


def test_what_differs_is_what_the_docs_say():
    shape = (200, 300)
    assert float(I.uniform(0.1)(key(), shape).min()) < -0.09
    assert float(THEIRS.uniform(0.1)(key(), shape).min()) >= 0
    size = sqrt(2 / 200)
    assert float(jnp.abs(I.he_normal()(key(), shape)).max()) > 3 * size
    assert float(jnp.abs(THEIRS.he_normal()(key(), shape)).max()) < 2.28 * size
    with pytest.raises(ValueError, match="less or equal"):
        THEIRS.delta_orthogonal()(key(), (3, 3, 4, 2))
    assert I.delta_orthogonal()(key(), (3, 3, 4, 2)).shape == (3, 3, 4, 2)
    with pytest.raises(ZeroDivisionError):
        THEIRS.he_normal()(key(), (0, 3))
    with pytest.raises(UserError, match="write in_axis=-2"):
        I.he_normal(-2)


@pytest.mark.parametrize("axes", [{"in_axis": 4}, {"batch_axis": (0, -5)}], ids=str)
def test_an_axis_that_is_not_there_is_said_in_a_line(axes):
    ((name, _),) = axes.items()
    with pytest.raises(UserError, match=rf"{name}=.*shape \(3, 3, 4, 6\) has no axis"):
        I.he_normal(**axes)(key(), (3, 3, 4, 6))


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    "fans", ["operation", (1.0,), (0.0, 4.0), (1.0, np.nan)], ids=str
)
def test_fans_that_are_none_are_said_in_a_line(fans):
    with pytest.raises(UserError, match="fan"):
        I.he_normal(fans=fans)


def test_given_fans_take_the_place_of_the_shapes():
    given = I.variance_scaling(1.0, "fan_avg", "rademacher", fans=(4.0, 12.0))
    numbers = given(key(), (5, 5, 16, 32))
    np.testing.assert_allclose(np.abs(numbers), sqrt(1 / 8), rtol=1e-6)


DRAWS = {
    "normal": jax.random.normal,
    "uniform": jax.random.uniform,
    "truncated": lambda k, s, t: jax.random.truncated_normal(k, -2, 2, s, t),
    "laplace": jax.random.laplace,
    "rademacher": jax.random.rademacher,
}


@pytest.mark.parametrize("partitionable", [True, False])
def test_shared_sizes_change_no_bit(partitionable):
    with jax.threefry_partitionable(partitionable):
        for name, count in itertools.product(DRAWS, (3, 20)):
            draw = DRAWS[name]
            alone = draw(key(), (count,), jnp.float32)
            shared = flat(draw, key(), count, jnp.float32)
            np.testing.assert_array_equal(shared, alone, err_msg=f"{name}, {count}")


def test_few_sizes_serve_many_shapes():
    sizes = []

    def draw(key, shape, dtype):
        sizes.append(prod(shape))
        return jnp.zeros(shape, dtype)

    for count in (1, 2, 4, 5, 16, 17, 60, 300, 2000, 3 * 4**10 - 5):
        given = jax.eval_shape(lambda n=count: flat(draw, key(), n, jnp.float32))
        assert given.shape == (count,)
    assert sizes == [1, 4, 4, 16, 16, 64, 64, 1024, 4096, 3 * 4**10]


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_every_generators_keys_draw_as_threefrys(impl):
    """Under `vmap` as alone: JAX's other generators draw all members from the first."""

    def made(seed):
        return jax.random.key(seed, impl=impl)

    expected = jax.random.key_data(jax.random.key(2, impl="threefry2x32"))
    np.testing.assert_array_equal(jax.random.key_data(threefry(made(2))), expected)
    for name in ("he_normal", "orthogonal", "sparse"):
        init = I.INITIALIZERS[name]()
        keys = jnp.stack([made(seed) for seed in range(3)])
        batched = jax.vmap(lambda k, init=init: init(k, (2, 2, 2, 4)))(keys)
        for seed in range(3):
            alone = init(jax.random.key(seed, impl="threefry2x32"), (2, 2, 2, 4))
            np.testing.assert_allclose(batched[seed], alone, rtol=1e-5, atol=1e-6)


def test_raw_keys_are_keys():
    raw = jax.random.PRNGKey(3)
    alike(I.normal()(raw, (5,)), I.normal()(key(3), (5,)))
