"""Images that are decoded whenever they are asked for."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from init_study.data.decoding import decode_to
from init_study.data.listing import ListedPart
from init_study.data.pictures import Unreadable
from init_study.errors import ExitCode, UserError
from init_study.host import usable_cores


class Decoded:
    """Pictures as images, decoded on all cores row by row as they are asked for.

    The pixels are those that `prepared` would have kept.

    Example:
        >>> pictures = [np.full((2, 2), level, np.uint8) for level in range(3)]
        >>> read = lambda rows: map(pictures.__getitem__, rows)
        >>> part = ListedPart(np.arange(3), read, str)
        >>> images = Decoded(part, shape=(2, 2, 1), size=None)
        >>> images[np.array([2, 0])][:, 0, 0, 0].tolist()
        [2, 0]
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self, part: ListedPart, shape: tuple[int, int, int], size: int | None
    ) -> None:
        self._part, self._image_shape, self._size = part, shape, size
        self._pool = ThreadPoolExecutor(usable_cores())

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape `[n, height, width, channels]`."""
        return (len(self), *self._image_shape)

    def __len__(self) -> int:
        return len(self._part.labels)

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        chosen = np.arange(len(self))[rows]
        images = np.empty((chosen.size, *self._image_shape), np.uint8)
        decoded = self._pool.map(self._decode, chosen.ravel().tolist())
        for place, image in enumerate(decoded):
            images[place] = image
        return images.reshape(*chosen.shape, *self._image_shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("images are decoded when they are made an array")
        return np.asarray(self[:], dtype=dtype)

    def _decode(self, row: int) -> np.ndarray:
        name = self._part.name(row)
        try:
            (encoded,) = self._part.read([row])
            return decode_to(self._image_shape, encoded, self._size, name)
        except Unreadable as error:
            raise UserError(
                f"{name} has become unreadable: {error}", exit_code=ExitCode.DAMAGED
            ) from error
