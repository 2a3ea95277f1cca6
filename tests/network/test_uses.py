"""Kernels that are used more than once: each use counts, where a number goes on."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import initialize
from init_study.errors import UserError
from init_study.network import trace
from init_study.network.in_words import branch_in_words

relu, X = nn.relu, jax.random.normal(jax.random.key(3), (16, 3))
OWN = nn.initializers.normal(0.1)


def dense(name, width=4):
    return nn.Dense(width, name=name)


def three_times(m, x):
    d = dense("d")
    for _ in range(3):
        x = x + d(relu(x))
    return x


def three_times_in_a_loop(m, x):
    def step(block, x, _):
        return x + block(relu(x)), None

    scan = nn.scan(step, variable_broadcast="params", split_rngs={"params": False})
    return scan(dense("d"), x, jnp.arange(3))[0]


def a_sum_of_one_kernels_uses(m, x):
    d = dense("d")
    return d(x) + d(x[..., ::-1])


def a_sum_of_two_shared_kernels(m, x):
    c, d = dense("c"), dense("d")
    return d(relu(c(x))) + d(relu(c(-x)))


def shared_first(m, x):
    c = dense("c")
    for i in range(2):
        x = x + dense(f"o{i}")(relu(c(x)))
    return x


def shared_last(m, x):
    d = dense("d")
    for i in range(2):
        x = x + d(relu(dense(f"i{i}")(x)))
    return x


def around(m, x):
    d = dense("d")
    y = d(x)
    return d(y) + dense("b")(relu(dense("a")(y)))


def twice_on_one(m, x):
    d = dense("d")
    return x + d(relu(d(x)))


def also_in_the_trunk(m, x):
    d = dense("d")
    for _ in range(2):
        x = relu(d(x))
        x = x + d(relu(x))
    return x


@cache
def net(block):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return dense("h", 2)(block(self, dense("e")(x)))

    return Net()


# For each branch: its layers, ends, shortcut, those before the ends, its depth.
TRUTH = {
    three_times: [("d", "d", "", "", 1)] * 3,
    three_times_in_a_loop: [("d", "d", "", "", 1)] * 3,
    a_sum_of_one_kernels_uses: [],
    a_sum_of_two_shared_kernels: [],
    shared_first: [("c o0", "o0", "", "c", 2), ("c o1", "o1", "", "c", 2)],
    shared_last: [("d i0", "d", "", "i0", 2), ("d i1", "d", "", "i1", 2)],
    around: [("a b", "b", "d", "a", 2)],
    twice_on_one: [("d", "d", "", "", 2)],
    also_in_the_trunk: [("d", "d", "", "", 1)] * 2,
}


@pytest.mark.parametrize("block", TRUTH, ids=lambda block: block.__name__)
def test_each_use_is_on_the_ways(block):
    network = trace(net(block), (3,), 2)

    def named(indices):
        return " ".join(sorted(network.layers[i].name for i in indices))

    found = [
        (*map(named, (b.layers, b.ends, b.shortcut, b.before)), b.depth)
        for b in network.branches
    ]
    assert found == TRUTH[block]


def test_a_shared_layer_is_said_to_be_on_each_branch():
    network = trace(net(shared_first), (3,), 2)
    said = branch_in_words(1, network.layers[1], network.branches)
    assert (network.layers[1].name, said) == ("c", "on branch 0 and 1")


def test_depth_scaling_counts_each_run_of_a_block():
    he, scaled = (
        initialize(net(three_times), X, name, jax.random.key(1))["params"]["d"]
        for name in ("he_normal", "depth_scaled")
    )
    np.testing.assert_allclose(scaled["kernel"] * 3**0.5, he["kernel"], rtol=1e-5)


@pytest.mark.parametrize("scheme", ["zero_branch", "fixup(scalars=False)"])
@pytest.mark.parametrize("block", [three_times, shared_first, shared_last])
def test_zeros_close_every_run_of_a_block(block, scheme):
    params = initialize(net(block), X, scheme, jax.random.key(1))["params"]
    params["h"]["kernel"] = jnp.ones((4, 2))
    stem = X @ params["e"]["kernel"]
    (logits,) = jax.tree.leaves(net(block).apply({"params": params}, X))
    np.testing.assert_allclose(logits[:, 0], stem.sum(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scheme", ["zero_branch", "depth_scaled"])
def test_a_kernel_that_is_more_than_an_end_is_not_closed(scheme):
    with pytest.raises(UserError, match=r"d/kernel is used 4 times .* in 2 of them"):
        initialize(net(also_in_the_trunk), X, scheme, jax.random.key(1))


def test_added_numbers_go_to_every_run_of_a_block():
    network = trace(net(three_times), (3,), 2, "scalar")
    params = network.own_init(jax.random.key(0))
    d = params["d"]["kernel"]
    x = X @ params["e"]["kernel"]
    for index, factor in enumerate((2.0, 3.0, 5.0)):
        old = params["added"][f"branch_{index}"]["factor"]
        params["added"][f"branch_{index}"]["factor"] = jnp.full_like(old, factor)
        x = x + factor * relu(x) @ d
    logits, _ = network.apply(params, {}, X, train=True)
    np.testing.assert_allclose(logits, x @ params["h"]["kernel"], rtol=1e-4)


def loss_that_nobody_reads(m, x):
    aside = dense("a")(x)
    return relu(x), ((aside - x) ** 2).mean()


def branch_that_nobody_reads(m, x):
    return relu(x), jnp.tanh(x + dense("a")(relu(dense("b")(x))))


def second_use_that_nobody_reads(m, x):
    a = dense("a")
    return relu(a(relu(x))), jnp.tanh(a(x))


@cache
def ignoring(block):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            y, aside = block(self, dense("e")(x))
            return dense("h", 2)(y), {"aside": aside}

    return Net()


@pytest.mark.parametrize(
    "block",
    [
        loss_that_nobody_reads,
        branch_that_nobody_reads,
        second_use_that_nobody_reads,
    ],
)
def test_what_leads_to_ignored_outputs_does_not_count(block):
    network = trace(ignoring(block), (3,), 2)
    assert network.branches == ()
    assert [layer.uses for layer in network.layers] == [1] * len(network.layers)
    stem = next(layer for layer in network.layers if layer.name == "e")
    assert stem.activation is not None
    np.testing.assert_array_equal(stem.activation(X), relu(X))


def test_kernels_that_only_ignored_outputs_need_are_set_as_others():
    params = initialize(
        ignoring(branch_that_nobody_reads), X, "zeros", jax.random.key(1), output="0"
    )["params"]
    assert set(params) == {"e", "a", "b", "h"}
    assert not any(layer["kernel"].any() for layer in params.values())


def distances(x, codes):
    lengths = (x**2).sum(1, keepdims=True) + (codes**2).sum(0, keepdims=True)
    return lengths - 2 * x @ codes


def nearest_code(m, x):
    codes = m.param("codes", OWN, (4, 7))
    return codes.T[jnp.argmin(distances(x, codes), 1)]


def passed_straight_through(m, x):
    codes = m.param("codes", OWN, (4, 7))
    places = jnp.argmin(distances(x, codes), 1)
    nearest = jax.nn.one_hot(places, 7) @ codes.T
    return x + jax.lax.stop_gradient(nearest - x)


def two_levels(m, x):
    left = x
    for level in range(2):
        codes = m.param(f"codes{level}", OWN, (7, 4))
        left = left - codes[jnp.argsort(distances(left, codes.T), 1)[:, 0]]
    return x - left


@pytest.mark.parametrize("block", [nearest_code, passed_straight_through, two_levels])
def test_a_code_book_is_a_table(block):
    network = trace(net(block), (3,), 2)
    assert [layer.name for layer in network.layers] == ["e", "h"]
    assert network.branches == ()
    assert not network.unknown
    params = initialize(net(block), X, "ones", jax.random.key(1))["params"]
    assert all(0 < leaf.std() < 0.2 for name, leaf in params.items() if "co" in name)


def rounded(m, x):
    """Numbers that are rounded go on."""
    y = jnp.round(4 * dense("a")(x)).astype(jnp.int32)
    return x + dense("b")(y.astype(jnp.float32) / 4)


def thresholded(m, x):
    """Kernels whose numbers only choose are layers still."""
    return jnp.where(dense("a")(x) > 0, x, -x) + dense("b")(relu(x))


@pytest.mark.parametrize(("block", "layers"), [(rounded, "a b"), (thresholded, "b")])
def test_what_is_no_choice_counts(block, layers):
    network = trace(net(block), (3,), 2)
    assert [layer.name for layer in network.layers] == ["e", "a", "b", "h"]
    (branch,) = network.branches
    assert " ".join(network.layers[i].name for i in branch.layers) == layers


def in_a_loop_too(m, x):
    w = m.param("w", OWN, (4, 4))

    def step(state):
        return nn.tanh(state[0] @ w), state[1] + 1

    z, _ = jax.lax.while_loop(lambda state: state[1] < 5, step, (x, 0))
    return z + nn.tanh(x @ w)


def in_a_condition_too(m, x):
    w = m.param("w", OWN, (4, 4))
    y = jax.lax.cond(x.sum() > 0, lambda: x @ w, lambda: x)
    return relu(y @ w)


def of_other_size_too(m, x):
    w = m.param("w", OWN, (4, 4))
    return relu(x @ w) + nn.tanh(x @ jnp.abs(w))


@pytest.mark.parametrize(
    "block", [in_a_loop_too, in_a_condition_too, of_other_size_too]
)
def test_a_kernel_is_known_if_each_use_is(block):
    network = trace(net(block), (3,), 2)
    assert network.unknown == {("w",)}
    assert "w" not in {layer.name for layer in network.layers}
    with pytest.raises(UserError, match="no rule sets w, which is used as a kernel"):
        initialize(net(block), X, "he_normal", jax.random.key(1))
