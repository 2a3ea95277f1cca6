"""MNIST, Fashion-MNIST, KMNIST and CIFAR, prepared without TensorFlow or network."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds
from published import idx, register

from init_study.data import Split, load_dataset
from init_study.data.sources import fashion_mnist
from init_study.errors import UserError

RNG = np.random.default_rng(0)


def image_bytes(split: Split) -> list[bytes]:
    return [image.tobytes() for image in split.images]


def publish(monkeypatch, builder, url: str, files: dict[str, bytes], folder) -> None:
    """Put files where a user would, and have TFDS expect just these."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    register(monkeypatch, builder, url, files)


def test_kmnist_is_prepared_from_files_that_the_user_put_there(monkeypatch, tmp_path):
    images = RNG.integers(0, 256, (70, 28, 28), dtype=np.uint8)
    labels = RNG.integers(0, 10, 70, dtype=np.uint8)
    files = {
        "train-images-idx3-ubyte.gz": idx(images[:50]),
        "train-labels-idx1-ubyte.gz": idx(labels[:50]),
        "t10k-images-idx3-ubyte.gz": idx(images[50:]),
        "t10k-labels-idx1-ubyte.gz": idx(labels[50:]),
    }
    stock = tfds.builder_cls("kmnist")
    folder = tmp_path / "downloads" / "manual" / "kmnist"
    publish(monkeypatch, stock, stock.URL, files, folder)
    dataset = load_dataset("kmnist", data_dir=str(tmp_path), cache_dir=tmp_path / "c")
    found = {
        (image.tobytes(), int(label))
        for image, label in zip(dataset.test.images, dataset.test.labels, strict=True)
    }
    expected = zip(images[50:], labels[50:], strict=True)
    assert found == {(image.tobytes(), int(label)) for image, label in expected}
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 50
    assert tfds.builder("kmnist", data_dir=tmp_path).is_prepared()


CIFARS = {
    "cifar10": (
        "cifar-10-batches-bin",
        [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"],
        {"batches.meta.txt": 10},
    ),
    "cifar100": (
        "cifar-100-binary",
        ["train.bin", "test.bin"],
        {"coarse_label_names.txt": 20, "fine_label_names.txt": 100},
    ),
}


def cifar_archive(name: str, rows: np.ndarray) -> bytes:
    """An archive laid out as published: the rows go evenly to the data files."""
    prefix, files, classes = CIFARS[name]
    blocks = np.split(rows, len(files))
    contents = {
        file: block.tobytes() for file, block in zip(files, blocks, strict=True)
    }
    for file, count in classes.items():
        contents[file] = "".join(f"class_{i}\n" for i in range(count)).encode()
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for file, content in contents.items():
            member = tarfile.TarInfo(f"{prefix}/{file}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


@pytest.mark.parametrize("name", CIFARS)
def test_cifar_is_prepared_from_the_published_archive(name, monkeypatch, tmp_path):
    labels = 2 if name == "cifar100" else 1
    rows = RNG.integers(0, 256, (60, labels + 3072), dtype=np.uint8)
    rows[:, :labels] %= 10
    stock = tfds.builder_cls(name)
    archive = name.replace("cifar", "cifar-") + "-binary.tar.gz"
    folder = tmp_path / "downloads" / "manual" / name
    url = "https://www.cs.toronto.edu/~kriz/"
    publish(monkeypatch, stock, url, {archive: cifar_archive(name, rows)}, folder)
    dataset = load_dataset(name, data_dir=str(tmp_path), cache_dir=tmp_path / "c")
    assert dataset.num_classes == {"cifar10": 10, "cifar100": 100}[name]
    assert dataset.image_shape == (32, 32, 3)
    # The fine label is the last one; pixels are stored channel by channel.
    expected = {
        (row[labels:].reshape(3, 1024).T.tobytes(), int(row[labels - 1]))
        for row in rows
    }
    found = {
        (image.tobytes(), int(label))
        for part in dataset[1:4]
        for image, label in zip(part.images, part.labels, strict=True)
    }
    assert found == expected


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise requests.exceptions.ConnectionError("no\nnetwork")

    monkeypatch.setattr(requests.Session, "get", refuse)
    monkeypatch.setattr(fashion_mnist, "is_installed", lambda: False)


@pytest.mark.parametrize(
    "name, words",
    [
        ("mnist", ["train-images-idx3-ubyte.gz", "downloads/manual/mnist,"]),
        ("fashion_mnist", ["dataset-fashion-mnist", "downloads/manual/fashion_mnist,"]),
        ("cifar10", ["cifar-10-binary.tar.gz", "downloads/manual/cifar10,"]),
        ("eurosat", ["EuroSAT.zip", "tfds build eurosat --file_format=array_record"]),
    ],
)
def test_without_a_network_the_way_out_is_named(name, words, offline, tmp_path):
    with pytest.raises(UserError, match="cannot be downloaded") as error:
        load_dataset(name, data_dir=str(tmp_path), cache_dir=tmp_path)
    message = str(error.value)
    assert all(word in message for word in [*words, str(tmp_path), "'digits'"])
    assert "\n" not in message


def test_a_file_that_is_not_the_published_one_is_refused(offline, tmp_path):
    folder = tmp_path / "downloads" / "manual" / "mnist"
    folder.mkdir(parents=True)
    for prefix in ("train-images-idx3", "train-labels-idx1"):
        (folder / f"{prefix}-ubyte.gz").write_bytes(idx(np.zeros(3, np.uint8)))
    for prefix in ("t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{prefix}-ubyte.gz").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(UserError, match="not the published one") as error:
        load_dataset("mnist", data_dir=str(tmp_path), cache_dir=tmp_path)
    assert "\n" not in str(error.value)


def test_a_gzip_header_is_put_back():
    content = b"what is compressed" * 9
    stripped = gzip.compress(content, mtime=1)
    rebuilt = fashion_mnist.published_bytes(stripped, "name.gz", 1504176606)
    assert gzip.decompress(rebuilt) == content
    with gzip.open(io.BytesIO(rebuilt)) as file:
        file.read()
        assert file.mtime == 1504176606
    assert rebuilt[10:15] == b"name\0"


debian_only = pytest.mark.skipif(
    not fashion_mnist.is_installed(), reason=f"needs {fashion_mnist.PACKAGE}"
)


@debian_only
def test_debians_fashion_mnist_becomes_the_published_files(tmp_path):
    fashion_mnist.restore_published_files(tmp_path)
    infos = tfds.builder_cls("fashion_mnist").url_infos
    assert infos is not None and len(infos) == 4
    for info in infos.values():
        content = (tmp_path / str(info.filename)).read_bytes()
        assert hashlib.sha256(content).hexdigest() == info.checksum


@debian_only
@pytest.mark.slow
def test_fashion_mnist_from_debian_to_arrays(tmp_path):
    dataset = load_dataset("fashion_mnist", data_dir=str(tmp_path), cache_dir=tmp_path)
    assert dataset.image_shape == (28, 28, 1) and dataset.num_classes == 10
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 60_000
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    assert dataset.chance == pytest.approx(0.1)
    parts = [set(image_bytes(part)) for part in dataset[1:4]]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
