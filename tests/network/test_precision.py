"""The precision of products: what is rounded, where, and what a module may ask for."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from init_study import jaxprs
from init_study.conv import FORMS, convolve
from init_study.conv.groups import block_diagonal
from init_study.conv.lowering import default_precision
from init_study.data.feeds import Examples
from init_study.errors import UserError
from init_study.network import Arithmetic, set_for, trace
from init_study.network.precision import in_arithmetic
from init_study.study import Program
from init_study.train import Hyper, Sums, evaluate, init_state, train_step

FLOAT32 = Arithmetic("float32")
TF32 = Arithmetic("tf32")
HALF = Arithmetic("bfloat16")
# As on an NVIDIA GPU and on a TPU.
SETTINGS = [
    *(FLOAT32, TF32, HALF),
    Arithmetic("tf32", "tensorfloat32"),
    Arithmetic("bfloat16", "BF16_BF16_F32"),
    Arithmetic("bfloat16", "bfloat16"),
]
BITS = {"tf32": 11, "bfloat16": 8}
PRODUCTS = ("dot_general", "conv_general_dilated")
IMAGES = jax.random.normal(jax.random.key(1), (16, 8, 8, 2))
LABELS = jax.random.randint(jax.random.key(2), (16,), 0, 5)


class Net(nn.Module):
    dtype: jnp.dtype | None = None
    precision: lax.Precision | None = None

    @nn.compact
    def __call__(self, x):
        options = {"dtype": self.dtype, "precision": self.precision}
        x = nn.tanh(nn.Conv(8, (3, 3), **options)(x))
        x = nn.tanh(nn.Conv(8, (3, 3), strides=2, **options)(x))
        return nn.Dense(5, **options)(x.reshape(len(x), -1))


def loss_of(apply, params):
    logits = jax.nn.log_softmax(apply(params))
    return -jnp.take_along_axis(logits, LABELS[:, None], 1).mean()


@pytest.fixture(scope="module")
def network():
    return trace(Net(), IMAGES.shape[1:], 5)


@pytest.fixture(scope="module")
def params(network):
    return network.own_init(jax.random.key(0))


def gradients(network, arithmetic, params, form="xla"):
    network = network._replace(arithmetic=arithmetic)

    def apply(params):
        return network.apply(params, {}, IMAGES, train=True, convolution=form)[0]

    with set_for(arithmetic):
        return jax.jit(jax.grad(partial(loss_of, apply)))(params)


def off(found, expected):
    """The relative distance of each leaf."""
    return [
        float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    ]


def rounded(numbers, bits):
    """To so many significant bits, ties to even; by the host."""
    mantissa, exponent = np.frexp(np.asarray(numbers, np.float64))
    nearest = np.ldexp(np.round(mantissa * 2.0**bits), exponent - bits)
    return jnp.asarray(nearest, jnp.float32)


def convolution(images, kernel):
    return lax.conv_general_dilated(
        *(images, kernel, (1, 1), "SAME"), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@pytest.mark.parametrize(
    ("product", "shapes"),
    [
        (jnp.matmul, [(6, 40), (40, 7), (6, 7)]),
        (convolution, [(2, 5, 5, 3), (3, 3, 3, 4), (2, 5, 5, 4)]),
    ],
)
@pytest.mark.parametrize("arithmetic", [TF32, HALF])
def test_factors_of_all_three_products_are_rounded(arithmetic, product, shapes):
    """y of ⌊x⌉ and ⌊k⌉; dk of ⌊x⌉ and ⌊dy⌉; dx of ⌊k⌉ and ⌊dy⌉; no result is."""
    x, k, dy = (jax.random.normal(jax.random.key(i), s) for i, s in enumerate(shapes))
    with set_for(arithmetic):
        y, pull = jax.vjp(in_arithmetic(product, arithmetic), x, k)
    bits = BITS[arithmetic.precision]
    expected, exact_pull = jax.vjp(product, rounded(x, bits), rounded(k, bits))
    pairs = zip((y, *pull(dy)), (expected, *exact_pull(rounded(dy, bits))), strict=True)
    plain, plain_pull = jax.vjp(product, x, k)
    for (found, exact), other in zip(pairs, (plain, *plain_pull(dy)), strict=True):
        np.testing.assert_array_equal(found, exact)
        assert off(found, other)[0] > 2.0 ** -(bits + 2)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("arithmetic", SETTINGS[3:], ids=str)
def test_a_precision_is_the_same_whatever_multiplies(arithmetic, form, network, params):
    """Of another device's products, and of any form of convolution."""
    expected = gradients(network, Arithmetic(arithmetic.precision), params)
    found = gradients(network, arithmetic, params, form)
    plain = gradients(network, None, params)
    for near, far in zip(off(found, expected), off(plain, expected), strict=True):
        # A factor that lies between two of the grid may go either way.
        assert near < far / 4
        assert far > 2.0 ** -(BITS[arithmetic.precision] + 3)


def products(function, *args):
    traced = jax.make_jaxpr(function)(*args)
    return [e for e in jaxprs.equations(traced) if str(e.primitive) in PRODUCTS]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("arithmetic", SETTINGS, ids=str)
def test_every_product_has_the_setting(arithmetic, form, network, params):
    """Those of gradients too, whichever rule makes them."""
    found = products(lambda p: gradients(network, arithmetic, p, form), params)
    assert len(found) >= 8
    with set_for(arithmetic):
        expected = default_precision()
    # Winograd's transformed numbers have more bits: those products are always exact.
    exact = ((lax.Precision.HIGHEST,) * 2,) if form == "winograd" else ()
    assert {product.params["precision"] for product in found} <= {expected, *exact}
    assert any(product.params["precision"] == expected for product in found)


@pytest.mark.parametrize("form", FORMS)
def test_float32_is_what_a_cpu_does_anyway(form, network, params):
    found = gradients(network, FLOAT32, params, form)
    plain = gradients(network, None, params, form)
    jax.tree.map(np.testing.assert_array_equal, found, plain)


def transformed(images, kernel):
    form = {"padding": "SAME", "form": "winograd"}
    return (convolve(images, kernel, **form) ** 2).sum()


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (transformed, [(2, 16, 16, 64), (3, 3, 64, 64)]),
        (lambda kernel: (block_diagonal(kernel, 2) ** 2).sum(), [(3, 3, 8, 16)]),
    ],
)
def test_what_is_no_factor_loses_nothing(function, shapes):
    """Transforms, and sums that are laid out anew, are of exact products.

    A matrix unit would round them, which no number on a CPU shows.
    """
    given = [jnp.ones(shape) for shape in shapes]
    with set_for(Arithmetic("bfloat16", "BF16_BF16_F32")):
        found = products(jax.grad(function, range(len(shapes))), *given)
    assert {one.params["precision"] for one in found} == {(lax.Precision.HIGHEST,) * 2}


@pytest.mark.parametrize("form", FORMS)
def test_a_step_and_an_evaluation_set_it_themselves(form, network):
    """Whatever is set around them, and for the rules of gradients too."""
    network = network._replace(arithmetic=Arithmetic("tf32", "tensorfloat32"))
    program, number = Program(batch_size=16), jnp.int32(0)
    state = init_state(program, network.own_init(jax.random.key(0)), {})
    hyper = Hyper(jnp.float32(0.1), number, number)
    mean = jnp.zeros(2)
    batch = Examples(IMAGES, LABELS, mean, mean + 1)
    sums = Sums(jnp.float32(0), number)
    step = partial(train_step, network, program, form)
    count = partial(evaluate, network, form)
    exact = {(lax.Precision.HIGHEST,) * 2} if form == "winograd" else set()
    for found in (
        products(step, state, hyper, batch),
        products(count, (state, sums), batch, number, number),
    ):
        own = {product.params["precision"] for product in found}
        assert own - exact == {(lax.Precision.HIGH,) * 2}


def test_without_an_arithmetic_nothing_is_set():
    assert in_arithmetic(jnp.matmul, None) is jnp.matmul
    with jax.default_matmul_precision("float32"), set_for(None):
        (product,) = products(jnp.matmul, jnp.eye(2), jnp.eye(2))
    assert product.params["precision"] == (lax.Precision.HIGHEST,) * 2


def test_members_side_by_side_are_rounded_alike(network, params):
    """As each of them alone."""
    pair = jax.tree.map(lambda leaf: jnp.stack([leaf, -leaf]), params)
    both = jax.vmap(partial(gradients, network, HALF))(pair)
    for i in range(2):
        alone = gradients(network, HALF, jax.tree.map(lambda x, i=i: x[i], pair))
        got = jax.tree.map(lambda x, i=i: x[i], both)
        assert max(off(got, alone)) < 1e-3


class Ragged(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)
        kernels = self.param("kernel", nn.initializers.normal(), (1, x.shape[1], 5))
        return lax.ragged_dot(x, kernels, jnp.array([len(x)], jnp.int32))


class Looped(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x.reshape(*x.shape[:2], -1)
        return nn.Dense(5)(nn.RNN(nn.SimpleCell(4))(x)[:, -1])


class Again(nn.Module):
    """A block that is computed once more for its gradients."""

    @nn.compact
    def __call__(self, x):
        x = nn.remat(nn.Conv)(4, (3, 3))(x)
        return nn.Dense(5)(nn.relu(x).reshape(len(x), -1))


def applied(module, arithmetic):
    network = trace(module, IMAGES.shape[1:], 5)._replace(arithmetic=arithmetic)
    return network.apply(network.own_init(jax.random.key(0)), {}, IMAGES, train=False)[
        0
    ]


@pytest.mark.parametrize(
    ("module", "arithmetic", "says"),
    [
        (Looped(), HALF, "are inside scan"),
        (Ragged(), TF32, "are of ragged_dot"),
        (Looped(), TF32, "are inside scan"),
        (Net(jnp.bfloat16), FLOAT32, "are of bfloat16"),
        (Net(jnp.bfloat16), HALF, "are of bfloat16"),
        (Net(precision=lax.Precision.DEFAULT), FLOAT32, "precision=DEFAULT themselves"),
        (Net(precision=lax.Precision.HIGH), TF32, "precision=HIGH themselves"),
    ],
)
def test_a_module_with_a_precision_of_its_own_is_refused(module, arithmetic, says):
    with pytest.raises(UserError, match=says) as caught:
        applied(module, arithmetic)
    wanted = f"does not take precision={arithmetic.precision}"
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "leave precision at default" in str(caught.value)


def test_a_module_may_ask_for_exact_products():
    """Of factors that are rounded all the same."""
    exact = Net(precision=lax.Precision.HIGHEST)
    found = applied(exact, Arithmetic("bfloat16", "BF16_BF16_F32"))
    np.testing.assert_array_equal(found, applied(Net(), HALF))


def test_loops_are_reached_by_a_setting():
    np.testing.assert_array_equal(applied(Looped(), FLOAT32), applied(Looped(), None))


def test_what_is_computed_once_more_is_rounded():
    plain, rounded_twice = applied(Again(), None), applied(Again(), HALF)
    assert 1e-4 < off(rounded_twice, plain)[0] < 2e-2
    network = trace(Again(), IMAGES.shape[1:], 5)._replace(arithmetic=HALF)

    def first_logit(params):
        return network.apply(params, {}, IMAGES, train=True)[0][0, 0]

    with set_for(HALF):
        params = network.own_init(jax.random.key(0))
        traced = jax.make_jaxpr(jax.grad(first_logit))(params)
    assert "checkpoint" in str(traced) or "remat" in str(traced)


def test_products_of_whole_numbers_are_left_alone():
    counts = jnp.arange(4, dtype=jnp.int32)
    with set_for(HALF):
        found = in_arithmetic(jnp.matmul, HALF)(counts, counts)
    assert (found.dtype, int(found)) == (jnp.int32, 14)
