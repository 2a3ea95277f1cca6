"""U-Net's maps are those of its figure, and what it joins is where it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.models import build_model
from init_study.models.unet import UNet
from init_study.network import trace


def traced(image_shape, **arguments):
    return trace(build_model("unet", 2, {"width": 2, **arguments}), image_shape, 2)


def test_maps_are_those_of_the_figure():
    layers = traced((572, 572, 1)).layers
    assert [layer.output_shape[0] for layer in layers] == [
        *(570, 568, 282, 280, 138, 136, 66, 64, 30, 28),
        *(56, 54, 52, 104, 102, 100, 200, 198, 196, 392, 390, 388, 388),
    ]
    channels = [2, 2, 4, 4, 8, 8, 16, 16, 32, 32]
    channels += [16, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2, 2]
    assert [layer.output_shape[-1] for layer in layers] == channels
    doublings = [layer for layer in layers if layer.kind == "conv_transpose"]
    assert [layer.kernel_shape for layer in doublings] == [
        (2, 2, 2 * out, out) for out in (16, 8, 4, 2)
    ]
    for layer in layers[:-1]:
        rectified = layer.activation(jnp.array([-1.0])).item() == 0
        assert rectified == (layer.kind == "conv")


@pytest.mark.parametrize("padding", ["same", "circular"])
@pytest.mark.parametrize("pixels", [8, 11])
def test_padded_maps_come_back_to_their_size(padding, pixels):
    network = traced((pixels, pixels, 1), depth=2, padding=padding)
    half, quarter = pixels // 2, pixels // 4
    sizes = [pixels] * 2 + [half] * 2 + [quarter] * 2
    sizes += [2 * quarter] * 3 + [4 * quarter] * 4
    assert [layer.output_shape[0] for layer in network.layers] == sizes


def test_it_gives_a_map_that_it_averages():
    images = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    arguments = {"num_classes": 2, "depth": 1, "width": 2, "padding": "same"}
    variables = jax.jit(UNet(**arguments).init)(jax.random.key(0), images)
    scores = UNet(**arguments, averaged=False).apply(variables, images)
    assert scores.shape == (2, 8, 8, 2)
    logits = UNet(**arguments).apply(variables, images)
    np.testing.assert_allclose(logits, scores.mean((1, 2)), rtol=1e-5, atol=1e-6)


def test_the_way_up_is_joined_by_the_middle_of_the_way_down():
    # Kernels that hand on one pixel and channel: what is left is the skip alone.
    model = UNet(num_classes=1, depth=1, width=1, averaged=False, activation="linear")
    images = jnp.arange(18.0 * 18).reshape(1, 18, 18, 1)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    # The pair on the way down, that on the way up, and the scores.
    for index in (0, 1, 4, 5, 6):
        kernel = params[f"Conv_{index}"]["kernel"]
        middle = kernel.shape[0] // 2
        params[f"Conv_{index}"]["kernel"] = kernel.at[middle, middle, 0, 0].set(1.0)
    scores = model.apply({"params": params}, images)
    # 18 → 14, 14 → 7 → 3 → 6, and 6 → 2: the six in the middle, and of these two.
    np.testing.assert_array_equal(scores, images[:, 8:10, 8:10])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_least_image_leaves_a_pixel(depth):
    words = r"uses up images of 8×8 pixels; it needs at least (\d+)×.*padding='same'"
    with pytest.raises(UserError, match=words) as refused:
        traced((8, 8, 1), depth=depth)
    least = int(str(refused.value).split("at least ")[1].split("×")[0])
    for pixels in (least, least + 1):
        network = traced((pixels, pixels, 1), depth=depth)
        assert min(min(layer.output_shape[:2]) for layer in network.layers) > 0
    with pytest.raises(UserError, match="uses up"):
        traced((least - 1, least, 1), depth=depth)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"padding": "sam"}, "Did you mean 'same'"),
        ({"norm": "bach"}, "Did you mean 'batch'"),
        ({"padding": "same"}, "at least 16×16; use a smaller depth"),
    ],
)
def test_what_cannot_be_is_said(arguments, words):
    with pytest.raises(UserError, match=words):
        traced((8, 8, 1), **arguments)
