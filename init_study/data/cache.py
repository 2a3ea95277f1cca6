"""Data sets as plain arrays on the disk, so that the next run starts at once.

    FOLDER/NAME-VERSION/
      train.images.npy  train.labels.npy  ...     one pair for each published part
      train.digests.npy                           SHA-256 of each image
      train.histograms.npy                        of its values, by bucket and channel
      info.json                                   number of classes, name, and more
      SHA256SUMS                                  of the files above

A folder appears whole or not at all. One whose checksums do not match is read anew
from the source, and a cache that cannot be written only costs time: both are warned of.
Where it is known what a set holds, checksums that were changed with it do not help.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import logging

from init_study.data import kept
from init_study.data.histograms import count_values
from init_study.data.known_sums import check_known
from init_study.data.splits import (
    Published,
    Split,
    buckets_of,
    digest_images,
)
from init_study.host import cache_home


def data_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    """Say where the data sets lie below a cache folder; by default the user's own.

    Example:
        >>> data_folder("mine").as_posix()
        'mine/data'
    """
    return (cache_home() if cache_dir is None else Path(cache_dir)) / "data"


def load_or_read(
    folder: str | os.PathLike[str],
    versioned_name: str,
    read: Callable[[], Published],
    reader: str | None = None,
) -> Published:
    """Load the cached data set, or read it from its source and cache it.

    Args:
        folder: of all cached data sets.
        versioned_name: of the data set, its version last; another version is another
            folder.
        read: gives the data set if none is cached that is intact.
        reader: what says that this is the version; for `find_version`.

    Example:
        >>> images = np.zeros((1, 8, 8, 1), np.uint8)
        >>> made = Published({"all": Split(images, np.zeros(1, np.int32))}, 1)
        >>> load_or_read(".", "mine/1.0.0", lambda: made).num_classes
        1
    """
    place = Path(folder) / versioned_name.replace("/", "-")
    # A folder's name does not tell a configuration's dash from one of the name.
    noted = {"source": versioned_name.rpartition("/")[0] or versioned_name}
    noted |= {} if reader is None else {"reader": reader}
    try:
        if place.exists():
            return _load(place, noted)
    # Whatever the damage makes NumPy or JSON raise: it can be read anew.
    except Exception as error:
        logging.warning("cached data in %s is damaged (%s): reading anew", place, error)
    published = read()
    try:
        _save(place, published, noted)
    except OSError as error:
        logging.warning("data is not cached in %s: %s", place, error)
    return published


def find_version(folder: Path, name: str, reader: str | None) -> str | None:
    """Find the version of a set that is cached, as a certain reader had it.

    Args:
        folder: of all cached data sets.
        name: of the data set.
        reader: as of `load_or_read`; None for no answer.

    Returns: the versioned name; None if it is not cached.

    Example:
        >>> find_version(Path(), "mnist", "tfds 4.9.9") is None
        True
    """
    for place in folder.glob(f"{name}-*") if reader else ():
        with contextlib.suppress(OSError, ValueError):
            info = json.loads((place / "info.json").read_text("utf-8"))
            if info.get("reader") == reader:
                return place.name.replace(f"{name}-", f"{name}/", 1)
    return None


def is_kept(folder: Path, versioned_name: str) -> bool:
    """Say whether something is cached under a name."""
    return (folder / versioned_name.replace("/", "-")).exists()


def _load(place: Path, noted: dict[str, str]) -> Published:
    """Load what `_save` wrote, of this or an earlier version.

    Raises: OSError or ValueError if a file is missing or has changed, or if it is known
        that the set holds something else.
    """
    found = kept.load_kept(place)
    splits = {n: Split(part.images, part.labels) for n, part in found.parts.items()}
    facts = {n: part.facts for n, part in found.parts.items() if part.facts}
    published = Published(splits, found.info["num_classes"], facts)
    check_known(place.name, published)
    if len(facts) < len(splits) or found.info.get("reader") != noted.get("reader"):
        # Of an earlier version, which kept no digests: with them the next time is fast.
        try:
            _save(place, published, noted)
        except OSError as error:
            logging.info("digests are not kept in %s: %s", place, error)
    return published


def _save(place: Path, published: Published, noted: dict[str, str]) -> None:
    """Write beside, then rename: no reader ever sees half a data set."""
    beside = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        beside.mkdir(parents=True)
        for part, split in published.splits.items():
            digests = digest_images(split.images)
            counts = count_values(split.images, buckets_of(digests))
            for kind, array in {
                "images": split.images,
                "labels": split.labels,
                "digests": digests,
                "histograms": counts,
            }.items():
                np.save(beside / f"{part}.{kind}.npy", array, allow_pickle=False)
        kept.seal(beside, {"num_classes": published.num_classes, **noted})
        shutil.rmtree(place, ignore_errors=True)
        os.rename(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
