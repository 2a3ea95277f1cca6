"""Image classification sets of TensorFlow Datasets (TFDS), without TensorFlow.

TFDS reads sets in its format `array_record` without TensorFlow. A set that is not on
the disk is prepared in that format: the MNIST and CIFAR families by `tensorflow_free`,
others by TFDS itself, which for most sets needs TensorFlow once.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
from tensorflow_datasets.core.download.util import DownloadError
from tensorflow_datasets.core.registered import DatasetNotFoundError

from init_study.data.sources import fashion_mnist, tensorflow_free
from init_study.data.splits import Published, Split
from init_study.errors import UserError, unknown

_CATALOG = "https://www.tensorflow.org/datasets/catalog/overview"
_READ_AT_ONCE = 1000
_SPLITS = ("train", "validation", "test")
# TFDS tries ten times with doubling waits: over three minutes to notice that there is
# no network. Three times take two seconds.
_DOWNLOAD_RETRIES = 3


def find(name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
    """Find TFDS's builder of a name; nothing is downloaded or read yet.

    Args:
        name: of the data set.
        data_dir: where TFDS keeps prepared sets; TFDS's own default if None.

    Raises: UserError if TFDS has no such set or cannot open it here.
    """
    root = None if data_dir is None else os.path.expanduser(data_dir)
    try:
        with _without_banners():
            return tfds.builder(name, data_dir=root)
    except ImportError as error:
        raise _import_error(name, root or "DIR", error) from error
    except (DatasetNotFoundError, ValueError, AssertionError, TypeError) as error:
        raise _unknown_name(name, error) from error


def read(builder: tfds.core.DatasetBuilder, name: str) -> Published:
    """Read all labelled images of a set, which is prepared first if need be.

    Args:
        builder: what `find` returned.
        name: what the user calls the set, for messages.

    Raises: UserError if the set does not classify images of one uint8 shape, or if it
        can be neither read nor prepared here.
    """
    check_features(name, builder.info.features)
    builder = prepare(builder, name)
    features: Any = builder.info.features
    return Published(
        splits={
            split: _read_split(builder, name, split) for split in parts_of(builder)
        },
        num_classes=features["label"].num_classes,
    )


def parts_of(builder: tfds.core.DatasetBuilder) -> list[str]:
    """List the published parts of a prepared set that are of use."""
    return [split for split in _SPLITS if split in builder.info.splits]


def varies(builder: tfds.core.DatasetBuilder) -> bool:
    """Say whether a set of images is known to have images of several shapes."""
    features: Any = builder.info.features
    try:
        shape = features["image"].shape
    except (KeyError, TypeError):
        return False
    return len(shape or ()) == 3 and None in shape


def check_features(name: str, features: Any, image_size: int | None = None) -> None:
    """Refuse a set whose features are not a uint8 image and its class.

    Args:
        name: what the user calls the set.
        features: of TFDS.
        image_size: that images are brought to; without one they must be of one shape.

    Raises: UserError saying what they are.
    """
    try:
        image, label = features["image"], features["label"]
    except (KeyError, TypeError):
        raise UserError(
            f"data set {name!r} is not image classification: it has no features "
            f"'image' and 'label' but {_feature_names(features)}; see {_CATALOG}"
        ) from None
    if not isinstance(label, tfds.features.ClassLabel):
        raise UserError(
            f"data set {name!r} is not classification: its label is a "
            f"{type(label).__name__}, not a ClassLabel; see {_CATALOG}"
        )
    is_open = image_size is None and None in (image.shape or ())
    if len(image.shape or ()) != 3 or is_open:
        raise UserError(
            f"the images of data set {name!r} vary in shape: (height, width, "
            f"channels) is {image.shape}; give --study.image_size=64, or another size"
        )
    if image.np_dtype != np.uint8:
        raise UserError(
            f"the images of data set {name!r} are {np.dtype(image.np_dtype).name}, not "
            "uint8; choose a set with 8-bit images"
        )


def _feature_names(features: Any) -> str:
    try:
        return ", ".join(sorted(features)) or "none"
    except TypeError:
        return type(features).__name__


def prepare(builder: tfds.core.DatasetBuilder, name: str) -> tfds.core.DatasetBuilder:
    """Have a set in a format that can be read without TensorFlow.

    Args:
        builder: what `find` returned.
        name: what the user calls the set, for messages.

    Returns: the builder of what is on the disk.

    Raises: UserError saying what to do if that is not possible here.
    """
    if builder.is_prepared():
        return builder
    _prepare(builder, name)
    return find(name, os.fspath(builder.data_dir_root))


def _prepare(builder: tfds.core.DatasetBuilder, name: str) -> None:
    root = os.fspath(builder.data_dir_root)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        with _without_banners(), _few_retries():
            if builder.name in tensorflow_free.BUILDERS:
                tensorflow_free.prepare_builder(builder)
            else:
                config = tfds.download.DownloadConfig(try_download_gcs=False)
                builder.download_and_prepare(
                    file_format="array_record", download_config=config
                )
    except ImportError as error:
        raise _import_error(name, root, error) from error
    except (requests.exceptions.RequestException, DownloadError) as error:
        raise UserError(
            f"data set {name!r} is not in {root} and cannot be downloaded "
            f"({type(error).__name__}). Without a network "
            f"{_offline_way_out(builder, name)}, or choose the data set 'digits', "
            "which needs no download"
        ) from error
    except NonMatchingChecksumError as error:
        raise UserError(
            f"data set {name!r}: a downloaded file is not the published one; remove it "
            f"and try again: {_one_line(error)}"
        ) from error
    except (OSError, ValueError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"data set {name!r} cannot be prepared in {root}: {_one_line(error)}"
        ) from error


def _offline_way_out(builder: tfds.core.DatasetBuilder, name: str) -> str:
    """Say which files to put where, by hand."""
    urls = builder.url_infos or {}
    files = sorted({info.filename for info in urls.values() if info.filename})
    listed = ", ".join(files[:4]) + (", ..." if len(files) > 4 else "")
    if builder.name not in tensorflow_free.BUILDERS:
        folder = Path(builder.data_dir_root) / "downloads" / "manual"
        return (
            f"put {listed or 'the published files'} into {folder}, or prepare it where "
            f"there is one: {_build_command(name, 'DIR')}"
        )
    way_out = f"put {listed} into {tensorflow_free.manual_folder(builder)}"
    if builder.name == "fashion_mnist":
        way_out += f", or install Debian's package {fashion_mnist.PACKAGE}"
    return way_out


def _build_command(name: str, folder: str) -> str:
    return (
        f"`tfds build {name} --file_format=array_record --data_dir={folder}`, with "
        f"TensorFlow installed, then pass --data_dir={folder}"
    )


def _import_error(name: str, folder: str, error: ImportError) -> UserError:
    if "tensorflow" not in str(error):
        return UserError(f"data set {name!r}: {_one_line(error)}; install it")
    return UserError(
        f"data set {name!r} needs TensorFlow to be prepared, which is not installed "
        f"here. Prepare it once elsewhere: {_build_command(name, folder)}"
    )


def _unknown_name(name: str, error: Exception) -> UserError:
    """Make the error for a name: the nearest one, or why TFDS cannot open the set."""
    names = tfds.list_builders(with_community_datasets=False)
    dataset, _, config = name.partition("/")
    if dataset.partition(":")[0] not in names:
        return unknown("data set", name, ["digits", *names], _CATALOG)
    configs = tfds.builder_cls(dataset.partition(":")[0]).builder_configs
    config = config.partition(":")[0]
    if not config or config in configs:
        return UserError(f"data set {name!r}: {_one_line(error)}")
    listed = ", ".join(list(configs)[:10]) + (", ..." if len(configs) > 10 else "")
    what = f"configuration of {dataset}"
    return unknown(what, config, configs, listed or "it has none")


def open_split(builder: Any, name: str, split: str, **options: Any) -> Any:
    """Open one part of a prepared set, to read examples by their rows.

    Args:
        builder: of `prepare`.
        name: what the user calls the set, for messages.
        split: the part.
        options: further ones of TFDS's `as_data_source`.

    Raises: UserError if it needs TensorFlow, or lacks examples.
    """
    try:
        source = builder.as_data_source(split=split, **options)
    except NotImplementedError as error:
        raise UserError(
            f"data set {name!r} in {builder.data_dir} needs TensorFlow to be read. "
            f"Prepare it anew elsewhere: {_build_command(name, 'DIR')}"
        ) from error
    expected = builder.info.splits[split].num_examples
    if len(source) != expected:
        raise UserError(
            f"data set {name!r} in {builder.data_dir} is incomplete: {split} has "
            f"{len(source)} of {expected} examples; remove the folder and try again"
        )
    return source


def _read_split(builder: Any, name: str, split: str) -> Split:
    source = open_split(builder, name, split)
    shape = builder.info.features["image"].shape
    images = np.empty((len(source), *shape), dtype=np.uint8)
    labels = np.empty(len(source), dtype=np.int32)
    for start in range(0, len(source), _READ_AT_ONCE):
        rows = range(start, min(start + _READ_AT_ONCE, len(source)))
        for row, example in zip(rows, source.__getitems__(rows), strict=True):
            images[row], labels[row] = example["image"], example["label"]
    if (labels < 0).any():
        raise UserError(f"data set {name!r}: its part {split!r} has no labels")
    return Split(images, labels)


@contextlib.contextmanager
def _without_banners() -> Iterator[None]:
    """Hide the banner that TFDS prints for each module that it misses."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _few_retries() -> Iterator[None]:
    before = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = _DOWNLOAD_RETRIES
    try:
        yield
    finally:
        downloader.MAX_RETRIES = before


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
