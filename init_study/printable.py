"""Names and texts of others, made fit to be shown: on a terminal, in one line.

A name may hold what a terminal obeys, as `ESC ] 0 ;` sets its title, or what turns the
direction of reading round, or bytes that are no text. It is shown with escapes.
"""

import unicodedata
from collections.abc import Iterable

# Controls, marks of direction and others that are not seen, halves of pairs.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str, keep: str = "") -> str:
    r"""Write with escapes what a terminal would obey, or not show, of a text.

    Args:
        text: of anybody's.
        keep: characters that stay as they are.

    Example:
        >>> printable("pets\x1b]0;mine\x07")
        'pets\\x1b]0;mine\\x07'
    """
    # Most texts hold no such thing, and this asks in C.
    if text.isprintable():
        return text
    return "".join(
        _escape(one)
        if unicodedata.category(one) in _UNSEEN and one not in keep
        else one
        for one in text
    )


def listed(names: Iterable[str], most: int = 20) -> str:
    """Write names one after another, long ones and long lists cut short.

    Example:
        >>> listed(map(str, range(100)), most=3)
        '0, 1, 2 and 97 more'
    """
    every = [name if len(name) <= 80 else f"{name[:60]}..." for name in names]
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def _escape(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")
