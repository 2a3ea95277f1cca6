"""Residual nets have the layers, branches and shortcuts of their papers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.models import MODELS, build_model
from init_study.network import trace

# Tracing takes long in deep nets: these stand for those that are deeper still.
DEEP = pytest.mark.slow
IMAGENET = [18, pytest.param(34, marks=DEEP), pytest.param(50, marks=DEEP)]


def counted(network):
    """Layers with weights, those on shortcuts left out, as the papers count them."""
    around = {i for branch in network.branches for i in branch.shortcut}
    return len(network.layers) - len(around)


@pytest.mark.parametrize("version", ["", "_v2"])
@pytest.mark.parametrize("depth", IMAGENET)
def test_the_depth_is_that_of_the_name(depth, version):
    model = build_model(f"resnet{depth}{version}", 3, {"width": 1})
    network = trace(model, (32, 32, 3), 3)
    assert counted(network) == depth
    assert len(network.branches) == sum(model.stages)
    # Shapes change at the first blocks of stages; of basic ones, not of the first's.
    projected = [branch for branch in network.branches if branch.shortcut]
    assert len(projected) == (3 if depth < 50 else 4)
    last = network.layers[-2]
    assert last.kernel_shape[-1] == network.layers[-1].fan_in == 8 * (4, 1)[depth < 50]
    strides = [c.strides[0] for c in network.layers if c.kernel_shape[:2] == (3, 3)]
    assert strides.count(2) == 3


@pytest.mark.parametrize("name", ["resnet50", "resnet50_v2"])
def test_maps_are_those_of_table_1(name):
    model = build_model(name, 10, {"width": 1, "stages": (1, 1, 1, 1)})
    network = trace(model, (224, 224, 3), 10)
    assert network.layers[0].output_shape == (112, 112, 1)
    rows = [
        layer.output_shape[0]
        for layer in network.layers
        if layer.kernel_shape[:2] == (3, 3)
    ]
    assert rows == [56, 28, 14, 7]


def test_what_follows_a_convolution_depends_on_the_version():
    arguments = {"width": 2, "stages": (1, 1)}
    v1 = trace(build_model("resnet18", 3, arguments), (16, 16, 1), 3)
    main = [v1.layers[i] for branch in v1.branches for i in branch.layers]
    assert all(layer.normalized and layer.scale for layer in main)
    v2 = trace(build_model("resnet18_v2", 3, arguments), (16, 16, 1), 3)
    firsts = [v2.layers[branch.layers[0]] for branch in v2.branches]
    lasts = [v2.layers[branch.layers[-1]] for branch in v2.branches]
    assert all(layer.normalized for layer in firsts)
    # Sums are bare: no norm of its own follows a branch's last layer.
    assert not any(layer.normalized for layer in lasts)


@pytest.mark.parametrize("depth", [20, pytest.param(56, marks=DEEP)])
def test_cifar_nets_have_no_layer_on_a_shortcut(depth):
    model = build_model(f"resnet{depth}_cifar", 3, {"width": 1})
    network = trace(model, (8, 8, 3), 3)
    assert len(network.layers) == counted(network) == depth
    assert len(network.branches) == (depth - 2) // 2


def test_shortcut_a_is_every_second_pixel_and_zeros():
    model = build_model("resnet20_cifar", 3, {"depth": 8, "width": 2})
    network = trace(model, (8, 8, 1), 3)
    variables = network.initialize(jax.random.key(0))
    # Without branches what is left are shortcuts.
    params = jax.tree.map(jnp.zeros_like, variables["params"])
    params["Conv_0"] = {"kernel": jnp.ones((3, 3, 1, 2))}
    params["BatchNorm_0"] = variables["params"]["BatchNorm_0"]
    params["Dense_0"] = {"kernel": jnp.eye(8, 3), "bias": jnp.zeros(3)}
    state = {"batch_stats": variables["batch_stats"]}
    images = jax.random.uniform(jax.random.key(1), (2, 8, 8, 1))
    logits, _ = network.apply(params, state, images, train=False)
    stem = jax.lax.reduce_window(
        images, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME"
    )
    left = stem[:, ::4, ::4, 0].mean((1, 2)) / np.sqrt(1 + 1e-5)
    expected = jnp.stack([left, left, 0 * left], 1)
    np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_the_wide_resnet_has_28_layers_and_may_drop():
    arguments = {"width": 1, "widening": 2}
    network = trace(build_model("wide_resnet28_10", 3, arguments), (8, 8, 3), 3)
    # The 28 of the paper count the three projections, and not the head.
    assert len(network.layers) - 1 == 28
    assert network.adapter.streams == ()
    dropping = build_model("wide_resnet28_10", 3, {**arguments, "dropout": 0.3})
    assert trace(dropping, (8, 8, 3), 3).adapter.streams == ("dropout",)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("resnet18", {"norm": "bach"}, "Did you mean 'batch'"),
        ("resnet18", {"depth": 34}, "unknown field of model resnet18: 'depth'"),
        ("resnet50_v2", {"norm": "lair"}, "Did you mean 'layer'"),
        ("resnet20_cifar", {"shortcut": "C"}, "unknown shortcut 'C'"),
        ("resnet20_cifar", {"depth": 21}, "nearest is 20"),
        ("resnet19", {}, "Did you mean 'resnet1"),
    ],
)
def test_what_cannot_be_is_said(name, arguments, words):
    with pytest.raises(UserError, match=words):
        trace(build_model(name, 10, arguments), (32, 32, 1), 10)


def test_no_model_begins_with_branches_at_zero():
    for name in ("resnet18", "resnet18_v2", "resnet20_cifar"):
        model = MODELS[name]
        arguments = {"depth": 8} if "cifar" in name else {"stages": (1, 1)}
        made = build_model(name, 3, {"width": 2, **arguments})
        assert isinstance(made, model)
        network = trace(made, (8, 8, 1), 3)
        params = network.own_init(jax.random.key(0))
        scales = [v["scale"] for k, v in params.items() if k.startswith("BatchNorm")]
        assert scales and all((scale == 1).all() for scale in scales)
