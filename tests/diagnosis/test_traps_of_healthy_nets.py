"""Nets and schemes that are well: nothing is said of them above `info`."""

import jax
import jax.numpy as jnp
import pytest
from models.tiny import TINY

from init_study.api.audit import audit
from init_study.diagnosis.rules.batch_traps import BATCH_TRAPS
from init_study.diagnosis.rules.comparison_traps import COMPARISON_TRAPS
from init_study.diagnosis.rules.image_traps import IMAGE_TRAPS
from init_study.diagnosis.rules.label_traps import LABEL_TRAPS
from init_study.diagnosis.rules.optimizer_traps import OPTIMIZER_TRAPS
from init_study.diagnosis.rules.output_traps import OUTPUT_TRAPS
from init_study.diagnosis.rules.training_traps import TRAINING_TRAPS
from init_study.models import build_model

HERE = {
    trap.id
    for group in (
        *(BATCH_TRAPS, COMPARISON_TRAPS, IMAGE_TRAPS, LABEL_TRAPS),
        *(OPTIMIZER_TRAPS, OUTPUT_TRAPS, TRAINING_TRAPS),
    )
    for trap in group
}
PLAIN = ("he_normal", "orthogonal", "xavier_uniform", "lsuv", "zero_head", "flax")
RESIDUAL = ("he_normal", "zero_gamma", "torch", "zero_head")
NETS = {
    "cnn": PLAIN,
    "lenet": PLAIN,
    "linear": ("he_normal", "zeros"),
    "resnet18": RESIDUAL,
    "vgg16": ("he_normal", "torchvision_vgg"),
    "convmixer": ("he_normal", "torch"),
    "convnext_tiny": ("convnext", "module"),
    "all_cnn_c": ("he_normal",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_nothing_above_info_is_said_of(name):
    arguments, shape = TINY[name]
    net = build_model(name, 10, arguments)
    keys = jax.random.split(jax.random.key(0), 1)
    images, labels = jax.random.normal(keys[0], (16, *shape)), jnp.arange(16) % 10
    training = {
        **{"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "warmup": 0},
        **{"weight_decay": 5e-4, "steps": 200, "batch_size": 16, "seeds": 5},
        **{"schemes": 3, "learning_rates": (0.01, 0.03, 0.1), "untuned": 0.1},
    }
    adam = {**training, "optimizer": "adam", "learning_rate": 1e-3, "momentum": None}
    for scheme in NETS[name]:
        for how in (training, adam):
            findings = audit(net, images, scheme, labels, **how).findings
            grave = [f for f in findings if f.id in HERE and f.severity != "info"]
            assert not grave, (scheme, grave)
