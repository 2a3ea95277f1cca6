"""Where residual branches end: in the kernels and scales that they are linear in."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from init_study.network import trace

relu, WIDTH = nn.relu, 4


def conv(name, width=WIDTH, size=1):
    return nn.Conv(width, (size, size), name=name)


def norm(name):
    return nn.BatchNorm(use_running_average=False, name=name)


def gate(h, name):
    """Squeeze and excitation: two dense layers that end in a sigmoid."""
    squeezed = relu(nn.Dense(2, name=f"{name}1")(h.mean((1, 2))))
    return nn.sigmoid(nn.Dense(WIDTH, name=f"{name}2")(squeezed))[:, None, None]


def plain(m, x):
    return x + conv("b")(relu(conv("a")(x)))


def excited(m, x):
    h = conv("b")(relu(conv("a")(x)))
    return x + h * gate(h, "g")


def excited_norm(m, x):
    h = norm("bn")(conv("b")(relu(conv("a")(x))))
    return relu(x + h * gate(h, "g"))


def gate_of_input(m, x):
    return x + nn.sigmoid(conv("g")(x)) * conv("b")(x)


def gate_comes_last(m, x):
    h = conv("b")(x)
    return x + h * gate(x, "g")


def layer_scale(m, x):
    gamma = m.param("gamma", nn.initializers.constant(0.1), (WIDTH,))
    return x + gamma[None, None, None] * norm("bn")(conv("b")(relu(conv("a")(x))))


def dropped(m, x):
    h = conv("b")(relu(conv("a")(x)))
    return x + nn.Dropout(0.5, broadcast_dims=(1, 2, 3), deterministic=False)(h)


def sigmoid_end(m, x):
    return x + nn.sigmoid(conv("b")(x))


def concatenated(m, x):
    return x + jnp.concatenate([conv("b", 1)(x), conv("c", 3, 3)(x)], -1)


def three_ways(m, x):
    ways = (conv(f"b{j}")(relu(conv(f"a{j}")(x))) for j in range(3))
    return x + sum(ways)


def parallel(m, x):
    y = relu(x)
    return x + conv("b")(y) + conv("c")(y)


def subtracted(m, x):
    return x - conv("b")(relu(conv("a")(x)))


def stacked(m, x):
    return jnp.stack([x, conv("b")(relu(conv("a")(x)))]).sum(0)


def half(m, x):
    return 0.5 * x + 0.5 * conv("b")(relu(conv("a")(x)))


def pooled(m, x):
    return x + nn.avg_pool(conv("b")(x), (3, 3), padding="SAME")


def attention(m, x):
    h = x.reshape(len(x), -1, WIDTH)
    v, q, k = (nn.Dense(WIDTH, name=name)(h) for name in "vqk")
    return x + (nn.softmax(q @ k.swapaxes(1, 2)) @ v).reshape(x.shape)


def film(m, x):
    c = relu(nn.Dense(3, name="cond")(m.images.mean((1, 2))))
    scale, shift = jnp.split(nn.Dense(2 * WIDTH, name="film")(c)[:, None, None], 2, -1)
    h = nn.LayerNorm(use_bias=False, use_scale=False)(conv("a")(x))
    return x + jnp.tanh(h * (1 + scale) + shift)


def swish_gate(m, x):
    return x + conv("b")(nn.silu(conv("g")(x)) * conv("u")(x))


class Net(nn.Module):
    """A stem, one block, a head."""

    block: Callable

    @nn.compact
    def __call__(self, x):
        object.__setattr__(self, "images", x)
        x = self.block(self, conv("stem")(x))
        return nn.Dense(3, name="head")(x.mean((1, 2)))


def described(network):
    """Each branch as (layers, ends, scales, layers before the ends, depth)."""
    names = [layer.name for layer in network.layers]
    return [
        (
            [names[i] for i in branch.layers],
            [names[i] for i in branch.ends],
            ["/".join(path) for path in branch.scales],
            [names[i] for i in branch.before],
            branch.depth,
        )
        for branch in network.branches
    ]


CASES = {
    plain: (["a", "b"], ["b"], [], ["a"], 2),
    excited: (["a", "b", "g1", "g2"], ["b"], [], ["a"], 2),
    excited_norm: (["a", "b", "g1", "g2"], ["b"], ["bn/scale"], ["a"], 2),
    gate_of_input: (["g", "b"], ["b"], [], [], 1),
    gate_comes_last: (["b", "g1", "g2"], ["b"], [], [], 1),
    layer_scale: (["a", "b"], ["b"], ["gamma"], ["a"], 2),
    dropped: (["a", "b"], ["b"], [], ["a"], 2),
    # The kernel alone is no end that makes it zero: a check on numbers says so.
    sigmoid_end: (["b"], ["b"], [], [], 1),
    concatenated: (["b", "c"], ["b", "c"], [], [], 1),
    three_ways: (
        ["a0", "b0", "a1", "b1", "a2", "b2"],
        ["b0", "b1", "b2"],
        [],
        ["a0", "a1", "a2"],
        2,
    ),
    parallel: (["b", "c"], ["b", "c"], [], [], 1),
    subtracted: (["a", "b"], ["b"], [], ["a"], 2),
    stacked: (["a", "b"], ["b"], [], ["a"], 2),
    half: (["a", "b"], ["b"], [], ["a"], 2),
    pooled: (["b"], ["b"], [], [], 1),
    attention: (["v", "q", "k"], ["v"], [], [], 1),
    # Of the packed layer the part that shifts.
    film: (["a"], ["film[1]", "a"], [], [], 1),
    swish_gate: (["g", "u", "b"], ["b"], [], ["g", "u"], 2),
}


@pytest.mark.parametrize("block", CASES, ids=lambda block: block.__name__)
def test_a_branch_ends_where_its_summand_is_linear(block):
    assert described(trace(Net(block), (4, 4, 3))) == [CASES[block]]


def test_a_convnext_block_ends_in_its_layer_scale():
    class Block(nnx.Module):
        def __init__(self, rngs):
            self.dw = nnx.Conv(4, 4, (3, 3), feature_group_count=4, rngs=rngs)
            self.norm = nnx.LayerNorm(4, rngs=rngs)
            self.up = nnx.Linear(4, 8, rngs=rngs)
            self.down = nnx.Linear(8, 4, rngs=rngs)
            self.gamma = nnx.Param(1e-6 * jnp.ones(4))
            self.drop = nnx.Dropout(0.1, broadcast_dims=(1, 2, 3), rngs=rngs)

        def __call__(self, x):
            h = self.down(nnx.gelu(self.up(self.norm(self.dw(x)))))
            return x + self.drop(h * self.gamma[...][None, None, None])

    network = trace(Block(nnx.Rngs(0)), (4, 4, 4))
    assert described(network) == [
        (["dw", "up", "down"], ["down"], ["gamma"], ["dw", "up"], 3)
    ]


def test_a_block_in_a_block_is_a_branch_of_its_own():
    """h + c(h) inside x + o(h + c(h)), h = a(x): two sums of two forks."""

    def nested(m, x):
        h = conv("a")(x)
        return x + conv("o")(h + conv("c")(relu(h)))

    assert described(trace(Net(nested), (4, 4, 3))) == [
        (["c"], ["c"], [], [], 1),
        (["a", "c", "o"], ["o"], [], ["a", "c"], 3),
    ]


def test_numbers_on_a_sum_of_three_scale_all_its_paths():
    """y = x + f (p + q): at f = 0 the block is x."""
    network = trace(Net(parallel), (4, 4, 3), branches="scalar")
    images = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    params = network.own_init(jax.random.key(1))
    params["added"]["branch_0"]["factor"] = jnp.zeros(())
    logits, _ = network.apply(params, {}, images, train=True)
    # Biases are zeros: the module's own.
    stem = images @ params["stem"]["kernel"][0, 0]
    wanted = stem.mean((1, 2)) @ params["head"]["kernel"]
    assert jnp.allclose(logits, wanted, atol=1e-5)


def test_a_sum_in_a_cond_is_said(caplog):
    def hidden(m, x):
        h = conv("b")(x)
        return jax.lax.cond(x.sum() > 0, lambda: x + h, lambda: x)

    network = trace(Net(hidden), (4, 4, 3))
    assert network.branches == ()
    assert "a sum inside lax.cond is not seen" in caplog.text


def constant_around(m, x):
    """A summand of x and of a branch on x: 0.1 · (n + b(n)), n a norm of x."""
    n = norm("n")(x)
    return x + 0.1 * (n + conv("b")(relu(n)))


def skip_of_blocks(m, x):
    y = x + conv("b")(relu(x))
    return x + (y + conv("c")(relu(y)))


def skip_with_a_kernel(m, x):
    """What comes behind the inner branch ends the outer one."""
    return x + conv("c")(x + conv("b")(relu(x)))


def half_bypassed(m, x):
    """No inner branch ends in c: the outer sum stays."""
    y = x + conv("b")(relu(x))
    return x + jnp.concatenate([y[..., :1], conv("c", 3)(y)], -1)


@pytest.mark.parametrize(
    ("block", "ends", "left_out"),
    [
        (constant_around, [{"b"}], True),
        (skip_of_blocks, [{"b"}, {"c"}], True),
        (skip_with_a_kernel, [{"b"}, {"c"}], False),
        (half_bypassed, [{"b"}, {"b", "c"}], False),
    ],
)
def test_a_sum_around_a_bypass_counts_only_where_no_branch_inside_does(
    block, ends, left_out, caplog
):
    """With all kernels at zero the summand is a multiple of x, whatever is drawn."""
    with caplog.at_level("INFO", logger="absl"):
        network = trace(Net(block), (4, 4, 3), 3)
    names = [{network.layers[i].name for i in b.ends} for b in network.branches]
    assert names == ends
    lines = [r.getMessage() for r in caplog.records if "residual" in r.getMessage()]
    assert len(lines) == left_out
