"""The folder of a run: which study it belongs to, who holds it, and its manifest."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from init_study.errors import ExitCode, UserError
from init_study.host import hold_file
from init_study.store.documents import (
    is_leftover,
    naming,
    read_document,
    write_document,
)
from init_study.store.links import check_is_text, refuse_links_out
from init_study.store.run_files import LOCK, MANIFEST, RACE, WAVES
from init_study.study import Study
from init_study.study.files import differing_fields

# Seconds between two tries to hold a folder.
_BETWEEN = 0.2
# What reading a run, or going on with it, takes from its manifest.
_FACTS = {
    "data": ("checksums", "chance", "validation", "test"),
    "programs": ("chunk_width", "convolution"),
}


def open_workdir(workdir: Path, study: Study) -> None:
    """Make the folder, or make sure that it belongs to this very study.

    Raises: UserError as `check_workdir`, or if the folder cannot be written.
    """
    check_workdir(workdir, study)
    _make_folder(workdir)


def _make_folder(workdir: Path) -> None:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: {error.strerror}", exit_code=ExitCode.NO_PLACE
        ) from None
    if not os.access(workdir, os.W_OK | os.X_OK):
        raise UserError(
            f"--workdir={workdir} cannot be written to; name another folder",
            exit_code=ExitCode.NO_PLACE,
        )


def check_workdir(workdir: Path, study: Study) -> None:
    """Make sure that a folder is this very study's, or may become so; write nothing.

    Raises: UserError if it is a file, holds another study (naming the fields that
        differ) or as a wave other members, or holds files that are not a study's, or
        links out of it.
    """
    check_is_text(workdir)
    refuse_links_out(workdir)
    if workdir.exists() and not workdir.is_dir():
        raise UserError(
            f"--workdir={workdir} is a file; name a folder", exit_code=ExitCode.NO_PLACE
        )
    if (workdir / MANIFEST).exists():
        there = read_study(workdir)
        if there.hash != study.hash:
            fields = "; ".join(differing_fields(study, there))
            if workdir.parent.name == WAVES:
                raise UserError(
                    f"{workdir} is no wave of this run, but of other members "
                    f"({fields}); move that folder away, and its members train again",
                    exit_code=ExitCode.DAMAGED,
                )
            raise UserError(
                f"--workdir={workdir} holds another study ({fields}); "
                "name another folder, or none for one of the study's own",
                exit_code=ExitCode.NO_PLACE,
            )
    elif workdir.is_dir() and not all(map(_is_of_a_beginning, workdir.iterdir())):
        raise UserError(
            f"--workdir={workdir} holds other files and no {MANIFEST}; "
            "name an empty or a new folder",
            exit_code=ExitCode.NO_PLACE,
        )


def open_race(workdir: Path, document: dict[str, Any]) -> None:
    """Make the folder of a race, or make sure that it belongs to this very race.

    Args:
        workdir: of the race.
        document: of `race.race_document`.

    Raises: UserError as `check_race`.
    """
    check_race(workdir, document)
    if not (workdir / RACE).exists():
        _make_folder(workdir)
        write_document(workdir / RACE, document)


def check_race(workdir: Path, document: dict[str, Any]) -> None:
    """Make sure that a folder is this very race's, or may become so; write nothing.

    Args:
        workdir: of the race.
        document: of `race.race_document`.

    Raises: UserError if the folder holds another race, other files, or links out of it.
    """
    check_is_text(workdir)
    refuse_links_out(workdir)
    if (workdir / RACE).exists():
        there = read_document(workdir / RACE)
        differing = [part for part in document if document[part] != there.get(part)]
        if differing:
            raise UserError(
                f"--workdir={workdir} holds another race (its {differing[0]} differs); "
                "name another folder",
                exit_code=ExitCode.NO_PLACE,
            )
    else:
        check_is_empty(workdir)


def check_is_empty(workdir: Path) -> None:
    """Make sure that a race or an examination may begin in a folder.

    Raises: UserError if it is a file, or holds more than what a beginning leaves.
    """
    if workdir.exists() and not (
        workdir.is_dir() and all(map(_is_of_a_beginning, workdir.iterdir()))
    ):
        raise UserError(
            f"--workdir={workdir} holds other files; name a new folder",
            exit_code=ExitCode.NO_PLACE,
        )


def _is_of_a_beginning(path: Path) -> bool:
    """Say whether a file is there before the first document is written."""
    return path.name == LOCK or is_leftover(path)


@contextlib.contextmanager
def lock(workdir: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the folder for this process.

    The system lets go when the process ends, however it ends. What one that was killed
    left of the manifest is removed.

    Args:
        workdir: to hold.
        wait: seconds for another process to let go of it.

    Raises: UserError naming the process that holds it, or a link out of the folder.
    """
    refuse_links_out(workdir)
    # Without a buffer, which would be written again as the file is closed.
    with open(workdir / LOCK, "a+b", buffering=0) as file:
        try:
            _hold(file, wait)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().decode(errors="replace").strip() or "another process"
            raise UserError(
                f"--workdir={workdir} is in use by {holder}; "
                "wait for it, stop it, or name another folder",
                exit_code=ExitCode.NO_PLACE,
            ) from None
        with naming(workdir / LOCK):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        for path in workdir.iterdir():
            if is_leftover(path, MANIFEST):
                path.unlink()
        yield


def holder_of(workdir: Path) -> str:
    """Say which process holds a folder, or held it last; nothing if none did.

    Args:
        workdir: of a run.

    Example:
        >>> holder_of(Path("nowhere"))
        ''
    """
    try:
        return (workdir / LOCK).read_text(errors="replace").strip()
    except OSError:
        return ""


def _hold(file: IO[Any], wait: float) -> None:
    """Lock a file, trying again for some seconds.

    Raises: BlockingIOError if another process still holds it.
    """
    end = time.monotonic() + wait
    while True:
        try:
            hold_file(file)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(min(_BETWEEN, wait))
        else:
            return


def write_manifest(workdir: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest in one step: a reader sees the old or the new one."""
    write_document(workdir / MANIFEST, manifest)


def read_manifest(workdir: Path) -> dict[str, Any]:
    """Read the manifest of a run.

    Raises: UserError if the folder holds no run or links out of it, or its manifest is
        damaged.
    """
    refuse_links_out(workdir)
    try:
        return read_document(workdir / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{workdir} holds no run: it has no {MANIFEST}") from None


def read_study(workdir: Path) -> Study:
    """Read the study that the folder holds a run of.

    Raises: UserError if the folder holds no run, or one of another version.
    """
    manifest = read_manifest(workdir)
    try:
        study = Study.from_dict(manifest["study"])
    except (LookupError, TypeError, ValueError) as error:
        raise other_version(workdir, f"a study that is none here, {error}") from error
    ids = {program.id for program in study.programs()}
    if set(manifest.get("programs", ids)) != ids:
        raise other_version(workdir, "programs that its study does not have here")
    for part, facts in _FACTS.items():
        for name, there in manifest.get(part, {}).items():
            missing = [fact for fact in facts if fact not in there]
            if missing:
                raise other_version(workdir, f"no {missing[0]!r} of {part} {name}")
    return study


def other_version(workdir: Path, holds: str) -> UserError:
    """Make the error for a folder of another version.

    Args:
        workdir: of the run.
        holds: what it holds that this version would not have written.
    """
    return UserError(
        f"{workdir} was written by another version of init_study: it holds {holds}; "
        "read it with that version, or run the study in a new folder",
        exit_code=ExitCode.DAMAGED,
    )
