"""Of several outputs the logits are used: the first that fits, or what is named."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, struct

from init_study import explain, initialize
from init_study.errors import UserError
from init_study.network import trace

SHAPE = (4, 4, 1)
IMAGES = jax.ShapeDtypeStruct((2, *SHAPE), "float32")


class Named(NamedTuple):
    features: Any
    logits: Any


@dataclasses.dataclass
class Plain:
    features: Any
    logits: Any
    note: str = "no array"


@struct.dataclass
class OfFlax:
    features: Any
    logits: Any


class Net(nn.Module):
    """Two heads of 3 classes and features; `pack` makes of them what it likes."""

    pack: Any

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(4, name="body")(x.reshape(len(x), -1))
        logits, aux = nn.Dense(3, name="head")(x), nn.Dense(3, name="aux")(x)
        return self.pack(x, logits, aux, train)


def chosen(pack, output=None, train=False):
    """Which output the network gives: parameters of a head are its own number."""
    network = trace(Net(pack), SHAPE, 3, output=output)
    params = jax.tree.map(jnp.zeros_like, network.own_init(jax.random.key(0)))
    params["head"]["bias"] += 1.0
    params["aux"]["bias"] += 2.0
    images = jnp.ones((5, *SHAPE))
    logits, _ = network.apply(params, {}, images, train=train)
    assert logits.shape == (5, 3)
    return {1.0: "head", 2.0: "aux"}[float(logits[0, 0])]


@pytest.mark.parametrize(
    "pack",
    [
        lambda x, logits, aux, train: logits,
        lambda x, logits, aux, train: (x, logits, aux),
        lambda x, logits, aux, train: [x, [logits, aux]],
        lambda x, logits, aux, train: {"z": x, "logits": logits, "aux": aux},
        lambda x, logits, aux, train: Named(x, logits),
        lambda x, logits, aux, train: Plain(x, logits),
        lambda x, logits, aux, train: OfFlax(x, logits),
        lambda x, logits, aux, train: {"none": None, "text": "a", "out": (logits, x)},
        # As GoogLeNet: several in training, one alone in evaluation.
        lambda x, logits, aux, train: (logits, aux) if train else logits,
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_the_first_that_fits_is_used(pack, train):
    assert chosen(pack, train=train) == "head"


def test_first_is_as_the_module_says_not_as_names_are_sorted():
    assert chosen(lambda x, logits, aux, train: {"b": logits, "a": aux}) == "head"


@pytest.mark.parametrize(
    ("output", "pack"),
    [
        ("1", lambda x, logits, aux, train: (logits, aux)),
        ("aux", lambda x, logits, aux, train: {"logits": logits, "aux": aux}),
        ("side.aux", lambda x, logits, aux, train: (logits, {"side": {"aux": aux}})[1]),
        ("1/side/0", lambda x, logits, aux, train: (logits, {"side": [aux]})),
        ("1.side.0", lambda x, logits, aux, train: (logits, {"side": [aux]})),
        ("logits", lambda x, logits, aux, train: Named(logits, aux)),
        ("1", lambda x, logits, aux, train: Named(logits, aux)),
        ("logits", lambda x, logits, aux, train: Plain(logits, aux)),
        # What has no names is the one thing that there is.
        ("1", lambda x, logits, aux, train: (logits, aux) if train else aux),
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_an_output_is_chosen_by_its_name(output, pack, train):
    assert chosen(pack, output, train) == "aux"


class OfNnx(nnx.Module):
    def __init__(self, num_classes, *, rngs):
        self.head = nnx.Linear(16, num_classes, rngs=rngs)

    def __call__(self, x):
        x = x.reshape(len(x), -1)
        return {"features": x, "logits": self.head(x)}


def of_haiku(x):
    x = x.reshape(len(x), -1)
    return x, hk.Linear(3)(x)


class OfEquinox(eqx.Module):
    head: eqx.nn.Linear

    def __init__(self, num_classes, *, key):
        self.head = eqx.nn.Linear(16, num_classes, key=key)

    def __call__(self, x):
        return Plain(x.ravel(), self.head(x.ravel()))


@pytest.mark.parametrize(
    ("module", "output"),
    [
        (OfNnx, "logits"),
        (hk.without_apply_rng(hk.transform(of_haiku)), "1"),
        (OfEquinox, "logits"),
    ],
)
def test_every_framework_may_give_several(module, output):
    for name in (None, output):
        network = trace(module, SHAPE, 3, output=name)
        params = network.own_init(jax.random.key(0))
        images = jnp.ones((5, *SHAPE))
        assert network.apply(params, {}, images, train=True)[0].shape == (5, 3)


def test_heads_that_are_ignored_are_layers_all_the_same():
    said = explain(Net(lambda x, logits, aux, train: (logits, aux)), IMAGES, "zeros")
    assert said["aux/kernel"].startswith("zeros; ")


@pytest.mark.parametrize(
    ("pack", "name"),
    [
        (lambda x, logits, *_: {"a/b": x, "a": {"b": logits}}, "a/b"),
        (lambda x, logits, *_: (x, {1: x, "1": logits}), "1/1"),
    ],
)
def test_two_outputs_of_one_name_are_refused(pack, name):
    with pytest.raises(UserError) as error:
        trace(Net(pack), SHAPE, 3)
    said = str(error.value)
    assert f"named {name!r}" in said and "\n" not in said
    # Features of 4, logits of 3.
    assert "4)" in said and "3)" in said


def test_without_a_number_of_classes_several_outputs_will_do():
    net = Net(lambda x, logits, aux, train: (x[:, None, None], logits))
    scheme = "metainit(steps=1)"
    drawn = initialize(net, IMAGES, scheme, jax.random.key(0))["params"]
    assert np.isfinite(drawn["head"]["kernel"]).all()
    features = Net(lambda x, logits, aux, train: {"map": x[:, None, None]})
    assert len(trace(features, SHAPE).layers) == 3


@pytest.mark.parametrize(
    ("pack", "classes", "output", "words"),
    [
        (
            lambda x, logits, aux, train: {"z": x, "logits": logits},
            7,
            None,
            r"gives z \(2, 4\), logits \(2, 3\) for 2 images in training; .*\(2, 7\); "
            "nearest is 'z'",
        ),
        (
            lambda x, logits, aux, train: {"z": x, "logits": logits},
            3,
            "logit",
            r"no such output in training; it gives z \(2, 4\), logits \(2, 3\)\. Did "
            "you mean 'logits'",
        ),
        (
            lambda x, logits, aux, train: {"z": x, "logits": logits},
            3,
            "z",
            r"is z \(2, 4\) for 2 images in training; .*\(2, 3\); .*mean 'logits'",
        ),
        (lambda x, logits, aux, train: logits, 3, "logits", "gives one array alone"),
        (lambda x, logits, aux, train: logits, 4, None, r"gives \(2, 3\) for 2 images"),
        (
            lambda x, logits, aux, train: logits if train else x,
            3,
            None,
            r"gives \(2, 4\) for 2 images in evaluation",
        ),
        (lambda x, logits, aux, train: "text", 3, None, "gives no array for 2 images"),
    ],
)
def test_what_does_not_fit_is_one_line(pack, classes, output, words):
    with pytest.raises(UserError, match=words) as error:
        trace(Net(pack), SHAPE, classes, output=output)
    assert "\n" not in str(error.value)
