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


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_scanned_layers_compute_what_layers_of_their_own_do(norm):
    arguments = {"width": 3, "depth": 4, "norm": norm}
    images = jax.random.normal(jax.random.key(1), (3, 8, 8, 1))
    model = build_model("plain_circular", 2, arguments)
    variables = model.init(jax.random.key(0), images)
    logits, moved = model.apply(variables, images, train=True, mutable=["batch_stats"])

    def stacked(tree):
        """The tree with the equal layers in one."""
        out = {name: leaf for name, leaf in tree.items() if name[-1] in "012"}
        kinds = {name.split("_")[0] for name in tree} - {"Dense"}
        deep = [{f"{k}_0": tree[f"{k}_{i}"] for k in kinds} for i in range(3, 7)]
        each = jax.tree.map(lambda *leaves: jnp.stack(leaves), *deep)
        return {**out, "layers": each}

    scanned = build_model("plain_circular", 2, {**arguments, "scanned": True})
    again, moved_again = scanned.apply(
        {kind: stacked(tree) for kind, tree in variables.items()},
        images,
        train=True,
        mutable=["batch_stats"],
    )
    np.testing.assert_allclose(again, logits, rtol=1e-5, atol=1e-6)
    expected = {kind: stacked(tree) for kind, tree in moved.items()}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        moved_again,
        expected,
    )
    assert bool(expected) == (norm == "batch")


def test_ten_thousand_scanned_layers_are_ten_thousand_draws():
    arguments = {"width": 2, "depth": 10_000, "scanned": True}
    model = build_model("plain_circular", 2, arguments)
    images = jnp.zeros((1, 4, 4, 1))
    params = jax.jit(model.init)(jax.random.key(0), images)["params"]
    kernels = params["layers"]["Conv_0"]["kernel"]
    assert kernels.shape == (10_000, 3, 3, 2, 2)
    assert len(np.unique(kernels[:, 0, 0, 0, 0])) > 9_900


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match="Did you mean 'batch'"):
        traced((8, 8, 1), norm="bach")
