"""Auditing a module of any framework before anything is trained."""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Int, Key

from init_study.api.arguments import make_scheme
from init_study.api.initialize import batch_of, traced_network
from init_study.diagnosis.finding import Finding, look_for
from init_study.diagnosis.rules import TRAPS
from init_study.diagnosis.seen import Training, look_at, make_set_up


class Audit(NamedTuple):
    """What an audit found.

    Attributes:
        findings: the gravest first.
    """

    findings: tuple[Finding, ...]


def audit(
    module: Any,
    images: Any,
    scheme: Any = "module",
    labels: Int[Array, " n"] | Any = None,
    key: Key[Array, ""] | None = None,
    train_argument: str | None = None,
    output: str | None = None,
    **training: Any,
) -> Audit:
    """Look for traps in a module's start, before anything is trained.

    Args:
        module: of Flax Linen or NNX, Haiku or Equinox, or what makes one.
        images: `[n, ...]`, a batch as the module will read it.
        scheme: as of `initialize`; by default the module's own numbers.
        labels: `[n]`, from 0 to K − 1; without them losses are not judged.
        key: of the draw; that of seed 0 by default.
        train_argument: as of `initialize`.
        output: as of `initialize`.
        training: of `Training`: how it is going to be trained, as far as it is known.

    Example:
        >>> import flax.linen as nn, jax
        >>> net, images = nn.Dense(3), jax.random.normal(jax.random.key(1), (2, 5))
        >>> [one.id for one in audit(net, images, "zeros").findings]
        ['starts-at-zero']
    """
    network = traced_network(module, images, train_argument, output)
    batch = batch_of(images, labels)
    key = jax.random.key(0) if key is None else key
    set_up = make_set_up(network, make_scheme(scheme), batch, key, Training(**training))
    seen = look_at(set_up, key)
    return Audit(look_for(TRAPS.values(), seen))
