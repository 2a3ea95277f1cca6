"""A file that comes from the network in pieces, over several tries if need be.

    FILE.part        what has come so far
    FILE.part.json   where it came from, and what tells whether that has changed

A later try asks for the rest only (RFC 9110, Range), on condition that the file is
still the one that the beginning is of (If-Range). Whatever a server answers that is not
that very rest, the file begins anew.
"""

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

# Seconds to connect, and seconds without a byte.
TIMEOUT = (10.0, 30.0)
_BLOCK = 2**14
_LOOKED_AT = 2**12
_PAGE = re.compile(rb"\s*<(!doctype html|html|head|body)", re.IGNORECASE)


class NotTheFile(Exception):
    """What a place gives is not the file; the message says what it is."""


class Refused(Exception):
    """A server does not give the file, and will not if it is asked again."""


class Broken(Exception):
    """A try that ended too early; another one may go on."""


def begun_bytes(part: Path, url: str) -> int:
    """Count the bytes that have come from a place and can be gone on with.

    Args:
        part: the partial file.
        url: of the place.

    Example:
        >>> begun_bytes(Path("images.gz.part"), "https://example.org/images.gz")
        0
    """
    return part.stat().st_size if _validator(part, url) else 0


def stream_rest(
    part: Path,
    url: str,
    size: int,
    session: requests.Session,
    watch: Callable[[int], None],
) -> None:
    """Ask a server for what is missing of a file, and write it as it comes.

    Args:
        part: the partial file; shorter than the whole.
        url: to ask for.
        size: that the whole file has, in bytes.
        session: of requests.
        watch: is told how many bytes are there, now and again.

    Raises: NotTheFile, Refused and Broken; what requests and urllib3 raise.
    """
    start = begun_bytes(part, url)
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": _validator(part, url)}
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        _check_status(response, part)
        if response.status_code == 206:
            _check_rest(response, part, start, size)
        else:
            _check_length(response, size)
            start = forget(part)
            _note(part, url, response)
        here = start
        with open(part, "ab") as file:
            for block in response.raw.stream(_BLOCK, decode_content=False):
                file.write(block)
                here += len(block)
                if here > size:
                    raise NotTheFile(f"more than the {size:,} bytes of the file")
                watch(here)
    if here < size:
        _check_page(part, here)
        raise Broken(f"the connection ended after {here:,} of {size:,} bytes")


def forget(part: Path) -> int:
    """Remove a partial file.

    Returns: 0, the bytes that are left of it.

    Example:
        >>> forget(Path("images.gz.part"))
        0
    """
    part.unlink(missing_ok=True)
    _origin(part).unlink(missing_ok=True)
    return 0


def describe_bytes(head: bytes, size: int | None) -> str:
    """Say what came in place of a file.

    Args:
        head: how it begins.
        size: of all of it, if known.

    Example:
        >>> describe_bytes(b"<html><title>Log in</title>", 27)
        "an HTML page 'Log in' of 27 bytes"
    """
    length = "" if size is None else f" of {size:,} bytes"
    if not head:
        return "nothing"
    if not _PAGE.match(head):
        return f"another file{length} that begins with {head[:12]!r}"
    found = re.search(rb"<title>\s*(.{1,60}?)\s*</title>", head, re.I | re.S)
    title = f" {found[1].decode('utf-8', 'replace')!r}" if found else ""
    return f"an HTML page{title}{length}"


def _check_status(response: requests.Response, part: Path) -> None:
    status = response.status_code
    said = f"{status} {response.reason}"
    if status == 416:
        forget(part)
        raise Broken(said)
    if status in (408, 425, 429) or status >= 500:
        raise Broken(said)
    if status not in (200, 206):
        raise Refused(said)


def _check_rest(response: Any, part: Path, start: int, size: int) -> None:
    """Refuse a part that is not just what was asked for."""
    given = response.headers.get("Content-Range", "none")
    if given.strip() != f"bytes {start}-{size - 1}/{size}" or not start:
        forget(part)
        raise Broken(f"the server gave the bytes {given!r}, not those from {start}")


def _check_length(response: requests.Response, size: int) -> None:
    """Refuse a file of another size before all of it comes."""
    given = response.headers.get("Content-Length", "")
    if given.isdigit() and int(given) != size:
        head = response.raw.read(_LOOKED_AT, decode_content=False)
        raise NotTheFile(describe_bytes(head, int(given)))


def _check_page(part: Path, here: int) -> None:
    """Refuse a page that a server did not give the length of."""
    with open(part, "rb") as file:
        head = file.read(_LOOKED_AT)
    if _PAGE.match(head):
        raise NotTheFile(describe_bytes(head, here))


def _note(part: Path, url: str, response: requests.Response) -> None:
    """Write down what a later try needs to go on; nothing if it cannot."""
    tag = response.headers.get("ETag", "")
    # A weak tag may stand for other bytes, and must not be sent.
    strong = "" if tag.startswith("W/") else tag
    validator = strong or response.headers.get("Last-Modified", "")
    if validator:
        text = json.dumps({"url": url, "validator": validator})
        _origin(part).write_text(text + "\n", "utf-8")


def _validator(part: Path, url: str) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(_origin(part).read_text("utf-8"))
        if noted["url"] == url and part.exists():
            return str(noted["validator"])
    return ""


def _origin(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")
