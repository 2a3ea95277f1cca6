"""A data set from arrays that the user holds: NumPy, JAX, or what becomes one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from init_study.data.splits import ALL, Published, Split
from init_study.errors import UserError

_MOST_CLASSES = 100_000


def read(data: Any, test: Any = None) -> Published:
    """Check arrays and take them as a published data set.

    Args:
        data: `(images, labels)`: images `[n, height, width]` or `[n, height, width,
            channels]`, uint8 or floats of any scale; labels `[n]`, whole numbers from
            0 on.
        test: the same, for the test part; by default it is cut from the data, by a hash
            of each image, as is the validation part.

    Raises: UserError for what are no such arrays, with what was found.

    Example:
        >>> published = read((np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]))
        >>> published.num_classes, published.splits["all"].images.shape
        (2, (4, 8, 8, 1))
    """
    if test is None:
        return read_parts({ALL: data}, "data")
    return read_parts({"train": data, "test": test}, "data")


def read_parts(given: Mapping[str, Any], name: str) -> Published:
    """Check the arrays of several parts and take them as a published data set.

    Args:
        given: `(images, labels)` as of `read`, by part.
        name: of the whole, for messages.

    Raises: UserError for what are no such arrays, or differ from part to part.

    Example:
        >>> pair = np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]
        >>> read_parts({"train": pair, "test": pair}, "mine").num_classes
        2
    """
    parts = {
        part: _split(pair, name if part in (ALL, "train") else part)
        for part, pair in given.items()
    }
    shapes = {split.images.shape[1:] for split in parts.values()}
    kinds = {split.images.dtype for split in parts.values()}
    if len(shapes) > 1 or len(kinds) > 1:
        raise UserError(
            f"the images of {' and '.join([name, *list(parts)[1:]])} differ: "
            + ", ".join(
                f"{s.images.dtype} {s.images.shape[1:]}" for s in parts.values()
            )
        )
    most = max(int(split.labels.max()) for split in parts.values())
    if most == 0:
        raise UserError("all labels are 0; a comparison takes two classes at least")
    return Published(splits=parts, num_classes=most + 1)


def _split(pair: Any, name: str) -> Split:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise UserError(f"{name} is no pair of (images, labels)")
    images, labels = (_array(part, name) for part in pair)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.size == 0:
        raise UserError(
            f"{name}: images of shape {images.shape}; give [n, height, width] or "
            "[n, height, width, channels]"
        )
    return Split(_images(images, name), _labels(labels, len(images), name))


def _array(part: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(part)
    # Whatever another library's array raises: it cannot be read as one of NumPy's.
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{name} cannot be read as arrays: {lines[0]}") from error


def _images(images: np.ndarray, name: str) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    if np.issubdtype(images.dtype, np.integer) and 0 <= images.min():
        if images.max() <= 255:
            return images.astype(np.uint8)
    if not (
        np.issubdtype(images.dtype, np.number)
        and not np.issubdtype(images.dtype, np.complexfloating)
    ):
        raise UserError(
            f"{name}: images of type {images.dtype}; give uint8 or floating-point"
        )
    floats = images.astype(np.float32)
    if not np.isfinite(floats).all():
        raise UserError(f"{name}: some pixels are not finite; mend them first")
    return floats


def _labels(labels: np.ndarray, count: int, name: str) -> np.ndarray:
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.shape != (count,):
        hint = "; of one-hot rows take labels.argmax(1)" if labels.ndim == 2 else ""
        raise UserError(
            f"{name}: labels of shape {labels.shape} for {count} images; give one "
            f"number each{hint}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        whole = np.issubdtype(labels.dtype, np.floating) and np.array_equal(
            labels, np.round(labels)
        )
        if not whole:
            raise UserError(
                f"{name}: labels of type {labels.dtype}; give whole numbers from 0 on, "
                "as np.unique(labels, return_inverse=True)[1] makes them of names"
            )
    if not 0 <= labels.min() <= labels.max() < _MOST_CLASSES:
        raise UserError(
            f"{name}: labels from {labels.min()} to {labels.max()}; give whole numbers "
            "from 0 to the number of classes less 1"
        )
    return labels.astype(np.int32)
