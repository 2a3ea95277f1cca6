"""Compiled programs that JAX keeps between runs, and whether they are what it wrote.

    FOLDER/NAME-cache      JAX's, one for each program
    FOLDER/sums.json       their checksums

An entry is machine code. Where the package zstandard is installed JAX packs it without
a checksum, and one flipped bit ends the process, or makes it compute something else.
One that a killed process left half written JAX can neither read nor replaces. What is
found is an accident: whoever may write to the folder may run what they like as its
user.
"""

import atexit
import contextlib
import json
import os
import stat
import zlib
from pathlib import Path

from absl import logging

from init_study.store.documents import write_atomically

_SUMS = "sums.json"
# The first byte of what zlib packs; RFC 1950.
_ZLIB = b"\x78"


def watch_compiled(folder: Path) -> bool:
    """Drop compiled programs that have changed, and note new ones when this ends.

    Args:
        folder: of them; made if it is not there.

    Returns: whether it may be used: not if everybody may write to it.

    Example:
        >>> watch_compiled(Path("compiled"))
        True
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Windows says so of every folder.
        if os.name != "nt" and folder.stat().st_mode & stat.S_IWOTH:
            logging.warning(
                "%s may be written to by everybody, and holds programs that are run: "
                "it is not used; chmod o-w it, or give --cache_dir=DIR",
                folder,
            )
            return False
    except OSError:
        # JAX says what it cannot write, and goes on.
        return True
    drop_changed(folder)
    # Of several calls in a process the last one has JAX's attention.
    atexit.unregister(note_new)
    atexit.register(note_new, folder)
    return True


def drop_changed(folder: Path) -> None:
    """Remove the programs that are not what was noted: they are compiled anew.

    Example:
        >>> _ = Path("jit_f-cache").write_bytes(b"code")
        >>> note_new(Path())
        >>> _ = Path("jit_f-cache").write_bytes(b"mode")
        >>> drop_changed(Path())
        >>> Path("jit_f-cache").exists()
        False
    """
    noted = _noted(folder)
    for name, own in _sums(folder, set(noted)).items():
        if own != noted[name]:
            logging.warning(
                "%s has changed since it was compiled: it is compiled anew",
                folder / name,
            )
            with contextlib.suppress(OSError):
                (folder / name).unlink()
    note_new(folder)


def note_new(folder: Path) -> None:
    """Write down the checksums of programs that are new, and forget those gone.

    New ones that are not whole are removed.

    Example:
        >>> note_new(Path("nowhere"))
    """
    noted = _noted(folder)
    here = {path.name for path in folder.glob("*-cache")}
    for name in sorted(here - set(noted)):
        with contextlib.suppress(OSError):
            if _is_cut_off((folder / name).read_bytes()):
                (folder / name).unlink()
    kept = {name: noted[name] for name in noted if name in here}
    new = kept | _sums(folder, here - set(noted))
    if new != noted:
        with contextlib.suppress(OSError):
            write_atomically(folder / _SUMS, json.dumps(new, indent=0) + "\n")


def _noted(folder: Path) -> dict[str, int]:
    """Read what was noted; nothing if that is not whole."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / _SUMS).read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def _sums(folder: Path, names: set[str]) -> dict[str, int]:
    """Compute the checksums of those files that are there."""
    found = {}
    for name in sorted(names):
        if os.sep in name or not name.endswith("-cache"):
            continue
        with contextlib.suppress(OSError):
            found[name] = zlib.crc32((folder / name).read_bytes())
    return found


def _is_cut_off(packed: bytes) -> bool:
    """Whether an entry is less than what was packed, where that can be told."""
    if not packed.startswith(_ZLIB):
        return not packed
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed)
    except zlib.error:
        return True
    return not unpacking.eof
