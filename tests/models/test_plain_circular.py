"""The plain net's deep part wraps around, and its first layers halve the map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.models import build_model
from init_study.network import trace


def traced(image_shape, **arguments):
    model = build_model("plain_circular", 3, {"width": 4, **arguments})
    return trace(model, image_shape, 3)


@pytest.mark.parametrize(
    ("pixels", "rows"), [(28, [28, 14, 7, 7]), (32, [32, 16, 8, 8]), (7, [7, 7, 7, 7])]
)
def test_two_convolutions_halve_the_map(pixels, rows):
    network = traced((pixels, pixels, 1), depth=1)
    assert [layer.output_shape[0] for layer in network.layers[:-1]] == rows
    x = jnp.array([-1.0, 2.0])
    for layer in network.layers[:-1]:
        np.testing.assert_allclose(layer.activation(x), np.tanh(x), rtol=1e-6)


def test_logits_do_not_know_where_the_image_begins():
    # First layers that read one pixel each have no use for padding; of what follows a
    # shift of the image is a shift of the map, whose mean is the same.
    network = traced((5, 7, 2), depth=3)
    params = network.own_init(jax.random.key(0))
    for index in range(3):
        kernel = params[f"Conv_{index}"]["kernel"]
        centre = jnp.zeros_like(kernel).at[1, 1].set(3 * kernel[1, 1])
        params[f"Conv_{index}"]["kernel"] = centre
    images = jax.random.normal(jax.random.key(1), (2, 5, 7, 2))
    logits, _ = network.apply(params, {}, images, train=False)
    shifted = jnp.roll(images, (2, 3), (1, 2))
    again, _ = network.apply(params, {}, shifted, train=False)
    np.testing.assert_allclose(again, logits, rtol=1e-5, atol=1e-6)
    others, _ = network.apply(params, {}, images[:, ::-1], train=False)
    assert np.abs(others - logits).max() > 1e-3


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match="Did you mean 'batch'"):
        traced((8, 8, 1), norm="bach")
