"""Images as the program reads them: by rows, in memory or not."""

from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Images(Protocol):
    """Images on the host: an array, a file mapped into memory, or rows of them.

    `images[rows]` copies the rows of an array of indices into memory,
    `numpy.asarray(images)` all of them.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape `[n, height, width, channels]`."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """The type: uint8 or float32."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray: ...


class ImageRows:
    """Some rows of images that stay where they are until they are asked for.

    Example:
        >>> images = np.arange(8, dtype=np.uint8).reshape(4, 2, 1, 1)
        >>> odd = ImageRows(images, np.array([1, 3]))
        >>> odd.shape, odd[np.array([1])].ravel().tolist()
        ((2, 2, 1, 1), [6, 7])
    """

    def __init__(self, images: Images, rows: np.ndarray) -> None:
        self._images, self._rows = images, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape `[n, height, width, channels]`."""
        return (len(self._rows), *self._images.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """The type of the images that these are rows of."""
        return self._images.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        return np.asarray(self._images[self._rows[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("rows are copied when they are made an array")
        return np.asarray(self._images[self._rows], dtype=dtype)


def choose_rows(images: Images, rows: np.ndarray) -> Images:
    """Take rows of images: of an array in memory at once, of others when asked for.

    Args:
        images: of any kind.
        rows: indices or truth values.

    Example:
        >>> choose_rows(np.zeros((4, 2, 2, 1)), np.array([0, 3])).shape
        (2, 2, 2, 1)
    """
    if in_memory(images):
        return images[rows]
    places = np.flatnonzero(rows) if rows.dtype == bool else rows
    return ImageRows(images, places)


def in_memory(images: Images) -> bool:
    """Say whether images are an array that lies in memory as a whole.

    Example:
        >>> in_memory(np.zeros((1, 2, 2, 1)))
        True
    """
    return isinstance(images, np.ndarray) and not isinstance(images, np.memmap)
