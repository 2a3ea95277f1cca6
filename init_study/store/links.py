"""Whether a run's folder holds what a run writes: files and folders of its own.

A link in it that leads elsewhere would have this program write there, or show what
lies there. The folder itself may be a link, and so may those above it: that is how
somebody chose the place.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from init_study.errors import ExitCode, UserError

# Folders in folders; a race with checkpoints has about eight.
_DEEPEST = 40
# One of these is in every folder that is a run's, a race's or an examination's; what
# else lies in one that is none, as somebody's home, is not looked at.
_BEGUN = ("manifest.json", "race.json", "rules.json", ".lock")


def refuse_links_out(workdir: Path) -> None:
    """Make sure that no link in a folder leads out of it, and no file is a pipe.

    Args:
        workdir: of a run, race or examination; any other is left alone.

    Raises: UserError naming the first that does.

    Example:
        >>> Path("run").mkdir()
        >>> _ = Path("run/manifest.json").write_text("{}")
        >>> Path("run/records.jsonl").symlink_to("/etc/hostname")
        >>> try:
        ...     refuse_links_out(Path("run"))
        ... except UserError as error:
        ...     print(error)
        run/records.jsonl is a link out of the folder of the run, to /etc/hostname; ...
    """
    if not any(os.path.lexists(workdir / name) for name in _BEGUN):
        return
    top = os.path.realpath(workdir)
    for entry in _entries(workdir, 0):
        if entry.is_symlink():
            # A link to itself is not followed to an end: what is left is the link.
            target = os.path.realpath(entry.path)
            if os.path.commonpath([top, target]) != top:
                raise _refused(
                    f"{entry.path} is a link out of the folder of the run, to "
                    f"{target}; put the files themselves there, or name another "
                    "folder: --workdir=DIR"
                )
        elif not (entry.is_file() or entry.is_dir()):
            raise _refused(
                f"{entry.path} is a pipe or a device, not a file of a run; remove it"
            )


def check_is_text(workdir: Path) -> None:
    """Make sure that the path of a run's folder is text.

    Raises: UserError if bytes of it are not UTF-8, which checkpoints cannot be under.

    Example:
        >>> check_is_text(Path("runs/mine"))
    """
    try:
        os.path.abspath(workdir).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"--workdir={workdir} has a name of bytes that are not UTF-8, which "
            "checkpoints cannot be under; name another folder"
        ) from None


def inside(folder: Path, name: str) -> Path:
    """Join the name of a stage or study, read from a file, to its folder.

    Raises: UserError for a name that leads elsewhere.

    Example:
        >>> inside(Path("race"), "screening").as_posix()
        'race/screening'
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name or os.sep in name:
        raise _refused(f"{folder} holds a name of a folder that is none: {name!r}")
    return folder / name


def _entries(folder: str | os.PathLike[str], depth: int) -> Iterator[os.DirEntry[str]]:
    """Walk through a folder; links are not followed, and what is gone is not there."""
    if depth > _DEEPEST:
        raise _refused(f"{os.fspath(folder)} lies {depth} folders deep in a run")
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except (FileNotFoundError, PermissionError):
        # Of another process's checkpoint; what cannot be read is said where it is.
        return
    for entry in entries:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path, depth + 1)


def _refused(message: str) -> UserError:
    return UserError(message, exit_code=ExitCode.DAMAGED)
