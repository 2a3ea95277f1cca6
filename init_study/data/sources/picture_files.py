"""Files that hold pictures: found in folders and in tar archives, read unchanged."""

import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from init_study.errors import ExitCode, UserError

EXTENSIONS = {
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"),
    *(".ppm", ".pgm", ".tif", ".tiff"),
}

# Folders within folders, and archives within archives: real sets have three and two.
_DEEPEST, _MOST_NESTED = 50, 4
# Of one picture that is read.
_MOST_BYTES = 2**30


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

    Raises: UserError as `look_into`, or if folders lie in folders without end.

    Example:
        >>> Path("a/b").mkdir(parents=True)
        >>> _ = Path("a/b/one.png").write_bytes(b"")
        >>> [file.path for file in files_below(Path(), "a")]
        ['a/b/one.png']
    """
    if folder.count(os.sep) > _DEEPEST:
        raise _refused(f"{root / folder} lies {_DEEPEST} folders deep; put it higher")
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

    Raises: UserError if it is no whole tar archive without compression, or has a member
        that is a link or a device, leads out of the archive, or is there twice.
    """
    path = root / archive.path
    try:
        with tarfile.open(path, "r:") as opened:
            members = list(_members(opened, 0))
    # The reader of archives raises whatever it trips over.
    except Exception as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise _refused(f"{path} is no plain tar archive: {why}") from error
    pictures = [StoredPicture(archive, *found) for found in members]
    for picture in pictures:
        if picture.offset + picture.size > archive.size:
            raise _refused(f"{path} is cut off: {picture.member} is not whole in it")
    return pictures


def _members(opened: tarfile.TarFile, depth: int) -> Iterator[tuple[str, int, int]]:
    """Give name, offset and size of each picture; of `A.tar` in it as `A/NAME`."""
    if depth > _MOST_NESTED:
        raise tarfile.ReadError(f"archives lie in archives, {depth} deep")
    names: set[str] = set()
    for member in opened:
        _check_member(member, names)
        name = os.path.basename(member.name)
        if not member.isreg() or member.issparse() or name.startswith("."):
            continue
        stem, ending = os.path.splitext(member.name)
        if ending.lower() in EXTENSIONS:
            yield member.name, member.offset_data, member.size
        elif ending == ".tar" and (inner := opened.extractfile(member)):
            with tarfile.open(fileobj=inner, mode="r:") as below:
                for path, offset, size in _members(below, depth + 1):
                    yield f"{stem}/{path}", member.offset_data + offset, size
    # An archive that is cut off between members, or in a head, ends in silence.
    assert opened.fileobj is not None, "it is open"
    opened.fileobj.seek(opened.offset)
    if opened.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it has no end, so it is cut off")


def _check_member(member: tarfile.TarInfo, names: set[str]) -> None:
    """Refuse what no archive of pictures has: it may be made to do harm.

    Raises: tarfile.ReadError naming the member.
    """
    name = member.name
    if not (member.isreg() or member.isdir()):
        raise tarfile.ReadError(f"{name} in it is no file but a link or a device")
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise tarfile.ReadError(f"{name} leads out of it")
    if member.size < 0:
        raise tarfile.ReadError(f"{name} has {member.size} bytes by its head")
    if member.isreg() and name in names:
        raise tarfile.ReadError(f"{name} is in it twice")
    names.add(name)


def read_unchanged(root: Path, picture: StoredPicture) -> bytes:
    """Read a picture from a file that must still be what was found.

    Raises: UserError naming the file if it has changed, cannot be read, or has more
        than 1 GiB.

    Example:
        >>> _ = Path("one.png").write_bytes(b"abc")
        >>> (picture,) = pictures_among(look_into(Path(), "").files)
        >>> read_unchanged(Path(), picture)
        b'abc'
    """
    path = root / picture.file.path
    if picture.size > _MOST_BYTES:
        raise _refused(
            f"{path}: a picture of {picture.size:,} bytes is not read; take it away"
        )
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
    try:
        target = Path(entry.path).resolve()
    except (OSError, RuntimeError):
        raise _refused(f"{entry.path} is a link to itself; remove it") from None
    if not target.exists():
        raise _refused(f"{entry.path} is a link to nothing; remove it")
    if not target.is_relative_to(root.resolve()):
        raise _refused(
            f"{entry.path} is a link out of the folder, to {target}; put the files "
            "there"
        )
    if entry.is_dir():
        raise _refused(
            f"{entry.path} is a link to a folder; put the files there, or remove it"
        )


def _refused(message: str) -> UserError:
    return UserError(message, exit_code=ExitCode.DAMAGED)
