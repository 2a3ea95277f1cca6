"""Of nets in the styles of public code tracing says what is true of them."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from zoo.table import ZOO, backward_fans, network, outputs_of, pieces, truth_of

from init_study.network import Branch, Layer

# Both sides of every threshold.
X = jnp.array([-3.0, -1.5, -0.5, 0.25, 1.0, 2.0, 7.0])
FUNCTIONS = {
    "linear": X,
    "relu": nn.relu(X),
    "relu6": nn.relu6(X),
    "gelu": nn.gelu(X),
    "silu": nn.silu(X),
    "sigmoid": nn.sigmoid(X),
    "tanh": jnp.tanh(X),
    "leaky": nn.leaky_relu(X, 0.01),
    "leaky1": nn.leaky_relu(X, 0.1),
    "leaky2": nn.leaky_relu(X, 0.2),
    "plus1": X + 1,
}


@pytest.fixture(scope="session", params=ZOO)
def name(request):
    return request.param


@pytest.fixture(scope="session")
def net(name):
    return ZOO[name]


def test_all_layers_are_found_and_no_others(name, net):
    found = [truth_of(name, layer) for layer in network(name).layers]
    assert None not in found, [layer.name for layer in network(name).layers]
    assert list(dict.fromkeys(row.name for row in found if row)) == [
        row.name for row in net.layers
    ]
    assert not network(name).unknown


def test_each_part_is_a_kernel_of_its_own(name, net):
    found = pieces(name)
    wrong = {
        row.name: [layer.kernel_shape[-1] for layer in found[row.name]]
        for row in net.layers
        if outputs_of(row, found[row.name]) is None
    }
    assert not wrong, {row.name: row.parts for row in net.layers if row.name in wrong}


def test_fans_are_what_the_operation_has_on_average(name, net):
    for row in net.layers:
        layers = pieces(name)[row.name]
        sizes = outputs_of(row, layers) or [1] * len(layers)
        wanted = [(row.fans[0], fan) for fan in backward_fans(row, sizes)]
        found = [(layer.forward_fan, layer.backward_fan) for layer in layers]
        np.testing.assert_allclose(found, wanted, err_msg=row.name)


def names_of(activation):
    """All the functions of the table that it is; `?` for None."""
    if activation is None:
        return {"?"}
    y = activation(X)
    factor = y / X
    same = {n for n, wanted in FUNCTIONS.items() if np.allclose(y, wanted, atol=1e-5)}
    scaled = np.allclose(factor, factor[0], rtol=1e-5)
    return same | ({"scaled"} if scaled else set())


def test_what_follows_is_recognized_or_said_not_to_be(name, net):
    wrong = {}
    for row in net.layers:
        layers, ways = pieces(name)[row.name], row.then.split(";")
        for place, layer in enumerate(layers):
            way = ways[place] if len(ways) == len(layers) else ways[0]
            allowed = {
                ("norm" in words, words[-1] if words[-1] != "norm" else "linear")
                for words in map(str.split, way.split("|"))
            }
            found = names_of(layer.activation)
            if not any((layer.normalized, one) in allowed for one in found):
                wrong[f"{row.name} {place}"] = (layer.normalized, *found), way
    assert not wrong, wrong


def test_the_scale_behind_a_layer(name, net):
    wrong = {}
    for row in net.layers:
        for layer in pieces(name)[row.name]:
            scale = layer.scale and "/".join(layer.scale)
            if row.scale not in ("*", scale):
                wrong[row.name] = scale, row.scale
    assert not wrong, wrong


@pytest.mark.skipif("scale_free" not in Layer._fields, reason="layers say nothing")
def test_weights_on_their_way(name, net):
    wrong = {}
    for row in net.layers:
        for layer in pieces(name)[row.name]:
            free, times = layer.scale_free, layer.multiplier
            if free != row.free or not np.isclose(times, row.times):
                wrong[row.name] = (free, times), (row.free, row.times)
    assert not wrong, wrong


@pytest.mark.skipif("uses" not in Layer._fields, reason="layers say nothing")
def test_tied_kernels_are_counted(name, net):
    wrong = {
        row.name: (layer.uses, row.uses)
        for row in net.layers
        for layer in pieces(name)[row.name]
        if layer.uses != row.uses
    }
    assert not wrong, wrong


def named(name, indices):
    rows = [truth_of(name, network(name).layers[index]) for index in indices]
    return {row and row.name for row in rows}


def either(text):
    return [set(way.split()) for way in text.split("|")]


def test_branches_have_the_layers_between_fork_and_sum(name, net):
    found = network(name).branches
    told = [named(name, branch.layers) for branch in found]
    assert len(found) == len(net.branches), told
    for branch, wanted, layers in zip(found, net.branches, told, strict=True):
        assert layers in either(wanted.layers)
        assert named(name, branch.shortcut) in either(wanted.shortcut)


def test_a_layer_is_on_its_innermost_branch(name, net):
    for layer in network(name).layers:
        row = truth_of(name, layer)
        on = [
            place
            for place, branch in enumerate(net.branches)
            if row and any(row.name in way for way in either(branch.layers))
        ]
        sure = all("|" not in net.branches[place].layers for place in on)
        assert layer.branch == (on[0] if on else None) or not sure, layer.name


@pytest.mark.skipif("ends" not in Branch._fields, reason="branches say nothing")
def test_a_branch_ends_where_its_summand_is_linear(name, net):
    found = network(name).branches
    assert len(found) == len(net.branches)
    for branch, wanted in zip(found, net.branches, strict=True):
        assert named(name, branch.ends) in either(wanted.ends)
        scales = {"/".join(path) for path in branch.scales}
        assert scales == set(wanted.scales.split())
