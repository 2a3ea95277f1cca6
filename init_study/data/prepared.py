"""Sets of pictures, prepared once: decoded, cut to one shape and kept as arrays.

    FOLDER/NAME-VERSION-SIZE-rRULE/      as in `cache`, and where pictures were left out
      train.rows.npy                     the rows of `train.images.npy` that count

What the pictures are is in the version, how they become pixels is the rule of
`pictures`. What is half prepared lies in a folder with a dot before its name, which the
next run goes on with; a lock keeps two processes from preparing one set at once.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from tqdm import tqdm

from init_study.data import kept
from init_study.data.decoded import Decoded
from init_study.data.decoding import Pass, PassProgress, decode_part
from init_study.data.listing import Listing, Source
from init_study.data.pictures import RULE
from init_study.data.rows import Images, choose_rows
from init_study.data.splits import Published, Split
from init_study.data.survey import image_shape
from init_study.errors import UserError

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
                return _load(source, stored, size)
    place = place if store_pixels else _without_pixels(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _locked(place):
            if place.exists():
                try:
                    return _load(source, place, size)
                except _Damaged as error:
                    logging.warning(
                        "prepared data in %s is damaged (%s): preparing anew",
                        place,
                        error,
                    )
                shutil.rmtree(place)
            _prepare(source, place, size, strict, store_pixels)
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(
                f"data set {source.name!r}: the disk is full in {place.parent}; "
                f"{_WAY_OUT}; the next run goes on where this one stopped"
            ) from error
        raise UserError(
            f"data set {source.name!r} cannot be prepared in {place.parent}: {error}"
        ) from error
    return _load(source, place, size)


class _Damaged(Exception):
    """A kept set is not what was written."""


def _place(source: Source, folder: Path, size: int | None) -> Path:
    shape = "own" if size is None else str(size)
    return folder / f"{source.kept_as}-{source.version}-{shape}-r{RULE}"


def _without_pixels(place: Path) -> Path:
    return place.with_name(f"{place.name}-digests")


def _load(source: Source, place: Path, size: int | None) -> Published:
    try:
        found = kept.load_kept(place)
        shape = tuple(found.info["shape"])
    except (OSError, ValueError, KeyError) as error:
        raise _Damaged(str(error)) from error
    splits: dict[str, Split] = {}
    listing: Listing | None = None
    for name, part in found.parts.items():
        images: Images = part.images
        if images is None:
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
    workers = len(os.sched_getaffinity(0))
    shape = image_shape(listing, source.name, size, workers)
    work = place.with_name(f".{place.name}.part")
    work.mkdir(exist_ok=True)
    if store_pixels:
        _check_room(listing, source.name, shape, work)
    _say_if_changed(source, place)
    total = sum(len(part.labels) for part in listing.parts.values())
    skipped: dict[str, dict[int, str]] = {}
    with _bar(source.name, total) as bar:
        for name, part in listing.parts.items():
            one = Pass(part, shape, size, work, name, store_pixels, strict)

            def report(rows: int, left_out: dict[int, str], part: Any = part) -> None:
                bar.update(rows)
                for row, why in left_out.items():
                    _say_left_out(part.name(row), why, bar)

            progress = decode_part(one, workers, report)
            skipped[name] = progress.skipped
            _write_facts(one, progress)
    left_out = sum(map(len, skipped.values()))
    if left_out == total:
        shutil.rmtree(work)
        raise UserError(
            f"data set {source.name!r}: none of its {total} pictures can be read"
        )
    if left_out:
        logging.warning(
            "data set %r: %d of %d pictures cannot be read and are left out; %s in %s "
            "names them",
            source.name,
            left_out,
            total,
            "info.json",
            place,
        )
    for file in work.glob("*.progress.npz"):
        file.unlink()
    names = {
        listing.parts[name].name(row): why
        for name, rows in skipped.items()
        for row, why in sorted(rows.items())
    }
    kept.seal(
        work,
        {
            "num_classes": len(listing.classes),
            "classes": listing.classes,
            "shape": shape,
            "source": source.name,
            "left_out": names,
        },
    )
    os.rename(work, place)


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
        path = one.place / f"{one.part_name}.{kind}.npy"
        np.save(path, array, allow_pickle=False)


def _check_room(
    listing: Listing, name: str, shape: tuple[int, ...], work: Path
) -> None:
    total = sum(len(part.labels) for part in listing.parts.values())
    needed = total * (int(np.prod(shape)) + 64)
    here = sum(file.stat().st_blocks * 512 for file in work.iterdir())
    free = shutil.disk_usage(work).free
    if needed > free + here:
        raise UserError(
            f"data set {name!r} takes {needed - here:,} bytes on the disk, but "
            f"{work.parent} has {free:,} left; {_WAY_OUT}, or give a smaller "
            "--study.image_size"
        )


def _say_if_changed(source: Source, place: Path) -> None:
    """Say that a set was prepared before, but with other pictures."""
    for other in place.parent.glob(f"{source.kept_as}-*"):
        with contextlib.suppress(OSError, ValueError):
            info = json.loads((other / "info.json").read_text())
            is_same_version = f"-{source.version}-" in other.name
            if info.get("source") == source.name and not is_same_version:
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
        desc=f"preparing {name}",
        unit=" images",
        file=sys.stderr,
        delay=2,
        mininterval=0.2 if is_seen else 30,
        leave=False,
    )


def _say_left_out(picture: str, why: str, bar: Any) -> None:
    bar.left_out = getattr(bar, "left_out", 0) + 1
    if bar.left_out <= _NAMED:
        logging.warning("%s is left out: %s", picture, why)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Keep other processes from preparing the same set; wait while one does."""
    with open(place.with_name(f".{place.name}.lock"), "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            logging.warning("%s is being prepared by %s: waiting", place, holder)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
