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
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from init_study.data.rows import Images, choose_rows
from init_study.errors import ExitCode, UserError

# The name under which a set with no published parts gives all its examples.
ALL = "all"
BUCKETS = 100
# Shares of the test and the validation part where they are cut, in percent.
_OF_ALL, _OF_TRAIN_ALONE, _OF_TRAIN = (25, 15), (20, 8), (0, 10)


class Split(NamedTuple):
    """Labelled images, on the host.

    Attributes:
        images: uint8 or float32 `[n, height, width, channels]`; of a large set not in
            memory, see `Images`.
        labels: int32 `[n]`.
    """

    images: Images
    labels: np.ndarray


class Facts(NamedTuple):
    """What is known of the images of a published part without looking at them.

    Attributes:
        digests: uint8 `[n, 32]`, the SHA-256 of each image's bytes.
        histograms: int64 `[100, channels, 256]`: how often a value is in a channel of
            the images of a bucket.
    """

    digests: np.ndarray
    histograms: np.ndarray


class Published(NamedTuple):
    """A data set as its publisher cuts it.

    Attributes:
        splits: some of `train`, `validation`, `test`; or `all` alone.
        num_classes: labels are below it.
        facts: of each part, or none.
        is_prepared: whether checksums are of digests in place of pixels.
    """

    splits: Mapping[str, Split]
    num_classes: int
    facts: Mapping[str, Facts] = {}
    is_prepared: bool = False


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
    splits, facts = published.splits, published.facts
    cut, shares = how_cut(splits)
    if shares is None:
        parts = Parts(splits["train"], splits["validation"], splits["test"])
    else:
        known = facts[cut].digests if cut in facts else None
        test, validation = shares
        parts = carve(splits[cut], test=test, validation=validation, digests=known)
    if shares == _OF_TRAIN:
        parts = parts._replace(test=splits[held_out(splits)])
    for name, part in parts._asdict().items():
        if not len(part.labels):
            raise UserError(
                f"the data set is too small: its {name} part is empty",
                exit_code=ExitCode.DAMAGED,
            )
    return parts


def how_cut(names: Iterable[str]) -> tuple[str, tuple[int, int] | None]:
    """Say which published part the training part is cut from, and how.

    Args:
        names: of the published parts.

    Returns: its name, and the shares of test and validation part in percent of it;
        None if nothing is cut.

    Raises: UserError if there is nothing to train on.

    Example:
        >>> how_cut(["train", "test"])
        ('train', (0, 10))
    """
    names = list(names)
    if ALL in names:
        return ALL, _OF_ALL
    if "train" not in names:
        listed = ", ".join(names) or "none"
        raise UserError(f"a data set needs a part 'train'; this one has: {listed}")
    if "validation" in names and "test" in names:
        return "train", None
    return "train", _OF_TRAIN if len(names) > 1 else _OF_TRAIN_ALONE


def held_out(names: Iterable[str]) -> str:
    """Name the published part that is the test part, of a set with one or two.

    Example:
        >>> held_out(["train", "validation"])
        'validation'
    """
    return "test" if "test" in names else "validation"


def carve(
    split: Split, *, test: int, validation: int, digests: np.ndarray | None = None
) -> Parts:
    """Cut by the bytes of the images.

    Args:
        split: all examples.
        test: share of the test part, in percent of all.
        validation: share of the validation part, in percent of all.
        digests: SHA-256 of each image, if known.

    Example:
        >>> images = np.arange(400, dtype=np.uint8).reshape(100, 2, 2, 1)
        >>> parts = carve(Split(images, np.arange(100)), test=25, validation=15)
        >>> sum(len(part.labels) for part in parts)
        100
    """
    bucket = buckets(split.images) if digests is None else buckets_of(digests)
    in_test = bucket < test
    in_validation = ~in_test & (bucket < test + validation)
    return Parts(
        train=_select(split, ~in_test & ~in_validation),
        validation=_select(split, in_validation),
        test=_select(split, in_test),
    )


def buckets(images: Images) -> np.ndarray:
    """Find the bucket of each image: SHA-256 of its bytes, modulo 100.

    Returns: int `[n]`, from 0 to 99.

    Example:
        >>> same = np.zeros((2, 8, 8, 1), np.uint8)
        >>> first, second = buckets(same)
        >>> bool(first == second)
        True
    """
    return buckets_of(digest_images(images))


def digest_images(images: Images) -> np.ndarray:
    """Hash each image: the SHA-256 of its bytes in C order.

    Returns: uint8 `[n, 32]`.

    Example:
        >>> digest_images(np.zeros((1, 8, 8, 1), np.uint8))[0, :4].tolist()
        [245, 165, 253, 66]
    """
    one_by_one = (images[row].tobytes() for row in range(len(images)))
    joined = b"".join(hashlib.sha256(image).digest() for image in one_by_one)
    return np.frombuffer(joined, np.uint8).reshape(len(images), 32)


def buckets_of(digests: np.ndarray) -> np.ndarray:
    """Find the bucket of each digest: a big-endian number, modulo 100.

    Args:
        digests: uint8 `[n, 32]`.

    Example:
        >>> buckets_of(np.array([[0] * 30 + [1, 2]], np.uint8)).tolist()
        [58]
    """
    weights = [pow(256, 31 - place, BUCKETS) for place in range(32)]
    return digests.astype(np.int64) @ np.array(weights) % BUCKETS


def _select(split: Split, mask: np.ndarray) -> Split:
    return Split(choose_rows(split.images, mask), split.labels[mask])
