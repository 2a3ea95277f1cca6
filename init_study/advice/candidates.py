"""The schemes that a network admits: which are worth a place in its ranking, and why.

Laws for everything come first; those that are for an activation or a branch are there
where the network has one. Each is tried on the network's shapes: what refuses them is
left out, with its reason.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from init_study.activations import name_activation
from init_study.errors import UserError
from init_study.keys import fixed_key
from init_study.network import Network
from init_study.schemes import Batch, Scheme, parse_scheme

# The rules of textbooks, the defaults of frameworks and a fixed scale, and those that
# follow from the network or a batch.
FOR_ALL = (
    "he_normal",
    "xavier_normal",
    "flax",
    "torch",
    "normal(0.02)",
    "orthogonal",
    "lsuv",
    "autoinit",
    "edge_of_chaos",
    "zero_head(rest='he_normal')",
)
# With ReLU it is `he_normal` itself.
_FOR_OTHER_ACTIVATIONS = ("gain_normal",)
_FOR_BRANCHES = ("depth_scaled", "branch_gain", "zero_branch")
_FOR_NORMED_BRANCHES = ("zero_gamma", "zero_branch")
_FOR_PLAIN_CONVOLUTIONS = ("delta_orthogonal",)
_RECTIFIERS = (None, "linear", "relu")


class Candidates(NamedTuple):
    """Which schemes may be advised for a network.

    Attributes:
        schemes: by name.
        refused: why others do not fit, by name.
    """

    schemes: Mapping[str, Scheme]
    refused: Mapping[str, str]


def find_candidates(network: Network, batch: Batch) -> Candidates:
    """Find the schemes that a network admits.

    Args:
        network: a traced network.
        batch: of which a scheme sees the shapes here.

    Raises: UserError for a network without parameters that a scheme draws, or of a
        single layer, in which schemes differ by a factor alone.

    Example:
        >>> from init_study.models import CNN
        >>> from init_study.network import trace
        >>> batch = Batch(jnp.zeros((4, 8, 8, 1)), jnp.zeros(4, int))
        >>> network = trace(CNN(10, depth=2, width=4), (8, 8, 1))
        >>> list(find_candidates(network, batch).schemes)[:2]
        ['he_normal', 'xavier_normal']
    """
    if len(network.layers) < 2:
        raise UserError(
            f"the network has {len(network.layers)} layers with weights, and advice "
            "compares signals from layer to layer; a single layer trains from zeros: "
            "scheme='zeros'"
        )
    schemes, refused = {}, {}
    for name in candidate_names(network):
        scheme = parse_scheme(name)
        why = _why_not(scheme, network, batch)
        if why is None:
            schemes[name] = scheme
        else:
            refused[name] = why
    if not schemes:
        raise UserError(
            f"no scheme fits the network: he_normal: {refused['he_normal']}; say what "
            "becomes of such parameters: by_rule(…)"
        )
    return Candidates(schemes, refused)


def candidate_names(network: Network) -> tuple[str, ...]:
    """List the schemes that are meant for a network like this one.

    Args:
        network: a traced network.
    """
    layers = network.layers
    names: list[str] = list(FOR_ALL)
    follows = {la.activation and name_activation(la.activation) for la in layers}
    if follows - set(_RECTIFIERS):
        names += _FOR_OTHER_ACTIVATIONS
    if network.branches:
        ends = [layers[i] for branch in network.branches for i in branch.ends]
        normed = any(layer.normalized for layer in ends)
        names += _FOR_NORMED_BRANCHES if normed else _FOR_BRANCHES
    elif not any(layer.normalized for layer in layers):
        if any(layer.kind == "conv" for layer in layers):
            names += _FOR_PLAIN_CONVOLUTIONS
    return tuple(names)


def _why_not(scheme: Scheme, network: Network, batch: Batch) -> str | None:
    """Say why a scheme does not fit, in a line; nothing is drawn."""
    shapes = Batch(
        jax.ShapeDtypeStruct(batch.images.shape, jnp.float32),
        None
        if batch.labels is None
        else jax.ShapeDtypeStruct((len(batch.labels),), jnp.int32),
    )
    key = jax.eval_shape(lambda: fixed_key(0))
    try:
        jax.eval_shape(lambda k, b: scheme(k, network, b), key, shapes)
    except (UserError, ValueError) as error:
        return " ".join(str(error).split())
    return None
