"""Numbers added to residual branches change nothing until a scheme or training does."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from init_study.errors import UserError
from init_study.models import build_model
from init_study.models.parts import normalize
from init_study.network import trace
from init_study.network.branch_scalars import BRANCHES
from init_study.optimizer import make_optimizer
from init_study.schemes import parse_scheme
from init_study.study import Program

IMAGES = jax.random.normal(jax.random.key(1), (4, 4, 4, 2))


class Residual(nn.Module):
    """A block with an identity, one with a projection, a head."""

    norm: str

    @nn.compact
    def __call__(self, x, train: bool = False):
        for channels in (2, 3):
            y = nn.relu(normalize(nn.Conv(channels, (3, 3))(x), self.norm, train))
            y = normalize(nn.Conv(channels, (3, 3))(y), self.norm, train)
            x = nn.relu(y + (x if channels == 2 else nn.Conv(3, (1, 1))(x)))
        return nn.Dense(3)(x.mean((1, 2)))


@cache
def network(kind, norm="none"):
    return trace(Residual(norm), (4, 4, 2), 3, kind)


@cache
def compiled(kind, norm="none", form="xla"):
    """(params) -> logits in training and in evaluation."""
    net = network(kind, norm)
    state = net.model_state(jax.random.key(0))

    @jax.jit
    def both(params):
        return [
            net.apply(params, state, IMAGES, train=train, convolution=form)[0]
            for train in (True, False)
        ]

    return both


def drawn(name, net):
    return jax.jit(lambda key: parse_scheme(name)(key, net))(jax.random.key(0))


@pytest.mark.parametrize(
    "norm", ["none", pytest.param("batch", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("kind", [kind for kind in BRANCHES if kind != "plain"])
def test_they_change_nothing_beyond_rounding(kind, norm):
    plain = drawn("he_normal", network("plain", norm))
    changed = drawn("he_normal", network(kind, norm))
    assert set(changed) - set(plain) == {"added"}
    before, after = compiled("plain", norm)(plain), compiled(kind, norm)(changed)
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)


def test_they_go_with_other_forms_of_convolution():
    params = drawn("he_normal", network("fixup"))
    fast, slow = compiled("fixup", form="blocked")(params), compiled("fixup")(params)
    np.testing.assert_allclose(fast, slow, rtol=1e-4, atol=1e-5)


def test_a_factor_of_zero_leaves_the_shortcut():
    """Whatever the branches hold; and of a branch only the factor has a gradient."""
    net = network("scalar")
    params = drawn("skipinit", net)
    off = compiled("scalar")(params)
    changed = dict(params)
    for branch in net.branches:
        for layer in (net.layers[index] for index in branch.layers):
            sevens = jnp.full(layer.kernel_shape, 7.0)
            changed[layer.path[0]] = {**params[layer.path[0]], "kernel": sevens}
    np.testing.assert_array_equal(compiled("scalar")(changed), off)
    gradient = jax.grad(lambda p: compiled("scalar")(p)[0].var())(params)
    first = net.layers[net.branches[0].layers[0]].path
    assert not gradient[first[0]]["kernel"].any()
    assert gradient["added"]["branch_0"]["factor"] != 0


def test_fixups_numbers_stand_around_every_layer():
    net = network("fixup")
    added = [path for path in net.shapes if path[0] == "added"]
    lasts = {branch.layers[-1] for branch in net.branches}
    assert sum(path[-1] == "before" for path in added) == len(net.layers)
    assert sum(path[-1] == "after" for path in added) == len(net.layers) - len(lasts)
    assert sum(path[-1] == "factor" for path in added) == len(net.branches)
    params = drawn("fixup", net)
    shifted = {**params, "added": {**params["added"]}}
    head = f"layer_{len(net.layers) - 1}"
    shifted["added"][head] = {**params["added"][head], "after": jnp.float32(2.5)}
    before, after = compiled("fixup")(params), compiled("fixup")(shifted)
    np.testing.assert_allclose(np.subtract(after, before), 2.5)


def test_they_do_not_decay():
    net = network("scalar")
    params = drawn("he_normal", net)
    for name in ("sgd", "adam", "adamw"):
        program = Program(optimizer=name, weight_decay=0.5, momentum=0.0)
        optimizer = make_optimizer(program, 0.1)
        zero = jax.tree.map(jnp.zeros_like, params)
        updates, _ = optimizer.update(zero, optimizer.init(params), params)
        assert not np.asarray(updates["added"]["branch_0"]["factor"]).any()
        assert np.abs(updates["Conv_0"]["kernel"]).max() > 0


def test_a_plain_net_has_no_branch_to_add_to():
    module = build_model("cnn", 3, {})
    with pytest.raises(UserError, match=r"this network has none; use a residual"):
        trace(module, (8, 8, 1), 3, "scalar")
    with pytest.raises(UserError, match=r"unknown branches 'scalr'.*'scalar'"):
        trace(module, (8, 8, 1), 3, "scalr")
