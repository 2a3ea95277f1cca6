"""Files of a data set that is kept, and whether they still are what was written.

The arrays of one part are `PART.KIND.npy`: images, labels, digests, histograms, and
rows where some of the images are left out. Files are verified by `SHA256SUMS`. The
images of a set of more than 256 MiB are not read for that: their sizes and times must
be those of `info.json`, and `check_prepared` verifies each image by its digest.
"""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from init_study.data.splits import Facts, digest_images
from init_study.errors import ExitCode, UserError

# Sets up to here are verified whole at each start, and lie in memory.
IN_MEMORY = 256 * 2**20
_SUMS = "SHA256SUMS"
_INFO = "info.json"
# Images that are verified at once.
_AT_ONCE = 64


class KeptPart(NamedTuple):
    """One part as it is kept.

    Attributes:
        images: as they lie in the file; None if no pixels are kept.
        labels: int32 `[n]`.
        rows: of the images that count, `[n]`; None for all.
        facts: None in a folder of an earlier version.
    """

    images: Any
    labels: np.ndarray
    rows: np.ndarray | None
    facts: Facts | None


class Kept(NamedTuple):
    """A data set as it is kept."""

    parts: Mapping[str, KeptPart]
    info: dict[str, Any]


def load_kept(place: Path) -> Kept:
    """Load a data set, images of a large one as files mapped into memory.

    Raises: OSError or ValueError if a file is missing or has changed.
    """
    large = _large_files(place)
    _verify_sums(place, large)
    info = json.loads((place / _INFO).read_text("utf-8"))
    if not isinstance(info, dict) or not isinstance(info.get("num_classes"), int):
        raise ValueError(f"{_INFO} gives no number of classes")
    _check_whole(place, info)
    if large and _stamps(place, large) != info.get("files"):
        _verify_images(place)
    names = [path.name.split(".")[0] for path in sorted(place.glob("*.labels.npy"))]
    return Kept({name: _load_part(place, name, bool(large)) for name in names}, info)


def seal(place: Path, info: Mapping[str, Any]) -> None:
    """Write down what the files of a folder are, when all of them are there.

    Args:
        place: the folder.
        info: plain values; with `num_classes`.
    """
    large = _large_files(place)
    stamped = {**info, "files": _stamps(place, large)} if large else info
    with synced(place / _INFO) as file:
        file.write(f"{json.dumps(stamped, indent=1)}\n".encode())
    names = [name for name in _files(place) if name not in large]
    with synced(place / _SUMS) as file:
        file.write("".join(_sum_line(place, name) for name in names).encode())


@contextlib.contextmanager
def synced(path: Path) -> Iterator[io.BufferedWriter]:
    """Write a file that is on the disk when the block ends.

    Args:
        path: of the file.

    Example:
        >>> with synced(Path("mine")) as file:
        ...     _ = file.write(b"text")
    """
    with open(path, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def check_prepared(place: str | os.PathLike[str]) -> int:
    """Verify every file and every image of a folder of data, however large it is.

    Returns: how many images were verified.

    Raises: UserError naming the first thing that is not as it was written.

    Example:
        >>> from init_study.data import load_dataset
        >>> dataset = load_dataset("digits", cache_dir=".")
        >>> check_prepared("data/digits-1.0.0")
        1797
    """
    folder = Path(place)
    try:
        _verify_sums(folder, _large_files(folder))
        _check_whole(folder, json.loads((folder / _INFO).read_text("utf-8")))
        return _verify_images(folder)
    except (OSError, ValueError) as error:
        raise UserError(
            f"the data in {folder} is damaged ({error}); remove the folder, and it is "
            "prepared anew",
            exit_code=ExitCode.DAMAGED,
        ) from error


def _check_whole(place: Path, info: Mapping[str, Any]) -> None:
    """Miss no file of images: large ones are in no list of sums.

    Raises: ValueError naming one that is gone.
    """
    for name in info.get("files", {}):
        if not (place / name).exists():
            raise ValueError(f"{name} is missing")


def _load_part(place: Path, name: str, is_large: bool) -> KeptPart:
    def array(kind: str, mode: Any = None) -> Any:
        path = place / f"{name}.{kind}.npy"
        if not path.exists():
            return None
        return np.load(path, mmap_mode=mode, allow_pickle=False)

    images = array("images", "r" if is_large else None)
    digests, histograms = array("digests"), array("histograms")
    facts = None
    if digests is not None and histograms is not None:
        facts = Facts(digests, histograms)
    return KeptPart(images, array("labels"), array("rows"), facts)


def _verify_sums(place: Path, large: list[str]) -> None:
    names = _files(place)
    text = (place / _SUMS).read_text("utf-8")
    listed = [line.partition("  ")[2] for line in text.splitlines()]
    # All the lines, and no others: a list cut short must not pass for a smaller set.
    unlisted = set(names) - set(listed)
    if not names or unlisted - set(large):
        raise ValueError(f"its files do not match {_SUMS}")
    wanted = "".join(_sum_line(place, name) for name in names if name not in unlisted)
    if text != wanted:
        raise ValueError(f"its files do not match {_SUMS}")


def _verify_images(place: Path) -> int:
    """Compare each image that is kept with its digest; count them.

    Raises: ValueError for one that differs.
    """
    count = 0
    for path in sorted(place.glob("*.images.npy")):
        name = path.name.split(".")[0]
        images = np.load(path, mmap_mode="r", allow_pickle=False)
        part = _load_part(place, name, is_large=True)
        if part.facts is None:
            raise ValueError(f"{path.name} has no digests beside it")
        digests = part.facts.digests
        rows = np.arange(len(images)) if part.rows is None else part.rows
        if len(rows) != len(digests) or len(rows) != len(part.labels):
            raise ValueError(f"{path.name} has another length than its digests")
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            changed = digest_images(images[some]) != digests[start : start + _AT_ONCE]
            if changed.any():
                row = some[np.flatnonzero(changed.any(1))[0]]
                raise ValueError(f"image {row} of {path.name} has changed")
        count += len(rows)
    return count


def _large_files(place: Path) -> list[str]:
    """List the files of images of a set that is large; of another none."""
    files = sorted(place.glob("*.images.npy"))
    is_large = sum(path.stat().st_size for path in files) > IN_MEMORY
    return [path.name for path in files] if is_large else []


def _stamps(place: Path, names: list[str]) -> dict[str, list[int]]:
    stats = {name: (place / name).stat() for name in names}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def _files(place: Path) -> list[str]:
    ours = (path for path in place.iterdir() if path.suffix in (".npy", ".json"))
    return sorted(path.name for path in ours)


def _sum_line(place: Path, name: str) -> str:
    """Sum a file up, as `sha256sum` prints it."""
    with open(place / name, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{digest}  {name}\n"
