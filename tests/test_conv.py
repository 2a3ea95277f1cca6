"""The convolution is XLA's, in value and in both gradients, bit for bit or nearly."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from init_study.conv import conv_general_dilated, convolve, intercept_convolutions

LAYOUT = ("NHWC", "HWIO", "NHWC")
# (height, width, in, out, kernel, strides, padding)
CASES = [
    (8, 8, 3, 4, (3, 3), (1, 1), "SAME"),
    (8, 6, 3, 4, (3, 3), (2, 2), "SAME"),
    (7, 9, 2, 3, (5, 5), (1, 1), "VALID"),
    (9, 8, 2, 3, (5, 3), (2, 1), "VALID"),
    (8, 8, 3, 2, (2, 2), (1, 1), "SAME"),
    (8, 7, 3, 2, (4, 2), (3, 2), "SAME"),
    (6, 6, 3, 5, (1, 1), (2, 2), "VALID"),
    (6, 6, 3, 2, (3, 3), (2, 2), ((2, 0), (1, 3))),
    (5, 5, 2, 2, (3, 3), (1, 1), ((4, 3), (0, 5))),
]


def inputs(case):
    height, width, cin, cout, kernel, strides, padding = case
    key = jax.random.key(0)
    images = jax.random.normal(jax.random.fold_in(key, 0), (3, height, width, cin))
    weights = jax.random.normal(jax.random.fold_in(key, 1), (*kernel, cin, cout))
    return images, weights, strides, padding


def xla(images, kernel, strides, padding):
    return lax.conv_general_dilated(
        images, kernel, strides, padding, dimension_numbers=LAYOUT
    )


def ours(images, kernel, strides, padding):
    return conv_general_dilated(
        images, kernel, strides, padding, dimension_numbers=LAYOUT
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_gradients_are_xlas(case):
    images, kernel, strides, padding = inputs(case)
    target = jnp.cos(xla(images, kernel, strides, padding))

    def loss(conv):
        return lambda x, k: jnp.sum(conv(x, k, strides, padding) * target)

    np.testing.assert_array_equal(
        ours(images, kernel, strides, padding), xla(images, kernel, strides, padding)
    )
    for mine, theirs in zip(
        jax.grad(loss(ours), (0, 1))(images, kernel),
        jax.grad(loss(xla), (0, 1))(images, kernel),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def test_gradients_agree_inside_a_loop_under_vmap_and_twice():
    images, kernel, strides, padding = inputs(CASES[1])

    def loss(conv):
        return lambda k: jnp.sum(jnp.sin(conv(images, k, strides, padding)))

    def in_a_loop(conv):
        kernels = jnp.stack([kernel, 2 * kernel])
        return lax.map(jax.vmap(jax.grad(loss(conv))), kernels[:, None])

    def twice(conv):
        first = jax.grad(loss(conv))
        return jax.grad(lambda k: jnp.sum(first(k) ** 2))(kernel)

    np.testing.assert_allclose(in_a_loop(ours), in_a_loop(xla), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(twice(ours), twice(xla), rtol=1e-4, atol=1e-4)


def uses_ours(module, images):
    """Whether the module's trace holds our convolution."""
    variables = module.init(jax.random.key(0), images)
    with nn.intercept_methods(intercept_convolutions):
        text = str(jax.make_jaxpr(lambda v: module.apply(v, images))(variables))
    return "custom_vjp_call" in text


def test_flax_convolutions_are_intercepted_and_grouped_ones_left_to_xla():
    images = jnp.ones((2, 6, 6, 4))
    assert uses_ours(nn.Conv(3, (3, 3)), images)
    assert uses_ours(nn.Conv(3, (3, 3), padding="CIRCULAR"), images)
    assert not uses_ours(nn.Conv(4, (3, 3), feature_group_count=4), images)
    assert not uses_ours(nn.Conv(3, (3, 3), kernel_dilation=2), images)
    assert not uses_ours(
        nn.Conv(3, (3, 3), conv_general_dilated=lax.conv_general_dilated), images
    )


def test_interception_leaves_no_trace_on_the_module():
    module = nn.Conv(3, (3, 3))
    uses_ours(module, jnp.ones((2, 6, 6, 4)))
    assert module.conv_general_dilated is None


def test_default_arguments_are_a_plain_valid_convolution():
    images, kernel, _, _ = inputs(CASES[0])
    np.testing.assert_array_equal(
        convolve(images, kernel), xla(images, kernel, (1, 1), "VALID")
    )
