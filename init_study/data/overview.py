"""Which data sets there are and which are here, without importing JAX or TFDS."""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from init_study.data.cache import data_folder
from init_study.data.known_sets import KNOWN_SETS
from init_study.data.names import is_own, resolve_name, tfds_folder
from init_study.data.sources import fashion_mnist

# What is to be done for a set to be used.
PREPARED, OF_TFDS = "prepared", "prepared by TFDS"
EMBEDDED, FILES = "comes with scikit-learn", "files are here"
BEGUN, REMOTE, BY_HAND = "download begun", "to be downloaded", "needs files by hand"
DAMAGED = "damaged"


class DatasetRow(NamedTuple):
    """One data set, or one image size of it.

    Attributes:
        name: as `load_dataset` takes it.
        examples: in all parts together; None if it is not known.
        image: height, width and channels; None if images vary or it is not known.
        classes: how many; None if it is not known.
        state: one of the texts above.
        bytes: on the disk if `where` is a folder that is there; else to be downloaded;
            None if it is not known.
        where: its folder; the one for its files, where these are missing.
        missing: the files that are, or cannot be read where the state is `DAMAGED`.
    """

    name: str
    examples: int | None
    image: tuple[int, ...] | None
    classes: int | None
    state: str
    bytes: int | None
    where: str | None
    missing: tuple[str, ...] = ()


def find_datasets(
    data_dir: str | None = None, cache_dir: str | os.PathLike[str] | None = None
) -> list[DatasetRow]:
    """List the known data sets, and all others that are prepared here.

    Args:
        data_dir: where TFDS keeps prepared sets.
        cache_dir: where arrays are kept between runs.

    Example:
        >>> rows = find_datasets(data_dir=".", cache_dir=".")
        >>> [row.state for row in rows if row.name == "cifar10"]
        ['to be downloaded']
    """
    rows = list(find_kept(cache_dir))
    names = {_name_of(Path(row.where or "").name) for row in rows}
    rows += [row for row in find_of_tfds(data_dir) if _plain(row.name) not in names]
    names |= {row.name for row in rows}
    rows += [_absent(name, data_dir) for name in KNOWN_SETS if name not in names]
    ranks = {name: place for place, name in enumerate(KNOWN_SETS)}
    last = len(ranks)
    return sorted(
        rows, key=lambda row: (ranks.get(row.name, last), row.name, row.image or ())
    )


def find_kept(
    cache_dir: str | os.PathLike[str] | None = None,
) -> Iterator[DatasetRow]:
    """Find the data sets that are kept as arrays, below a cache folder.

    One that does not say what it holds is damaged.

    Example:
        >>> list(find_kept("nothing_here"))
        []
    """
    folder = data_folder(cache_dir)
    for place in sorted(folder.glob("[!.]*/info.json")):
        try:
            yield _kept_row(place.parent)
        # Of each kind: JSON of another form, arrays that are none or not there.
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            yield _damaged_row(_name_of(place.parent.name), place)


def find_of_tfds(data_dir: str | None = None) -> Iterator[DatasetRow]:
    """Find the sets of labelled images that TFDS has prepared.

    One whose description cannot be read is damaged; what is described as something
    else is none.

    Example:
        >>> list(find_of_tfds("nothing_here"))
        []
    """
    root = tfds_folder(data_dir)
    for depth in ("*/*", "*/*/*"):
        for found in sorted(root.glob(f"{depth}/features.json")):
            # Of each kind: sets of text, boxes, numbers.
            with contextlib.suppress(LookupError, TypeError, AttributeError):
                try:
                    yield _tfds_row(root, found.parent)
                except (OSError, ValueError):
                    name = found.parent.parent.relative_to(root).as_posix()
                    yield _damaged_row(name, found)


def is_same_set(name: str, other: str) -> bool:
    """Say whether two names are of one set, in whatever version.

    A name without a configuration is of them all. Folders and files of the user's own
    are the same by their place, however it is written.

    Example:
        >>> is_same_set("mnist:3.0.1", "mnist"), is_same_set("folder:a", "folder:b")
        (True, False)
        >>> is_same_set("emnist", "emnist/mnist"), is_same_set("emnist/mnist", "mnist")
        (True, False)
        >>> is_same_set("folder:a", "folder:./a/"), is_same_set("folder:a", "parquet:a")
        (True, False)
    """
    one, two = (resolve_name(n) if is_own(n) else _plain(n) for n in (name, other))
    is_config = not is_own(name) and two.startswith(f"{one}-")
    return one == two or is_config


def _plain(name: str) -> str:
    """Write a name of TFDS as its folder of arrays: a configuration after a dash."""
    return name.partition(":")[0].replace("/", "-")


def manual_files(name: str, data_dir: str | None = None) -> Path:
    """Say where the published files of a known set lie, or belong.

    Example:
        >>> manual_files("mnist", "mine").as_posix()
        'mine/downloads/manual/mnist'
    """
    folder = tfds_folder(data_dir) / "downloads" / "manual"
    return folder / name if KNOWN_SETS[name].files else folder


def _absent(name: str, data_dir: str | None) -> DatasetRow:
    known, folder = KNOWN_SETS[name], manual_files(name, data_dir)
    row = DatasetRow(name, *known[:3], EMBEDDED, None, None)
    if known.by_hand:
        missing = tuple(f for f in known.by_hand if not (folder / f).is_file())
        state = BY_HAND if missing else FILES
        return row._replace(state=state, where=str(folder), missing=missing)
    if not known.files:
        return row
    if name == "fashion_mnist" and fashion_mnist.is_installed():
        here = str(fashion_mnist.DEBIAN_FOLDER)
        return row._replace(
            state=FILES, where=here, bytes=_size_of(Path(here), known.files)
        )
    missing = tuple(f for f, n in known.files.items() if _size(folder / f) != n)
    parts = [_size(folder / f"{file}.part") for file in missing]
    left = sum(known.files[file] for file in missing) - sum(parts)
    state = BEGUN if any(parts) else REMOTE
    if not missing:
        state, left = FILES, _size_of(folder, known.files)
    return row._replace(state=state, where=str(folder), bytes=left, missing=missing)


def _kept_row(place: Path) -> DatasetRow:
    info = json.loads((place / "info.json").read_text("utf-8"))
    labels = [np.load(path, mmap_mode="r") for path in place.glob("*.labels.npy")]
    shape = info.get("shape")
    if shape is None:
        (images, *_) = place.glob("*.images.npy")
        shape = np.load(images, mmap_mode="r").shape[1:]
    return DatasetRow(
        name=info.get("source") or _name_of(place.name),
        examples=sum(map(len, labels)),
        image=tuple(shape),
        classes=int(info["num_classes"]),
        state=PREPARED,
        bytes=_size_of(place, [path.name for path in place.iterdir()]),
        where=str(place),
    )


def _damaged_row(name: str, described: Path) -> DatasetRow:
    where, files = str(described.parent), (described.name,)
    return DatasetRow(name, None, None, None, DAMAGED, None, where, files)


def _name_of(folder: str) -> str:
    """Take version, size and rule from a folder: `mnist-3.0.1-8-r1` holds `mnist`."""
    return re.sub(r"-\d+(\.\d+)*(-(own|\d+)-r\d+(-digests)?)?$", "", folder)


def _tfds_row(root: Path, place: Path) -> DatasetRow:
    features = json.loads((place / "features.json").read_text("utf-8"))
    features = features["featuresDict"]["features"]
    label, image = features["label"]["classLabel"], features["image"]
    sizes = image.get("image", {}).get("shape", {}).get("dimensions", ())
    # TFDS writes -1 for what varies.
    shape = tuple(map(int, sizes))
    info = json.loads((place / "dataset_info.json").read_text("utf-8"))
    try:
        lengths = [int(n) for part in info["splits"] for n in part["shardLengths"]]
    # It is a set of labelled images, and does not say of how many.
    except (LookupError, TypeError) as error:
        raise ValueError("no lengths of its files") from error
    return DatasetRow(
        name=place.parent.relative_to(root).as_posix(),
        examples=sum(lengths),
        image=shape if shape and min(shape) > 0 else None,
        classes=int(label["numClasses"]),
        state=OF_TFDS,
        bytes=_size_of(place, [path.name for path in place.iterdir()]),
        where=str(place),
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _size_of(folder: Path, names: Any) -> int:
    return sum(_size(folder / name) for name in names)
