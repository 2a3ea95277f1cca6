"""A rule times a factor."""

from collections.abc import Collection
from typing import Any

import jax
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError
from init_study.initializers import Initializer
from init_study.network import Network, Path
from init_study.schemes.scheme import Rule, Scheme


def scaled(rule: Rule, factor: float, why: str) -> Rule:
    """Multiply a rule's numbers by a factor; `why` is for people, e.g. `1/√L`.

    Raises: UserError for a rule that keeps the module's own numbers.
    """
    inner = rule.initializer
    if inner is None:
        raise UserError("the module's own numbers have no law to be scaled")

    return Rule(f"{rule.text} × {why}", multiplied(inner, factor))


def multiplied(law: Initializer, factor: float) -> Initializer:
    """Multiply what an initializer draws by a factor.

    Example:
        >>> from init_study.initializers import ones
        >>> multiplied(ones(), 0.5)(jax.random.key(0), (2,), jax.numpy.float32).tolist()
        [0.5, 0.5]
    """

    def initializer(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
        # Without the barrier a compiler merges the two factors, and compiled numbers
        # differ from others in the last bit.
        return jax.lax.optimization_barrier(law(key, shape, dtype)) * factor

    return initializer


def refuse_rescaled(
    name: str, rest: Scheme, network: Network, kernels: Collection[Path]
) -> None:
    """Refuse a rest that finds scales of its own behind a factor, which undoes it.

    Args:
        name: of the scheme that scales, for people.
        rest: what draws the kernels, and refines them.
        network: a traced network.
        kernels: that are scaled.

    Raises: UserError with the kernel, and what is done to it.
    """
    for step in (step for step in rest.refinements if step.rescales):
        for path in (path for path in step.changes(network) if path in kernels):
            raise UserError(
                f"{name} scales {'/'.join(path)}, and its rest sets the scale of that "
                f"afterwards: {step.name}; take a rest that only draws, e.g. "
                "rest='he_normal'"
            )
