"""The three parts of a data set: to train on, to choose by, and to test on.

The test part decides nothing: it is the publisher's own, untouched, wherever there is
one, and validation is never taken from it.

    published parts            train         validation          test
    train, test                90 % of train 10 % of train       test
    train, validation, test    train         validation          test
    train, validation          90 % of train 10 % of train       validation
    train                      72 %          8 %                 20 %
    none (digits)              60 %          15 %                25 %

A percentage is a range of buckets. The bucket of an image is the SHA-256 of its bytes
modulo 100, so the sizes vary a little, the parts depend neither on a seed nor on the
order of the examples, and identical images always land on the same side of a cut.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from init_study.errors import UserError

# The name under which a set with no published parts gives all its examples.
ALL = "all"
_BUCKETS = 100


class Split(NamedTuple):
    """Labelled images, on the host.

    Attributes:
        images: uint8 or float32 `[n, height, width, channels]`.
        labels: int32 `[n]`.
    """

    images: np.ndarray
    labels: np.ndarray


class Published(NamedTuple):
    """A data set as its publisher cuts it.

    Attributes:
        splits: some of `train`, `validation`, `test`; or `all` alone.
        num_classes: labels are below it.
    """

    splits: Mapping[str, Split]
    num_classes: int


class Parts(NamedTuple):
    """The three parts of a study's data set."""

    train: Split
    validation: Split
    test: Split


def partition(published: Published) -> Parts:
    """Cut a published data set by the rules above.

    Raises: UserError if there is nothing to train on, or if a part comes out empty.

    Example:
        >>> part = Split(np.zeros((5, 2, 2, 1), np.uint8), np.zeros(5, np.int32))
        >>> named = {"train": part, "validation": part, "test": part}
        >>> parts = partition(Published(named, num_classes=1))
        >>> len(parts.train.labels), len(parts.test.labels)
        (5, 5)
    """
    splits = published.splits
    if ALL in splits:
        parts = carve(splits[ALL], test=25, validation=15)
    elif "train" not in splits:
        names = ", ".join(splits) or "none"
        raise UserError(f"a data set needs a part 'train'; this one has: {names}")
    elif "validation" in splits and "test" in splits:
        parts = Parts(splits["train"], splits["validation"], splits["test"])
    elif held_out := splits.get("test") or splits.get("validation"):
        parts = carve(splits["train"], test=0, validation=10)._replace(test=held_out)
    else:
        parts = carve(splits["train"], test=20, validation=8)
    for name, part in parts._asdict().items():
        if not len(part.labels):
            raise UserError(f"the data set is too small: its {name} part is empty")
    return parts


def carve(split: Split, *, test: int, validation: int) -> Parts:
    """Cut by the bytes of the images.

    Args:
        split: all examples.
        test: share of the test part, in percent of all.
        validation: share of the validation part, in percent of all.

    Example:
        >>> images = np.arange(400, dtype=np.uint8).reshape(100, 2, 2, 1)
        >>> parts = carve(Split(images, np.arange(100)), test=25, validation=15)
        >>> sum(len(part.labels) for part in parts)
        100
    """
    bucket = buckets(split.images)
    in_test = bucket < test
    in_validation = ~in_test & (bucket < test + validation)
    return Parts(
        train=_select(split, ~in_test & ~in_validation),
        validation=_select(split, in_validation),
        test=_select(split, in_test),
    )


def buckets(images: np.ndarray) -> np.ndarray:
    """Find the bucket of each image: SHA-256 of its bytes, modulo 100.

    Returns: int `[n]`, from 0 to 99.

    Example:
        >>> same = np.zeros((2, 8, 8, 1), np.uint8)
        >>> first, second = buckets(same)
        >>> bool(first == second)
        True
    """
    digests = (hashlib.sha256(image.tobytes()).digest() for image in images)
    return np.array([int.from_bytes(d) % _BUCKETS for d in digests], dtype=np.int64)


def _select(split: Split, mask: np.ndarray) -> Split:
    return Split(split.images[mask], split.labels[mask])
