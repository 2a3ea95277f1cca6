"""A folder of pictures, one folder for each class, with or without published parts.

    DIR/train/CLASS/*.png ...    and, if there are, val, validation or valid, and test
    DIR/CLASS/*.png ...          without parts, which a hash of each image then makes

Labels are the places of the classes in the order of their names.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging

from init_study.data.listing import ListedPart, Listing, Source
from init_study.data.splits import ALL
from init_study.errors import UserError

EXTENSIONS = {
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tif"),
    ".tiff",
}
# What a folder of a part may be called, by part.
PARTS = {
    "train": ("train",),
    "validation": ("val", "validation", "valid"),
    "test": ("test",),
}


class PictureFile(NamedTuple):
    """A file that holds a picture, as it was when the folder was looked through.

    Attributes:
        path: below the folder of the set.
        size: in bytes.
        changed_at: in nanoseconds.
    """

    path: str
    size: int
    changed_at: int


def find_folder(directory: str) -> Source:
    """Look a folder of pictures through; none of them is read yet.

    Args:
        directory: its path.

    Raises: UserError if it is no such folder.
    """
    root = Path(os.path.expanduser(directory))
    if not root.is_dir():
        raise UserError(f"data set 'folder:{directory}': there is no such folder")
    parts = _find_parts(root)
    listing = _list(root, parts)
    return Source(
        name=f"folder:{directory}",
        kept_as=f"folder.{_plain(root.resolve().name)}",
        version=_fingerprint(parts),
        list_pictures=lambda: listing,
    )


def _find_parts(root: Path) -> dict[str, dict[str, list[PictureFile]]]:
    folders = {
        part: [root / name for name in names if (root / name).is_dir()]
        for part, names in PARTS.items()
    }
    if not folders["train"]:
        return {ALL: _classes(root, root)}
    for found in folders.values():
        if len(found) > 1:
            names = " and ".join(path.name for path in found)
            raise UserError(f"{root} has both {names}; keep one of them")
    return {part: _classes(root, found[0]) for part, found in folders.items() if found}


def _classes(root: Path, folder: Path) -> dict[str, list[PictureFile]]:
    """Find the pictures of each class, classes and pictures sorted by name."""
    entries = [e for e in _entries(root, folder) if e.is_dir()]
    classes, others = {}, 0
    for entry in entries:
        pictures, skipped = _pictures(root, Path(entry.path))
        others += skipped
        if not pictures:
            raise UserError(f"class folder {entry.path} has no pictures; remove it")
        classes[entry.name] = pictures
    if others:
        logging.warning("%s: %d files are no pictures by their names", folder, others)
    return classes


def _pictures(root: Path, folder: Path) -> tuple[list[PictureFile], int]:
    pictures, others = [], 0
    for entry in _entries(root, folder):
        if entry.is_dir():
            below, skipped = _pictures(root, Path(entry.path))
            pictures += below
            others += skipped
        elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
            found = entry.stat()
            path = os.path.relpath(entry.path, root)
            pictures.append(PictureFile(path, found.st_size, found.st_mtime_ns))
        else:
            others += 1
    return pictures, others


def _entries(root: Path, folder: Path) -> list[os.DirEntry[str]]:
    """List what is in a folder by name, without what is hidden."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in entries:
        if entry.is_symlink():
            _check_link(root, entry.path)
    return entries


def _check_link(root: Path, path: str) -> None:
    target = Path(path).resolve()
    if not target.is_relative_to(root.resolve()):
        raise UserError(
            f"{path} is a link out of the folder, to {target}; put the files there"
        )
    if not target.exists():
        raise UserError(f"{path} is a link to nothing; remove it")


def _list(root: Path, parts: Mapping[str, Mapping[str, list[PictureFile]]]) -> Listing:
    names = tuple(parts[ALL if ALL in parts else "train"])
    if len(names) == 0:
        raise UserError(
            f"{root} has no folders of classes with pictures; it should have "
            "train/CLASS/PICTURE or CLASS/PICTURE"
        )
    if len(names) < 2:
        raise UserError(
            f"{root} has one class alone, {names[0]!r}; a comparison takes two classes "
            "at least"
        )
    return Listing(
        {part: _part(root, names, classes) for part, classes in parts.items()}, names
    )


def _part(
    root: Path, names: tuple[str, ...], classes: Mapping[str, list[PictureFile]]
) -> ListedPart:
    places = {name: place for place, name in enumerate(names)}
    for name in classes:
        if name not in places:
            raise UserError(f"{root}: class {name!r} is not in its folder train")
    pictures = [picture for found in classes.values() for picture in found]
    labels = [places[name] for name, found in classes.items() for _ in found]
    return ListedPart(
        labels=np.array(labels, np.int32),
        read=lambda row: read_unchanged(root, pictures[row]),
        name=lambda row: str(root / pictures[row].path),
    )


def read_unchanged(root: Path, picture: PictureFile) -> bytes:
    """Read a file that must still be what was found.

    Raises: UserError naming it if it has changed.
    """
    path = root / picture.path
    try:
        with open(path, "rb") as file:
            before = os.fstat(file.fileno())
            content = file.read()
            after = os.fstat(file.fileno())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    for found in (before, after):
        if (found.st_size, found.st_mtime_ns) != picture[1:]:
            raise UserError(f"{path} changes while it is read; try again when it rests")
    return content


def _fingerprint(parts: Mapping[str, Mapping[str, Iterable[PictureFile]]]) -> str:
    """Name the files by what they are called, their sizes and times."""
    summed = hashlib.sha256()
    for part, classes in parts.items():
        for pictures in classes.values():
            for picture in pictures:
                summed.update(f"{part}\0{picture!r}\n".encode())
    return summed.hexdigest()[:12]


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_" else "_" for c in name)[:60] or "_"
