"""Data sets as plain arrays on the disk, so that the next run starts at once.

    FOLDER/NAME-VERSION/
      train.images.npy  train.labels.npy  ...     one pair for each published part
      info.json                                   number of classes
      SHA256SUMS                                  of the files above

A folder appears whole or not at all. One whose checksums do not match is read anew
from the source, and a cache that cannot be written only costs time: both are warned of.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import logging

from init_study.data.splits import Published, Split

_SUMS = "SHA256SUMS"
_INFO = "info.json"


def data_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    """Say where the data sets lie below a cache folder; by default the user's own.

    Example:
        >>> data_folder("mine").as_posix()
        'mine/data'
    """
    if cache_dir is None:
        user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        cache_dir = Path(user) / "init_study"
    return Path(cache_dir) / "data"


def load_or_read(
    folder: str | os.PathLike[str],
    versioned_name: str,
    read: Callable[[], Published],
) -> Published:
    """Load the cached data set, or read it from its source and cache it.

    Args:
        folder: of all cached data sets.
        versioned_name: of the data set; another version is another folder.
        read: gives the data set if none is cached that is intact.

    Example:
        >>> images = np.zeros((1, 8, 8, 1), np.uint8)
        >>> made = Published({"all": Split(images, np.zeros(1, np.int32))}, 1)
        >>> load_or_read(".", "mine/1.0.0", lambda: made).num_classes
        1
    """
    place = Path(folder) / versioned_name.replace("/", "-")
    try:
        if place.exists():
            return _load(place)
    except (OSError, ValueError) as error:
        logging.warning("cached data in %s is damaged (%s): reading anew", place, error)
    published = read()
    try:
        _save(place, published)
    except OSError as error:
        logging.warning("data is not cached in %s: %s", place, error)
    return published


def _load(place: Path) -> Published:
    """Load what `_save` wrote.

    Raises: OSError or ValueError if a file is missing or has changed.
    """
    names = _files(place)
    # All the lines, and no others: a list cut short must not pass for a smaller set.
    if not names or (place / _SUMS).read_text() != _sums(place, names):
        raise ValueError(f"its files do not match {_SUMS}")
    parts = [name.split(".")[0] for name in names if name.endswith(".images.npy")]
    splits = {
        part: Split(_array(place, part, "images"), _array(place, part, "labels"))
        for part in parts
    }
    info = json.loads((place / _INFO).read_text())
    return Published(splits=splits, num_classes=info["num_classes"])


def _array(place: Path, part: str, kind: str) -> np.ndarray:
    return np.load(place / f"{part}.{kind}.npy", allow_pickle=False)


def _save(place: Path, published: Published) -> None:
    """Write beside, then rename: no reader ever sees half a data set."""
    beside = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        beside.mkdir(parents=True)
        for part, split in published.splits.items():
            np.save(beside / f"{part}.images.npy", split.images, allow_pickle=False)
            np.save(beside / f"{part}.labels.npy", split.labels, allow_pickle=False)
        info = json.dumps({"num_classes": published.num_classes})
        (beside / _INFO).write_text(info + "\n")
        (beside / _SUMS).write_text(_sums(beside, _files(beside)))
        shutil.rmtree(place, ignore_errors=True)
        os.rename(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _files(place: Path) -> list[str]:
    ours = (path for path in place.iterdir() if path.suffix in (".npy", ".json"))
    return sorted(path.name for path in ours)


def _sums(place: Path, names: list[str]) -> str:
    """Sum the files up, a line each, as `sha256sum` prints it."""
    lines = []
    for name in names:
        with open(place / name, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {name}\n")
    return "".join(lines)
