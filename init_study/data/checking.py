"""Whether data sets on the disk still are, byte for byte, what was written.

Arrays are verified by `SHA256SUMS` and by the digest of every image, the records of
TFDS by the checksums in their format where it is `array_record`, and published files by
the SHA-256 that TFDS has registered.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from init_study.data.kept import check_prepared
from init_study.data.known_sets import KNOWN_SETS
from init_study.data.overview import (
    DAMAGED,
    OF_TFDS,
    find_kept,
    find_of_tfds,
    is_same_set,
    manual_files,
)
from init_study.errors import UserError, extra

_SUMS = "SHA256SUMS"
_AT_ONCE = 1000


class Checked(NamedTuple):
    """What came of checking a folder of data.

    Attributes:
        name: of the data set.
        where: the folder.
        files: how many were read whole.
        damaged: what is wrong, a line for each file.
        unverified: files of examples that are in another format than TFDS's
            `array_record`, of which nothing can be said.
    """

    name: str
    where: str
    files: int
    damaged: tuple[str, ...]
    unverified: tuple[str, ...] = ()


def check_datasets(
    name: str | None = None,
    data_dir: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> list[Checked]:
    """Verify all that is here of one data set, or of all, in full.

    Args:
        name: of the data set; None for all.
        data_dir: where TFDS keeps prepared sets.
        cache_dir: where arrays are kept between runs.

    Example:
        >>> check_datasets("mnist", data_dir="nowhere", cache_dir="nowhere")
        []
    """
    checked = []
    for row in (*find_kept(cache_dir), *find_of_tfds(data_dir)):
        is_meant = name is None or is_same_set(name, row.name)
        if is_meant and row.where:
            checked.append(_check(row.state, row.name, Path(row.where)))
    for known in KNOWN_SETS:
        if name is not None and not is_same_set(name, known):
            continue
        folder = manual_files(known, data_dir)
        sums = registered_checksums(known) if KNOWN_SETS[known].files else {}
        here = [file for file in sums if (folder / file).is_file()]
        if here:
            damaged = [f for f in here if _sum_of(folder / f) != sums[f]]
            lines = tuple(f"{file} is not the published one" for file in damaged)
            checked.append(Checked(known, str(folder), len(here), lines))
    return checked


def _check(state: str, name: str, place: Path) -> Checked:
    """Check a folder; of what does not describe itself nothing can be checked."""
    if state != DAMAGED:
        check = _check_tfds if state == OF_TFDS else _check_arrays
        # What the disk refuses is no damage, and is said as it is.
        with contextlib.suppress(ValueError, LookupError, TypeError):
            return check(name, place)
    said = (
        "what it says of itself cannot be read: allow reading it, or remove the folder "
        "and prepare again"
    )
    return Checked(name, str(place), 0, (said,))


def registered_checksums(name: str) -> dict[str, str]:
    """Read the SHA-256 of a set's published files that TFDS has registered.

    Returns: hex digits by name of the file; none where TFDS is not installed.

    Example:
        >>> registered_checksums("cifar10")["cifar-10-binary.tar.gz"][:8]
        'c4a38c50'
    """
    spec = importlib.util.find_spec("tensorflow_datasets")
    roots = [Path(root) for root in (spec and spec.submodule_search_locations) or []]
    tables = [root / "url_checksums" / f"{name}.txt" for root in roots]
    lines = [
        line.split("\t")
        for table in tables
        if table.is_file()
        for line in table.read_text("utf-8").splitlines()
    ]
    return {file: checksum for _, _, checksum, file in lines}


def _check_arrays(name: str, place: Path) -> Checked:
    """Compare each file with its checksum, then each image with its digest."""
    listed = {}
    if (place / _SUMS).is_file():
        text = (place / _SUMS).read_text("utf-8", errors="replace")
        for line in text.splitlines():
            digest, _, file = line.partition("  ")
            listed[file] = digest
    read = {file for file in listed if (place / file).is_file()}
    damaged = [f"{file} is missing" for file in listed if file not in read]
    damaged += [
        f"{file} has changed"
        for file in listed
        if file in read and _sum_of(place / file) != listed[file]
    ]
    if not listed:
        damaged.append(f"{_SUMS} is missing or empty")
    # A folder of an earlier version has no digests; its checksums are of all its files.
    if not damaged and any(place.glob("*.digests.npy")):
        read |= {path.name for path in place.glob("*.images.npy")}
        try:
            check_prepared(place)
        except UserError as error:
            damaged.append(str(error))
    return Checked(name, str(place), len(read), tuple(damaged))


def _check_tfds(name: str, place: Path) -> Checked:
    """Read every record; the format has a checksum of each block of them."""
    info = json.loads((place / "dataset_info.json").read_text("utf-8"))
    read, damaged, unverified = 0, [], []
    for part in info["splits"]:
        lengths = [int(length) for length in part["shardLengths"]]
        pattern = f"*-{part['name']}.*-of-{len(lengths):05d}"
        files = sorted(place.glob(pattern))
        if len(files) != len(lengths):
            here = f"{len(files)} of {len(lengths)} files are here"
            damaged.append(f"of {part['name']} {here}")
            continue
        for file, length in zip(files, lengths, strict=True):
            if ".array_record-" in file.name:
                read += 1
                damaged += _damage_of_records(file, length)
            else:
                unverified.append(file.name)
    return Checked(name, str(place), read, tuple(damaged), tuple(unverified))


def _damage_of_records(file: Path, length: int) -> Iterator[str]:
    with extra("data"):
        from array_record.python.array_record_module import ArrayRecordReader
    try:
        reader = ArrayRecordReader(os.fspath(file))
        count = reader.num_records()
        for start in range(0, count, _AT_ONCE):
            reader.read(start, min(start + _AT_ONCE, count))
        reader.close()
    # Whatever the library raises: the file is not what was written.
    except Exception as error:
        yield f"{file.name}: {' '.join(str(error).split())}"
        return
    if count != length:
        yield f"{file.name} has {count} of {length} examples"


def _sum_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
