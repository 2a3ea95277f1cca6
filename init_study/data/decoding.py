"""The pass over the pictures of one part: decoded, counted, written; or gone on with.

Threads decode blocks of rows. Pillow, the hash and the disk let go of Python's lock, so
that they use all cores; measured on 2 cores, they are as fast as processes, which
would need the pictures sent back and forth. A block is written to its place in the file
of images by `pwrite`: other than with a map into memory, a full disk is an error then,
not the end of the process, and what is written is no memory in use.

What is done is written down every ten seconds, after the images themselves are on the
disk. A pass that was killed goes on from there.
"""

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

import numpy as np

from init_study.data.histograms import add_image, empty_histograms
from init_study.data.kept import synced
from init_study.data.listing import Encoded, ListedPart
from init_study.data.pictures import Unreadable, decode, has_frames
from init_study.data.splits import buckets_of, digest_images
from init_study.errors import ExitCode, UserError

_BLOCK_BYTES = 8 * 2**20
_MOST_ROWS = 256
_SECONDS_BETWEEN_NOTES = 10.0
_PROGRESS = "progress.npz"


class PassProgress(NamedTuple):
    """What is known of a part so far.

    Attributes:
        done: by block, bool.
        digests: by row, uint8 `[n, 32]`.
        histograms: int64 `[100, channels, 256]`, of what is done.
        skipped: why a row was left out, by row.
    """

    done: np.ndarray
    digests: np.ndarray
    histograms: np.ndarray
    skipped: dict[int, str]


class Block(NamedTuple):
    """What came of the rows of one block."""

    number: int
    digests: np.ndarray
    histograms: np.ndarray
    skipped: dict[int, str]
    animated: int


class Pass(NamedTuple):
    """All that a pass over one part needs.

    Attributes:
        part: its pictures.
        shape: of an image.
        size: that the pictures are brought to; None for their own.
        place: the folder it works in.
        part_name: of the files.
        stores: whether pixels are written.
        is_strict: whether a picture that cannot be read ends the pass.
    """

    part: ListedPart
    shape: tuple[int, int, int]
    size: int | None
    place: Path
    part_name: str
    stores: bool
    is_strict: bool

    @property
    def block_rows(self) -> int:
        """How many rows a block has."""
        return max(1, min(_MOST_ROWS, _BLOCK_BYTES // int(np.prod(self.shape))))

    @property
    def images_file(self) -> Path:
        """Where the images are written."""
        return self.place / f"{self.part_name}.images.npy"

    @property
    def progress_file(self) -> Path:
        """Where it is written down what is done."""
        return self.place / f"{self.part_name}.{_PROGRESS}"


def decode_part(
    one: Pass, workers: int, report: Callable[[int, dict[int, str], int], None]
) -> PassProgress:
    """Decode all pictures of a part that are not yet.

    Args:
        one: what to do.
        workers: threads that decode.
        report: is told how many rows are done, what was left out, and how many were
            animated, block by block.

    Raises: UserError for a picture of another shape, or, if strict, one that cannot be
        read; OSError if the disk is full.
    """
    progress = _load_progress(one)
    rows = np.arange(len(one.part.labels)) // one.block_rows
    report(int(progress.done[rows].sum()), {}, 0)
    todo = iter(np.flatnonzero(~progress.done).tolist())
    with _opened(one) as file, ThreadPoolExecutor(workers) as pool:
        offset = file.tell() if file else 0
        noted = time.monotonic()

        def start(number: int) -> Future[Block]:
            return pool.submit(_decode_block, one, number, file, offset)

        try:
            for block in _in_flight(todo, start, 2 * workers):
                _add(one, progress, block)
                report(len(block.digests), block.skipped, block.animated)
                if time.monotonic() - noted > _SECONDS_BETWEEN_NOTES:
                    _save_progress(one, progress, file)
                    noted = time.monotonic()
        finally:
            pool.shutdown(cancel_futures=True)
            _save_progress(one, progress, file)
    return progress


def _decode_block(one: Pass, number: int, file: io.FileIO | None, offset: int) -> Block:
    count, total = one.block_rows, len(one.part.labels)
    rows = range(number * count, min((number + 1) * count, total))
    images = np.zeros((len(rows), *one.shape), np.uint8)
    digests = np.zeros((len(rows), 32), np.uint8)
    histograms = empty_histograms(one.shape[-1])
    skipped, animated = {}, 0
    for place, (row, encoded) in enumerate(zip(rows, one.part.read(rows), strict=True)):
        try:
            images[place] = decode_to(one.shape, encoded, one.size, one.part.name(row))
        except Unreadable as error:
            skipped[row] = str(error)
            if one.is_strict:
                raise UserError(
                    f"{one.part.name(row)} cannot be read: {error}",
                    exit_code=ExitCode.DAMAGED,
                ) from error
            continue
        animated += has_frames(encoded)
        digests[place] = digest_images(images[place : place + 1])
        (bucket,) = buckets_of(digests[place : place + 1])
        add_image(histograms, images[place], int(bucket))
    if file is not None:
        _write(file, images, offset + rows.start * images[0].nbytes)
    return Block(number, digests, histograms, skipped, animated)


def decode_to(
    shape: tuple[int, int, int], encoded: Encoded, size: int | None, name: str
) -> np.ndarray:
    """Decode a picture to the shape that all have.

    Args:
        shape: that it must have.
        encoded: the picture.
        size: that it is brought to; None for its own.
        name: of the picture, for messages.

    Raises: Unreadable if it cannot be read; UserError if it has another shape.

    Example:
        >>> decode_to((2, 2, 1), np.zeros((4, 6), np.uint8), 2, "mine").shape
        (2, 2, 1)
    """
    pixels = decode(encoded, shape[-1], size)
    if pixels.shape != shape:
        height, width, _ = pixels.shape
        raise UserError(
            f"{name} has {width}x{height} pixels, others {shape[1]}x{shape[0]}; give "
            "--study.image_size=64, or another size"
        )
    return pixels


def _in_flight(
    todo: Iterator[int], start: Callable[[int], Future[Block]], most: int
) -> Iterator[Block]:
    """Yield blocks as they are done; never more than `most` are begun."""
    begun: set[Future[Block]] = set()
    while True:
        for number in todo:
            begun.add(start(number))
            if len(begun) >= most:
                break
        if not begun:
            return
        finished, begun = wait(begun, return_when=FIRST_COMPLETED)
        for future in finished:
            yield future.result()


def _add(one: Pass, progress: PassProgress, block: Block) -> None:
    first = block.number * one.block_rows
    progress.digests[first : first + len(block.digests)] = block.digests
    progress.histograms[:] += block.histograms
    progress.skipped.update(block.skipped)
    progress.done[block.number] = True


def _opened(one: Pass) -> "io.FileIO | contextlib.nullcontext[None]":
    """Open the file of images behind its header; None if no pixels are kept."""
    if not one.stores:
        return contextlib.nullcontext()
    head = io.BytesIO()
    shape = (len(one.part.labels), *one.shape)
    description = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, description)
    file = io.FileIO(one.images_file, "r+" if one.images_file.exists() else "x+")
    try:
        _write(file, np.frombuffer(head.getvalue(), np.uint8), 0)
        file.seek(len(head.getvalue()))
        # The last rows may be pictures that are left out, which are never written.
        size = len(head.getvalue()) + int(np.prod(shape))
        file.truncate(size)
    except BaseException:
        file.close()
        raise
    return file


def _write(file: io.FileIO, array: np.ndarray, offset: int) -> None:
    left = memoryview(array.reshape(-1).data)
    while len(left):
        written = os.pwrite(file.fileno(), left, offset)
        left, offset = left[written:], offset + written


def _load_progress(one: Pass) -> PassProgress:
    total = len(one.part.labels)
    blocks = -(-total // one.block_rows)
    try:
        with np.load(one.progress_file, allow_pickle=False) as kept:
            arrays = (kept["done"], kept["digests"], kept["histograms"])
            reasons = zip(kept["rows"].tolist(), kept["reasons"].tolist(), strict=True)
            skipped = dict(reasons)
        wanted = (blocks,), (total, 32), empty_histograms(one.shape[-1]).shape
        has_images = one.images_file.exists() or not one.stores
        if tuple(array.shape for array in arrays) == wanted and has_images:
            return PassProgress(*arrays, skipped)
    # Whatever it is: without it the pass begins anew.
    except Exception:
        pass
    return PassProgress(
        done=np.zeros(blocks, bool),
        digests=np.zeros((total, 32), np.uint8),
        histograms=empty_histograms(one.shape[-1]),
        skipped={},
    )


def _save_progress(one: Pass, progress: PassProgress, file: io.FileIO | None) -> None:
    """Write down what is done, once the images of it are on the disk."""
    if file is not None:
        os.fsync(file.fileno())
    beside = one.progress_file.with_suffix(".new")
    with synced(beside) as whole:
        np.savez(
            whole,
            done=progress.done,
            digests=progress.digests,
            histograms=progress.histograms,
            rows=np.array(list(progress.skipped), np.int64),
            reasons=np.array(list(progress.skipped.values()), np.str_),
        )
    os.replace(beside, one.progress_file)
