"""Files that say what pictures are which lie side by side.

- `metadata.csv`, `metadata.jsonl`: `file_name` and `label`, as Hugging Face has them.
- `val.txt`: Caffe's, NAME LABEL, from 0 in the order of the classes' names.
- `LOC_val_solution.csv`: Kaggle's, the name, then the class.
- `ILSVRC2012_validation_ground_truth.txt` with `meta.mat`: ImageNet's own, numbers from
  1 in an order that `meta.mat` of the development kit tells.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from init_study.data.sources.picture_files import DiskFile, StoredPicture
from init_study.errors import ExitCode, UserError

METADATA = ("metadata.csv", "metadata.jsonl")
_CAFFE, _KAGGLE = "val.txt", "LOC_val_solution.csv"
_TRUTH, _META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
_GIVE = (
    f"put {_KAGGLE} of Kaggle, {_CAFFE} of Caffe (NAME LABEL), or {_TRUTH} and {_META} "
    "of the development kit beside them, or sort them into folders by class"
)

# Far more than ImageNet's lists have, and digits of more classes than there are.
_MOST_BYTES, _MOST_DIGITS = 2**30, 15

Labelled = list[tuple[str, StoredPicture]]


def order(classes: Iterable[str]) -> tuple[str, ...]:
    """Bring names of classes into the order of their labels: numbers as numbers.

    Example:
        >>> order({"10", "9"}), order({"b", "a"})
        (('9', '10'), ('a', 'b'))
    """
    names = sorted(classes)
    are_numbers = all(map(_is_number, names))
    return tuple(sorted(names, key=lambda n: (int(n), n)) if are_numbers else names)


def find_metadata(
    files: Iterable[DiskFile], beside: Iterable[DiskFile]
) -> DiskFile | None:
    """Find the file that says what each picture is: of the part, or of the whole set.

    Example:
        >>> find_metadata([DiskFile("train/metadata.csv", 1, 0)], []).name
        'metadata.csv'
    """
    return next((f for f in (*files, *beside) if f.name in METADATA), None)


def find_labels(files: Iterable[DiskFile]) -> DiskFile | None:
    """Find the file that says what pictures of the validation part are."""
    named = {file.name: file for file in files}
    return next((named[n] for n in (_KAGGLE, _CAFFE, _TRUTH) if n in named), None)


def label_by_metadata(
    root: Path, part: str, metadata: DiskFile, pictures: Iterable[StoredPicture]
) -> Labelled:
    """Label pictures as a metadata file says.

    Args:
        root: the folder of the set.
        part: the folder of the part, below it.
        metadata: with `file_name`, below its own folder, and `label`.
        pictures: all that there are.

    Raises: UserError for a picture that is not there or there twice, or no label.
    """
    folder = os.path.dirname(metadata.path)
    path = root / metadata.path
    there = {os.path.relpath(p.file.path, folder or "."): p for p in pictures}
    labelled: dict[str, str] = {}
    for line, row in enumerate(_rows_of(path), start=1):
        name, label = row.get("file_name"), row.get("label")
        if not isinstance(name, str) or label in (None, ""):
            raise UserError(f"{path}: row {line} has no 'file_name' or no 'label'")
        name = os.path.normpath(name)
        if name in labelled:
            raise UserError(f"{path} lists {name!r} twice; list it once")
        labelled[name] = str(label)
    if folder != part:
        # A list for the whole set.
        below = os.path.join(part, "")
        labelled = {n: label for n, label in labelled.items() if n.startswith(below)}
    for name in labelled:
        if name not in there:
            raise UserError(f"{path} lists {name!r}, which is not there")
    if unlisted := len(there) - len(labelled):
        logging.warning("%s does not list %d pictures: they are unused", path, unlisted)
    return [(label, there[name]) for name, label in labelled.items()]


def _rows_of(path: Path) -> Iterator[dict[str, Any]]:
    text = _text(path)
    if path.suffix == ".csv":
        yield from _read_csv(path, text)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            row = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raise _refused(f"{path}: line {number} is no JSON: {error}") from error
        if isinstance(row, dict):
            yield row


def _read_csv(path: Path, text: str) -> Iterator[dict[str, Any]]:
    try:
        yield from csv.DictReader(io.StringIO(text))
    except csv.Error as error:
        raise _refused(f"{path} is no CSV: {error}") from error


def label_flat(
    root: Path,
    pictures: list[StoredPicture],
    near: Iterable[DiskFile],
    names: tuple[str, ...],
) -> Labelled:
    """Label pictures that lie side by side as a file says that is near.

    Args:
        root: the folder of the set.
        pictures: that lie side by side.
        near: files in their folder and in that of the set.
        names: of the classes, as the training part has them.

    Raises: UserError if there is no such file, or it does not fit the pictures.
    """
    near = [*near]
    found = find_labels(near)
    if found is None:
        place = root / os.path.dirname(pictures[0].file.path) if pictures else root
        raise UserError(f"nothing says what the pictures in {place} are: {_GIVE}")
    path = root / found.path
    read: dict[str, Callable[[], dict[str, str]]] = {
        _KAGGLE: lambda: _kaggle(path),
        _CAFFE: lambda: _caffe(path, names),
        _TRUTH: lambda: _truth(path, root, near, pictures, names),
    }
    labels = read[found.name]()
    for picture in pictures:
        if _stem(picture.name) not in labels:
            raise UserError(f"{path} does not say what {picture.name} is")
    return [(labels[_stem(picture.name)], picture) for picture in pictures]


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def _kaggle(path: Path) -> dict[str, str]:
    labels = {}
    for row in _read_csv(path, _text(path)):
        name, boxes = row.get("ImageId"), row.get("PredictionString")
        if not name or not boxes or not boxes.split():
            raise UserError(f"{path} has a line without ImageId or PredictionString")
        labels[name] = boxes.split()[0]
    return labels


def _caffe(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for line in _text(path).splitlines():
        name, _, number = line.strip().rpartition(" ")
        if not name or not _is_number(number):
            raise UserError(f"{path}: {line[:80]!r} is not NAME LABEL")
        if int(number) >= len(names):
            raise UserError(
                f"{path}: {name} has label {number}, but there are {len(names)} "
                "classes, from 0 on; Caffe's file is needed, not that of the same name "
                "in ImageSets, whose numbers are no labels"
            )
        labels[_stem(name)] = names[int(number)]
    return labels


def _truth(
    path: Path,
    root: Path,
    near: Iterable[DiskFile],
    pictures: list[StoredPicture],
    names: tuple[str, ...],
) -> dict[str, str]:
    meta = next((root / file.path for file in near if file.name == _META), None)
    if meta is None:
        raise UserError(
            f"{path} numbers classes in an order that {_META} of the development kit "
            f"tells; put that beside it, or {_KAGGLE}, or {_CAFFE} of Caffe"
        )
    wnids = _read_meta(meta)
    if set(wnids.values()) != set(names) or set(wnids) != set(range(1, len(names) + 1)):
        raise UserError(
            f"{meta} tells of {len(wnids)} classes, which are not the {len(names)} of "
            "the training part"
        )
    numbers = _text(path).split()
    if len(numbers) != len(pictures) or not all(map(_is_number, numbers)):
        raise UserError(
            f"{path} has {len(numbers)} labels for {len(pictures)} pictures; it needs "
            "a number for each"
        )
    if unknown := [n for n in numbers if int(n) not in wnids]:
        raise UserError(f"{path} has a label {unknown[0]}, which {meta} does not have")
    # Picture number i of the validation part is the i-th by name.
    by_name = sorted(_stem(picture.name) for picture in pictures)
    return {name: wnids[int(n)] for name, n in zip(by_name, numbers, strict=True)}


def _read_meta(path: Path) -> dict[int, str]:
    """Read WordNet's names of the classes by ImageNet's numbers, leaves alone."""
    from scipy.io import loadmat

    try:
        synsets = loadmat(str(path), squeeze_me=True)["synsets"]
        return {
            int(one["ILSVRC2012_ID"]): str(one["WNID"])
            for one in np.atleast_1d(synsets)
            if int(one["num_children"]) == 0
        }
    # SciPy raises whatever its readers trip over.
    except Exception as error:
        raise UserError(f"{path} is no meta.mat of ImageNet: {error}") from error


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _refused(f"{path} has more than {_MOST_BYTES:,} bytes; make it short")
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(f"{path} cannot be read: {error}") from error


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def _refused(message: str) -> UserError:
    return UserError(message, exit_code=ExitCode.DAMAGED)
