"""Arrays in an .npz file are a data set, or are refused before they are unpacked."""

import io
import zipfile

import numpy as np
import pytest
from pictures_of import content

from init_study.data import load_dataset
from init_study.data.pictures import decode
from init_study.data.sources import npz
from init_study.data.splits import Published
from init_study.errors import UserError


def pair(count: int = 40, seed: int = 0, channels: int = 3):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 6, 6, channels), np.uint8)
    return images, np.arange(count) % 3


def save(path, *parts: str, **options) -> None:
    """Images and labels under the names of each part, as `x_train y_train`."""
    arrays = {}
    for seed, names in enumerate(parts):
        arrays |= dict(zip(names.split(), pair(seed=seed), strict=True))
    np.savez_compressed(path, **(arrays | options))


def load(path, tmp_path, **options):
    return load_dataset(f"arrays:{path}", cache_dir=tmp_path, **options)


def refused(path, tmp_path, **options) -> str:
    with pytest.raises(UserError) as error:
        load(path, tmp_path, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "parts",
    [
        ["images labels"],
        ["x_train y_train", "x_test y_test"],
        [
            "train_images train_labels",
            "val_images val_labels",
            "test_images test_labels",
        ],
    ],
)
def test_arrays_go_by_the_names_that_others_give_them(tmp_path, parts):
    save(tmp_path / "mine.npz", *parts, further=np.zeros(3))
    dataset = load(tmp_path / "mine.npz", tmp_path)
    every = [
        (image.tobytes(), label)
        for seed in range(len(parts))
        for image, label in zip(*pair(seed=seed), strict=True)
    ]
    assert content(*dataset[1:4]) == sorted(every) and dataset.num_classes == 3
    if len(parts) > 1:
        assert content(dataset.test) == sorted(every[-40:])


def test_labels_may_be_a_column_as_medmnist_has_them(tmp_path):
    images, labels = pair()
    np.savez(tmp_path / "mine.npz", images=images, labels=labels[:, None])
    dataset = load(tmp_path / "mine.npz", tmp_path)
    assert dataset.train.labels.ndim == 1 and dataset.train.labels.dtype == np.int32


def test_arrays_may_be_brought_to_a_size(tmp_path):
    save(tmp_path / "mine.npz", "images labels")
    dataset = load(tmp_path / "mine.npz", tmp_path, image_size=4)
    wanted = [(decode(i, 3, 4).tobytes(), n) for i, n in zip(*pair(), strict=True)]
    assert content(*dataset[1:4]) == sorted(wanted)


def test_floats_cannot(tmp_path):
    images, labels = pair()
    np.savez(tmp_path / "mine.npz", images=images / 255, labels=labels)
    assert load(tmp_path / "mine.npz", tmp_path).train.images.dtype == np.float32
    assert "8-bit grey or RGB" in refused(tmp_path / "mine.npz", tmp_path, image_size=4)


@pytest.mark.parametrize(
    "arrays, said",
    [
        ({"pictures": np.zeros(3)}, "holds pictures; it should hold images and labels"),
        ({"images": pair()[0], "label": pair()[1]}, "should be 'labels', not 'label'"),
        (
            {"x_test": pair()[0], "y_test": pair()[1]},
            "it should hold images and labels",
        ),
        ({"images": pair()[0], "labels": np.zeros(40, int)}, "all labels are 0"),
        ({"images": pair()[0], "labels": pair()[1] - 1}, "labels from -1 to 1"),
        ({"images": pair()[0], "labels": pair()[1][:9]}, "labels of shape (9,) for 40"),
        ({"images": np.full((3, 4, 4), np.nan), "labels": [0, 1, 0]}, "not finite"),
        ({"images": np.zeros((3, 4, 4), complex), "labels": [0, 1, 0]}, "complex128"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "mine.npz", **arrays)
    assert said in refused(tmp_path / "mine.npz", tmp_path)


def test_python_objects_are_never_read(tmp_path):
    labels = np.array([0, 1, "cat"], object)
    np.savez(tmp_path / "mine.npz", images=np.zeros((3, 4, 4), np.uint8), labels=labels)
    assert "labels holds Python objects" in refused(tmp_path / "mine.npz", tmp_path)


def write_entries(path, **entries: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content_of in entries.items():
            archive.writestr(f"{name}.npy", content_of)


def head(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, description)
    return file.getvalue()


def test_what_does_not_fit_into_memory_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch
):
    """A small file of zeros that is large when it is unpacked."""
    save(tmp_path / "mine.npz", "images labels")
    monkeypatch.setattr(npz, "_array", lambda *a: pytest.fail("unpacked"))
    # 40 images of 108 bytes and 40 labels of 8.
    monkeypatch.setattr(npz, "available_bytes", lambda: 2 * 4640 - 1)
    assert "holds 4,640 bytes of arrays" in refused(tmp_path / "mine.npz", tmp_path)


@pytest.mark.parametrize("available", [2 * 4640, None])
def test_what_fits_or_cannot_be_known_is_read(tmp_path, monkeypatch, available):
    save(tmp_path / "mine.npz", "images labels")
    monkeypatch.setattr(npz, "available_bytes", lambda: available)
    found = npz.find_npz("arrays:mine.npz", tmp_path / "mine.npz", None)
    assert isinstance(found, Published) and len(found.splits["all"].labels) == 40


def test_a_head_that_promises_more_than_there_is_is_refused(tmp_path):
    labels = io.BytesIO()
    np.save(labels, pair()[1])
    for shape in ((40, 1000, 1000), (2**40, 2**20, 2**10)):
        lie = head(shape) + bytes(100)
        write_entries(tmp_path / "mine.npz", images=lie, labels=labels.getvalue())
        said = refused(tmp_path / "mine.npz", tmp_path)
        assert "by its head, but 100 by the archive's list" in said


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"text"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    save(tmp_path / "whole.npz", "images labels")
    (tmp_path / "mine.npz").write_bytes(damage((tmp_path / "whole.npz").read_bytes()))
    assert "is no whole .npz file" in refused(tmp_path / "mine.npz", tmp_path)


def test_a_changed_byte_is_noticed(tmp_path):
    images, labels = pair()
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    whole = bytearray((tmp_path / "mine.npz").read_bytes())
    whole[len(whole) // 3] ^= 1
    (tmp_path / "mine.npz").write_bytes(whole)
    assert "Bad CRC-32" in refused(tmp_path / "mine.npz", tmp_path)
