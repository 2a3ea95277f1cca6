"""A rule times a factor."""

from typing import Any

import jax
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError
from init_study.schemes.scheme import Rule


def scaled(rule: Rule, factor: float, why: str) -> Rule:
    """Multiply a rule's numbers by a factor; `why` is for people, e.g. `1/√L`.

    Raises: UserError for a rule that keeps the module's own numbers.
    """
    inner = rule.initializer
    if inner is None:
        raise UserError("the module's own numbers have no law to be scaled")

    def initializer(key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any) -> Array:
        # Without the barrier a compiler merges the two factors, and compiled numbers
        # differ from others in the last bit.
        return jax.lax.optimization_barrier(inner(key, shape, dtype)) * factor

    return Rule(f"{rule.text} × {why}", initializer)
