"""How often each value is in each channel: exact means and deviations come from it."""

import numpy as np

from init_study.data.rows import Images
from init_study.data.splits import BUCKETS

_VALUES = 256


def empty_histograms(channels: int) -> np.ndarray:
    """Make counts of no image at all, int64 `[100, channels, 256]`.

    Example:
        >>> empty_histograms(3).shape
        (100, 3, 256)
    """
    return np.zeros((BUCKETS, channels, _VALUES), np.int64)


def add_image(counts: np.ndarray, image: np.ndarray, bucket: int) -> None:
    """Add the values of one image, in place.

    Args:
        counts: of `empty_histograms`.
        image: uint8 `[height, width, channels]`.
        bucket: of the image.

    Example:
        >>> counts = empty_histograms(1)
        >>> add_image(counts, np.full((2, 2, 1), 7, np.uint8), bucket=5)
        >>> int(counts[5, 0, 7])
        4
    """
    for channel in range(image.shape[-1]):
        values = image[..., channel].ravel()
        counts[bucket, channel] += np.bincount(values, minlength=_VALUES)


def count_values(images: Images, buckets: np.ndarray) -> np.ndarray:
    """Count the values of images, by their bucket and channel.

    Args:
        images: uint8 `[n, height, width, channels]`.
        buckets: of each.

    Returns: int64 `[100, channels, 256]`.

    Example:
        >>> images = np.zeros((3, 2, 2, 1), np.uint8)
        >>> count_values(images, np.array([0, 0, 9]))[:, 0, 0].sum().item()
        12
    """
    counts = empty_histograms(images.shape[-1])
    for row, bucket in enumerate(buckets.tolist()):
        add_image(counts, images[row], bucket)
    return counts


def channel_moments(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find mean and standard deviation of each channel, exact until the last division.

    Args:
        counts: int64 `[channels, 256]`.

    Returns: float32 `[channels]` each, where 255 counts as 1; a deviation of 0 is 1.

    Example:
        >>> counts = np.zeros((1, 256), np.int64)
        >>> counts[0, [0, 255]] = 3
        >>> channel_moments(counts)
        (array([0.5], dtype=float32), array([0.5], dtype=float32))
    """
    values = range(_VALUES)
    moments = []
    for channel in counts.tolist():
        # Python's whole numbers have no end: int64 overflows from 10^7 pixels on.
        n = sum(channel)
        total = sum(count * value for count, value in zip(channel, values, strict=True))
        squares = sum(c * value**2 for c, value in zip(channel, values, strict=True))
        spread = n * squares - total**2
        moments.append((total / n / 255, spread**0.5 / n / 255 or 1.0))
    mean, std = np.array(moments, dtype=np.float32).T.copy()
    return mean, std
