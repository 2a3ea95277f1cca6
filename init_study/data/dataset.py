"""A data set by its name: three fixed parts and the numbers that go with them.

`digits` comes with scikit-learn and needs no network. `folder:DIR`, `arrays:FILE.npz`
and `parquet:DIR` are the user's own. Every other name is looked up in TensorFlow
Datasets (TFDS), which is used without TensorFlow. What was read once is kept as plain
arrays; see `cache` and `prepared`. How the parts are cut is said in `splits`.
"""

import contextlib
import hashlib
import importlib.metadata
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from init_study.data import cache
from init_study.data.histograms import channel_moments, count_values
from init_study.data.listing import Source, list_arrays
from init_study.data.names import DATASETS, check_dataset_name, check_kind, is_own
from init_study.data.sources import digits
from init_study.data.splits import Published, Split, how_cut, partition
from init_study.errors import UserError, extra


class Dataset(NamedTuple):
    """Images with labels in three parts, on the host.

    Attributes:
        name: what the study calls it.
        train, validation, test: the parts.
        num_classes: labels are below it.
        mean: float32 `[channels]`, of the training part, where 1 is the uint8 255.
        std: float32 `[channels]`, in the same units; 1 for a channel that never varies.
        checksums: SHA-256 of images and labels by part: `train`, `validation`, `test`;
            of a set of pictures, of its images' digests and labels.

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
        return self._constant(self.test)

    @property
    def validation_chance(self) -> float:
        """Validation accuracy of the same answer: what choices are measured against."""
        return self._constant(self.validation)

    def _constant(self, part: Split) -> float:
        counts = np.bincount(self.train.labels, minlength=self.num_classes)
        return float(np.mean(part.labels == np.argmax(counts)))


def load_dataset(
    name: str,
    *,
    image_size: int | None = None,
    data_dir: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    strict: bool = False,
    store_pixels: bool = True,
) -> Dataset:
    """Load the data set of a name, prepared and kept for the next time if need be.

    Args:
        name: one of `DATASETS`, or any image classification set of TFDS, also as
            `name/config` or `name:version`; or one of `OWN_SETS`.
        image_size: height and width that pictures are brought to, by the rule of
            `pictures`; needed where they vary in size.
        data_dir: where TFDS keeps prepared sets; by default where TFDS does.
        cache_dir: where arrays are kept between runs; by default
            `$XDG_CACHE_HOME/init_study` or `~/.cache/init_study`.
        strict: refuse a folder with a picture that cannot be read, in place of leaving
            the picture out.
        store_pixels: keep the pixels of a folder; else its pictures are decoded
            whenever they are asked for, to the same pixels.

    Raises: UserError if there is no such set, if it does not classify 8-bit images, if
        they vary in size and none is given, or if it can be neither read nor prepared
        here.

    Example:
        >>> dataset = load_dataset("digits", cache_dir=".")
        >>> dataset.num_classes, dataset.train.images.dtype.name
        (10, 'uint8')
    """
    folder = cache.data_folder(cache_dir)
    source = _source(name, image_size, data_dir, folder)
    if isinstance(source, Published):
        if strict or not store_pixels:
            way_out = (
                "strict is for pictures; leave it out"
                if strict
                else "there are no pictures to decode; use feed=mapped, or leave out "
                "store_pixels=False"
            )
            raise UserError(f"data set {name!r} has arrays: {way_out}")
        return make_dataset(name, source)
    # Imported here because Pillow is not needed for arrays.
    with extra("data"):
        from init_study.data.prepared import load_or_prepare

    published = load_or_prepare(
        source, folder, size=image_size, strict=strict, store_pixels=store_pixels
    )
    return make_dataset(name, published)


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
    mean, std = _statistics(published, parts.train)
    digests = _digests_of_parts(published) if published.is_prepared else {}
    return Dataset(
        name=name,
        **parts._asdict(),
        num_classes=published.num_classes,
        mean=mean,
        std=std,
        checksums={
            split: _checksum(part, digests.get(split))
            for split, part in parts._asdict().items()
        },
    )


def _source(
    name: str, image_size: int | None, data_dir: str | None, folder: Path
) -> Source | Published:
    """Find what a name means: arrays as they are, or pictures to be prepared."""
    if is_own(name):
        check_dataset_name(name)
        with extra("data"):
            from init_study.data.sources.own import find_own

        return find_own(name, image_size)
    check_kind(name)
    if name == "digits":
        versioned_name = digits.VERSIONED_NAME
        published = cache.load_or_read(folder, versioned_name, digits.read)
    elif known := cache.find_version(folder, name, _reader(name)):
        versioned_name = known

        def read() -> Published:
            from init_study.data.sources import tfds

            return tfds.read(tfds.find(name, data_dir), name)

        published = cache.load_or_read(folder, known, read, _reader(name))
    else:
        # Imported here because TFDS takes a second, and what is kept does not need it.
        with extra("data"):
            from init_study.data.sources import tfds, tfds_pictures

        builder = tfds.find(name, data_dir)
        versioned_name = builder.info.full_name
        is_kept = cache.is_kept(folder, versioned_name)
        if tfds.varies(builder):
            return tfds_pictures.list_builder(builder, name, image_size)
        if not is_kept:
            tfds.check_features(name, builder.info.features)
            builder = tfds.prepare(builder, name)
            if tfds_pictures.is_large(builder):
                return tfds_pictures.list_builder(builder, name, image_size)
        published = cache.load_or_read(
            folder, versioned_name, lambda: tfds.read(builder, name), _reader(name)
        )
    if image_size is None:
        return published
    kept_as, _, version = versioned_name.replace("/", "-").rpartition("-")
    return list_arrays(name, kept_as, version, published)


def _reader(name: str) -> str | None:
    """Name the version of TFDS that says which version of a set of `DATASETS` it is."""
    if name not in DATASETS:
        return None
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"tfds {importlib.metadata.version('tensorflow-datasets')}"
    return None


def _statistics(published: Published, train: Split) -> tuple[np.ndarray, np.ndarray]:
    """Find mean and standard deviation of each channel of the training part.

    Of uint8 images they count 255 as 1; floats count as they are.
    """
    images = train.images
    if images.dtype != np.uint8:
        wide = np.asarray(images, dtype=np.float64).reshape(-1, images.shape[-1])
        spread = wide.std(0)
        means = wide.mean(0).astype(np.float32)
        return means, np.where(spread > 0, spread, 1.0).astype(np.float32)
    cut, shares = how_cut(published.splits)
    if cut in published.facts:
        counts = published.facts[cut].histograms[sum(shares or ()) :]
    else:
        counts = count_values(images, np.zeros(len(images), np.int64))
    return channel_moments(counts.sum(0))


def _digests_of_parts(published: Published) -> dict[str, np.ndarray]:
    """Cut the digests of images as the images are cut."""
    of_digests = {
        name: Split(published.facts[name].digests, split.labels)
        for name, split in published.splits.items()
    }
    parts = partition(published._replace(splits=of_digests))
    return {name: np.asarray(part.images) for name, part in parts._asdict().items()}


def _checksum(split: Split, digests: np.ndarray | None) -> str:
    """Sum up images, or their digests where these are given, and labels."""
    content = np.asarray(split.images) if digests is None else digests
    little_endian = split.labels.astype("<i4")
    return hashlib.sha256(content.tobytes() + little_endian.tobytes()).hexdigest()
