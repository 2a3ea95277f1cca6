"""Which schemes a network admits, and what cannot be advised on."""

import jax.numpy as jnp
import pytest

from init_study.advice import candidates
from init_study.advice.candidates import FOR_ALL, candidate_names, find_candidates
from init_study.errors import UserError
from init_study.models import CNN, ResNet
from init_study.models.linear import Linear
from init_study.network import trace
from init_study.schemes import SCHEMES, Batch
from init_study.schemes import parse_scheme as parsed

BATCH = Batch(jnp.zeros((4, 8, 8, 1)), jnp.zeros(4, int))


def names_of(module):
    return set(candidate_names(trace(module, (8, 8, 1)))) - set(FOR_ALL)


@pytest.mark.parametrize(
    ("module", "further"),
    [
        (CNN(3, depth=2, width=4), {"delta_orthogonal"}),
        (CNN(3, depth=2, width=4, norm="batch"), set()),
        (CNN(3, depth=2, width=4, activation="gelu", norm="batch"), {"gain_normal"}),
        (ResNet(3, depth=8, width=2), {"zero_gamma", "zero_branch"}),
        (
            ResNet(3, depth=8, width=2, norm="none"),
            {"depth_scaled", "branch_gain", "zero_branch"},
        ),
    ],
    ids=["plain", "normed", "gelu", "residual", "free"],
)
def test_a_network_has_what_is_meant_for_its_kind(module, further):
    assert names_of(module) == further


def test_all_names_are_schemes():
    for name in FOR_ALL:
        parsed(name)
    assert {"gain_normal", "delta_orthogonal", "branch_gain"} <= set(SCHEMES)


def test_what_does_not_fit_is_named_with_its_reason(monkeypatch):
    """Fixup has numbers of its own on branches, which a plain net has not."""
    names = ("he_normal", "fixup")
    monkeypatch.setattr(candidates, "candidate_names", lambda network: names)
    found = find_candidates(trace(CNN(3, depth=2, width=4), (8, 8, 1)), BATCH)
    assert set(found.schemes) == {"he_normal"}
    assert "branch" in found.refused["fixup"]


def test_a_single_layer_is_refused():
    with pytest.raises(UserError, match="1 layers with weights"):
        find_candidates(trace(Linear(3), (8, 8, 1)), BATCH)
