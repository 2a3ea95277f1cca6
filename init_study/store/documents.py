"""Files of JSON that are written whole, each with a checksum of what it holds."""

import contextlib
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from init_study.errors import ExitCode, UserError

_SUM = "sum"
_BESIDE = re.compile(r"\.(.+)\.\d+")


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """Write a document in one step, with its checksum.

    Example:
        >>> write_document(Path("notes.json"), {"step": 5})
        >>> read_document(Path("notes.json"))
        {'step': 5}
    """
    sealed = {**content, _SUM: _sum_of(content)}
    write_atomically(path, json.dumps(sealed, indent=1, ensure_ascii=False) + "\n")


def read_document(path: Path) -> dict[str, Any]:
    """Read a document; one that was written before there were checksums as it is.

    Raises: UserError if it is not as it was written; FileNotFoundError.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    # The second for brackets in brackets without end.
    except (ValueError, RecursionError) as error:
        raise _is_damaged(path, str(error)) from None
    if not isinstance(content, dict):
        raise _is_damaged(path, "it is no JSON object")
    own = content.pop(_SUM, None)
    if own is not None and own != _sum_of(content):
        raise _is_damaged(path, "what it holds does not fit its checksum")
    return content


def _is_damaged(path: Path, how: str) -> UserError:
    return UserError(
        f"{path} is damaged: {' '.join(how.split())}; put back a copy of it, or begin "
        "in a new folder: --workdir=DIR",
        exit_code=ExitCode.DAMAGED,
    )


def _sum_of(content: Mapping[str, Any]) -> str:
    """Compute the checksum of what a document is read as."""
    text = json.dumps(json.loads(json.dumps(content)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let what the system refuses name the file, which writing and flushing do not.

    Args:
        path: of the file that is written in the block.

    Example:
        >>> import errno
        >>> try:
        ...     with naming(Path("page.html")):
        ...         raise OSError(errno.ENOSPC, "No space left on device")
        ... except OSError as error:
        ...     print(error.filename)
        page.html
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def check_new_file(flag: str, path: Path, forms: Sequence[str] = ()) -> None:
    """Refuse a file that a user names if it cannot be made there.

    Args:
        flag: that names it.
        path: of it.
        forms: endings that it may have; any if there are none.

    Raises: UserError for another ending, for what is there already, for a folder that
        is not there.

    Example:
        >>> check_new_file("to", Path("records.csv"), (".csv", ".parquet"))
    """
    if forms and path.suffix not in forms:
        raise UserError(
            f"--{flag}={path} is no such file; name a {' or '.join(forms)} file: "
            f"--{flag}={path.stem or flag}{forms[0]}"
        )
    if os.path.lexists(path):
        raise UserError(
            f"--{flag}={path} exists; name a new file", exit_code=ExitCode.NO_PLACE
        )
    if not path.parent.is_dir():
        what = "is a file" if path.parent.exists() else "is not there"
        raise UserError(
            f"--{flag}={path}: the folder {path.parent} {what}; make it first",
            exit_code=ExitCode.NO_PLACE,
        )


def write_atomically(path: Path, text: str) -> None:
    """Write a file in one step: write beside, flush to the disk, then rename over.

    Raises: OSError naming the file.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    _drop_leftovers(path)
    try:
        # Names of files may hold bytes that are no text: JSON reads `\udcff` back.
        with (
            naming(path),
            open(beside, "w", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _drop_leftovers(path: Path) -> None:
    """Remove what processes that were killed while they wrote this file left."""
    for beside in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if is_leftover(beside, path.name) and not _is_alive(int(beside.suffix[1:])):
            beside.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    """Whether a process is there; Windows has no way to ask that does no harm."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def is_leftover(path: Path, name: str | None = None) -> bool:
    """Say whether a file is what a process killed in `write_atomically` left.

    Args:
        path: of the file.
        name: of the file that was being written; any if None.

    Example:
        >>> is_leftover(Path(".manifest.json.123")), is_leftover(Path("manifest.json"))
        (True, False)
    """
    found = _BESIDE.fullmatch(path.name)
    return found is not None and name in (None, found[1])
