"""One flag of the launcher: what is said of it in a row of the table."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Option(NamedTuple):
    """One flag of the launcher, a row of the table.

    Attributes:
        name, words: without dashes; the words that take it.
        help: a sentence for `--help`.
        kind: `str`, `int`, `float`, `bool`, `list` for several texts with commas, or
            `tuple` for a flag that is given several times.
        default: where the flag is not given.
        choices: the values there are, if they can be listed.
        least: of a number.
        needs: a flag without which this one has no effect.
        against: flags with which it has no effect or a second meaning, each with why.
        formerly: its name in earlier versions.
    """

    name: str
    words: tuple[str, ...]
    help: str
    kind: type = str
    default: Any = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    needs: str = ""
    against: Mapping[str, str] = {}
    formerly: str = ""
