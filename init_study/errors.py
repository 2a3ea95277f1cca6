"""The one error that is the user's to mend.

It is raised for names that are not there, numbers out of bounds, and packages that are
not installed.
"""

import contextlib
import difflib
from collections.abc import Iterable, Iterator
from enum import IntEnum
from math import inf, isfinite

from init_study.printable import printable


class ExitCode(IntEnum):
    """What a process that ends with an error tells whoever started it.

    The numbers are those of BSD's sysexits.h.

    Attributes:
        USAGE: something was asked for that cannot be.
        DAMAGED: a file is not as it was written, or is another program's.
        NO_PLACE: a folder cannot be made or written to, or another process holds it.
        IO: the disk or the network failed, or the disk is full.
        TRY_AGAIN: stopped and saved; the same command goes on.

    Example:
        >>> int(ExitCode.TRY_AGAIN)
        75
    """

    USAGE = 64
    DAMAGED = 65
    NO_PLACE = 73
    IO = 74
    TRY_AGAIN = 75


class UserError(ValueError):
    """Error for something the user gave that cannot be used.

    The message is one line: what was wrong, the value, the nearest valid choice, the
    way out. What a terminal would obey of a name in it is written with escapes.

    Attributes:
        exit_code: of a process that ends by it.

    Example:
        >>> from init_study.schemes import parse_scheme
        >>> try:
        ...     parse_scheme("he_norml")
        ... except UserError as error:
        ...     print(error)
        unknown scheme 'he_norml'. Did you mean 'he_normal'? All of them: ...
    """

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(printable(message, keep="\n\t"))
        self.exit_code = exit_code


class MissingPackage(UserError, ImportError):
    """Error for a package that only some uses need and that is not installed."""


class NoRoom(UserError):
    """Error for members that do not fit into memory side by side.

    Example:
        >>> raise NoRoom("400 members do not fit")
        Traceback (most recent call last):
        init_study.errors.NoRoom: 400 members do not fit
    """


class SmallImages(UserError):
    """Error for images that a model uses up.

    Attributes:
        least: pixels of the smaller side that the model needs.

    Example:
        >>> SmallImages("use model=cnn", 16).least
        16
    """

    def __init__(self, message: str, least: int) -> None:
        super().__init__(message)
        self.least = least


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Import packages of an extra; if one is absent, say how to get it.

    Args:
        name: of the extra in `pyproject.toml` that brings the packages.

    Raises: MissingPackage with the command that installs them.

    Example:
        >>> with extra("report"):
        ...     import pandas as pd
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "init_study"):
            raise
        raise MissingPackage(
            f"{package} is not installed, which is needed here; get it by: "
            f'pip install "init_study[{name}]"'
        ) from error


def nearest(given: str, valid: Iterable[str]) -> str | None:
    """Find the name that is most like the given one; None if none is much like it.

    Example:
        >>> nearest("adm", ["sgd", "adam"])
        'adam'
    """
    near = difflib.get_close_matches(given, list(valid), n=1, cutoff=0.5)
    return near[0] if near else None


def unknown(what: str, given: str, valid: Iterable[str], way_out: str) -> UserError:
    """Make the error for a name that is not in a table of names.

    Args:
        what: what the name names, e.g. `"scheme"`.
        given: the name that was not found.
        valid: the names that exist.
        way_out: where to see them all, e.g. `"python launch.py list"`.

    Example:
        >>> print(unknown("norm", "bach", ("none", "batch"), "none, batch"))
        unknown norm 'bach'. Did you mean 'batch'? All of them: none, batch
    """
    near = nearest(given, valid)
    hint = f" Did you mean {near!r}?" if near else ""
    return UserError(f"unknown {what} {given!r}.{hint} All of them: {way_out}")


def check_number(
    name: str,
    value: float,
    *,
    above: float = -inf,
    least: float = -inf,
    most: float = inf,
) -> None:
    """Check that an argument is a finite number within its bounds.

    Args:
        name: of the argument, for the message.
        value: what was given.
        above: a bound that the value may not touch.
        least: the least value that is allowed.
        most: the greatest value that is allowed.

    Raises: UserError if the value is not such a number.

    Example:
        >>> check_number("rate", 0.1, above=0)
        >>> check_number("rate", -1.0, above=0)
        Traceback (most recent call last):
        init_study.errors.UserError: rate=-1.0 is not a finite number above 0
    """
    try:
        fits = isfinite(value) and above < value and least <= value <= most
    except (TypeError, OverflowError):
        fits = False
    if not fits:
        bounds = [f"above {above:g}"] if above > -inf else []
        bounds += [f"of at least {least:g}"] if least > -inf else []
        bounds += [f"of at most {most:g}"] if most < inf else []
        raise UserError(
            f"{name}={value!r} is not a finite number {' and '.join(bounds)}".strip()
        )


def check_count(name: str, value: int) -> None:
    """Check that an argument is a positive whole number.

    Raises: UserError if it is not.

    Example:
        >>> check_count("steps", 0)
        Traceback (most recent call last):
        init_study.errors.UserError: steps=0 is not a positive whole number
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{name}={value!r} is not a positive whole number")
