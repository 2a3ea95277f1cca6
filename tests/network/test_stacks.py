"""Blocks in a loop are layers one behind the other; a loop makes no other network."""

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from strict import leniently

from init_study import explain, initialize
from init_study.instruments.signals import layer_signals
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme

WIDTH, COUNT = 32, 4
SHAPE = (6, 6, 3)
IMAGES = jax.ShapeDtypeStruct((2, *SHAPE), "float32")
# √(2 / (9 · C)), the deviation of He's law for one block.
HE = (2 / (9 * WIDTH)) ** 0.5


class Block(nn.Module):
    """A residual block; `reverse` and the rest are the loop's business."""

    train: bool = False
    norm: bool = True

    @nn.compact
    def __call__(self, x, _=None):
        y = nn.Conv(x.shape[-1], (3, 3))(x)
        if self.norm:
            y = nn.BatchNorm(use_running_average=not self.train)(y)
        y = nn.Dropout(0.5, deterministic=not self.train)(nn.relu(y))
        return x + y, None


class InALoop(nn.Module):
    reverse: bool = False
    norm: bool = True

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(WIDTH, (3, 3))(x)
        blocks = nn.scan(
            Block,
            variable_axes={"params": 0, "batch_stats": 0},
            split_rngs={"params": True, "dropout": True},
            length=COUNT,
            reverse=self.reverse,
        )
        x, _ = blocks(train, self.norm, name="blocks")(x, None)
        return nn.Dense(3)(x.mean((1, 2)))


class OneByOne(nn.Module):
    """The same network without a loop."""

    norm: bool = True

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(WIDTH, (3, 3))(x)
        for place in range(COUNT):
            x, _ = Block(train, self.norm, name=f"block_{place}")(x)
        return nn.Dense(3)(x.mean((1, 2)))


@pytest.fixture(scope="module")
def looped():
    return trace(InALoop(), SHAPE, 3)


def test_each_slice_is_a_layer_where_it_is_executed(looped):
    names = [layer.name for layer in looped.layers]
    blocks = [f"blocks/Conv_0[{place}]" for place in range(COUNT)]
    assert names == ["Conv_0", *blocks, "Dense_0"]
    backwards = trace(InALoop(reverse=True), SHAPE, 3)
    assert [layer.name for layer in backwards.layers][1:-1] == blocks[::-1]


def test_a_loop_makes_no_other_network(looped):
    """All that is known of each layer is what the network without a loop says."""
    plain = trace(OneByOne(), SHAPE, 3)

    def known(layer):
        said = layer._replace(path=None, kernel=None, bias=None, activation=None)
        return said._replace(scale=bool(layer.scale), shift=bool(layer.shift))

    assert list(map(known, looped.layers)) == list(map(known, plain.layers))
    unnamed = [b._replace(scales=len(b.scales)) for b in looped.branches]
    assert unnamed == [b._replace(scales=len(b.scales)) for b in plain.branches]
    x = jnp.linspace(-2.0, 2.0, 5)
    for layer in looped.layers[1:-1]:
        np.testing.assert_allclose(layer.activation(x), nn.relu(x))
    assert looped.layers[2].kernel_shape == (3, 3, WIDTH, WIDTH)
    assert looped.layers[2].fan_in == looped.layers[2].fan_out == 9 * WIDTH
    assert looped.layers[2].scale == ("blocks", "BatchNorm_0", "scale[1]")


def test_parameters_of_a_loop_are_those_without_one():
    """Forward, with the same numbers, whichever way they are kept."""
    looped, plain = (trace(m(norm=False), SHAPE, 3) for m in (InALoop, OneByOne))
    params = parse_scheme("he_normal")(jax.random.key(0), looped)
    ours = dict(params)
    conv = ours.pop("blocks")["Conv_0"]
    for place in range(COUNT):
        one = {leaf: conv[f"{leaf}[{place}]"] for leaf in ("kernel", "bias")}
        ours[f"block_{place}"] = {"Conv_0": one}
    images = jax.random.normal(jax.random.key(1), (2, *SHAPE))
    logits, _ = looped.apply(params, {}, images, train=False)
    expected, _ = plain.apply(ours, {}, images, train=False)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    # What instruments see of each block, too.
    mine = layer_signals(looped, params, {}, images, train=False)
    theirs = layer_signals(plain, ours, {}, images, train=False)
    for one, other in zip(mine.outputs, theirs.outputs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def check_slices(kernels):
    """He's law for one block, drawn independently for each; 9216 numbers or more."""
    assert len(kernels) > 1
    for kernel in kernels:
        np.testing.assert_allclose(kernel.std(), HE, rtol=0.04)
    flat = [np.asarray(kernel).ravel() for kernel in kernels]
    correlations = np.corrcoef(flat) - np.eye(len(flat))
    # Five standard errors of a correlation of so many numbers.
    assert np.abs(correlations).max() < 5 / flat[0].size ** 0.5


def test_slices_have_the_laws_deviation_and_are_independent():
    variables = initialize(InALoop(), IMAGES, "he_normal", jax.random.key(0))
    kernel = variables["params"]["blocks"]["Conv_0"]["kernel"]
    assert kernel.shape == (COUNT, 3, 3, WIDTH, WIDTH)
    check_slices(kernel)


def test_the_modules_own_numbers_come_back_as_it_drew_them(looped):
    """Taken apart and stacked again, up to what compiling rounds."""
    params = looped.own_init(jax.random.key(0))
    back = looped.own_variables(params, looped.model_state(jax.random.key(0)))
    streams = dict.fromkeys(("params", "dropout"), jax.random.key(0))
    own = InALoop().init(streams, jnp.zeros((2, *SHAPE)), train=True)
    assert jax.tree.structure(back) == jax.tree.structure(own)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), back, own)


def test_a_draw_comes_from_path_and_place_alone():
    """Another number of blocks changes no block that there was."""

    class Longer(nn.Module):
        count: int

        @nn.compact
        def __call__(self, x):
            blocks = nn.scan(
                Block, {"params": 0}, split_rngs={"params": True}, length=self.count
            )
            return blocks(norm=False, name="blocks")(x, None)[0]

    few, many = (
        initialize(Longer(count), IMAGES, "he_normal", jax.random.key(0))
        for count in (2, 5)
    )
    few, many = (v["params"]["blocks"]["Conv_0"]["kernel"] for v in (few, many))
    np.testing.assert_array_equal(few, many[:2])


def of_haiku(x):
    def block(x):
        return x + jax.nn.relu(hk.Conv2D(WIDTH, 3)(x))

    x = hk.Conv2D(WIDTH, 3)(x)
    x = hk.experimental.layer_stack(COUNT)(block)(x)
    return hk.Linear(3)(x.mean((1, 2)))


class EquinoxBlock(eqx.Module):
    conv: eqx.nn.Conv2d

    def __init__(self, key):
        self.conv = eqx.nn.Conv2d(WIDTH, WIDTH, 3, padding=1, key=key)

    def __call__(self, x):
        return x + jax.nn.relu(self.conv(x))


class OfEquinox(eqx.Module):
    stem: eqx.nn.Conv2d
    blocks: EquinoxBlock
    head: eqx.nn.Linear

    def __init__(self, num_classes, *, key):
        first, second, third = jax.random.split(key, 3)
        self.stem = eqx.nn.Conv2d(SHAPE[-1], WIDTH, 3, padding=1, key=first)
        self.blocks = eqx.filter_vmap(EquinoxBlock)(jax.random.split(second, COUNT))
        self.head = eqx.nn.Linear(WIDTH, num_classes, key=third)

    def __call__(self, x):
        arrays, static = eqx.partition(self.blocks, eqx.is_array)
        x, _ = jax.lax.scan(
            lambda x, one: (eqx.combine(one, static)(x), None), self.stem(x), arrays
        )
        return self.head(x.mean((1, 2)))


class NnxBlock(nnx.Module):
    def __init__(self, *, rngs):
        self.conv = nnx.Conv(WIDTH, WIDTH, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(WIDTH, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return x + self.dropout(nnx.relu(self.norm(self.conv(x))))


class OfNnx(nnx.Module):
    def __init__(self, num_classes, *, rngs):
        @nnx.split_rngs(splits=COUNT)
        @nnx.vmap(in_axes=(0,), out_axes=0)
        def make(rngs):
            return NnxBlock(rngs=rngs)

        self.stem = nnx.Conv(SHAPE[-1], WIDTH, (3, 3), rngs=rngs)
        self.blocks = make(rngs)
        self.head = nnx.Linear(WIDTH, num_classes, rngs=rngs)

    def __call__(self, x):
        @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        def run(block, x):
            return block(x)

        return self.head(run(self.blocks, self.stem(x)).mean((1, 2)))


KERNELS = {
    "haiku": (
        hk.without_apply_rng(hk.transform(of_haiku)),
        lambda made: made["__layer_stack_no_per_layer/conv2_d"]["w"],
    ),
    "equinox": (OfEquinox, lambda made: made.blocks.conv.weight),
    "nnx": (OfNnx, lambda made: made.blocks.conv.kernel[...]),
}


@pytest.mark.parametrize("framework", KERNELS)
def test_a_loop_of_any_framework_is_its_blocks(framework):
    module, kernel_of = KERNELS[framework]
    # Not the class alone: nothing tells `initialize` the number of classes.
    network = trace(module, SHAPE, 3)
    assert len(network.layers) == 2 + COUNT and len(network.branches) == COUNT
    assert [layer.fan_in for layer in network.layers[1:-1]] == [9 * WIDTH] * COUNT
    params = parse_scheme("he_normal")(jax.random.key(0), network)
    state = network.model_state(jax.random.key(0))
    check_slices(kernel_of(network.own_variables(params, state)))
    images = jax.random.normal(jax.random.key(1), (2, *SHAPE))
    for train in (True, False):
        logits, _ = network.apply(params, state, images, train=train)
        assert np.isfinite(logits).all()


class PlainBlock(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x + nn.relu(nn.Conv(x.shape[-1], (3, 3))(x))


class Nested(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(WIDTH, (3, 3))(x)
        x = nn.remat_scan(PlainBlock, lengths=(2, 3))(name="blocks")(x)
        return nn.Dense(3)(x.mean((1, 2)))


def test_loops_in_loops_are_unrolled():
    network = trace(Nested(), SHAPE, 3)
    names = [f"blocks/Conv_0[{i}][{j}]" for i in range(2) for j in range(3)]
    assert [layer.name for layer in network.layers[1:-1]] == names
    made = initialize(Nested(), IMAGES, "he_normal", jax.random.key(0))
    check_slices(made["params"]["blocks"]["Conv_0"]["kernel"].reshape(6, -1))


class Recurrent(nn.Module):
    """One kernel at every step of a loop, over the rows of an image."""

    @nn.compact
    @leniently
    def __call__(self, x):
        rows = x.reshape(len(x), x.shape[1], -1)
        return nn.Dense(3)(nn.RNN(nn.SimpleCell(8))(rows)[:, -1])


def test_a_kernel_that_every_step_uses_is_one_layer():
    network = trace(Recurrent(), SHAPE, 3)
    inputs, hidden, head = network.layers
    assert (inputs.fan_in, hidden.fan_in, head.fan_in) == (18, 8, 8)
    assert not network.unknown


def test_residual_schemes_count_the_blocks():
    said = explain(InALoop(norm=False), IMAGES, "depth_scaled")
    # 1/√4
    assert said["blocks/Conv_0/kernel[2]"].startswith("he_normal × 0.5; ")
    said = explain(InALoop(), IMAGES, "zero_gamma")
    zeros = [path for path, text in said.items() if text == "zeros" and "scale" in path]
    assert zeros == [f"blocks/BatchNorm_0/scale[{place}]" for place in range(COUNT)]


def test_lsuv_scales_every_block():
    network = trace(InALoop(norm=False), SHAPE, 3)
    images = jax.random.normal(jax.random.key(1), (8, *SHAPE))
    params = jax.jit(lambda key: parse_scheme("lsuv")(key, network, Batch(images)))(
        jax.random.key(0)
    )
    outputs = layer_signals(network, params, {}, images).outputs
    for out in outputs:
        assert abs(out.var() - 1) <= 0.1


def test_branches_in_a_loop_take_numbers():
    network = trace(InALoop(norm=False), SHAPE, 3, branches="scalar")
    params = parse_scheme("skipinit")(jax.random.key(0), network)
    images = jax.random.normal(jax.random.key(1), (2, *SHAPE))
    logits, _ = network.apply(params, {}, images, train=False)
    stem = {"params": {"Conv_0": params["Conv_0"]}}
    x = nn.Conv(WIDTH, (3, 3)).apply({"params": stem["params"]["Conv_0"]}, images)
    expected = nn.Dense(3).apply({"params": params["Dense_0"]}, x.mean((1, 2)))
    # All branches are multiplied by zero.
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


class Along(nn.Module):
    """A stack along any axis."""

    axis: int

    @nn.compact
    def __call__(self, x):
        rngs = {"params": True}
        blocks = nn.scan(Block, {"params": self.axis}, split_rngs=rngs, length=2)
        return blocks(norm=False, name="blocks")(x, None)[0]


@pytest.mark.parametrize("axis", [1, -1])
def test_a_stack_along_another_axis_is_its_slices(axis):
    """The same layers, and the same draws, as of a stack along the first."""
    first, other = (trace(Along(a), SHAPE) for a in (0, axis))
    said = [
        [layer._replace(activation=None) for layer in n.layers] for n in (first, other)
    ]
    assert said[0] == said[1] and not other.unknown
    made = [
        initialize(Along(a), IMAGES, "he_normal", jax.random.key(0))["params"]
        for a in (0, axis)
    ]
    kernels = [one["blocks"]["Conv_0"]["kernel"] for one in made]
    np.testing.assert_array_equal(kernels[0], np.moveaxis(kernels[1], axis, 0))


class ByHand(nn.Module):
    """A stack that is read slice by slice without a loop of JAX's."""

    @nn.compact
    def __call__(self, x):
        x = x.reshape(len(x), -1)
        w = self.param("w", nn.initializers.ones, (108, 3, 108))
        b = self.param("b", nn.initializers.ones, (3, 108))
        for place in range(3):
            x = nn.relu(x @ w[:, place] + b[place][None])
        return x


def test_slices_taken_by_hand_are_layers():
    layers = trace(ByHand(), SHAPE).layers
    assert [layer.name for layer in layers] == ["w[0]", "w[1]", "w[2]"]
    assert [layer.bias for layer in layers] == [("b[0]",), ("b[1]",), ("b[2]",)]
    assert {(layer.fan_in, layer.fan_out) for layer in layers} == {(108, 108)}
