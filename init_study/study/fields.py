"""Values of a study's fields, from text and from what Python code gives.

A field's type is a type hint: `int`, `float | None`, `tuple[str, ...]` and the like.
"""

import types
import typing
from collections.abc import Iterable, Mapping, Set
from typing import Any

from init_study.errors import UserError
from init_study.study.limits import check_seeds


def parse(field: str, text: str, kind: Any) -> Any:
    """Read the value of a field from text.

    `0.1,0.3` or `(0.1, 0.3)` for several values, `default` where the model, the
    optimizer or the device decides. A single number for `seeds` is how many: `5` means
    seeds 0 to 4, `5,` seed 5.

    Args:
        field: its name.
        text: the value as a user writes it.
        kind: the field's type hint.

    Raises: UserError if the text does not fit the type.

    Example:
        >>> parse("schemes", "normal(0.02, 1), zeros", tuple[str, ...])
        ('normal(0.02, 1)', 'zeros')
        >>> parse("depth", "default,8", tuple[int | None, ...])
        (None, 8)
    """
    if typing.get_origin(kind) is not tuple:
        return _parse_one(field, text, kind)
    inner = text.strip()
    if inner[:1] + inner[-1:] in ("()", "[]"):
        inner = inner[1:-1]
    element = typing.get_args(kind)[0]
    parts = [part.strip().strip("'\"") for part in _split_outside_calls(inner)]
    values = tuple(_parse_one(field, part, element) for part in parts)
    single = field == "seeds" and len(values) == 1 and not inner.rstrip().endswith(",")
    return values[0] if single else values


def coerce(field: str, value: Any, kind: Any) -> Any:
    """Bring a value into the type of its field.

    Lists, arrays and other iterables, and single values, become tuples; whole numbers
    floats; a number of seeds the seeds; values of NumPy and JAX Python's own.

    Args:
        field: its name.
        value: as Python code gives it.
        kind: the field's type hint.

    Raises: UserError if the value does not fit the type.

    Example:
        >>> coerce("learning_rates", 1, tuple[float, ...])
        (1.0,)
        >>> coerce("seeds", 3, tuple[int, ...])
        (0, 1, 2)
    """
    value = _plain(value)
    if typing.get_origin(kind) is tuple:
        if field == "seeds" and isinstance(value, int) and not isinstance(value, bool):
            check_seeds(value)
            value = tuple(range(value))
        values = _several(value)
        element = typing.get_args(kind)[0]
        return tuple(coerce(field, one, element) for one in values)
    options = _options(kind)
    whole_for_float = isinstance(value, int) and float in options
    fits = isinstance(value, options) or whole_for_float
    if not fits or isinstance(value, bool):
        raise UserError(f"study.{field}: {value!r} is not {_name(kind)}")
    return float(value) if whole_for_float and int not in options else value


def _plain(value: Any) -> Any:
    """Turn a scalar of NumPy or JAX into Python's own number or text."""
    if getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return value
    number = value.item()
    # A float32 of 0.1 is meant as 0.1, not as the float64 that is nearest to it.
    return float(str(value)) if isinstance(number, float) else number


def _several(value: Any) -> tuple[Any, ...]:
    """List what a value stands for: a text, or what has no order, is a single value."""
    is_one = isinstance(value, str | bytes | Mapping | Set)
    return tuple(value) if isinstance(value, Iterable) and not is_one else (value,)


def _parse_one(field: str, text: str, kind: Any) -> Any:
    options = _options(kind)
    if text == "default" and type(None) in options:
        return None
    for option in options:
        try:
            return text if option is str else option(text)
        except (TypeError, ValueError):
            continue
    raise UserError(f"study.{field}={text!r} is not {_name(kind)}")


def _split_outside_calls(text: str) -> list[str]:
    """Split at commas outside calls: `normal(0.02, 1),zeros` has two parts."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]


def _options(kind: Any) -> tuple[type, ...]:
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if union else (kind,)


def _name(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "a name"}
    return " or ".join(words.get(option, "default") for option in _options(kind))
