"""Nets that have a trap, and twins that have not: what an audit says of both."""

import jax
import jax.numpy as jnp

from init_study.api.audit import audit

IMAGES = jax.random.normal(jax.random.key(1), (8, 6, 6, 2))
LABELS = jnp.arange(8) % 3


def found(module, scheme="he_normal", images=IMAGES, labels=LABELS, **options):
    """The findings of a module, by id: a list of findings each."""
    by_id = {}
    for finding in audit(module, images, scheme, labels, **options).findings:
        by_id.setdefault(finding.id, []).append(finding)
    return by_id


def places(findings):
    return [one.place for one in findings]
