"""A look at the heads of pictures: are all of one shape, and is one in colour?"""

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from init_study.data.listing import ListedPart, Listing
from init_study.data.pictures import Header, Unreadable, read_header
from init_study.errors import ExitCode, UserError

# So many are looked at before it is said that they vary.
_ENOUGH = 1000
# Read together.
_ROWS = 64


def image_shape(
    listing: Listing, name: str, size: int | None, workers: int
) -> tuple[int, int, int]:
    """Find the shape that all images of a set will have.

    Pictures are looked at in a mixed order, and no more of them than it takes.

    Args:
        listing: the pictures.
        name: of the set, for messages.
        size: height and width that they are brought to; None if they are of one shape.
        workers: threads that read.

    Raises: UserError if shapes vary and no size is given, or none can be read.

    Example:
        >>> pictures = [np.zeros((4, 6), np.uint8)] * 3
        >>> read = lambda rows: map(pictures.__getitem__, rows)
        >>> part = ListedPart(np.arange(3), read, str)
        >>> image_shape(Listing({"all": part}, ("a", "b", "c")), "mine", None, 1)
        (4, 6, 1)
    """
    seen = _Seen(listing.channels)
    total = sum(len(part.labels) for part in listing.parts.values())
    with ThreadPoolExecutor(workers) as pool:
        for header in _headers(listing, pool, workers):
            seen = seen.add(header)
            varies = seen.varies and seen.number >= min(_ENOUGH, total)
            if (seen.channels == 3 or listing.channels) and (size or varies):
                break
    if not seen.number:
        raise UserError(
            f"data set {name!r}: none of its {total} pictures can be read",
            exit_code=ExitCode.DAMAGED,
        )
    channels = listing.channels or seen.channels or 1
    if size is not None:
        return size, size, channels
    if seen.varies:
        (w, h), (wide, high) = seen.least, seen.most
        looked = "" if seen.number == total else f" ({seen.number:,} looked at)"
        raise UserError(
            f"the pictures of data set {name!r} vary in size, from {w}x{h} to "
            f"{wide}x{high}{looked}; give --study.image_size=64, or another size"
        )
    width, height = seen.least
    return height, width, channels


class _Seen(NamedTuple):
    """What the pictures looked at have in common; sizes are (width, height)."""

    channels: int | None
    number: int = 0
    least: tuple[int, int] = (0, 0)
    most: tuple[int, int] = (0, 0)
    varies: bool = False

    def add(self, header: Header) -> "_Seen":
        here = header.width, header.height
        channels = self.channels or (None if header.is_grey else 3)
        if not self.number:
            return _Seen(channels, 1, here, here)
        varies = self.varies or here != self.least
        least = min(self.least, here, key=lambda size: (size[0] * size[1], size))
        most = max(self.most, here, key=lambda size: (size[0] * size[1], size))
        return _Seen(channels, self.number + 1, least, most, varies)


def _headers(
    listing: Listing, pool: ThreadPoolExecutor, several: int
) -> Iterator[Header]:
    """Read heads, some rows that follow one another at a time, these in mixed order."""
    for part in listing.parts.values():
        total = len(part.labels)
        starts = np.random.default_rng(0).permutation(-(-total // _ROWS)) * _ROWS
        for first in range(0, len(starts), several):
            some = [
                range(start, min(start + _ROWS, total))
                for start in starts[first : first + several].tolist()
            ]
            for headers in pool.map(_look, itertools.repeat(part), some):
                yield from headers


def _look(part: ListedPart, rows: range) -> list[Header]:
    """Read heads; what cannot be read the next pass will name."""
    headers = []
    for encoded in part.read(rows):
        with contextlib.suppress(Unreadable):
            headers.append(read_header(encoded))
    return headers
