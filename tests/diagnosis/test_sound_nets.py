"""Shipped nets with the schemes that they are meant for have none of these traps."""

import jax
import jax.numpy as jnp
import pytest
from models.tiny import TINY

from init_study.diagnosis.finding import look_for
from init_study.diagnosis.of_study import Training
from init_study.diagnosis.rules.finite_traps import FINITE_TRAPS
from init_study.diagnosis.rules.gradient_traps import GRADIENT_TRAPS
from init_study.diagnosis.rules.map_traps import MAP_TRAPS
from init_study.diagnosis.rules.norm_traps import NORM_TRAPS
from init_study.diagnosis.rules.operation_traps import OPERATION_TRAPS
from init_study.diagnosis.rules.signal_traps import SIGNAL_TRAPS
from init_study.diagnosis.rules.unit_traps import UNIT_TRAPS
from init_study.diagnosis.seen import look_at
from init_study.diagnosis.set_up import make_set_up
from init_study.models import build_model
from init_study.network import trace
from init_study.schemes import Batch, parse_scheme

RULES = (
    *FINITE_TRAPS,
    *GRADIENT_TRAPS,
    *MAP_TRAPS,
    *NORM_TRAPS,
    *OPERATION_TRAPS,
    *SIGNAL_TRAPS,
    *UNIT_TRAPS,
)
PLAIN = ("he_normal", "he_uniform", "orthogonal", "lsuv", "zero_head", "mup")
BRANCHED = ("module", "he_normal", "zero_branch", "zero_head", "torch")
SOUND = {
    "cnn": PLAIN,
    "lenet": ("module", "xavier_normal", "orthogonal", "lsuv", "edge_of_chaos"),
    "vgg16": PLAIN,
    "all_cnn_c": PLAIN,
    "resnet": ("module", "he_normal", "zero_gamma", "timm_resnet"),
    "resnet18_v2": BRANCHED,
    "densenet40": ("module", "he_normal", "torch"),
    "mobilenet_v2": ("module", "he_normal", "timm_efficientnet"),
    "convmixer": ("module", "he_normal", "torch"),
    "convnext_tiny": ("module", "convnext", "he_normal"),
    "vit_small": ("module", "xavier_uniform", "zero_branch", "depth_scaled"),
    "unet": ("he_normal", "orthogonal"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUND)
def test_a_sound_net_gives_no_warning(name):
    fields, shape = TINY[name]
    network = trace(build_model(name, 3, fields), shape, 3)
    images = jax.random.normal(jax.random.key(7), (16, *shape))
    batch = Batch(images, jnp.arange(16) % 3)
    for scheme in SOUND[name]:
        for seed in range(2):
            key = jax.random.key(seed)
            training = Training(learning_rate=0.1)
            set_up = make_set_up(network, parse_scheme(scheme), batch, key, training)
            findings = look_for(RULES, look_at(set_up, jax.random.clone(key)))
            assert {one.severity for one in findings} <= {"info"}, (scheme, findings)
