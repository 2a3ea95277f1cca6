"""The one error that is the user's to mend, and how it finds the nearest valid name."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user gave cannot be used. The message is one line: what was
    wrong, the value, the nearest valid choice, the way out."""


def unknown(what: str, given: str, valid: Iterable[str], way_out: str) -> UserError:
    """The error for a name that is not in a table of names.

    Args:
        what: what the name names, e.g. `"scheme"`.
        given: the name that was not found.
        valid: the names that exist.
        way_out: where to see them all, e.g. `"python launch.py list"`.
    """
    near = difflib.get_close_matches(given, list(valid), n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown {what} {given!r}.{hint} All of them: {way_out}")
