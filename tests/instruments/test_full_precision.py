"""What is measured is measured in float32 where the device would round to less.

Which factors are rounded is in the program, so that it can be read without a GPU.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from init_study.conv import fast_in_loops
from init_study.instruments.instrument import ProbeBatch, Subject, take_measures
from init_study.instruments.kernels import tangent_kernel
from init_study.instruments.table import INSTRUMENTS
from init_study.jaxprs import inner_equations
from init_study.network import trace

FULL = (lax.Precision.HIGHEST, lax.Precision.HIGHEST)


class Small(nn.Module):
    @nn.compact
    def __call__(self, images):
        maps = jax.nn.relu(nn.Conv(2, (3, 3))(images))
        return nn.Dense(2)(maps.reshape(len(images), -1))


def precisions(jaxpr):
    """The precision of each product and convolution, of all inner programs too."""
    found = {"dot_general": [], "conv_general_dilated": []}

    def look(equation):
        if str(equation.primitive) in found:
            found[str(equation.primitive)].append(equation.params["precision"])
        for inner in inner_equations(equation):
            look(inner)

    for equation in jaxpr.eqns:
        look(equation)
    return found


def test_products_and_convolutions_of_an_instrument_keep_all_digits():
    network = trace(Small(), (4, 4, 1))
    params = jax.tree.map(lambda leaf: leaf[None], network.own_init(jax.random.key(0)))
    seen = {}

    def measure(network, subject, batch):
        row = partial(INSTRUMENTS["gradient_quotient"].measure, network)
        seen.update(precisions(jax.make_jaxpr(row)(subject, batch).jaxpr))
        return {"one": jnp.ones(())}

    row = INSTRUMENTS["logits"]._replace(measure=measure, finish=None)
    batch = ProbeBatch(jnp.ones((2, 4, 4, 1)), jnp.arange(2), jax.random.key(1))
    take_measures({"seen": row}, network, Subject(params, {}), batch)
    for name, found in seen.items():
        assert len(found) > 3, name
        assert set(found) == {FULL}, name


def test_a_tangent_kernel_keeps_all_digits_backwards_and_forwards():
    images, weights = jnp.ones((2, 4, 4, 1)), jnp.ones((3, 3, 1, 2))

    def outputs(kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        made = lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=numbers
        )
        return made.reshape(2, -1) @ jnp.ones((32, 2))

    for most in (0, 1000):
        kernel = partial(tangent_kernel, outputs, most_numbers=most)
        found = precisions(jax.make_jaxpr(kernel)(weights).jaxpr)
        assert {*found["dot_general"], *found["conv_general_dilated"]} == {FULL}
        assert found["conv_general_dilated"]


def test_convolutions_stay_fast_where_full_precision_is_set_around_them():
    numbers = ("NHWC", "HWIO", "NHWC")
    slow = partial(
        lax.conv_general_dilated,
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=numbers,
    )
    shapes = jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1))
    with jax.default_matmul_precision("float32"):
        fast = precisions(jax.make_jaxpr(fast_in_loops(slow, "patches"))(*shapes).jaxpr)
    assert fast == {"dot_general": [FULL], "conv_general_dilated": []}
