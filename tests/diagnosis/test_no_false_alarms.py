"""Healthy nets under the schemes they are meant for: laws and copies say nothing."""

import jax
import jax.numpy as jnp
import pytest
from models.tiny import TINY

from init_study.api.audit import audit
from init_study.diagnosis.rules.copy_traps import COPY_TRAPS
from init_study.diagnosis.rules.fan_traps import FAN_TRAPS
from init_study.diagnosis.rules.law_traps import LAW_TRAPS
from init_study.diagnosis.rules.number_traps import NUMBER_TRAPS
from init_study.diagnosis.rules.shared_traps import SHARED_TRAPS
from init_study.models import build_model

OWN = {
    trap.id
    for traps in (COPY_TRAPS, FAN_TRAPS, LAW_TRAPS, NUMBER_TRAPS, SHARED_TRAPS)
    for trap in traps
}
HEALTHY = {
    "lenet": ("he_normal", "torch", "keras", "orthogonal", "whitened", "student_t"),
    "cnn": ("he_normal", "delta_orthogonal", "lsuv", "gain_normal"),
    "resnet": ("he_normal", "zero_gamma", "timm_resnet"),
    "resnet18": ("he_normal", "module"),
    "vgg16": ("he_normal", "torchvision_vgg"),
    "convmixer": ("he_normal", "partial_dirac", "module"),
    "convnext_tiny": ("he_normal", "convnext"),
    "mobilenet_v2": ("he_normal", "timm_efficientnet"),
    "vit_small": ("module", "xavier_uniform"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_starts_get_no_warning(name):
    fields, shape = TINY[name]
    images = jax.random.normal(jax.random.key(1), (8, *shape))
    for scheme in HEALTHY[name]:
        net = build_model(name, 10, fields)
        # Seven classes have no image in the batch: their gradients are equal.
        findings = audit(net, images, scheme, jnp.arange(8) % 3).findings
        grave = [x for x in findings if x.severity != "info" and x.id in OWN]
        assert not grave, (scheme, grave)
