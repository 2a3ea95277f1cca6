"""The VGG nets of the paper are laid out as in its table 1."""

import pytest

from init_study.errors import UserError
from init_study.models import build_model
from init_study.network import trace

# Table 1 of the paper: nets A, B, D and E.
TABLE = {
    "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


@pytest.mark.parametrize("name", TABLE)
def test_layers_are_those_of_the_table(name):
    network = trace(build_model(name, 10, {"dense": 4}), (32, 32, 3), 10)
    rows, pixels, into = [], 32, 3
    for word in TABLE[name].split():
        if word == "M":
            pixels //= 2
        else:
            rows.append(((3, 3, into, int(word)), (pixels, pixels, int(word))))
            into = int(word)
    convolutions = [layer for layer in network.layers if layer.kind == "conv"]
    found = [(layer.kernel_shape, layer.output_shape) for layer in convolutions]
    assert found == rows
    # The map of one pixel is averaged to 7×7.
    dense = [layer.kernel_shape for layer in network.layers[len(rows) :]]
    assert dense == [(7 * 7 * 512, 4), (4, 4), (4, 10)]
    assert all(layer.bias and layer.activation for layer in network.layers)


def test_the_small_one_stops_to_halve_at_one_pixel():
    network = trace(build_model("vgg11_small", 3, {"width": 2}), (28, 28, 1), 3)
    rows = [layer.output_shape[0] for layer in network.layers[:-1]]
    assert rows == [28, 14, 7, 7, 3, 3, 1, 1]
    assert network.layers[-1].kernel_shape == (16, 3)
    assert network.adapter.streams == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {},
            "VGG net of 5 stages needs .* 32×32 .*, not 28×28; use model=vgg11_small",
        ),
        ({"norm": "bach"}, "Did you mean 'batch'"),
        ({"depth": 16}, "unknown field of model vgg16: 'depth'.*stages, width"),
    ],
)
def test_what_cannot_be_is_said(arguments, words):
    with pytest.raises(UserError, match=words):
        trace(build_model("vgg16", 10, arguments), (28, 28, 1), 10)
