"""A data set by its name: three fixed parts and the numbers that go with them.

`digits` comes with scikit-learn and needs no network. Every other name is looked up in
TensorFlow Datasets (TFDS), which is used without TensorFlow. What was read once is kept
as plain arrays; see `cache`. How the parts are cut is said in `splits`.
"""

import hashlib
import os
from typing import NamedTuple

import numpy as np

from init_study.data import cache
from init_study.data.sources import digits
from init_study.data.splits import Published, Split, partition
from init_study.errors import extra


class Dataset(NamedTuple):
    """Images with labels in three parts, on the host.

    Attributes:
        name: what the study calls it.
        train, validation, test: the parts.
        num_classes: labels are below it.
        mean: float32 `[channels]`, of the training part, where 1 is the uint8 255.
        std: float32 `[channels]`, in the same units; 1 for a channel that never varies.
        checksums: SHA-256 of images and labels by part: `train`, `validation`, `test`.

    Example:
        >>> load_dataset("digits", cache_dir=".").image_shape
        (8, 8, 1)
    """

    name: str
    train: Split
    validation: Split
    test: Split
    num_classes: int
    mean: np.ndarray
    std: np.ndarray
    checksums: dict[str, str]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape of an image: height, width, channels."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def chance(self) -> float:
        """Test accuracy of always answering the most frequent training class."""
        counts = np.bincount(self.train.labels, minlength=self.num_classes)
        return float(np.mean(self.test.labels == np.argmax(counts)))


def load_dataset(
    name: str,
    *,
    data_dir: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load the data set of a name, prepared and kept for the next time if need be.

    Args:
        name: one of `DATASETS`, or any image classification set of TFDS, also as
            `name/config` or `name:version`.
        data_dir: where TFDS keeps prepared sets; by default where TFDS does.
        cache_dir: where arrays are kept between runs; by default
            `$XDG_CACHE_HOME/init_study` or `~/.cache/init_study`.

    Raises: UserError if there is no such set, if it does not classify images of one
        uint8 shape, or if it can be neither read nor prepared here.

    Example:
        >>> dataset = load_dataset("digits", cache_dir=".")
        >>> dataset.num_classes, dataset.train.images.dtype.name
        (10, 'uint8')
    """
    return make_dataset(name, _published(name, data_dir, cache.data_folder(cache_dir)))


def make_dataset(name: str, published: Published) -> Dataset:
    """Cut a published data set into its parts, and take their statistics.

    Raises: UserError if there is nothing to train on, or a part comes out empty.

    Example:
        >>> images = np.arange(64, dtype=np.uint8).reshape(16, 2, 2, 1)
        >>> part = Split(images, np.zeros(16, np.int32))
        >>> named = {"train": part, "validation": part, "test": part}
        >>> make_dataset("mine", Published(named, num_classes=1)).chance
        1.0
    """
    parts = partition(published)
    mean, std = _channel_statistics(parts.train.images)
    return Dataset(
        name=name,
        **parts._asdict(),
        num_classes=published.num_classes,
        mean=mean,
        std=std,
        checksums={split: _checksum(part) for split, part in parts._asdict().items()},
    )


def _published(name: str, data_dir: str | None, folder: os.PathLike[str]) -> Published:
    if name == "digits":
        return cache.load_or_read(folder, digits.VERSIONED_NAME, digits.read)
    # Imported here because TFDS takes a second, and digits does not need it.
    with extra("data"):
        from init_study.data.sources import tfds

    builder = tfds.find(name, data_dir)
    versioned_name = builder.info.full_name
    return cache.load_or_read(folder, versioned_name, lambda: tfds.read(builder, name))


def _channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find mean and standard deviation of each channel, exact until the last division.

    Of uint8 images they count 255 as 1; floats count as they are.
    """
    if images.dtype != np.uint8:
        wide = images.astype(np.float64).reshape(-1, images.shape[-1])
        spread = wide.std(0)
        means = wide.mean(0).astype(np.float32)
        return means, np.where(spread > 0, spread, 1.0).astype(np.float32)
    values = np.arange(256, dtype=np.int64)
    moments = []
    for channel in range(images.shape[-1]):
        counts = np.bincount(images[..., channel].ravel(), minlength=256)
        n, total = int(counts.sum()), int(counts @ values)
        square = n * int(counts @ values**2) - total**2
        moments.append((total / n / 255, square**0.5 / n / 255 or 1.0))
    mean, std = np.array(moments, dtype=np.float32).T.copy()
    return mean, std


def _checksum(split: Split) -> str:
    little_endian = split.labels.astype("<i4")
    return hashlib.sha256(split.images.tobytes() + little_endian.tobytes()).hexdigest()
