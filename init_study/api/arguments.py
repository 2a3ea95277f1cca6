"""Meanings of the arguments of a notebook's call: a study, schemes, rules of a race."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from init_study.data import make_dataset
from init_study.data.sources import arrays
from init_study.errors import UserError, check_number, unknown
from init_study.plan import Given
from init_study.schemes import Scheme, parse_scheme, per_layer
from init_study.study import Study, field_types

if TYPE_CHECKING:
    from init_study.answers.verdicts.protocol import Protocol

DEFAULT_SCHEMES = ("module", "he_normal", "xavier_uniform", "orthogonal", "lsuv")
_RATES_OF_SGD = (0.01, 0.03, 0.1, 0.3)
_RATES_OF_ADAM = (0.0003, 0.001, 0.003, 0.01)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class RaceRules(NamedTuple):
    """The rules by which a race is decided.

    Attributes:
        protocol: its margin is a placeholder.
        margin: difference in accuracy, of 1, that does not matter; None for what
            `default_margin` says after screening.
        budget: seconds; None for no limit.
        order: "turns", or "first" to decide each program before the next is begun.
    """

    protocol: "Protocol"
    margin: float | None = None
    budget: float | None = None
    order: str = "turns"


class RunOptions(NamedTuple):
    """What a run is asked beside its study; it changes no result by itself.

    Attributes:
        data_dir: where TFDS keeps its data sets; TFDS's own default if None.
        execution: how members run, as `"winograd/1"`; by default what suits the device.
        checkpoint_every: seconds between two checkpoints, at least; by default 30, or
            more where saving takes long.
        spectra: measure spectra and predict signals before the first step, too.
        accept_drift: go on in a workdir that was begun under another version of JAX.

    Example:
        >>> RunOptions(execution="winograd/1").execution
        'winograd/1'
    """

    data_dir: str | None = None
    execution: str | None = None
    checkpoint_every: float | None = None
    spectra: bool = False
    accept_drift: bool = False


def split_options(given: Mapping[str, Any]) -> tuple[RunOptions, dict[str, Any]]:
    """Part what a run is asked from the fields of its study.

    Raises: UserError for a value that cannot be meant.

    Example:
        >>> options, fields = split_options({"seeds": 3, "spectra": True})
        >>> options.spectra, fields
        (True, {'seeds': 3})
    """
    own = {name: value for name, value in given.items() if name in RunOptions._fields}
    options = RunOptions(**own)
    if not isinstance(options.execution, str | None):
        raise UserError(
            f"execution={options.execution!r} is no text; write FORM/WIDTH, as "
            "'winograd/1'"
        )
    if options.checkpoint_every is not None:
        check_number("checkpoint_every", options.checkpoint_every, least=0)
    return options, {name: given[name] for name in given if name not in own}


def make_rules(
    until: str | None,
    budget: float | str | None,
    margin: float | None,
    looks: Sequence[int] | None,
    fields: Mapping[str, Any],
    order: str | None = None,
) -> RaceRules | None:
    """Read how a race is decided; None for a plain run.

    Args:
        until: as of `compare`.
        budget: as of `compare`.
        margin: as of `compare`, in points.
        looks: as of `compare`.
        fields: of the study.
        order: as of `compare`.

    Raises: UserError for arguments that cannot be meant, or belong to a race alone.

    Example:
        >>> make_rules("decided", "20m", 0.5, None, {}).budget
        1200.0
    """
    if until is None:
        only = {"budget": budget, "margin": margin, "looks": looks, "order": order}
        for name, value in only.items():
            if value is not None:
                raise UserError(
                    f"{name}={value!r} is of a race; say until='decided', or leave it "
                    "out"
                )
        return None
    if until != "decided":
        raise UserError(f"until={until!r} is not known; say until='decided' or nothing")
    if given := [name for name in ("seeds", "fresh_seeds") if name in fields]:
        raise UserError(f"until='decided' spends seeds as needed; leave out {given[0]}")
    if margin is not None:
        check_number("margin", margin, above=0, most=100)
    share = None if margin is None else margin / 100
    # Imported here because a scheme needs none of what reads tables.
    from init_study.answers.verdicts.protocol import Protocol, check_protocol

    protocol = Protocol(margin=1.0)
    if looks is not None:
        protocol = protocol._replace(looks=_whole_numbers("looks", looks))
    check_protocol(protocol)
    order = "turns" if order is None else order
    if order not in ("turns", "first"):
        raise UserError(f"order={order!r} is not known; say 'turns' or 'first'")
    return RaceRules(protocol, share, parse_seconds("budget", budget), order)


def _whole_numbers(name: str, given: Any) -> tuple[int, ...]:
    numbers = tuple(given) if isinstance(given, Sequence | np.ndarray) else None
    if numbers is None or not all(isinstance(n, int | np.integer) for n in numbers):
        raise UserError(f"{name}={given!r} are not whole numbers, as (5, 10, 20)")
    return tuple(map(int, numbers))


def parse_seconds(name: str, given: float | str | None) -> float | None:
    """Read a time: seconds, or text as `90s`, `20m`, `2h`.

    Raises: UserError for what is no time, under the name of the argument.

    Example:
        >>> parse_seconds("budget", "20m")
        1200.0
    """
    if given is None:
        return None
    text = given if isinstance(given, str) else f"{given}s"
    number, unit = text[:-1], text[-1:]
    if unit not in _SECONDS or not number.replace(".", "", 1).isdecimal():
        raise UserError(f"{name}={given} is no time; write 90s, 20m or 2h")
    if not float(number):
        raise UserError(f"{name}={given} allows nothing; write 90s, 20m or 2h")
    return float(number) * _SECONDS[unit]


def make_study(
    module: Any,
    data: Any,
    schemes: Any,
    learning_rates: Any,
    test: Any,
    train_argument: str | None,
    fields: Mapping[str, Any],
) -> tuple[Study, Given]:
    """Describe a comparison as a study, and say what its names mean.

    Args:
        module: as of `compare`.
        data: as of `compare`.
        schemes: as of `compare`.
        learning_rates: as of `compare`.
        test: as of `compare`.
        train_argument: as of `compare`.
        fields: further ones of `Study`.

    Raises: UserError for arguments that cannot be meant.

    Example:
        >>> study, _ = make_study("cnn", "digits", ["zeros"], None, None, None, {})
        >>> study.model, study.dataset, study.schemes
        (('cnn',), ('digits',), ('zeros',))
    """
    known = set(field_types()) - {"schemes", "learning_rates", "model", "dataset"}
    for field in fields:
        if field not in known:
            known |= {*RunOptions._fields}
            others = "the fields of init_study.Study and of RunOptions"
            raise unknown("argument", field, known, others)
    own_schemes = _named_schemes(schemes)
    models, datasets = {}, {}
    model, dataset = module, data
    if not isinstance(module, str):
        model = _name(module)
        models = {model: module}
    if not isinstance(data, str):
        dataset = "arrays"
        datasets = {dataset: make_dataset(dataset, arrays.read(data, test))}
    elif test is not None:
        raise UserError(f"data {data!r} has a test part of its own; leave out test")
    is_sgd = fields.get("optimizer", "sgd") in ("sgd", ["sgd"], ("sgd",))
    rates = _RATES_OF_SGD if is_sgd else _RATES_OF_ADAM
    study = Study(
        **{"name": model, **fields},
        schemes=tuple(own_schemes),
        learning_rates=rates if learning_rates is None else learning_rates,
        model=(model,),
        dataset=(dataset,),
    )
    made = {name: one for name, one in own_schemes.items() if isinstance(one, Scheme)}
    return study, Given(models, datasets, made, train_argument)


def _named_schemes(schemes: Any) -> dict[str, Scheme | str]:
    """Name the schemes: as they are called, or as the dict says."""
    if isinstance(schemes, str) or not hasattr(schemes, "__iter__"):
        schemes = [schemes]
    if isinstance(schemes, Mapping):
        return {str(name): make_scheme(one) for name, one in schemes.items()}
    if isinstance(schemes, set | frozenset):
        raise UserError("a set of schemes has no order; give a list or a dict")
    found: dict[str, Scheme | str] = {}
    for one in schemes:
        name = one if isinstance(one, str) else _free_name(found)
        if name in found:
            raise UserError(f"schemes lists {name!r} twice; list it once")
        found[name] = one if isinstance(one, str) else make_scheme(one)
    return found


def _free_name(taken: Mapping[str, Any]) -> str:
    """Find a name for what has none: `given`, `given_2`, ...; a dict names better."""
    names = ("given", *(f"given_{count}" for count in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _name(module: Any) -> str:
    inner = getattr(module, "func", module)
    return str(getattr(inner, "__name__", type(inner).__name__)).strip("<>")


def make_scheme(given: Any) -> Scheme:
    """Take a name, an initializer or a scheme as a scheme.

    Raises: UserError for what is none of them.

    Example:
        >>> make_scheme("he_normal") is make_scheme(make_scheme("he_normal"))
        False
    """
    if isinstance(given, Scheme):
        return given
    if isinstance(given, str):
        return parse_scheme(given)
    if callable(given):
        law: Any = given
        return per_layer(law, name=getattr(given, "__name__", "the given law"))
    raise UserError(
        f"{given!r} is no scheme; give a name as 'he_normal', a Scheme, or an "
        "initializer as he_normal()"
    )
