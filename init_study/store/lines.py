"""Lines of JSON, each with a checksum that covers all lines before it.

    {"program": "3f2a...", "step": 0, "values": {...}, "sum": "91c0d1fb2c5e7a06"}

A sum is that of the sum before and of the line without it, so a line that was edited,
lost, added or moved is found, and with it the place. What is found is an accident, or
an edit by hand: who computes the sums anew is not stopped.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

from init_study.errors import ExitCode, UserError
from init_study.store.documents import naming

_FIELDS = {"program", "step", "values"}
_SUM = re.compile(rb', "sum": "([0-9a-f]{16})"}\n$')


class SealedLine(NamedTuple):
    """A line that was read.

    Attributes:
        content: what it holds, without its sum.
        sum: that the next line's covers; None in a file that was begun before lines had
            sums.
    """

    content: dict[str, Any]
    sum: str | None


def first_sum(name: str, chain: str | None) -> str:
    """Begin a file's sums: by its name and run, so that one file is not another.

    Args:
        name: of the file.
        chain: of the run's manifest; None in a run that was begun before it had one.

    Example:
        >>> first_sum("records.jsonl", "6d0abd16d9a5")
        'records.jsonl of 6d0abd16d9a5'
    """
    return name if chain is None else f"{name} of {chain}"


def append_line(
    path: Path, content: Mapping[str, Any], before: str | None
) -> str | None:
    """Append a line; it is on the disk when this returns.

    Args:
        path: of the file.
        content: plain values.
        before: the sum of the last line there; None in a file without sums.

    Returns: the sum of this line.
    Raises: OSError naming the file.

    Example:
        >>> path, begins = Path("notes.jsonl"), first_sum("notes.jsonl", None)
        >>> ended = append_line(path, {"step": 5}, begins)
        >>> [line.content for line in read_sealed(path, begins)]
        [{'step': 5}]
    """
    sealed, own = _sealed(content, before)
    with naming(path), open(path, "ab") as file:
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())
    return own


def chained(contents: Iterable[Mapping[str, Any]], begins: str) -> str:
    """Write lines as text, each with its sum.

    Args:
        contents: plain values.
        begins: of `first_sum`.

    Example:
        >>> chained([{"step": 5}], "notes.jsonl").partition(", ")[0]
        '{"step": 5'
    """
    before: str | None = begins
    lines = []
    for content in contents:
        sealed, before = _sealed(content, before)
        lines.append(sealed)
    return b"".join(lines).decode()


def _sealed(content: Mapping[str, Any], before: str | None) -> tuple[bytes, str | None]:
    """Write a line, and its sum where lines have sums."""
    body = json.dumps(content).encode()
    if before is None:
        return body + b"\n", None
    own = _sum_of(body, before)
    return body[:-1] + f', "sum": "{own}"}}\n'.encode(), own


def read_sealed(
    path: Path, begins: str, may_be_bare: bool = True
) -> Iterator[SealedLine]:
    """Read the whole lines of a file, and check each; none if there is no file.

    A last line without its end is no line: a process that was killed left it. A line
    that stands there twice, one behind the other, counts once.

    Args:
        path: of the file.
        begins: of `first_sum`.
        may_be_bare: whether the file may be from before lines had sums, and is read as
            it is.

    Raises: UserError naming the first line that is not as it was written.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise damaged_lines(path, "is no file")
    before: str | None = begins
    last = b""
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                return
            if raw == last:
                logging.warning("%s: line %d is there twice", path, number)
                continue
            if number == 1 and may_be_bare and _has_no_sum(raw):
                logging.warning("%s has no checksums: it is read as it is", path)
                before = None
            line = _unsealed(raw) if before is None else _checked(raw, before)
            if line is None:
                how = "is not as it was written, or lines before it are missing"
                raise damaged_lines(path, f"line {number} {how}")
            before, last = line.sum, raw
            yield line


def damaged_lines(path: Path, what: str) -> UserError:
    """Make the error for a file of lines that is not as it was written.

    Args:
        path: of the file.
        what: is wrong with it.
    """
    return UserError(
        f"{path}: {what}; put back a copy of the file, or have what is lost run again: "
        f"python launch.py repair --workdir={path.parent}",
        ExitCode.DAMAGED,
    )


def intact_lines(path: Path, begins: str) -> tuple[list[dict[str, Any]], list[int]]:
    """Tell the lines of a damaged file that fit their sums from those that do not.

    A sum covers the line and the sum before it as it stands there: behind a line that
    was edited the next ones are whole.

    Args:
        path: of the file; none if it is not there.
        begins: of `first_sum`.

    Returns: what the whole ones hold, each once, and the numbers of the others. A last
        line without its end is neither.
    """
    whole: dict[tuple[str, int], dict[str, Any]] = {}
    broken: list[int] = []
    before: str | None = begins
    raws = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    for number, raw in enumerate(raws, start=1):
        line = None if before is None else _checked(raw, before)
        if line is None and raw.endswith(b"\n"):
            broken.append(number)
        elif line is not None:
            key = line.content["program"], line.content["step"]
            whole.setdefault(key, line.content)
        found = _SUM.search(raw)
        before = None if found is None else found[1].decode()
    return list(whole.values()), broken


def drop_torn_line(path: Path) -> None:
    """Cut off what a killed process left of its last line, and say so."""
    if not path.is_file():
        return
    with open(path, "rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            logging.warning(
                "%s: its last line was not written to the end; %d bytes are cut off",
                path,
                len(content) - whole,
            )
            file.truncate(whole)


def _checked(raw: bytes, before: str) -> SealedLine | None:
    """Read a line if its sum is right."""
    found = _SUM.search(raw)
    if found is None:
        return None
    body, own = raw[: found.start()] + b"}", found[1].decode()
    if own != _sum_of(body, before):
        return None
    return SealedLine(json.loads(body), own)


def _unsealed(raw: bytes) -> SealedLine | None:
    """Read a line of a file without sums; a sum there is from elsewhere."""
    return SealedLine(json.loads(raw), None) if _has_no_sum(raw) else None


def _has_no_sum(raw: bytes) -> bool:
    """Say whether a line is a whole one from before there were sums."""
    try:
        content = json.loads(raw)
    except ValueError:
        return False
    return isinstance(content, dict) and set(content) == _FIELDS


def _sum_of(body: bytes, before: str) -> str:
    return hashlib.sha256(before.encode() + b"\n" + body).hexdigest()[:16]
