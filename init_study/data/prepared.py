"""Sets of pictures, prepared once: decoded, cut to one shape and kept as arrays.

    FOLDER/NAME-VERSION-SIZE-rRULE/      as in `cache`, and where pictures were left out
      train.rows.npy                     the rows of `train.images.npy` that count

What the pictures are is in the version, how they become pixels is the rule of
`pictures`. What is half prepared lies in a folder with a dot before its name, which the
next run goes on with; a lock keeps two processes from preparing one set at once.
"""

import contextlib
import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from tqdm import tqdm

from init_study.data import kept
from init_study.data.decoded import Decoded
from init_study.data.decoding import Pass, PassProgress, decode_part
from init_study.data.listing import Listing, Source
from init_study.data.locks import hold_lock
from init_study.data.names import resolve_name
from init_study.data.pictures import RULE
from init_study.data.rows import Images, choose_rows
from init_study.data.splits import Published, Split
from init_study.data.survey import image_shape
from init_study.errors import ExitCode, UserError
from init_study.host import usable_cores
from init_study.printable import printable

_NAMED = 10
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WAY_OUT = "free some, or set XDG_CACHE_HOME to a folder that has it"


def load_or_prepare(
    source: Source,
    folder: str | os.PathLike[str],
    *,
    size: int | None = None,
    strict: bool = False,
    store_pixels: bool = True,
) -> Published:
    """Load a set of pictures as it was prepared, or prepare it.

    Args:
        source: the pictures.
        folder: of all prepared data sets.
        size: height and width that the pictures are brought to; None if they are all
            of one shape, which is kept.
        strict: refuse a set with a picture that cannot be read, in place of leaving
            the picture out.
        store_pixels: keep the pixels; else pictures are decoded whenever they are
            asked for, to the same pixels.

    Raises: UserError if pictures vary in shape and no size is given, if they cannot be
        read, or if there is no room for them.

    Example:
        >>> from init_study.data.listing import ListedPart
        >>> pictures = [np.full((4, 6), level, np.uint8) for level in range(40)]
        >>> read = lambda rows: map(pictures.__getitem__, rows)
        >>> part = ListedPart(np.arange(40) % 2, read, str)
        >>> listing = Listing({"all": part}, ("even", "odd"))
        >>> source = Source("mine", "mine", "1", lambda: listing)
        >>> load_or_prepare(source, ".", size=2).splits["all"].images.shape
        (40, 2, 2, 1)
    """
    place = _place(source, Path(folder), size)
    for stored in (place, _without_pixels(place)):
        if (stored == place or not store_pixels) and stored.exists():
            with contextlib.suppress(_Damaged):
                return _load(source, stored, size, strict, store_pixels)
    place = place if store_pixels else _without_pixels(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = place.with_name(f".{place.name}.lock")
        with hold_lock(lock, os.fspath(place)):
            if place.exists():
                try:
                    return _load(source, place, size, strict, store_pixels)
                except _Damaged as error:
                    logging.warning(
                        "prepared data in %s is damaged (%s): preparing anew",
                        place,
                        error,
                    )
                shutil.rmtree(place)
            _prepare(source, place, size, strict, store_pixels)
    except OSError as error:
        raise UserError(
            f"data set {source.name!r} cannot be prepared in {place.parent}: {error}",
            exit_code=ExitCode.IO,
        ) from error
    return _load(source, place, size, strict, store_pixels)


class _Damaged(Exception):
    """A kept set is not what was written."""


def _place(source: Source, folder: Path, size: int | None) -> Path:
    shape = "own" if size is None else str(size)
    return folder / f"{source.kept_as}-{source.version}-{shape}-r{RULE}"


def _without_pixels(place: Path) -> Path:
    return place.with_name(f"{place.name}-digests")


def _load(
    source: Source, place: Path, size: int | None, strict: bool, store_pixels: bool
) -> Published:
    try:
        found = kept.load_kept(place)
        shape, left_out = tuple(found.info["shape"]), found.info["left_out"]
    # Whatever the damage makes NumPy or JSON raise: it can be prepared anew.
    except Exception as error:
        raise _Damaged(str(error)) from error
    if strict and left_out:
        name, why = next(iter(left_out.items()))
        raise UserError(f"{name} cannot be read: {why}", exit_code=ExitCode.DAMAGED)
    splits: dict[str, Split] = {}
    listing: Listing | None = None
    for name, part in found.parts.items():
        images: Images = part.images
        if not store_pixels:
            listing = listing or source.list_pictures()
            images = Decoded(listing.parts[name], shape, size)
        if part.rows is not None:
            images = choose_rows(images, part.rows)
        splits[name] = Split(images, part.labels)
    facts = {n: part.facts for n, part in found.parts.items() if part.facts}
    return Published(splits, found.info["num_classes"], facts, is_prepared=True)


def _prepare(
    source: Source, place: Path, size: int | None, strict: bool, store_pixels: bool
) -> None:
    listing = source.list_pictures()
    workers = usable_cores()
    shape = image_shape(listing, source.name, size, workers)
    work = place.with_name(f".{place.name}.part")
    work.mkdir(exist_ok=True)
    total = sum(len(part.labels) for part in listing.parts.values())
    needed = total * (int(np.prod(shape)) * store_pixels + 64)
    _check_room(source.name, needed, work)
    _say_if_changed(source, place)
    passes = [
        Pass(part, shape, size, work, name, store_pixels, strict)
        for name, part in listing.parts.items()
    ]
    try:
        left_out = _decode_all(source.name, passes, workers)
        if len(left_out) == total:
            shutil.rmtree(work)
            raise UserError(
                f"data set {source.name!r}: none of its {total} pictures can be read",
                exit_code=ExitCode.DAMAGED,
            )
        about = {"num_classes": len(listing.classes), "classes": listing.classes}
        about |= {
            "shape": shape,
            "source": resolve_name(source.name),
            "left_out": left_out,
        }
        kept.seal(work, about)
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(
                f"data set {source.name!r}: the disk is full in {place.parent}; "
                f"{needed - _allocated(work):,} bytes more are needed: {_WAY_OUT}; the "
                "next run goes on where this one stopped",
                exit_code=ExitCode.IO,
            ) from error
        raise
    os.rename(work, place)
    for file in place.glob("*.progress.*"):
        file.unlink()
    if left_out:
        logging.warning(
            "data set %r: %d of %d pictures cannot be read and are left out; info.json "
            "in %s names them",
            source.name,
            len(left_out),
            total,
            place,
        )


def _decode_all(name: str, passes: list[Pass], workers: int) -> dict[str, str]:
    """Decode what is not yet decoded, part by part; say why which was left out."""
    total = sum(len(one.part.labels) for one in passes)
    named: dict[str, str] = {}
    of_frames = 0
    with _bar(name, total) as bar:
        for one in passes:

            def report(
                rows: int, left_out: dict[int, str], animated: int, one: Pass = one
            ) -> None:
                nonlocal of_frames
                of_frames += animated
                bar.update(rows)
                for row, why in left_out.items():
                    named[one.part.name(row)] = why
                    if len(named) <= _NAMED:
                        logging.warning("%s is left out: %s", one.part.name(row), why)

            progress = decode_part(one, workers, report)
            _write_facts(one, progress)
            for row, why in sorted(progress.skipped.items()):
                named[one.part.name(row)] = why
    if of_frames:
        logging.warning(
            "data set %r: %d pictures have several frames; the first one counts",
            name,
            of_frames,
        )
    return named


def _write_facts(one: Pass, progress: PassProgress) -> None:
    """Write what belongs to the images of a part."""
    is_good = np.ones(len(one.part.labels), bool)
    is_good[list(progress.skipped)] = False
    arrays = {
        "labels": one.part.labels[is_good].astype(np.int32),
        "digests": progress.digests[is_good],
        "histograms": progress.histograms,
    }
    if progress.skipped:
        arrays["rows"] = np.flatnonzero(is_good)
    for kind, array in arrays.items():
        with kept.synced(one.place / f"{one.part_name}.{kind}.npy") as file:
            np.save(file, array, allow_pickle=False)


def _check_room(name: str, needed: int, work: Path) -> None:
    """Refuse what will not fit on the disk, beside what is there of it."""
    missing, free = needed - _allocated(work), shutil.disk_usage(work).free
    if missing > free:
        raise UserError(
            f"data set {name!r} takes {missing:,} bytes on the disk, but {work.parent} "
            f"has {free:,} left: {_WAY_OUT}, or give a smaller --study.image_size",
            exit_code=ExitCode.IO,
        )


def _allocated(work: Path) -> int:
    files = work.glob("*.images.npy")
    return sum(file.stat().st_blocks * 512 for file in files)


def _say_if_changed(source: Source, place: Path) -> None:
    """Say that a set was prepared before, but with other pictures."""
    for other in place.parent.glob(f"{source.kept_as}-*"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            info = json.loads((other / "info.json").read_text("utf-8"))
            is_same_version = f"-{source.version}-" in other.name
            is_same = resolve_name(info["source"]) == resolve_name(source.name)
            if is_same and not is_same_version:
                logging.warning(
                    "the files of %s have changed since %s was prepared: it is "
                    "prepared anew, and that folder can be removed",
                    source.name,
                    other,
                )


def _bar(name: str, total: int) -> Any:
    is_seen = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=f"preparing {printable(name)}",
        unit=" images",
        file=sys.stderr,
        delay=2,
        mininterval=0.2 if is_seen else 30,
        leave=False,
    )
