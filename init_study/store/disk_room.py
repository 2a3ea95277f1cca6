"""Whether the disk has room for what a run will keep, before it is written."""

import os
import shutil
from pathlib import Path

from init_study.errors import ExitCode, UserError


def check_disk(folder: Path, needed: int, what: str, way_out: str) -> None:
    """Refuse what the disk has no room for.

    Args:
        folder: that is there.
        needed: bytes.
        what: takes them, in words.
        way_out: besides making room.

    Raises: UserError with what is needed and what is free.

    Example:
        >>> check_disk(Path(), 1, "a letter takes", "write none")
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: {what} {needed:,} bytes on the disk, and {free:,} are free; "
            f"make room, {way_out}",
            exit_code=ExitCode.IO,
        )


def can_write(folder: Path) -> bool:
    """Say whether files can be made in a folder.

    Example:
        >>> can_write(Path())
        True
    """
    return os.access(folder, os.W_OK | os.X_OK)
