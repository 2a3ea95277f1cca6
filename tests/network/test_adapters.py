"""Modules of every framework come through one door, and train as they would by hand."""

import functools
import logging

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from init_study import explain, initialize
from init_study.errors import UserError
from init_study.initializers import he_normal
from init_study.network import trace
from init_study.network.adapters import adapt
from init_study.network.adapters.calls import TRAINING_ARGUMENTS, with_axes
from init_study.schemes.scheme import replace_leaf

SHAPE = (6, 6, 1)
IMAGES = jax.ShapeDtypeStruct((4, *SHAPE), jnp.float32)
RATE = 0.5


class Linen(nn.Module):
    """As Flax's own ImageNet nets have it: a norm over devices, streams of its own."""

    num_classes: int = 3
    axis_name: str | None = "batch"

    @nn.compact
    def __call__(self, x, inference=False):
        x = nn.Conv(4, (3, 3))(x)
        norm = nn.BatchNorm(use_running_average=inference, axis_name=self.axis_name)
        x = nn.relu(norm(x))
        x = nn.Dropout(RATE, deterministic=inference, rng_collection="noise")(x)
        if self.has_rng("paths") and not inference:
            kept = jax.random.bernoulli(self.make_rng("paths"), 0.5, (len(x), 1, 1, 1))
            x = x * kept.astype(x.dtype) / 0.5
        return nn.Dense(self.num_classes)(x.mean((1, 2)))


class Nnx(nnx.Module):
    def __init__(self, num_classes=3, *, rngs):
        self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.bn = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(RATE, rngs=rngs)
        self.heads = nnx.List([nnx.Linear(4, num_classes, rngs=rngs)])

    def __call__(self, x):
        x = self.drop(nnx.relu(self.bn(self.conv(x))))
        return self.heads[0](x.mean((1, 2)))


def haiku_net(x, is_training):
    x = hk.Conv2D(4, 3)(x)
    x = jax.nn.relu(hk.BatchNorm(True, True, 0.9)(x, is_training))
    if is_training:
        x = hk.dropout(hk.next_rng_key(), RATE, x)
    return hk.Linear(3)(x.mean((1, 2)))


HAIKU = hk.transform_with_state(haiku_net)


class Equinox(eqx.Module):
    conv: eqx.nn.Conv2d
    bn: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, num_classes=3, *, key):
        first, second = jax.random.split(key)
        self.conv = eqx.nn.Conv2d(1, 4, 3, padding=1, key=first)
        self.bn = eqx.nn.BatchNorm(4, axis_name="batch", mode="batch")
        self.drop = eqx.nn.Dropout(RATE)
        self.head = eqx.nn.Linear(4, num_classes, key=second)

    def __call__(self, x, state, *, key=None):
        x, state = self.bn(self.conv(x), state)
        x = self.drop(jax.nn.relu(x), key=key)
        return self.head(x.mean((1, 2))), state


MODULES = {"linen": Linen(), "nnx": Nnx, "haiku": HAIKU, "equinox": Equinox}
STREAMS = {
    "linen": ("noise", "paths"),
    "nnx": ("default",),
    "haiku": ("rng",),
    "equinox": ("key",),
}


@pytest.fixture(scope="module", params=MODULES)
def name(request):
    return request.param


def test_streams_are_found_by_tracing(name):
    assert adapt(MODULES[name], IMAGES).streams == STREAMS[name]


def test_layers_are_found_alike(name):
    """One convolution of 9 inputs with a norm and a ReLU behind it, and a head."""
    first, head = trace(MODULES[name], SHAPE, 3).layers
    assert (first.kind, first.kernel_shape) == ("conv", (3, 3, 1, 4))
    assert (first.fan_in, first.fan_out) == (9, 36)
    assert first.normalized and first.scale is not None and first.shift is not None
    x = jnp.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    np.testing.assert_array_equal(first.activation(x), [0, 0, 0, 1, 2])
    assert (head.kind, head.kernel_shape, head.fan_in) == ("dense", (4, 3), 4)
    assert all(layer.bias is not None for layer in (first, head))


def numbers(seed=0):
    return jax.random.normal(jax.random.key(seed), IMAGES.shape), jnp.array(
        [0, 1, 2, 0]
    )


def cross_entropy(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def by_hand_linen(params, state, images, labels, key):
    keys = {
        stream: jax.random.fold_in(key, crc)
        for stream, crc in (("noise", crc32("noise")), ("paths", crc32("paths")))
    }
    module = Linen(axis_name=None)
    logits, state = module.apply(
        {"params": params, **state}, images, rngs=keys, mutable=["batch_stats"]
    )
    return cross_entropy(logits, labels), state


def by_hand_nnx(params, state, images, labels, key):
    net = Nnx(rngs=nnx.Rngs(0))
    net.train()
    net.conv.kernel[...], net.conv.bias[...] = params["conv"].values_of(
        "kernel", "bias"
    )
    net.bn.scale[...], net.bn.bias[...] = params["bn"].values_of("scale", "bias")
    net.heads[0].kernel[...], net.heads[0].bias[...] = params["heads"]["0"].values_of(
        "kernel", "bias"
    )
    net.bn.mean[...], net.bn.var[...] = state["state"]["bn"].values_of("mean", "var")
    stream = jax.random.fold_in(key, crc32("default"))
    net.drop.rngs.key[...] = jax.random.fold_in(stream, crc32("drop/rngs/key"))
    loss = cross_entropy(net(images), labels)
    return loss, {"state": {"bn": {"mean": net.bn.mean[...], "var": net.bn.var[...]}}}


def by_hand_haiku(params, state, images, labels, key):
    stream = jax.random.fold_in(key, crc32("rng"))
    logits, state = HAIKU.apply(params, state["state"], stream, images, True)
    return cross_entropy(logits, labels), {"state": state}


def by_hand_equinox(params, state, images, labels, key):
    made, eqx_state = eqx.nn.make_with_state(Equinox)(key=jax.random.key(0))
    made = eqx.tree_at(
        lambda m: (
            [
                m.conv.weight,
                m.conv.bias,
                m.bn.weight,
                m.bn.bias,
                m.head.weight,
                m.head.bias,
            ]
        ),
        made,
        [params[a][b] for a in ("conv", "bn", "head") for b in ("weight", "bias")],
    )
    leaves, tree = jax.tree.flatten(eqx_state)
    now = [state["state"][str(place)] for place in range(len(leaves))]
    keys = jax.random.split(jax.random.fold_in(key, crc32("key")), len(images))
    logits, after = jax.vmap(
        lambda x, s, k: made(x, s, key=k),
        axis_name="batch",
        in_axes=(0, None, 0),
        out_axes=(0, None),
    )(images.transpose(0, 3, 1, 2), jax.tree.unflatten(tree, now), keys)
    new = {str(place): leaf for place, leaf in enumerate(jax.tree.leaves(after))}
    return cross_entropy(logits, labels), {"state": new}


def crc32(text):
    import zlib

    return zlib.crc32(text.encode())


class Nested(dict):
    """A dict that gives several of its values at once."""

    def values_of(self, *names):
        return [self[name] for name in names]


def nested(tree):
    if not isinstance(tree, dict):
        return tree
    return Nested({name: nested(leaf) for name, leaf in tree.items()})


BY_HAND = {
    "linen": by_hand_linen,
    "nnx": by_hand_nnx,
    "haiku": by_hand_haiku,
    "equinox": by_hand_equinox,
}


def test_it_trains_to_the_same_numbers_as_by_hand(name):
    """Three steps with dropout, averages of a norm, and a key of its own each."""
    network = trace(MODULES[name], SHAPE, 3)
    start = network.own_init(jax.random.key(3))
    state = network.model_state(jax.random.key(3))
    by_hand = BY_HAND[name]

    def ours(params, state, images, labels, key):
        logits, state = network.apply(params, state, images, train=True, key=key)
        return cross_entropy(logits, labels), state

    def theirs(params, state, *rest):
        return by_hand(nested(params), nested(state), *rest)

    ends = []
    for loss in (ours, theirs):
        step = jax.value_and_grad(loss, has_aux=True)
        params, now, losses = start, state, []
        for index in range(3):
            images, labels = numbers(index)
            key = jax.random.fold_in(jax.random.key(9), index)
            (value, now), slopes = step(params, now, images, labels, key)
            params = jax.tree.map(lambda p, g: p - 0.1 * g, params, slopes)
            losses.append(value)
        ends.append((losses, params, now))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6),
        *[
            jax.tree.map(np.asarray, (losses, dict(p), dict(s)))
            for losses, p, s in ends
        ],
    )
    assert ends[0][0][0] != ends[0][0][2]


def test_evaluation_takes_no_key_and_keeps_the_state(name):
    network = trace(MODULES[name], SHAPE, 3)
    params = network.own_init(jax.random.key(0))
    state = network.model_state(jax.random.key(0))
    images, _ = numbers()
    logits, same = network.apply(params, state, images, train=False)
    again, _ = network.apply(params, state, images, train=False, key=jax.random.key(5))
    assert same is state
    np.testing.assert_array_equal(logits, again)


def test_variables_come_back_in_the_frameworks_own_form(name):
    """He's law on 9 inputs, through the user's own call."""
    images, _ = numbers()
    own = initialize(MODULES[name], images, "he_normal", jax.random.key(0))
    if name == "linen":
        logits = Linen(axis_name=None).apply(own, images, inference=True)
        bias = own["params"]["Dense_0"]["bias"]
    elif name == "nnx":
        own.eval()
        logits, bias = own(images), own.heads[0].bias[...]
    elif name == "haiku":
        logits, _ = HAIKU.apply(*own, None, images, False)
        bias = own[0]["linear"]["b"]
    else:
        module, state = own
        still = eqx.nn.inference_mode(module)
        logits, _ = jax.vmap(still, in_axes=(0, None), axis_name="batch")(
            images.transpose(0, 3, 1, 2), state
        )
        bias = module.head.bias
    assert logits.shape == (4, 3) and bool(jnp.isfinite(logits).all())
    np.testing.assert_array_equal(bias, 0)


def test_variables_in_the_frameworks_own_form_are_read(name):
    network = trace(MODULES[name], SHAPE, 3)
    params = network.own_init(jax.random.key(0))
    state = network.model_state(jax.random.key(1))
    again, kept = network.read_variables(network.own_variables(params, state))
    jax.tree.map(np.testing.assert_array_equal, (again, kept), (params, state))


def test_what_are_no_variables_of_a_module_is_refused_in_a_line(name):
    network = trace(MODULES[name], SHAPE, 3)
    for wrong in (3.0, {"weights": 1}, (jnp.ones(3), {})):
        with pytest.raises(UserError) as refused:
            network.read_variables(wrong)
        assert "\n" not in str(refused.value)
    path = network.layers[0].kernel
    params = network.own_init(jax.random.key(0))
    wide = replace_leaf(params, path, jnp.ones((7, 7)))
    state = network.model_state(jax.random.key(1))
    with pytest.raises(UserError, match=r"has shape .* and was given one of"):
        network.read_variables(network.own_variables(wide, state))


@pytest.mark.parametrize(
    "module",
    [
        Linen,
        functools.partial(Linen, axis_name=None),
        lambda: Linen(),
        functools.partial(Nnx, 3),
        lambda rngs: Nnx(3, rngs=rngs),
        Nnx(rngs=nnx.Rngs(0)),
        functools.partial(Equinox, num_classes=3),
        lambda key: Equinox(key=key),
        Equinox(key=jax.random.key(0)),
        hk.transform(lambda x: hk.Linear(3)(x.mean((1, 2)))),
    ],
)
def test_whatever_makes_a_module_will_do(module):
    assert len(trace(module, SHAPE, 3).layers) >= 1


def test_draws_of_what_makes_a_module_differ_by_key_and_an_instances_do_not():
    keys = (jax.random.key(0), jax.random.key(1))
    for maker, made in (
        (Nnx, Nnx(rngs=nnx.Rngs(0))),
        (Equinox, Equinox(key=jax.random.key(0))),
    ):
        network = trace(maker, SHAPE, 3)
        kernel = network.layers[0].kernel
        one, two = (leaf(network.own_init(key), kernel) for key in keys)
        assert float(jnp.abs(one - two).max()) > 0
        one, two = (leaf(trace(made, SHAPE, 3).own_init(key), kernel) for key in keys)
        np.testing.assert_array_equal(one, two)


def leaf(params, path):
    for step in path:
        params = params[step]
    return params


@pytest.mark.parametrize("argument", TRAINING_ARGUMENTS)
def test_the_usual_names_of_the_flag_are_known(argument):
    """Dropout tells: with it, two keys give two results."""
    source = (
        f"def call(self, x, {argument}={not TRAINING_ARGUMENTS[argument]}):\n"
        f"    drop = {argument} == {not TRAINING_ARGUMENTS[argument]}\n"
        "    return nn.Dropout(0.5, deterministic=drop)(nn.Dense(3)(x.mean((1, 2))))\n"
    )
    space = {"nn": nn}
    exec(compile(source, "call", "exec"), space)
    kind = type("Net", (nn.Module,), {"__call__": nn.compact(space["call"])})
    assert adapt(kind(), IMAGES).streams == ("dropout",)


class Anything(nn.Module):
    @nn.compact
    def __call__(self, x, **options):
        off = not options.get("learning", False)
        x = nn.Dropout(0.5)(nn.Dense(3)(x.mean((1, 2))), deterministic=off)
        return nn.BatchNorm(use_running_average=off)(x)


def test_parts_that_never_train_are_named_and_the_flag_can_be_given(caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert adapt(Anything(), IMAGES).streams == ()
    assert "Dropout_0, BatchNorm_0 does nothing in the training call" in caplog.text
    assert "train_argument" in caplog.text
    caplog.clear()
    given = adapt(Anything(), IMAGES, train_argument="learning")
    assert given.streams == ("dropout",) and not caplog.text


class InConstructor(nn.Module):
    """A norm that trains in every call, and notes for an onlooker."""

    @nn.compact
    def __call__(self, x):
        x = nn.BatchNorm(use_running_average=False)(nn.Dense(4)(x))
        self.sow("intermediates", "x", x)
        return nn.Dense(3)(x.mean((1, 2)))


class Grows(nn.Module):
    @nn.compact
    def __call__(self, x):
        self.sow("history", "x", x)
        return nn.Dense(3)(x.mean((1, 2)))


class OnlyInTraining(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        if train:
            raise RuntimeError("not yet\nwritten")
        return nn.Dense(3)(x.mean((1, 2)))


class Uncalled(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, kernel_init=he_normal)(x.mean((1, 2)))


def test_a_norm_that_is_told_in_its_constructor_trains_and_evaluates():
    network = trace(InConstructor(), SHAPE, 3)
    params, state = (
        draw(jax.random.key(0)) for draw in (network.own_init, network.model_state)
    )
    assert list(state) == ["batch_stats"]
    _, same = network.apply(params, state, numbers()[0], train=False)
    _, moved = network.apply(params, state, numbers()[0], train=True)
    assert same is state
    assert list(moved) == ["batch_stats"]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Grows(), "changes its structure from call to call"),
        (OnlyInTraining(), r"RuntimeError: not yet$"),
        (Uncalled(), r"kernel_init=he_normal\(\)$"),
        (lambda x: x, "needs x to make one; give a flax.linen"),
        (haiku_net, "hk.transform_with_state"),
        (hk.transform(haiku_net), "hk.transform_with_state"),
        (eqx.nn.make_with_state(Equinox), "key"),
        (3, "int is no module"),
        (None, "NoneType is no module"),
        (lambda: jnp.ones(3), "which is no module"),
    ],
)
@pytest.mark.wrong_types
def test_what_is_no_module_is_one_line(module, words):
    with pytest.raises(UserError, match=words) as caught:
        trace(module, SHAPE, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["trainn", "train=maybe"])
def test_a_flag_that_is_not_there_is_one_line(given):
    with pytest.raises(UserError, match="train_argument="):
        adapt(OnlyInTraining(), IMAGES, train_argument=given)


class AuxiliaryHead(nn.Module):
    """A head that is there in training alone."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Dense(4)(x.mean((1, 2))))
        logits = nn.Dense(3, name="head")(x)
        if train or self.is_initializing():
            logits = logits + nn.Dense(3, name="extra")(x)
        return logits


def test_layers_are_those_of_the_training_call():
    said = explain(AuxiliaryHead(), IMAGES, "zeros")
    rules = {text.partition(";")[0] for text in said.values()}
    assert rules == {"zeros"} and "extra/kernel" in said
    network = trace(AuxiliaryHead(), SHAPE, 3)
    assert [layer.name for layer in network.layers] == ["Dense_0", "head", "extra"]


def test_an_axis_of_size_one_changes_no_number():
    def function(x):
        total = jax.lax.psum(x, "i") + jax.lax.all_gather(x, "i").sum(0)
        index = jax.lax.axis_index("i").astype(x.dtype)
        return total + index + jax.lax.pmean(x, "j")

    x = jnp.arange(3.0)
    np.testing.assert_array_equal(with_axes(function, ("i", "j"))(x), 3 * x)


def test_an_initializer_is_a_scheme_and_other_things_are_one_line():
    net = nn.Dense(4)
    drawn = initialize(net, jnp.ones((2, 64)), he_normal(), jax.random.key(0))
    named = initialize(net, jnp.ones((2, 64)), "he_normal", jax.random.key(0))
    np.testing.assert_array_equal(drawn["params"]["kernel"], named["params"]["kernel"])
    with pytest.raises(UserError, match="call it first"):
        initialize(net, jnp.ones((2, 64)), he_normal, jax.random.key(0))
    with pytest.raises(UserError, match="is no scheme"):
        initialize(net, jnp.ones((2, 64)), 3, jax.random.key(0))


class AsksForAStream(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(8)(x.mean((1, 2)))
        x = nn.Dropout(0.5, deterministic=not self.has_rng("dropout"))(x)
        return nn.Dense(3)(x)


def test_a_stream_that_is_only_asked_for_is_there_in_training_alone():
    network = trace(AsksForAStream(), SHAPE, 3)
    assert network.adapter.streams == ("dropout",)
    params = network.own_init(jax.random.key(0))
    images, _ = numbers()
    logits, _ = network.apply(params, {}, images, train=False)
    plain = AsksForAStream().apply({"params": params}, images)
    np.testing.assert_array_equal(logits, plain)
    dropped, _ = network.apply(params, {}, images, train=True, key=jax.random.key(1))
    assert float(jnp.abs(dropped - logits).max()) > 0


def test_a_haiku_function_that_may_do_without_a_key_draws_in_training_alone():
    def function(x):
        x = hk.Linear(8)(x.mean((1, 2)))
        key = hk.maybe_next_rng_key()
        return hk.Linear(3)(x if key is None else hk.dropout(key, 0.5, x))

    network = trace(hk.transform(function), SHAPE, 3)
    params = network.own_init(jax.random.key(0))
    images, _ = numbers()
    still, dropped = (
        network.apply(params, {}, images, train=train, key=jax.random.key(1))[0]
        for train in (False, True)
    )
    plain = hk.transform(function).apply(params, None, images)
    np.testing.assert_array_equal(still, plain)
    assert float(jnp.abs(dropped - still).max()) > 0


class NnxPhase(nnx.Module):
    def __init__(self, num_classes, *, rngs):
        self.bn = nnx.BatchNorm(1, rngs=rngs)
        self.head = nnx.Linear(1, num_classes, rngs=rngs)

    def __call__(self, x, phase_train=False):
        return self.head(self.bn(x, use_running_average=not phase_train).mean((1, 2)))


def test_a_flag_of_another_name_is_asked_for_in_every_framework(caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        trace(NnxPhase, SHAPE, 3)
    assert "is phase_train its training flag?" in caplog.text
    caplog.clear()
    given = trace(NnxPhase, SHAPE, 3, train_argument="phase_train")
    state = given.model_state(jax.random.key(0))
    params = given.own_init(jax.random.key(0))
    _, moved = given.apply(params, state, numbers()[0], train=True)
    assert float(jnp.abs(moved["state"]["bn"]["mean"]).max()) > 0
    assert not caplog.text


class Reordered(eqx.Module):
    """Whole numbers among its arrays, and a flag without a default."""

    order: jax.Array
    conv: eqx.nn.Conv2d
    head: eqx.nn.Linear

    def __init__(self, num_classes, *, key):
        first, second = jax.random.split(key)
        self.order = jnp.array([3, 1, 2, 0])
        self.conv = eqx.nn.Conv2d(1, 4, 3, key=first)
        self.head = eqx.nn.Linear(4, num_classes, key=second)

    def __call__(self, x, training):
        del training
        return self.head(self.conv(x).mean((1, 2))[self.order])


def test_an_equinox_module_keeps_its_whole_numbers_and_gets_its_flag():
    network = trace(Reordered, SHAPE, 3)
    assert [layer.kind for layer in network.layers] == ["conv", "dense"]


def test_classes_get_the_number_of_classes():
    for kind in (NnxPhase, Reordered):
        network = trace(kind, SHAPE, 7)
        assert network.layers[-1].kernel_shape[-1] == 7


@pytest.mark.parametrize(
    "module",
    [
        hk.without_apply_rng(hk.transform(lambda x: hk.Linear(3)(x.mean((1, 2))))),
        hk.without_apply_rng(
            hk.transform_with_state(lambda x: hk.Linear(3)(x.mean((1, 2))))
        ),
    ],
)
def test_haiku_functions_without_a_key_will_do(module):
    network = trace(module, SHAPE, 3)
    params = network.own_init(jax.random.key(0))
    assert network.apply(params, {}, numbers()[0], train=True)[0].shape == (4, 3)


def test_a_haiku_module_is_told_to_come_in_a_function():
    with pytest.raises(UserError, match="in a function"):
        trace(hk.nets.ResNet18, SHAPE, 3)


class ManyCollections(nn.Module):
    """Stochastic depth with its own stream, averages, and a count elsewhere."""

    @nn.compact
    def __call__(self, x, train=False):
        seen = self.variable("counts", "seen", lambda: jnp.zeros(()))
        seen.value += float(train)
        x = nn.Dense(4)(x.mean((1, 2)))
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(4)(x)))
        if train:
            kept = jax.random.bernoulli(self.make_rng("depth"), 0.5, (len(x), 1))
            y = jnp.where(kept, y / 0.5, 0.0)
        x = nn.Dropout(0.5, rng_collection="other", deterministic=not train)(x + y)
        return nn.Dense(3)(x)


def test_streams_and_collections_of_any_name_are_kept():
    network = trace(ManyCollections(), SHAPE, 3)
    assert set(network.adapter.streams) == {"depth", "other"}
    assert [layer.name for layer in network.layers] == ["Dense_0", "Dense_1", "Dense_2"]
    assert len(network.branches) == 1 and network.layers[1].normalized
    params = network.own_init(jax.random.key(0))
    state = network.model_state(jax.random.key(0))
    assert set(state) == {"counts", "batch_stats"}
    images = numbers()[0]
    calls = [
        network.apply(params, state, images, train=True, key=jax.random.key(seed))
        for seed in (0, 1)
    ]
    assert not np.array_equal(calls[0][0], calls[1][0])
    assert float(calls[0][1]["counts"]["seen"]) == 1 + float(state["counts"]["seen"])
    still = [
        network.apply(params, state, images, train=False, key=jax.random.key(seed))
        for seed in (0, 1)
    ]
    np.testing.assert_array_equal(still[0][0], still[1][0])
    assert still[0][1] is state
