"""Arrays in an `.npz` file of NumPy's, checked before they are unpacked.

images, labels                                      parts are cut by a hash
x_train, y_train, x_test, y_test                    as Keras keeps MNIST
train_images, train_labels, val_..., test_...       as MedMNIST has them
"""

import io
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from init_study.data.listing import Source, list_arrays
from init_study.data.sources import arrays
from init_study.data.sources.folder import fingerprint, plain_name
from init_study.data.sources.picture_files import DiskFile
from init_study.data.splits import ALL, Published
from init_study.errors import ExitCode, UserError, nearest
from init_study.host import available_bytes
from init_study.printable import listed

# Names of the images and the labels of a part.
_KEYS = {
    ALL: [("images", "labels"), ("x", "y")],
    "train": [("train_images", "train_labels"), ("x_train", "y_train")],
    "validation": [("val_images", "val_labels"), ("x_val", "y_val")],
    "test": [("test_images", "test_labels"), ("x_test", "y_test")],
}
# As NumPy's own: a longer head is no list of a few numbers.
_LONGEST_HEAD = 10_000
# DEFLATE, which NumPy writes, packs 258 bytes into 2 bits at best, 1,032 into one byte,
# and that only where all are the same; sets of pictures are far from it.
_MOST_PACKED, _SMALL = 500, 2**28


def find_npz(name: str, path: Path, image_size: int | None) -> Source | Published:
    """Read the arrays of a file, or take them as pictures to be brought to a size.

    Args:
        name: what the user calls the set.
        path: of the file.
        image_size: height and width; None for those of the arrays.

    Raises: UserError if they are no images and labels, or do not fit into memory.

    Example:
        >>> images = np.zeros((4, 8, 8), np.uint8)
        >>> np.savez("mine.npz", images=images, labels=[0, 1, 0, 1])
        >>> find_npz("arrays:mine.npz", Path("mine.npz"), None).num_classes
        2
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pairs = _pairs(path, archive)
            keys = [key for pair in pairs.values() for key in pair]
            _check_entries(path, archive, keys)
            _check_memory(path, archive, keys)
            parts = {
                part: (_array(archive, images), _array(archive, labels))
                for part, (images, labels) in pairs.items()
            }
    except UserError:
        raise
    # NumPy and zipfile raise whatever their readers trip over.
    except Exception as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise _refused(f"{path} is no whole .npz file of arrays: {why}") from error
    published = arrays.read_parts(parts, str(path))
    if image_size is None:
        return published
    stat = path.stat()
    version = fingerprint([DiskFile(path.name, stat.st_size, stat.st_mtime_ns)])
    kept_as = f"arrays.{plain_name(path.stem)}"
    return list_arrays(name, kept_as, version, published)


def _pairs(path: Path, archive: zipfile.ZipFile) -> dict[str, tuple[str, str]]:
    """Find the keys of images and labels, by part."""
    there = {n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")}
    found = {
        part: pair
        for part, pairs in _KEYS.items()
        for pair in pairs
        if there.issuperset(pair)
    }
    if ALL in found and len(found) == 1:
        return found
    if "train" in found and ALL not in found:
        return found
    lonely = [
        (one, other)
        for pairs in _KEYS.values()
        for pair in pairs
        for one, other in (pair, pair[::-1])
        if one in there and other not in there
    ]
    hint = ""
    if lonely:
        one, other = lonely[0]
        near = nearest(other, sorted(there - {one}))
        hint = f"; beside {one!r} should be {other!r}" + (
            f", not {near!r}" * bool(near)
        )
    raise UserError(
        f"{path} holds {listed(sorted(there)) or 'nothing'}{hint}; it should hold "
        "images and labels, or x_train, y_train, x_test and y_test, or train_images, "
        "train_labels, test_images and test_labels"
    )


def _check_entries(path: Path, archive: zipfile.ZipFile, keys: list[str]) -> None:
    """Refuse what no program that keeps arrays writes, before it is unpacked."""
    names = archive.namelist()
    for key in keys:
        if names.count(f"{key}.npy") > 1:
            raise _refused(f"{path} holds {key} twice; keep one of them")
    entries = [archive.getinfo(f"{key}.npy") for key in keys]
    size = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if size > max(_SMALL, _MOST_PACKED * packed):
        raise _refused(
            f"{path} unpacks {packed:,} bytes to {size:,}, as no pictures do; if it is "
            "meant, save it by np.savez, without compression"
        )


def _check_memory(path: Path, archive: zipfile.ZipFile, keys: list[str]) -> None:
    """Refuse what does not fit, by what the file says of itself, before it is unpacked.

    Twice the size is needed: the arrays, and their parts.
    """
    declared = sum(_declared_bytes(path, archive, key) for key in keys)
    free = available_bytes()
    if free is not None and 2 * declared > free:
        raise UserError(
            f"{path} holds {declared:,} bytes of arrays, of which twice as much memory "
            f"is needed, but {free:,} are available; make a folder of pictures of them"
        )


def _declared_bytes(path: Path, archive: zipfile.ZipFile, key: str) -> int:
    entry = archive.getinfo(f"{key}.npy")
    with archive.open(entry) as file:
        shape, dtype = _header(file)
        head = file.tell()
    if dtype.hasobject:
        raise _refused(
            f"{path}: {key} holds Python objects, which are not read; save it with a "
            "type of numbers"
        )
    size = math.prod(shape) * dtype.itemsize
    if head + size != entry.file_size:
        raise _refused(
            f"{path}: {key} should have {size:,} bytes by its head, but "
            f"{entry.file_size - head:,} by the archive's list"
        )
    return size


def _header(file: io.BufferedIOBase | IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    at = file.tell()
    length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    if length > _LONGEST_HEAD:
        raise ValueError(f"its head has {length:,} bytes")
    file.seek(at)
    read: Any = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format .npy")
    shape, _, dtype = read(file)
    if min(shape, default=0) < 0 or dtype.itemsize == 0:
        raise ValueError(f"an array of shape {shape} and type {dtype}")
    return shape, dtype


def _array(archive: zipfile.ZipFile, key: str) -> np.ndarray:
    with archive.open(f"{key}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _refused(message: str) -> UserError:
    return UserError(message, exit_code=ExitCode.DAMAGED)
