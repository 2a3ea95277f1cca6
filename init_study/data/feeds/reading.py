"""What the host reads ahead for a streamed feed, by Grain's threads.

The orders are those of `data.batches`: a block of steps is a function of its first step
alone, so that a run can begin anywhere and replays nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grain
import numpy as np

from init_study.data.batches import Orders
from init_study.data.splits import Split

# Steps that are read ahead beside the block that is being filled.
_STEPS_AHEAD = 2
_MOST_THREADS = 16
_NOTHING_AHEAD = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)


def step_blocks(
    part: Split,
    orders: Orders,
    first_step: int,
    last_step: int,
    length: int,
    place: Callable[[Split], Any] = lambda block: block,
) -> Iterator[tuple[Any, int]]:
    """Read the batches of steps ahead of time, block by block.

    Args:
        part: what is trained on; it may lie on the disk.
        orders: of the streams.
        first_step: of the first block.
        last_step: the one behind the last.
        length: steps of a block.
        place: what is done with a block as soon as it is read.

    Yields: a block, images `[streams, length, batch, h, w, c]` and labels, as `place`
        gives it, and how many of its steps are there; zeros are behind them.

    Example:
        >>> part = Split(np.zeros((4, 2, 2, 1), np.uint8), np.arange(4))
        >>> orders = Orders(lambda stream, epoch: np.arange(4), 1, 2, 4)
        >>> blocks = step_blocks(part, orders, 0, 3, length=2)
        >>> [(block.labels.tolist(), steps) for block, steps in blocks]
        [([[[0, 1], [2, 3]]], 2), ([[[0, 1], [0, 0]]], 1)]
    """

    def read(step: int) -> Split:
        rows = orders.rows(step)
        images = np.asarray(part.images[rows.ravel()])
        shape = (*rows.shape, *images.shape[1:])
        return Split(images.reshape(shape), part.labels[rows])

    def stack(batches: Sequence[Split]) -> tuple[Any, int]:
        def join(leaves: Sequence[np.ndarray]) -> np.ndarray:
            streams, *shape = leaves[0].shape
            joined = np.zeros((streams, length, *shape), leaves[0].dtype)
            for step, leaf in enumerate(leaves):
                joined[:, step] = leaf
            return joined

        images, labels = map(join, zip(*batches, strict=True))
        return place(Split(images, labels)), len(batches)

    steps = grain.MapDataset.source(range(first_step, last_step)).map(read)
    blocks = _ahead(steps, length + _STEPS_AHEAD).batch(length, batch_fn=stack)
    return iter(_one_ahead(blocks))


def row_blocks(
    part: Split,
    length: int,
    place: Callable[[Split], Any] = lambda block: block,
) -> Iterator[tuple[Any, int]]:
    """Read examples one after the other, ahead of time, block by block.

    Args:
        part: all of them.
        length: examples of a block.
        place: what is done with a block as soon as it is read.

    Yields: a block, as `place` gives it, and how many examples of it are there; zeros
        are behind them.

    Example:
        >>> part = Split(np.zeros((3, 2, 2, 1), np.uint8), np.arange(3))
        >>> [block.labels.tolist() for block, _ in row_blocks(part, length=2)]
        [[0, 1], [2, 0]]
    """
    count = len(part.labels)

    def read(start: int) -> tuple[Any, int]:
        rows = np.arange(start, min(start + length, count))
        fill = (0, length - len(rows))

        def padded(leaf: Any) -> np.ndarray:
            taken = np.asarray(leaf[rows])
            return np.pad(taken, [fill] + [(0, 0)] * (taken.ndim - 1))

        return place(Split(padded(part.images), padded(part.labels))), len(rows)

    starts = grain.MapDataset.source(range(0, count, length))
    return iter(_one_ahead(starts.map(read).to_iter_dataset(_NOTHING_AHEAD)))


def _ahead(elements: grain.MapDataset, count: int) -> grain.IterDataset:
    """Read so many elements ahead, side by side."""
    options = grain.ReadOptions(
        num_threads=min(_MOST_THREADS, count), prefetch_buffer_size=count
    )
    return elements.to_iter_dataset(options)


def _one_ahead(blocks: grain.IterDataset) -> grain.IterDataset:
    """Make one block ready while the devices compute on another."""
    prefetch = grain.experimental.ThreadPrefetchIterDataset
    return prefetch(blocks, prefetch_buffer_size=1)
