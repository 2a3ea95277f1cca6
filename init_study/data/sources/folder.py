"""A folder of pictures, one folder for each class, with or without published parts.

    DIR/train/CLASS/*.png ...    and, if there are, val, validation or valid, and test
    DIR/CLASS/*.png ...          without parts, which a hash of each image then makes

In place of a class's folder there may be `CLASS.tar`, in place of a part's folder the
archive `ILSVRC2012_img_train.tar` or `ILSVRC2012_img_val.tar`. Where pictures of a part
lie side by side, a file says what they are; see `label_files`. Labels are the places of
the classes in the order of their names.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging

from init_study.data.listing import ListedPart, Listing, Source
from init_study.data.sources import label_files
from init_study.data.sources.picture_files import (
    EXTENSIONS,
    DiskFile,
    StoredPicture,
    files_below,
    look_into,
    members_of,
    pictures_among,
    read_unchanged,
)
from init_study.data.splits import ALL
from init_study.errors import UserError

# What a folder of a part may be called, by part.
PART_FOLDERS = {
    "train": ("train",),
    "validation": ("val", "validation", "valid"),
    "test": ("test",),
}
_ARCHIVES = {
    "train": "ILSVRC2012_img_train.tar",
    "validation": "ILSVRC2012_img_val.tar",
}


class FoundPart(NamedTuple):
    """The files of one published part.

    Attributes:
        folder: below the folder of the set.
        classes: files by class.
        flat: files that lie in no class's folder.
        archive: that holds the whole part, if one does.
    """

    folder: str
    classes: Mapping[str, list[DiskFile]]
    flat: tuple[DiskFile, ...]
    archive: DiskFile | None = None


def find_folder(name: str, root: Path) -> Source:
    """Look a folder of pictures through; none of them is read yet.

    Args:
        name: what the user calls the set.
        root: the folder.

    Raises: UserError if it is no such folder.
    """
    beside = look_into(root, "")
    parts = _find_parts(root)
    _say_what_is_not_used(root, parts, beside.folders)
    files = [*beside.files]
    for part in parts.values():
        files += [file for found in part.classes.values() for file in found]
        files += part.flat
    return Source(
        name=name,
        kept_as=f"folder.{plain_name(root.resolve().name)}",
        version=fingerprint(files),
        list_pictures=lambda: _list(root, parts, beside.files),
    )


def holds_parquet(root: Path) -> bool:
    """Say whether a folder, or `data` in it, has Parquet files in place of pictures.

    Example:
        >>> holds_parquet(Path())
        False
    """
    return any(next(place.glob("*.parquet"), None) for place in (root, root / "data"))


def fingerprint(files: Iterable[DiskFile]) -> str:
    """Name files by what they are called, their sizes and times.

    Example:
        >>> fingerprint([DiskFile("a.png", 1, 2)])
        '70efcf04a63a'
    """
    summed = hashlib.sha256()
    for file in sorted(files):
        summed.update(f"{tuple(file)!r}\n".encode())
    return summed.hexdigest()[:12]


def plain_name(name: str) -> str:
    """Make of a name one of letters, digits and underscores.

    Example:
        >>> plain_name("my pets!")
        'my_pets_'
    """
    plain = "".join(c if c.isalnum() or c == "_" else "_" for c in name)[:60]
    # A letter takes up to four bytes, and a name of a file 255.
    return plain.encode()[:180].decode("utf-8", "ignore") or "_"


def _find_parts(root: Path) -> dict[str, FoundPart]:
    here = look_into(root, "")
    archives = {file.name: file for file in here.files}
    parts: dict[str, FoundPart] = {}
    for part, names in PART_FOLDERS.items():
        found = [name for name in here.folders if name in names]
        if len(found) > 1:
            raise UserError(f"{root} has both {' and '.join(found)}; keep one of them")
        if found:
            parts[part] = _look_at_part(root, found[0])
        elif archive := archives.get(_ARCHIVES.get(part, "")):
            parts[part] = FoundPart("", {}, (), archive)
    others = set(here.folders) - {part.folder for part in parts.values()}
    # A set whose classes are called train, plane and car.
    is_classes = others and not any(
        part.archive or part.classes or _tells(part.flat) for part in parts.values()
    )
    if not parts or (is_classes and "train" in parts):
        return {ALL: _look_at_part(root, "")}
    if "train" not in parts:
        folder = next(iter(parts.values())).folder
        raise UserError(f"{root} has a folder {folder!r}, but none called 'train'")
    return parts


def _look_at_part(root: Path, folder: str) -> FoundPart:
    here = look_into(root, folder)
    classes = {os.path.basename(f): files_below(root, f) for f in here.folders}
    archive = next((f for f in here.files if f.name in _ARCHIVES.values()), None)
    for file in here.files:
        if file.ending == ".tar" and file is not archive:
            classes.setdefault(os.path.splitext(file.name)[0], []).append(file)
    return FoundPart(folder, dict(sorted(classes.items())), here.files, archive)


def _tells(files: Iterable[DiskFile]) -> bool:
    return any(file.name in label_files.METADATA for file in files)


def _list(
    root: Path, found: Mapping[str, FoundPart], beside: Iterable[DiskFile]
) -> Listing:
    labelled: dict[str, list[tuple[str, StoredPicture]]] = {}
    names: tuple[str, ...] = ()
    for part, files in found.items():
        pairs = _labelled(root, part, files, beside, names)
        if pairs is not None:
            labelled[part] = pairs
        # The training part comes first: what it has no picture of is no class.
        names = names or label_files.order({label for label, _ in pairs or ()})
    if not names:
        raise UserError(
            f"{root} has no folders of classes with pictures; it should have "
            "train/CLASS/PICTURE or CLASS/PICTURE"
        )
    if len(names) == 1:
        raise UserError(
            f"{root} has one class alone, {names[0]!r}; a comparison takes two classes "
            "at least"
        )
    parts = {part: list_stored(root, p, names) for part, p in labelled.items()}
    return Listing(parts, names)


def _labelled(
    root: Path,
    part: str,
    found: FoundPart,
    beside: Iterable[DiskFile],
    names: tuple[str, ...],
) -> list[tuple[str, StoredPicture]] | None:
    """Find the pictures of a part, each with the name of its class; None for none."""
    near = [*found.flat, *beside]
    if found.archive:
        pictures = members_of(root, found.archive)
        if part == "train":
            return [(os.path.dirname(p.member).split("/")[0], p) for p in pictures]
        return label_files.label_flat(root, pictures, near, names)
    if metadata := label_files.find_metadata(found.flat, beside):
        files = [file for files in found.classes.values() for file in files]
        pictures = pictures_among([*found.flat, *files])
        return label_files.label_by_metadata(root, found.folder, metadata, pictures)
    if found.classes:
        return [
            (name, picture)
            for name, files in found.classes.items()
            for picture in _of_class(root, found, name, files)
        ]
    pictures = pictures_among(found.flat)
    if not pictures:
        return []
    if part == "test" and not label_files.find_labels(near):
        logging.warning("%s says no classes: it is not used", root / found.folder)
        return None
    return label_files.label_flat(root, pictures, near, names)


def _of_class(
    root: Path, found: FoundPart, name: str, files: list[DiskFile]
) -> list[StoredPicture]:
    archives = (file for file in files if file.ending == ".tar")
    packed = [picture for file in archives for picture in members_of(root, file)]
    pictures = [*pictures_among(files), *packed]
    if not pictures:
        folder = root / found.folder / name
        raise UserError(f"class {folder} has no pictures; remove it, or fill it")
    return pictures


def list_stored(
    root: Path, labelled: list[tuple[str, StoredPicture]], names: tuple[str, ...]
) -> ListedPart:
    """List pictures in files, each with the name of its class.

    Args:
        root: the folder that they lie below.
        labelled: the names and the pictures.
        names: of all classes.

    Raises: UserError for a name that is none of them.
    """
    places = {name: place for place, name in enumerate(names)}
    for name, picture in labelled:
        if name not in places:
            raise UserError(
                f"{root / picture.file.path} is of class {name!r}, which the training "
                "part does not have"
            )
    pictures = [picture for _, picture in labelled]

    def name_of(row: int) -> str:
        path = str(root / pictures[row].file.path)
        member = pictures[row].member
        return f"{member} in {path}" if member else path

    return ListedPart(
        labels=np.array([places[name] for name, _ in labelled], np.int32),
        read=lambda rows: (read_unchanged(root, pictures[row]) for row in rows),
        name=name_of,
    )


def _say_what_is_not_used(
    root: Path, parts: Mapping[str, FoundPart], folders: Iterable[str]
) -> None:
    known = (*EXTENSIONS, ".tar")
    others = [
        file.path
        for part in parts.values()
        for files in part.classes.values()
        for file in files
        if file.ending not in known
    ]
    if others:
        logging.warning(
            "%s: %d files are no pictures by their names, as %s: they are not used",
            root,
            len(others),
            others[0],
        )
    unused = set(folders) - {part.folder for part in parts.values()}
    if unused and ALL not in parts:
        logging.warning("%s: %s is no part of the set", root, ", ".join(sorted(unused)))
