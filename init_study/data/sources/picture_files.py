"""Files that hold pictures: found in folders and in tar archives, read unchanged."""

import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from init_study.errors import UserError

EXTENSIONS = {
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"),
    *(".ppm", ".pgm", ".tif", ".tiff"),
}


class DiskFile(NamedTuple):
    """A file as it was when its folder was looked through.

    Attributes:
        path: below the folder of the set.
        size: in bytes.
        changed_at: in nanoseconds.
    """

    path: str
    size: int
    changed_at: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return os.path.basename(self.path)

    @property
    def ending(self) -> str:
        """The extension, in small letters."""
        return os.path.splitext(self.path)[1].lower()


class StoredPicture(NamedTuple):
    """Where the bytes of one picture lie.

    Attributes:
        file: the picture itself, or an archive.
        member: name in the archive.
        offset: of the first byte.
        size: in bytes.
    """

    file: DiskFile
    member: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return os.path.basename(self.member or self.file.path)


class FolderContent(NamedTuple):
    """What is in a folder, by name, without what is hidden."""

    folders: tuple[str, ...]
    files: tuple[DiskFile, ...]


def look_into(root: Path, folder: str) -> FolderContent:
    """List a folder.

    Args:
        root: the folder of the set.
        folder: below it.

    Raises: UserError for a link out of the set, to a folder or to nothing, or if it
        cannot be read.

    Example:
        >>> _ = Path("one.png").write_bytes(b"")
        >>> [file.path for file in look_into(Path(), "").files]
        ['one.png']
    """
    folders, files = [], []
    try:
        with os.scandir(root / folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                _check_link(root, entry)
            path = os.path.join(folder, entry.name)
            if entry.is_dir():
                folders.append(path)
            elif entry.is_file():
                found = entry.stat()
                files.append(DiskFile(path, found.st_size, found.st_mtime_ns))
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error
    return FolderContent(tuple(folders), tuple(files))


def files_below(root: Path, folder: str) -> list[DiskFile]:
    """List all files of a folder and of the folders in it.

    Example:
        >>> Path("a/b").mkdir(parents=True)
        >>> _ = Path("a/b/one.png").write_bytes(b"")
        >>> [file.path for file in files_below(Path(), "a")]
        ['a/b/one.png']
    """
    found = look_into(root, folder)
    below = (file for inner in found.folders for file in files_below(root, inner))
    return [*found.files, *below]


def pictures_among(files: Iterable[DiskFile]) -> list[StoredPicture]:
    """Choose the files that are pictures by their names.

    Example:
        >>> files = [DiskFile("a/b.PNG", 3, 0), DiskFile("a/b.txt", 3, 0)]
        >>> [picture.name for picture in pictures_among(files)]
        ['b.PNG']
    """
    pictures = (file for file in files if file.ending in EXTENSIONS)
    return [StoredPicture(file, "", 0, file.size) for file in pictures]


def members_of(root: Path, archive: DiskFile) -> list[StoredPicture]:
    """List the pictures in a tar archive, and in the archives in it; nothing is read.

    Raises: UserError if it is no whole tar archive without compression.
    """
    path = root / archive.path
    try:
        with tarfile.open(path, "r:") as opened:
            members = list(_members(opened))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{path} is no plain tar archive: {error}") from error
    pictures = [StoredPicture(archive, *found) for found in members]
    for picture in pictures:
        if picture.offset + picture.size > archive.size:
            raise UserError(f"{path} is cut off: {picture.member} is not whole in it")
    return pictures


def _members(opened: tarfile.TarFile) -> Iterator[tuple[str, int, int]]:
    """Give name, offset and size of each picture; of `A.tar` in it as `A/NAME`."""
    for member in opened:
        name = os.path.basename(member.name)
        if not member.isreg() or member.issparse() or name.startswith("."):
            continue
        stem, ending = os.path.splitext(member.name)
        if ending.lower() in EXTENSIONS:
            yield member.name, member.offset_data, member.size
        elif ending == ".tar" and (inner := opened.extractfile(member)):
            with tarfile.open(fileobj=inner, mode="r:") as below:
                for path, offset, size in _members(below):
                    yield f"{stem}/{path}", member.offset_data + offset, size
    # An archive that is cut off between members, or in a head, ends in silence.
    assert opened.fileobj is not None, "it is open"
    opened.fileobj.seek(opened.offset)
    if opened.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it has no end, so it is cut off")


def read_unchanged(root: Path, picture: StoredPicture) -> bytes:
    """Read a picture from a file that must still be what was found.

    Raises: UserError naming the file if it has changed, or cannot be read.

    Example:
        >>> _ = Path("one.png").write_bytes(b"abc")
        >>> (picture,) = pictures_among(look_into(Path(), "").files)
        >>> read_unchanged(Path(), picture)
        b'abc'
    """
    path = root / picture.file.path
    try:
        with open(path, "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            content = os.pread(file.fileno(), picture.size, picture.offset)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    for found in (before, after):
        if (found.st_size, found.st_mtime_ns) != picture.file[1:]:
            raise UserError(f"{path} changes while it is read; try again when it rests")
    return content


def _check_link(root: Path, entry: os.DirEntry[str]) -> None:
    target = Path(entry.path).resolve()
    if not target.exists():
        raise UserError(f"{entry.path} is a link to nothing; remove it")
    if not target.is_relative_to(root.resolve()):
        raise UserError(
            f"{entry.path} is a link out of the folder, to {target}; put the files "
            "there"
        )
    if entry.is_dir():
        raise UserError(
            f"{entry.path} is a link to a folder; put the files there, or remove it"
        )
