"""The MNIST and CIFAR families, prepared for TFDS without TensorFlow.

TFDS reads a prepared set without TensorFlow, but its own builders of these families
need it to unpack the download and to encode the images. The standard library and Pillow
do the same here. Name, version, checksums and the order of examples stay those of TFDS,
so that its own builders read what is written.
"""

import contextlib
import gzip
import tarfile
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds
from tensorflow_datasets.core.registered import skip_registration

from init_study.data.sources import fashion_mnist
from init_study.data.sources.download import RemoteFile, download_files
from init_study.data.sources.mirrors import places_of


def prepare_builder(builder: tfds.core.DatasetBuilder) -> None:
    """Download, verify and write a set of `BUILDERS` for TFDS.

    Files that lie in `manual_folder(builder)` are used in place of a download, and so
    is Debian's package for Fashion-MNIST.
    Raises: NotDownloaded and UserError as `download_files`; what TFDS raises when a
        checksum fails.
    """
    subclass = BUILDERS[builder.name]
    with _manual_files(builder) as folder:
        subclass(type(builder))(data_dir=builder.data_dir_root).download_and_prepare(
            file_format="array_record",
            download_config=tfds.download.DownloadConfig(
                manual_dir=folder,
                try_download_gcs=False,
                force_checksums_validation=True,
            ),
        )


def download_builder(
    builder: tfds.core.DatasetBuilder, mirror: str | None = None
) -> dict[str, str]:
    """Have the published files of a set of `BUILDERS` in `manual_folder(builder)`.

    Args:
        builder: of the set.
        mirror: an address or folder to try first, of `mirrors.check_mirror`.

    Returns: where each file came from that was not there yet, by its name.

    Raises: NotDownloaded and UserError as `download_files`.
    """
    files = []
    for url, info in (builder.url_infos or {}).items():
        name = str(info.filename)
        places = places_of(builder.name, url, name, mirror)
        files.append(RemoteFile(name, int(info.size), info.checksum, places))
    return download_files(files, manual_folder(builder))


def manual_folder(builder: tfds.core.DatasetBuilder) -> Path:
    """Say where a user may put the published files.

    A folder of the set's own: the files have the same names in the whole MNIST family.
    """
    return Path(builder.data_dir_root) / "downloads" / "manual" / builder.name


@contextlib.contextmanager
def _manual_files(builder: tfds.core.DatasetBuilder) -> Iterator[Path]:
    if builder.name == "fashion_mnist" and fashion_mnist.is_installed():
        with tempfile.TemporaryDirectory() as folder:
            fashion_mnist.restore_published_files(Path(folder))
            yield Path(folder)
    else:
        download_builder(builder)
        yield manual_folder(builder)


# TFDS is extended by subclassing only, hence the two classes.


@skip_registration()
def mnist_builder(stock: Any) -> Any:
    """Make TFDS's builder of an MNIST-like set do without TensorFlow.

    The same examples under the same keys in the same order.
    """

    class Builder(stock):
        name = stock.name
        url_infos = stock.url_infos

        def _split_generators(self, dl_manager):
            def urls(prefix):
                kinds = ("images-idx3", "labels-idx1")
                names = [f"{prefix}-{kind}-ubyte.gz" for kind in kinds]
                return [urllib.parse.urljoin(self.URL, name) for name in names]

            files = dl_manager.download({"train": urls("train"), "test": urls("t10k")})
            return {
                split: self._generate_examples(*pair) for split, pair in files.items()
            }

        def _generate_examples(self, images, labels):
            pairs = zip(read_idx(images), read_idx(labels), strict=True)
            for index, (image, label) in enumerate(pairs):
                example = {"image": PIL.Image.fromarray(image), "label": int(label)}
                yield index, example

    return Builder


@skip_registration()
def cifar_builder(stock: Any) -> Any:
    """Make TFDS's builder of a CIFAR set do without TensorFlow.

    The same examples under the same keys in the same order.
    """

    class Builder(stock):
        name = stock.name
        url_infos = stock.url_infos

        def _split_generators(self, dl_manager):
            cifar = self._cifar_info
            files = read_tar(dl_manager.download(cifar.url), cifar.prefix)
            for key, file in zip(cifar.label_keys, cifar.label_files, strict=True):
                self.info.features[key].names = files[file].decode().split()
            return {
                "train": self._generate_examples("train_", files, cifar.train_files),
                "test": self._generate_examples("test_", files, cifar.test_files),
            }

        def _generate_examples(self, prefix, files, names):
            keys = self._cifar_info.label_keys
            rows = np.frombuffer(b"".join(files[name] for name in names), np.uint8)
            rows = rows.reshape(-1, len(keys) + 3 * 32 * 32)
            for index, row in enumerate(rows):
                image = row[len(keys) :].reshape(3, 32, 32).transpose(1, 2, 0)
                labels = dict(zip(keys, row[: len(keys)].tolist(), strict=True))
                picture = PIL.Image.fromarray(np.ascontiguousarray(image))
                yield index, labels | {"id": f"{prefix}{index:05d}", "image": picture}

    return Builder


def read_idx(path: Any) -> np.ndarray:
    """Read the uint8 array of a gzipped IDX file.

    Layout: two zero bytes, type 8 for uint8, the number of axes, the length of each as
    big-endian int32, then the values in C order.
    Reference: http://yann.lecun.com/exdb/mnist
    """
    with gzip.open(path) as file:
        content = file.read()
    axes = content[3]
    shape = np.frombuffer(content, dtype=">i4", count=axes, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)


def read_tar(path: Any, prefix: str) -> dict[str, bytes]:
    """Read the files below a folder of a compressed tar archive, by name."""
    with tarfile.open(path) as archive:
        return {
            member.name.removeprefix(prefix): file.read()
            for member in archive
            if member.name.startswith(prefix) and (file := archive.extractfile(member))
        }


BUILDERS: dict[str, Callable[[Any], Any]] = {
    "mnist": mnist_builder,
    "fashion_mnist": mnist_builder,
    "kmnist": mnist_builder,
    "cifar10": cifar_builder,
    "cifar100": cifar_builder,
}
