"""Auditing a module of any framework before anything is trained."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Int, Key

from init_study.api.arguments import make_scheme
from init_study.api.initialize import batch_of, traced_network
from init_study.diagnosis.finding import Finding, look_for
from init_study.diagnosis.findings_text import findings_text
from init_study.diagnosis.laws import LeafLaw
from init_study.diagnosis.of_study import Training
from init_study.diagnosis.rules import TRAPS
from init_study.diagnosis.seen import look_at
from init_study.diagnosis.set_up import make_set_up
from init_study.errors import UserError, unknown
from init_study.keys import fixed_key


@dataclasses.dataclass(frozen=True)
class Audit:
    """What an audit found; printing it gives a table.

    Attributes:
        findings: the gravest first.
        leaves: every parameter, with the rule that set it and the law that its numbers
            follow.

    Example:
        >>> print(Audit((), ()))
        no trap is seen
    """

    findings: tuple[Finding, ...]
    leaves: tuple[LeafLaw, ...]

    def __str__(self) -> str:
        return findings_text(self.findings)

    __repr__ = __str__


def audit(
    module: Any,
    images: Any,
    scheme: Any = "module",
    labels: Int[Array, " n"] | Any = None,
    variables: Any = None,
    key: Key[Array, ""] | None = None,
    train_argument: str | None = None,
    output: str | None = None,
    **training: Any,
) -> Audit:
    """Look for traps in the start of a module, before anything is trained.

    Args:
        module: of Flax Linen or NNX, Haiku or Equinox, or what makes one.
        images: `[n, ...]`, a batch as the module is going to read it.
        scheme: as of `initialize`; by default what the module itself asks for.
        labels: `[n]`, from 0 to K − 1; without them no loss is judged.
        variables: what the module starts from, in the form that its framework has; by
            default what the scheme draws. With both it is found whether the scheme was
            applied.
        key: of the draw; that of `jax.random.key(0)` by default.
        train_argument: as of `initialize`.
        output: as of `initialize`.
        training: how it is going to be trained, as far as that is known: fields of
            `Training`, e.g. `optimizer="adam", learning_rate=0.001`.

    Raises: UserError as `initialize`, for images without numbers, for variables of
        another module, and for what is no field of `Training`.

    Example:
        >>> import flax.linen as nn, jax
        >>> images = jax.random.normal(jax.random.key(1), (4, 5))
        >>> net = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(3)])
        >>> [(one.id, one.place) for one in audit(net, images, "zeros").findings][:1]
        [('never-moves', 'layers_0/kernel')]
    """
    network = traced_network(module, images, train_argument, output)
    batch = batch_of(images, labels)
    if batch is None:
        raise UserError(
            "an audit looks at images, and there are none; give a batch, 16 are enough"
        )
    key = fixed_key(0) if key is None else key
    given = None if variables is None else network.read_variables(variables)
    set_up = make_set_up(
        network, make_scheme(scheme), batch, key, _training(training), given
    )
    seen = look_at(set_up, key)
    return Audit(look_for(TRAPS.values(), seen), seen.laws)


def _training(given: Mapping[str, Any]) -> Training:
    for name in given:
        if name not in Training._fields:
            names = Training._fields
            raise unknown("argument of audit", name, names, ", ".join(names))
    return Training(**given)
