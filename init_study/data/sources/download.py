"""Files from wherever they can be had, verified before they get their names.

What has come of a file is kept, and gone on with the next time; see `partial`.
"""

import errno
import hashlib
import os
import shutil
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import requests
import urllib3
from absl import logging

from init_study.data.sources import partial
from init_study.data.sources.download_progress import TooSlow, shown_download
from init_study.data.sources.mirrors import is_address
from init_study.errors import ExitCode, UserError
from init_study.interrupts import ending_with

# Seconds to wait between tries that bring nothing; one that brings bytes counts anew.
_PAUSES = (0.5, 1.5, 4.0, 10.0)
# Where not even a connection comes about, there may be no network at all.
_PAUSES_WITHOUT_CONNECTION = (1.0,)
_MOST_TRIES = 100
_FULL = (errno.ENOSPC, errno.EDQUOT)
# A server that sends elsewhere: round in circles, or to what is no web address.
_ASTRAY = (
    *(requests.TooManyRedirects, requests.exceptions.InvalidURL),
    *(requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema),
)
_LOOKED_AT = 2**12


class RemoteFile(NamedTuple):
    """One published file.

    Attributes:
        name: that it gets in its folder.
        size: in bytes.
        sha256: of its bytes, in hex.
        places: addresses of copies and paths on the disk, in the order of trying.
    """

    name: str
    size: int
    sha256: str
    places: tuple[str, ...]


class NotDownloaded(Exception):
    """Error for a file that no place gives; the message says why, in one line."""


def download_files(files: Sequence[RemoteFile], folder: Path) -> dict[str, str]:
    """Have published files in a folder, from the first place that gives each.

    Args:
        files: those that are there already are verified and left as they are.
        folder: of the files; made if need be.

    Returns: where each file came from that was not there yet, by its name.

    Raises: NotDownloaded if no place gives one of them; UserError if one that is there
        is not the published one, or if there is no room.

    Example:
        >>> published = b"some bytes"
        >>> _ = Path("copy").write_bytes(published)
        >>> checksum = hashlib.sha256(published).hexdigest()
        >>> download_files([RemoteFile("a", 10, checksum, ("copy",))], Path("mine"))
        {'a': 'copy'}
    """
    missing = [file for file in files if not is_there(file, folder)]
    if not missing:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    _check_room(missing, folder)
    try:
        with requests.Session() as session:
            return {file.name: _download(file, folder, session) for file in missing}
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise UserError(
            f"the disk is full in {folder}; free some, or give --data_dir=DIR on "
            "another one; the next time goes on where this one stopped",
            exit_code=ExitCode.IO,
        ) from error


def is_there(file: RemoteFile, folder: Path) -> bool:
    """Say whether a published file lies in a folder.

    Raises: UserError if another file of its name does.

    Example:
        >>> is_there(RemoteFile("images.gz", 9, "0" * 64, ()), Path())
        False
    """
    path = folder / file.name
    if not path.exists():
        return False
    if _is_published(path, file):
        return True
    raise UserError(
        f"{path} is not the published one but {_what(path)}, while {file.size:,} bytes "
        f"with the SHA-256 {file.sha256[:16]}... were expected; remove it and try "
        "again",
        exit_code=ExitCode.DAMAGED,
    )


def _download(file: RemoteFile, folder: Path, session: requests.Session) -> str:
    """Try one place after the other; those that are slow once more at the end."""
    path, part = folder / file.name, folder / f"{file.name}.part"
    waiting = [(place, True) for place in file.places]
    problems = []
    while waiting:
        place, may_leave = waiting.pop(0)
        try:
            with ending_with(f"stopped: what came of {part} is kept for the next time"):
                _fetch(file, place, part, session, may_leave and bool(waiting))
        except TooSlow as slow:
            logging.warning("%s gives %s: trying another", _host(place), slow)
            waiting.append((place, False))
        except (partial.NotTheFile, partial.Refused, FileNotFoundError) as error:
            problems.append(f"{_host(place)}: {error}")
        except KeyboardInterrupt:
            if part.exists():
                kept = f"{part} is kept, and the next time goes on from there"
                raise KeyboardInterrupt(kept) from None
            raise
        else:
            # After a power cut a name without its bytes would be a damaged file.
            with open(part, "rb") as whole:
                os.fsync(whole.fileno())
            os.replace(part, path)
            partial.forget(part)
            return place
    raise NotDownloaded(f"{file.name} from {'; '.join(problems)}")


def _fetch(
    file: RemoteFile,
    place: str,
    part: Path,
    session: requests.Session,
    may_leave: bool,
) -> None:
    """Have a whole, verified file under the name of its part.

    Raises: NotTheFile, Refused, FileNotFoundError or TooSlow if this place has it not.
    """
    if part.exists() and _is_published(part, file):
        return
    if not is_address(place):
        if not Path(place).is_file():
            raise FileNotFoundError("no such file")
        partial.forget(part)
        size = Path(place).stat().st_size
        if size != file.size:
            what = _what(Path(place))
            raise partial.NotTheFile(f"not the published one but {what}")
        shutil.copyfile(place, part)
    else:
        went_on = _stream(file, place, part, session, may_leave)
        if went_on and not _is_published(part, file):
            # The beginning is of an earlier day, and may be what is wrong.
            partial.forget(part)
            _stream(file, place, part, session, may_leave)
    if not _is_published(part, file):
        what = _what(part)
        partial.forget(part)
        raise partial.NotTheFile(f"not the published one but {what}")


def _stream(
    file: RemoteFile,
    url: str,
    part: Path,
    session: requests.Session,
    may_leave: bool,
) -> bool:
    """Try a place until the file is as long as it should be.

    Returns: whether some of it had come before.
    """
    first = begun = partial.begun_bytes(part, url)
    in_vain, reason = 0, ""
    for _ in range(_MOST_TRIES):
        try:
            with shown_download(
                file.name, _host(url), file.size, begun, may_leave=may_leave
            ) as show:
                partial.stream_rest(part, url, file.size, session, show)
            return first > 0
        except partial.NotTheFile as error:
            partial.forget(part)
            raise partial.NotTheFile(f"not the published one but {error}") from None
        except _ASTRAY as error:
            raise partial.Refused(f"it sends elsewhere, {error}") from None
        except partial.Broken as error:
            reason, pauses = str(error), _PAUSES
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason, pauses = _reason(error), _PAUSES
            if isinstance(error, requests.ConnectionError):
                pauses = _PAUSES_WITHOUT_CONNECTION
        now = partial.begun_bytes(part, url)
        in_vain, begun = (0 if now > begun else in_vain + 1), now
        if in_vain > len(pauses):
            break
        time.sleep(pauses[max(in_vain - 1, 0)])
    raise partial.Refused(reason)


def _reason(error: Exception) -> str:
    """Say in plain words what requests or urllib3 raised."""
    if isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return f"no byte for {partial.TIMEOUT[1]:g} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the connection ended too early"
    return type(error).__name__


def _check_room(missing: Sequence[RemoteFile], folder: Path) -> None:
    here = 0
    for file in missing:
        part = folder / f"{file.name}.part"
        here += part.stat().st_size if part.exists() else 0
    needed = sum(file.size for file in missing) - here
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"the published files take {needed:,} bytes on the disk, but {folder} has "
            f"{free:,} left; free some, or give --data_dir=DIR on another one",
            exit_code=ExitCode.IO,
        )


def _is_published(path: Path, file: RemoteFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def _what(path: Path) -> str:
    with open(path, "rb") as content:
        head = content.read(_LOOKED_AT)
    return partial.describe_bytes(head, path.stat().st_size)


def _host(place: str) -> str:
    return urllib.parse.urlsplit(place).netloc if is_address(place) else place
