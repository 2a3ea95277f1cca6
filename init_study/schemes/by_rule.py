"""Rules of the user's own, parameter by parameter, before those of another scheme."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from init_study.errors import UserError, nearest
from init_study.initializers import INITIALIZERS
from init_study.network import Network, Path
from init_study.schemes.per_layer import HE_NORMAL
from init_study.schemes.refined import promising
from init_study.schemes.scheme import OWN, Rule, Scheme, override
from init_study.schemes.zeros_in_series import moves

_OTHERS = ("refuse", "module")


def by_rule(*rules: str, rest: Scheme = HE_NORMAL, others: str = "refuse") -> Scheme:
    """Rules of the user's own for single parameters, and another scheme for the rest.

    A rule is `PATH=SCHEME`, as `Conv_0/kernel=he_normal` or `*/bias=constant(0.1)`; a
    star stands for any letters. The last rule that fits a parameter sets it. A kernel
    is drawn as the scheme draws that of its layer, any other parameter by the
    initializer of that name; `module` keeps the module's own numbers.
    Use: where one layer is to start otherwise than a scheme would have it.
    When not: for the head or the ends of branches, which other schemes find themselves.

    Args:
        rules: as above.
        rest: the scheme of the parameters that no rule fits, `he_normal` by default.
        others: what becomes of those that it has no rule for either: they are refused,
            or with `module` they keep the module's own numbers.

    Raises: UserError for a rule that cannot be read or fits no parameter.

    Example:
        >>> from init_study.schemes import parse_scheme
        >>> scheme = parse_scheme("by_rule('*bias=ones', rest='orthogonal')")
        >>> explain(nn.Dense(3), jnp.ones((2, 5)), scheme)
        {'bias': 'ones', 'kernel': 'orthogonal; 5 in, 3 out; linear'}
    """
    if others not in _OTHERS:
        raise UserError(f"others={others!r} is not known; write refuse or module")
    read = [_read(text) for text in rules]

    def change(network: Network, before: dict[Path, Rule]) -> dict[Path, Rule]:
        left = [path for path in network.shapes if path not in before]
        found = {path: Rule(OWN) for path in left} if others == "module" else {}
        for one in read:
            found |= _rules(one, network)
        return found

    return override(promising("by_rule", rest), change, moves("by_rule"))


class _Read(NamedTuple):
    """A rule as it was written, and what it means: a pattern, and a scheme by name."""

    text: str
    pattern: str
    said: str
    scheme: Scheme
    name: str
    args: list[Any]
    kwargs: dict[str, Any]


def _read(text: Any) -> _Read:
    # All schemes are known there, this one among them.
    from init_study.schemes import parse_call, parse_scheme

    pattern, _, said = (part.strip() for part in f"{text}".partition("="))
    if not pattern or not said:
        raise UserError(
            f"rule {text!r} cannot be read; write PATH=SCHEME, as "
            "'Conv_0/kernel=he_normal' or '*/bias=zeros'"
        )
    scheme = parse_scheme(said)
    if scheme.refinements:
        (step, *_) = scheme.refinements
        raise UserError(
            f"rule {text!r}: {said} does more than draw, {step.name}, which is done to "
            f"a whole network; take it as the rest, rest={said!r}, or another rule"
        )
    return _Read(text, pattern, said, scheme, *parse_call(said))


def _rules(read: _Read, network: Network) -> dict[Path, Rule]:
    """Give the rule of every parameter that the pattern fits.

    Raises: UserError if it fits none, or the scheme sets none of that kind.
    """
    names = {"/".join(path): path for path in network.shapes}
    wanted = ".*".join(map(re.escape, read.pattern.split("*")))
    fitting = [path for name, path in names.items() if re.fullmatch(wanted, name)]
    if not fitting:
        raise UserError(f"rule {read.text!r} {_fits_none(read.pattern, names)}")
    kernels = {layer.kernel for layer in network.layers}
    if read.name == "module":
        return {path: Rule(OWN) for path in fitting}
    by_scheme = read.scheme.rules(network)
    found: dict[Path, Rule] = {}
    for path in fitting:
        if path not in kernels and read.name in INITIALIZERS:
            law = INITIALIZERS[read.name](*read.args, **read.kwargs)
            found[path] = Rule(read.said, law)
        elif path in by_scheme:
            found[path] = by_scheme[path]._replace(text=read.said)
        else:
            raise UserError(
                f"rule {read.text!r}: {read.said} sets no {'/'.join(path)}; take an "
                "initializer, as normal(0.02) or zeros, or module"
            )
    return found


def _fits_none(pattern: str, names: Iterable[str]) -> str:
    """Say that a pattern fits no parameter, and what is near."""
    near = nearest(pattern, list(names))
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(names)}"
    return f"fits no parameter; {hint}"
