"""Healthy nets, and schemes on nets that they are meant for, raise no alarm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from init_study.diagnosis.finding import look_for
from init_study.diagnosis.of_study import Training
from init_study.diagnosis.rules import TRAPS
from init_study.diagnosis.seen import look_at
from init_study.diagnosis.set_up import make_set_up
from init_study.models import build_model
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
# What is true of a scheme on its net: MetaInit's own objective makes this one quiet.
TRUE = {"metainit": {"signal-vanishes", "image-blind"}}


def digits(count=32):
    """Real images, standardized as in training."""
    pictures, labels = load_digits(return_X_y=True)
    images = pictures.reshape(-1, 8, 8, 1)
    images = (images - images.mean()) / images.std()
    return jnp.asarray(images[:count], jnp.float32), labels[:count]


def alarms(fields, scheme, batch, classes=10, **training):
    """Everything above `info` that an audit says."""
    fields = dict(fields)
    branches = fields.pop("branches", "plain")
    module = build_model(fields.pop("model"), classes, fields)
    images, labels = batch
    network = trace(module, images.shape[1:], branches=branches)
    key = jax.random.key(0)
    set_up = make_set_up(
        network, parse_scheme(scheme), Batch(images, labels), key, Training(**training)
    )
    findings = look_for(TRAPS.values(), look_at(set_up, jax.random.clone(key)))
    return [one[:4] for one in findings if one.severity != "info"]


def test_every_scheme_has_its_net_or_is_for_none():
    assert set(MEANT) == set(SCHEMES)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [name for name, net in MEANT.items() if net])
def test_a_scheme_on_its_net_raises_no_alarm(scheme):
    how = {"optimizer": "sgd", "learning_rate": 0.01}
    found = alarms(MEANT[scheme], scheme, digits(), **how)
    assert [one for one in found if one[0] not in TRUE.get(scheme, ())] == []


NETS = {
    "resnet18": ({"model": "resnet18"}, (32, 32, 3), "he_normal"),
    "lenet": ({"model": "lenet"}, (28, 28, 1), "lecun_normal"),
    "convmixer": (
        {"model": "convmixer", "depth": 4, "width": 32, "kernel_size": 5},
        (32, 32, 3),
        "module",
    ),
    "vgg16": (
        {"model": "vgg16", "norm": "batch", "width": 16, "dense": 64},
        (32, 32, 3),
        "he_normal",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_a_healthy_net_raises_no_alarm(name):
    fields, shape, scheme = NETS[name]
    # Smooth, as pictures are, and standardized.
    images = np.random.default_rng(0).normal(size=(16, *shape))
    for axis in (1, 2):
        for _ in range(2):
            images = images + np.roll(images, 1, axis)
    images = jnp.asarray((images - images.mean()) / images.std(), jnp.float32)
    batch = images, np.arange(16) % 10
    how = {"optimizer": "sgd", "learning_rate": 0.01}
    assert alarms(fields, scheme, batch, **how) == []
