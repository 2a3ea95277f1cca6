"""What is known of a set of pictures before one of them is decoded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from init_study.data.splits import Published, Split
from init_study.errors import UserError

# A picture as it comes: the bytes of its file, or uint8 `[height, width(, channels)]`.
Encoded = bytes | np.ndarray


class ListedPart(NamedTuple):
    """Labelled pictures of one published part, not yet read.

    Attributes:
        labels: int32 `[n]`.
        read: gives the pictures of rows, one after the other; several threads may call
            it at once.
        name: says where the picture of a row comes from, for messages.
    """

    labels: np.ndarray
    read: Callable[[Sequence[int]], Iterator[Encoded]]
    name: Callable[[int], str]


class Listing(NamedTuple):
    """A set of pictures as its publisher cuts it, not yet read.

    Attributes:
        parts: some of `train`, `validation`, `test`; or `all` alone.
        classes: names of the classes, in the order of their labels.
        channels: of all pictures; None for 1 if all are grey and 3 otherwise.
    """

    parts: Mapping[str, ListedPart]
    classes: tuple[str, ...]
    channels: int | None = None


class Source(NamedTuple):
    """A set of pictures that can be prepared.

    Attributes:
        name: what the user calls it, for messages.
        kept_as: name of what is kept of it, of letters that a file may have.
        version: changes when the pictures do.
        list_pictures: finds all pictures and their labels.
    """

    name: str
    kept_as: str
    version: str
    list_pictures: Callable[[], Listing]


def list_arrays(name: str, kept_as: str, version: str, published: Published) -> Source:
    """Take images that are arrays as pictures, to be brought to another size.

    Args:
        name: as of `Source`.
        kept_as: as of `Source`.
        version: as of `Source`.
        published: the arrays.

    Raises: UserError if they are not 8-bit grey or RGB.

    Example:
        >>> images = np.zeros((4, 8, 8, 1), np.uint8)
        >>> published = Published({"all": Split(images, np.zeros(4, np.int32))}, 1)
        >>> list_arrays("mine", "mine", "1", published).list_pictures().channels
        1
    """
    splits = published.splits
    kinds = {(s.images.dtype.name, s.images.shape[-1]) for s in splits.values()}
    ((kind, channels),) = kinds
    if kind != "uint8" or channels not in (1, 3):
        raise UserError(
            f"image_size is for 8-bit grey or RGB images; those of {name} are {kind} "
            f"with {channels} channels"
        )
    listing = Listing(
        {part: _part_of_arrays(part, split) for part, split in splits.items()},
        classes=tuple(map(str, range(published.num_classes))),
        channels=channels,
    )
    return Source(name, kept_as, version, lambda: listing)


def _part_of_arrays(part: str, split: Split) -> ListedPart:
    return ListedPart(
        labels=split.labels,
        read=lambda rows: (split.images[row] for row in rows),
        name=lambda row: f"image {row} of {part}",
    )
