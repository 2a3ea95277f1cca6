"""Every model of the table, with every value of its fields, is what it says."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.activations import ACTIVATIONS
from init_study.errors import UserError
from init_study.models import build_model
from init_study.models.cnn import PADDINGS, POOLINGS
from init_study.models.parts import NORMS, halve_map
from init_study.network import trace

VARIANTS = (
    [{"activation": name} for name in ACTIVATIONS]
    + [{"norm": name} for name in NORMS]
    + [{"pooling": name} for name in POOLINGS]
    + [{"padding": name} for name in PADDINGS]
)


@pytest.mark.parametrize("arguments", VARIANTS, ids=str)
def test_cnn_takes_every_value(arguments):
    model = build_model("cnn", 5, {"depth": 2, "width": 3, **arguments})
    network = trace(model, (12, 12, 2), 5)
    kernels = [layer.kernel_shape for layer in network.layers]
    assert kernels == [(3, 3, 2, 3), (3, 3, 3, 3), (3, 5)]
    assert all(layer.bias for layer in network.layers)


def test_vgg_stages_are_pairs_of_convolutions_of_doubling_width():
    network = trace(build_model("vgg_stages", 10, {}), (32, 32, 3), 10)
    kernels = [layer.kernel_shape for layer in network.layers]
    widths = [(3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
    assert kernels == [(3, 3, *pair) for pair in widths] + [(128, 10)]
    assert [layer.bias is not None for layer in network.layers] == [False] * 6 + [True]
    assert len(network.shapes) == 6 * 3 + 2


def test_vgg_stages_widen_up_to_eight_times():
    deep = {"depth": 5, "width": 2, "norm": "none", "pooling": "average"}
    network = trace(build_model("vgg_stages", 3, deep), (32, 32, 1), 3)
    outs = [layer.kernel_shape[-1] for layer in network.layers]
    assert outs == [2, 2, 4, 4, 8, 8, 16, 16, 16, 16, 3]
    assert all(layer.bias for layer in network.layers)


def resnet_parameters(depth, width, channels, classes):
    """As counted by hand, with BatchNorm: two numbers per channel."""
    blocks = (depth - 2) // 6
    total = 9 * channels * width + 2 * width
    for out in (width, 2 * width, 4 * width):
        into = width if out == width else out // 2
        total += 9 * into * out + (2 * blocks - 1) * 9 * out * out
        total += 2 * blocks * 2 * out
        total += into * out + 2 * out if into != out else 0
    return total + 4 * width * classes + classes


@pytest.mark.parametrize("depth", [8, 20])
def test_resnet_has_the_parameters_of_its_formula(depth):
    network = trace(build_model("resnet", 10, {"depth": depth}), (32, 32, 3), 10)
    assert network.num_parameters == resnet_parameters(depth, 16, 3, 10)
    if depth == 20:
        assert network.num_parameters == 272_474
    main = [layer for layer in network.layers if layer.kernel_shape[:2] != (1, 1)]
    assert len(main) == depth


def test_resnet_halves_the_map_at_the_second_and_third_stage():
    arguments = {"depth": 8, "width": 2, "norm": "none"}
    network = trace(build_model("resnet", 3, arguments), (8, 8, 1), 3)
    steps = [
        (x.kernel_shape, x.strides)
        for x in network.layers
        if max(x.strides, default=1) == 2
    ]
    assert steps == [
        ((3, 3, 2, 4), (2, 2)),
        ((1, 1, 2, 4), (2, 2)),
        ((3, 3, 4, 8), (2, 2)),
        ((1, 1, 4, 8), (2, 2)),
    ]
    assert all(layer.bias for layer in network.layers)
    variables = network.initialize(jax.random.key(0))
    assert list(variables) == ["params"]


@pytest.mark.parametrize(
    "name", ["vgg_stages", pytest.param("resnet", marks=pytest.mark.slow)]
)
def test_batch_norm_models_move_their_averages(name):
    model = build_model(name, 3, {"depth": 8 if name == "resnet" else 1, "width": 2})
    network = trace(model, (4, 4, 1), 3)
    variables = network.initialize(jax.random.key(0))
    state = {"batch_stats": variables["batch_stats"]}
    images = jax.random.normal(jax.random.key(1), (5, 4, 4, 1))
    logits, moved = network.apply(variables["params"], state, images, train=True)
    assert logits.shape == (5, 3)
    assert jax.tree.structure(moved) == jax.tree.structure(state)
    before, after = jax.tree.leaves(state), jax.tree.leaves(moved)
    pairs = zip(before, after, strict=True)
    assert all((old != new).any() for old, new in pairs)


def map_sizes(image_size, **arguments):
    """Height of the map before each convolution."""
    sizes = []

    def note(next_function, args, kwargs, context):
        if type(context.module).__name__ == "Conv":
            sizes.append(args[0].shape[1])
        return next_function(*args, **kwargs)

    import flax.linen as nn

    images = jnp.zeros((1, image_size, image_size, 1))
    with nn.intercept_methods(note):
        jax.eval_shape(build_model("cnn", 2, arguments).init, jax.random.key(0), images)
    return sizes


def test_the_map_is_halved_early_and_not_below_four():
    assert map_sizes(28, depth=4) == [28, 14, 7, 7]
    assert map_sizes(28, depth=4, pooling="none") == [28, 28, 28, 28]
    assert map_sizes(8, depth=3) == [8, 4, 4]
    assert map_sizes(6, depth=2) == [6, 6]
    assert map_sizes(28, depth=3, pooling="stride") == [28, 14, 7]


def test_halving_is_two_by_two_pooling():
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
    block = x[:, 2:4, 4:6]
    np.testing.assert_array_equal(halve_map(x, "max")[:, 1, 2], block.max((1, 2)))
    np.testing.assert_allclose(
        halve_map(x, "average")[:, 1, 2], block.mean((1, 2)), rtol=1e-6
    )
    assert halve_map(x, "max").shape == (2, 2, 3, 3)


def test_a_users_own_module_is_found_by_name(tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text(
        "import flax.linen as nn\n"
        "class Net(nn.Module):\n"
        "    num_classes: int\n"
        "    width: int = 2\n"
        "    @nn.compact\n"
        "    def __call__(self, x):\n"
        "        return nn.Dense(self.num_classes)(x.reshape(len(x), -1))\n"
        "class Silent(nn.Module):\n"
        "    pass\n"
        "number = 3\n"
    )
    (tmp_path / "broken_net.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    model = build_model("own_net:Net", 4, {"width": 5})
    assert (model.num_classes, model.width) == (4, 5)
    for name, words in {
        "own_net:Nett": "has no 'Nett'; did you mean 'Net'",
        "own_net:number": "is no module",
        "own_net:Silent": "cannot be called",
        "broken_net:Net": "nothing_of_this_name",
        "no_such_file:Net": "does not import.*in the folder you are in",
        "./nets/own_net.py:Net": "as Python imports it.*: nets.own_net:Net",
        "Net": "of your own is module:NAME, as my_package.nets:Net",
    }.items():
        with pytest.raises(UserError, match=words):
            trace(build_model(name, 4, {}), (4, 4, 1), 4)
    with pytest.raises(UserError, match=r"'depth'.*study.depth=default\."):
        build_model("own_net:Net", 4, {"depth": 3})
    sys.modules.pop("own_net")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("cnnn", {}, "Did you mean 'cnn'"),
        ("vgg", {}, "is called 'vgg_stages'"),
        (
            "lenet",
            {"depth": 3},
            "'depth'; leave it out.*--study.depth=default.*: activation, dtype, norm",
        ),
        ("linear", {"norm": "batch"}, "--study.norm=default.*fields: dtype$"),
        (
            "linear",
            {"depth": 3, "width": 4},
            "'depth', 'width'; .* --study.depth=default --study.width=default[.] The",
        ),
        ("cnn", {"dpth": 3}, "Did you mean 'depth'.*activation, depth"),
        ("cnn", {"activation": "rely"}, "Did you mean 'relu'"),
        ("cnn", {"norm": "bach"}, "Did you mean 'batch'"),
        ("cnn", {"padding": "valid", "depth": 9}, "8×8 are used up after 2"),
        ("lenet", {}, "at least 16×16 pixels, not 8×8"),
        ("vgg_stages", {"depth": 4}, "8×8 pixels are too few; use depth=3 or less"),
        ("vgg_stages", {"pooling": "maxx"}, "Did you mean 'max'"),
        ("vgg_stages", {"activation": "rely"}, "Did you mean 'relu'"),
        ("resnet", {"depth": 18}, "6n\\+2.*nearest is 20"),
        ("resnet", {"depth": 1}, "nearest is 8"),
        ("resnet", {"norm": "bach"}, "Did you mean 'batch'"),
    ],
)
def test_what_cannot_be_is_said(name, arguments, words):
    with pytest.raises(UserError, match=words):
        trace(build_model(name, 10, arguments), (8, 8, 1), 10)
