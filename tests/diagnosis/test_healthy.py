"""Healthy starts: of nets under schemes that are meant for them an audit says no more
than what is good to know.

Every net of the table and some of the zoo, small, under He's law, under its framework's
own and PyTorch's defaults, and under what else is meant for it; and every scheme of the
catalogue on a net that it is meant for. Alarms that are true are in `HONEST`, with the
reason: an alarm that is not is the rule's to mend.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models.tiny import TINY
from sklearn.datasets import load_digits
from zoo.table import ZOO

from init_study.diagnosis.finding import look_for
from init_study.diagnosis.of_study import Training
from init_study.diagnosis.rules import TRAPS
from init_study.diagnosis.seen import look_at
from init_study.diagnosis.set_up import make_set_up
from init_study.models import MODELS, build_model
from init_study.network import trace
from init_study.schemes import SCHEMES, Batch, parse_scheme

RELU = {"model": "cnn", "depth": 4, "width": 16}
TANH = {**RELU, "activation": "tanh"}
SELU = {**RELU, "activation": "selu"}
LINEAR = {**RELU, "activation": "linear"}
NORMED = {**RELU, "norm": "batch"}
CIRCULAR = {"model": "plain_circular", "depth": 6, "width": 16}
RESIDUAL = {"model": "resnet", "depth": 14, "width": 8}
FREE = {**RESIDUAL, "norm": "none"}
# What the catalogue recommends a scheme for; None for controls, which are for no net,
# and for what is a part of other schemes or of the user's own.
MEANT = {
    "ntk": None,
    "zeros": None,
    "ones": None,
    "constant": None,
    "mup_output": None,
    "by_rule": None,
    "noisy": None,
    "identity": None,
    "repeated_identity": None,
    "uniform": None,
    "normal": None,
    "truncated_normal": None,
    "gabor": None,
    "gaussian_field": None,
    "sparse": None,
    "gaussian": None,
    "variance_scaling": LINEAR,
    "xavier_normal": TANH,
    "xavier_uniform": TANH,
    "xavier_truncated": TANH,
    "he_normal": RELU,
    "he_uniform": RELU,
    "he_truncated": RELU,
    "he_fan_out": RELU,
    "lecun_normal": SELU,
    "lecun_uniform": SELU,
    "lecun_truncated": SELU,
    "torch_kernel": NORMED,
    "gain_normal": {**RELU, "activation": "gelu"},
    "gain_uniform": {**RELU, "activation": "silu"},
    "orthogonal": TANH,
    "scaled_orthogonal": TANH,
    "delta_orthogonal": {**CIRCULAR, "activation": "tanh"},
    "scaled_delta_orthogonal": {**CIRCULAR, "activation": "tanh"},
    # It keeps norms, which no head does.
    "orthogonal_convolution": None,
    "zero_hadamard": RELU,
    "partial_dirac": NORMED,
    "looks_linear": RELU,
    "laplace": NORMED,
    "rademacher": NORMED,
    "student_t": NORMED,
    "ternary": NORMED,
    "flax": NORMED,
    "torch": NORMED,
    "keras": NORMED,
    "haiku": NORMED,
    "tensorflow1": NORMED,
    "alexnet": None,
    "torchvision_vgg": NORMED,
    "timm_resnet": RESIDUAL,
    "timm_efficientnet": NORMED,
    "convnext": {"model": "convnext_tiny", "stages": (1, 1), "width": 16},
    "module": NORMED,
    "zero_head": RELU,
    "small_head": RELU,
    "mup": RELU,
    "prior_bias": RELU,
    "zero_gamma": RESIDUAL,
    "zero_branch": RESIDUAL,
    "depth_scaled": FREE,
    "branch_gain": FREE,
    "stable_resnet": {**FREE, "branches": "scalar"},
    "skipinit": {**FREE, "branches": "scalar"},
    "layerscale": {**FREE, "branches": "channel"},
    "fixup": {**FREE, "branches": "fixup"},
    "lsuv": RELU,
    "weight_norm": RELU,
    "krahenbuhl_within": RELU,
    "krahenbuhl": RELU,
    "whitened": NORMED,
    "autoinit": RELU,
    "edge_of_chaos": TANH,
    "metainit": RELU,
    "gradinit": NORMED,
}
COMMON = ("he_normal", "module", "torch")
# What else is meant for a net.
OWN = {
    "cnn": ("orthogonal", "xavier_uniform", "lsuv", "zero_head", "mup"),
    "lenet": (
        "lecun_normal",
        "keras",
        "orthogonal",
        "whitened",
        "student_t",
        "identity",
        "zero_hadamard",
    ),
    "linear": ("zeros",),
    "resnet": ("zero_gamma", "timm_resnet", "zero_branch"),
    "vgg16": ("orthogonal", "lsuv", "zero_head"),
    "all_cnn_c": ("orthogonal", "lsuv", "zero_head", "mup"),
    "resnet18": ("zero_gamma", "timm_resnet", "zero_head"),
    "resnet18_v2": ("zero_branch", "zero_head"),
    "mobilenet_v2": ("timm_efficientnet",),
    "convmixer": ("partial_dirac",),
    "convnext_tiny": ("convnext",),
    "vit_small": ("xavier_uniform", "zero_branch", "depth_scaled"),
    "unet": ("orthogonal",),
}
# Nets that are not well when they are as small as they can be: of maps of one pixel
# all but the border is padding, and two standardized numbers are 1 and −1 whatever
# they were.
LARGER = {
    "nfnet_f0": ({"stages": (1, 1), "width": 16, "group_width": 4}, (8, 8, 1)),
    "vgg11_small": ({"width": 4}, (32, 32, 1)),
}
A_SIXTH = (
    {"gradient-vanishes"},
    "a sixth of the mean square is left by each of eight layers without a norm",
)
# True alarms, by net and scheme, with the reason.
HONEST = {
    **{(net, "torch"): A_SIXTH for net in ("alexnet", "alexnet_small", "all_cnn_c")},
    ("vgg11_small", "torch"): (
        {"gradient-vanishes", "image-blind"},
        "as these, and random biases are left of a signal that shrinks so",
    ),
    ("all_cnn_c", "zero_head"): (
        {"never-moves"},
        "a rectifier stands behind its head, and lets no gradient through at zero",
    ),
    ("unet", "orthogonal"): (
        {"orthogonal-widens"},
        "layers that widen leave a fifth of what they read, and no norm is behind them",
    ),
    **{
        ("googlenet", scheme): (
            {"unused-parameter", "never-moves"},
            "auxiliary heads have no loss here; of few units behind a rectifier some "
            "layer has none that is alive",
        )
        for scheme in COMMON
    },
    ("mobilenet_v2", "torch"): (
        {"evaluation-differs"},
        "averages as they start do not make up for a sixth a layer",
    ),
    ("", "metainit"): (
        {"signal-vanishes"},
        "its own objective makes this net quiet",
    ),
}
SGD = {
    **{"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "warmup": 0},
    **{"weight_decay": 5e-4, "steps": 200, "batch_size": 16, "seeds": 5, "schemes": 3},
    **{"learning_rates": (0.01, 0.03, 0.1), "untuned": 0.1},
}
ADAM = {
    **{**SGD, "optimizer": "adam", "learning_rate": 1e-3, "momentum": None},
    **{"learning_rates": (3e-4, 1e-3, 3e-3), "untuned": 1e-3},
}


@lru_cache(1)
def network_of(net):
    """A net of the table or of the zoo, traced once for all of its schemes."""
    if net in ZOO:
        return trace(ZOO[net].make(), ZOO[net].shape, 3)
    fields, shape = LARGER.get(net, TINY[net])
    return trace(build_model(net, 10, fields), shape, 10)


@lru_cache(2)
def meant_network(fields):
    """What a scheme is meant for, traced once for all of those schemes."""
    own = dict(fields)
    branches = own.pop("branches", "plain")
    return trace(build_model(own.pop("model"), 10, own), (8, 8, 1), branches=branches)


def smooth(shape):
    """Noise that varies slowly over places, as pictures do, standardized."""
    images = np.random.default_rng(0).normal(size=(16, *shape))
    for axis in (1, 2):
        for _ in range(2):
            images = images + np.roll(images, 1, axis)
    return jnp.asarray((images - images.mean()) / images.std(), jnp.float32)


def digits(count=32):
    """Real images, standardized as in training."""
    pictures, labels = load_digits(return_X_y=True)
    images = pictures.reshape(-1, 8, 8, 1)
    images = (images - images.mean()) / images.std()
    return Batch(jnp.asarray(images[:count], jnp.float32), labels[:count])


def check(network, scheme, batch, net="", **training):
    """Nothing is said above `info` but what is true, and that is still said."""
    key = jax.random.key(0)
    recipe = parse_scheme(scheme)
    set_up = make_set_up(network, recipe, batch, key, Training(**training))
    seen = look_at(set_up, jax.random.clone(key))
    findings = look_for(TRAPS.values(), seen)
    alarms = [one[:4] for one in findings if one.severity != "info"]
    true, _ = HONEST.get((net, scheme), (set(), ""))
    assert {one[0] for one in alarms} == true, alarms


def cases(rows, quick):
    """Parameters of which all but a few are slow."""
    slow = pytest.mark.slow
    return [pytest.param(*row, marks=() if row in quick else slow) for row in rows]


# Of the zoo some of each kind; under what is in all frameworks.
OF_ZOO = (
    *("flax_resnet", "bit", "se_resnet", "resnext", "three_paths"),
    *("glu", "equinox_paths", "mixer", "tied", "haiku_mobilenet"),
)
# The second GoogLeNet compiles for minutes; the first is here.
NETS = [net for net in TINY if net != "googlenet_torchvision"]
EVERY = [(net, s) for net in NETS for s in (*COMMON, *OWN.get(net, ()))]
EVERY += [(net, scheme) for net in OF_ZOO for scheme in ("he_normal", "module")]
QUICK = [("cnn", "he_normal"), ("linear", "he_normal")]


def test_every_net_and_every_scheme_is_here():
    assert set(TINY) == set(MODELS)
    assert set(MEANT) == set(SCHEMES)


@pytest.mark.parametrize(("net", "scheme"), cases(EVERY, QUICK))
def test_a_net_under_a_scheme_that_is_meant_for_it(net, scheme):
    network = network_of(net)
    classes = 3 if net in ZOO else 10
    batch = Batch(smooth(network.image_shape), np.arange(16) % classes)
    for how in (SGD, ADAM) if scheme == "he_normal" else (SGD,):
        check(network, scheme, batch, net, **how)


@pytest.mark.parametrize(
    "scheme", cases([(s,) for s, net in MEANT.items() if net], [("xavier_normal",)])
)
def test_a_scheme_on_a_net_that_it_is_meant_for(scheme):
    network = meant_network(tuple(MEANT[scheme].items()))
    how = {"optimizer": "sgd", "learning_rate": 0.01}
    check(network, scheme, digits(), **how)


FULL = {
    "resnet18": ({}, (32, 32, 3), "he_normal"),
    "lenet": ({}, (28, 28, 1), "lecun_normal"),
    "convmixer": ({"depth": 4, "width": 32, "kernel_size": 5}, (32, 32, 3), "module"),
    "vgg16": ({"norm": "batch", "width": 16, "dense": 64}, (32, 32, 3), "he_normal"),
}


@pytest.mark.slow
@pytest.mark.parametrize("net", FULL)
def test_a_net_of_full_width(net):
    fields, shape, scheme = FULL[net]
    network = trace(build_model(net, 10, fields), shape, 10)
    batch = Batch(smooth(shape), np.arange(16) % 10)
    check(network, scheme, batch, **SGD)
