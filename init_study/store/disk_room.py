"""Whether the disk has room for what a run will keep, before it begins."""

import os
import shutil
from pathlib import Path

from init_study.errors import ExitCode, UserError


def check_disk(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        folder: that is there.
        needed: bytes.

    Raises: UserError with what is needed and what is free.

    Example:
        >>> check_disk(Path(), 1)
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: the two checkpoints that are kept take {needed:,} bytes on the "
            f"disk, and {free:,} are free; make room, use fewer members, or name a "
            "folder on another disk: --workdir=DIR",
            exit_code=ExitCode.IO,
        )


def can_write(folder: Path) -> bool:
    """Say whether files can be made in a folder.

    Example:
        >>> can_write(Path())
        True
    """
    return os.access(folder, os.W_OK | os.X_OK)
