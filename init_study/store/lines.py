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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

from init_study.errors import ExitCode, UserError

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


def first_sum(path: Path) -> str:
    """Begin a file's sums; by its name, so that one file is not another.

    Example:
        >>> first_sum(Path("run/records.jsonl"))
        'records.jsonl'
    """
    return path.name


def append_line(
    path: Path, content: Mapping[str, Any], before: str | None
) -> str | None:
    """Append a line; it is on the disk when this returns.

    Args:
        path: of the file.
        content: plain values.
        before: the sum of the last line there; None in a file without sums.

    Returns: the sum of this line.

    Example:
        >>> path = Path("notes.jsonl")
        >>> ended = append_line(path, {"step": 5}, first_sum(path))
        >>> [line.content for line in read_sealed(path)]
        [{'step': 5}]
    """
    body = json.dumps(content).encode()
    own = None if before is None else _sum_of(body, before)
    sealed = body if own is None else body[:-1] + f', "sum": "{own}"}}'.encode()
    with open(path, "ab") as file:
        file.write(sealed + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return own


def read_sealed(path: Path) -> Iterator[SealedLine]:
    """Read the whole lines of a file, and check each; none if there is no file.

    A last line without its end is no line: a process that was killed left it. A line
    that stands there twice, one behind the other, counts once. Files that were begun
    before lines had sums are read as they are.

    Raises: UserError naming the first line that is not as it was written.
    """
    if not path.exists():
        return
    before: str | None = first_sum(path)
    last = b""
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                return
            if raw == last:
                logging.warning("%s: line %d is there twice", path, number)
                continue
            if number == 1 and _has_no_sum(raw):
                logging.warning("%s has no checksums: it is read as it is", path)
                before = None
            line = _unsealed(raw) if before is None else _checked(raw, before)
            if line is None:
                raise _is_damaged(path, number)
            before, last = line.sum, raw
            yield line


def _is_damaged(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}: line {number} is not as it was written, or lines before it are "
        "missing; put back a copy of the file, or run the study in a new folder: "
        "--workdir=DIR",
        exit_code=ExitCode.DAMAGED,
    )


def drop_torn_line(path: Path) -> None:
    """Cut off what a killed process left of its last line, and say so."""
    if not path.exists():
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
