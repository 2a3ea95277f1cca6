"""What a scheme does to the draws of another one, whose promises have to hold still."""

import dataclasses
from typing import Any

from init_study.errors import UserError
from init_study.schemes.scheme import Promise, Refinement, Scheme


def refined(name: str, rest: Scheme, step: Refinement, *checks: Promise) -> Scheme:
    """Refine what another scheme draws; its promises are checked behind the step.

    Args:
        name: of the scheme that refines, for people.
        rest: the other one.
        step: what is done; around another step of this stream it gets its own.
        checks: of what the step promises, besides those of the rest.

    Example:
        >>> from init_study.schemes import parse_scheme
        >>> rest = parse_scheme("noisy(0.1)")
        >>> twice = refined("noisy", rest, rest.refinements[0])
        >>> [one.stream for one in twice.refinements]
        ['noise', 'noise1']
    """
    streams = [one.stream for one in rest.refinements]
    same = sum(one.startswith(step.stream) for one in streams)
    own = step._replace(stream=f"{step.stream}{same or ''}")
    steps = (*rest.refinements, own)
    held = promising(name, rest)
    return dataclasses.replace(held, refinements=steps, checks=(*held.checks, *checks))


def promising(name: str, rest: Scheme) -> Scheme:
    """Make a scheme whose broken promises name who changed what it drew.

    Args:
        name: of who changes it, for people.
        rest: the scheme.

    Example:
        >>> from init_study.schemes import parse_scheme
        >>> len(promising("by_rule", parse_scheme("zero_head")).checks)
        2
    """
    checks = tuple(_behind(name, check) for check in rest.checks)
    return dataclasses.replace(rest, checks=checks)


def _behind(name: str, promise: Promise) -> Promise:
    def check(*given: Any) -> None:
        try:
            promise(*given)
        except UserError as error:
            raise UserError(
                f"{name}: behind it the rest does not keep its promise; {error}"
            ) from error

    return check
