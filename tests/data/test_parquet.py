"""Parquet files as Hugging Face keeps pictures in them."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from absl import logging
from pictures_of import content, noise
from PIL import Image

from init_study.data import load_dataset
from init_study.data.pictures import decode
from init_study.errors import UserError

SIZE = 8
NAMES = ("zebra", "ant", "cat")


def encoded(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(seed)).save(file, "PNG")
    return file.getvalue()


def table(
    rows: range, *, image: str = "image", label: str = "label", labels=None, named=True
) -> pa.Table:
    pictures = [{"bytes": encoded(row), "path": f"{row}.png"} for row in rows]
    columns = {
        image: pa.array(pictures),
        label: pa.array([row % 3 for row in rows] if labels is None else labels),
    }
    features = {image: {"_type": "Image"}, label: {"_type": "ClassLabel"}}
    if named:
        features[label]["names"] = list(NAMES)
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.table(columns).replace_schema_metadata(metadata)


def write(root, name: str, content_of: pa.Table, group: int = 7) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content_of, path, row_group_size=group)


def load(root, cache_dir, kind: str = "parquet", **options):
    options = {"image_size": SIZE} | options
    return load_dataset(f"{kind}:{root}", cache_dir=cache_dir, **options)


def wanted(rows: range) -> list[tuple[bytes, int]]:
    return sorted((decode(encoded(r), 3, SIZE).tobytes(), r % 3) for r in rows)


def refused(root, cache_dir, **options) -> str:
    with pytest.raises(UserError) as error:
        load(root, cache_dir, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", ["parquet", "folder"])
@pytest.mark.parametrize("image, label", [("image", "label"), ("img", "fine_label")])
def test_files_of_several_groups_are_one_set(tmp_path, kind, image, label):
    root, columns = tmp_path / "set", {"image": image, "label": label}
    write(root, "data/train-00000-of-00002.parquet", table(range(50), **columns))
    write(root, "data/train-00001-of-00002.parquet", table(range(50, 83), **columns))
    write(root, "data/test-00000-of-00001.parquet", table(range(100, 120), **columns))
    (root / "README.md").write_text("")
    dataset = load(root, tmp_path, kind)
    assert dataset.num_classes == 3
    assert content(dataset.test) == wanted(range(100, 120))
    assert content(dataset.train, dataset.validation) == wanted(range(83))
    assert dataset.checksums == load(root, tmp_path, store_pixels=False).checksums


def test_parts_may_be_folders_and_bytes_a_column_of_their_own(tmp_path):
    for part, rows in {"train": range(40), "validation": range(40, 60)}.items():
        whole = table(rows)
        pictures = whole["image"].combine_chunks().field("bytes")
        write(
            tmp_path / "set",
            f"{part}/0000.parquet",
            whole.set_column(0, "image", pictures),
        )
    dataset = load(tmp_path / "set", tmp_path)
    assert content(dataset.test) == wanted(range(40, 60))


def test_without_parts_they_are_cut_and_without_names_classes_are_counted(tmp_path):
    write(tmp_path / "set", "mine.parquet", table(range(60), named=False))
    dataset = load(tmp_path / "set", tmp_path)
    assert content(*dataset[1:4]) == wanted(range(60)) and dataset.num_classes == 3


def test_a_test_part_without_labels_is_not_used(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: lines.append(text % a))
    write(tmp_path / "set", "train-0.parquet", table(range(60)))
    write(tmp_path / "set", "test-0.parquet", table(range(5), labels=[-1] * 5))
    dataset = load(tmp_path / "set", tmp_path)
    assert content(*dataset[1:4]) == wanted(range(60))
    assert "the part test has no labels" in lines[0]


def test_a_picture_that_is_not_there_is_named_and_left_out(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: lines.append(text % a))
    whole = table(range(60))
    pictures = whole["image"].to_pylist()
    pictures[17] = {"bytes": None, "path": "elsewhere.png"}
    write(
        tmp_path / "set", "a.parquet", whole.set_column(0, "image", pa.array(pictures))
    )
    rows = [row for row in range(60) if row != 17]
    assert content(*load(tmp_path / "set", tmp_path)[1:4]) == wanted(rows)
    assert "row 17 of" in lines[0] and "is empty" in lines[0]


def other_columns(root):
    write(root, "a.parquet", pa.table({"text": ["a"], "label": [0]}))


def texts(root):
    write(root, "a.parquet", table(range(3), labels=["a", "b", "c"], named=False))


def paths(root):
    write(root, "a.parquet", pa.table({"image": ["a.png"], "label": [0]}))


def several(root):
    for name in ("one", "two"):
        write(root, f"{name}/train-0.parquet", table(range(6)))


def mixed(root):
    write(root, "train-0.parquet", table(range(6)))
    write(root, "other.parquet", table(range(6)))


def torn(root):
    write(root, "a.parquet", table(range(6)))
    whole = (root / "a.parquet").read_bytes()
    (root / "a.parquet").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    "prepare, said",
    [
        (lambda root: root.mkdir(), "has no files called *.parquet"),
        (other_columns, "has columns text, label; it needs 'image' or 'img'"),
        (texts, "'label' holds string, not whole numbers"),
        (paths, "'image' holds string, not the bytes of pictures"),
        (several, "in several folders, one, two; give one of them: parquet:"),
        (mixed, "other.parquet is of no part by its name"),
        (torn, "cannot be read"),
        (
            lambda root: write(root, "a.parquet", table(range(4), labels=[0, 1, 2, 3])),
            "labels of all go from 0 to 3; there are 3 classes",
        ),
        (
            lambda root: write(
                root, "a.parquet", table(range(4), labels=[0, 1, -1, 2])
            ),
            "labels of all go from -1 to 2",
        ),
        (
            lambda root: write(root, "a.parquet", table(range(3), labels=[0, None, 1])),
            "1 rows have no label",
        ),
        (
            lambda root: write(
                root, "a.parquet", table(range(3), labels=[0, 0, 0], named=False)
            ),
            "has one class alone",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, prepare, said):
    prepare(tmp_path / "set")
    assert said in refused(tmp_path / "set", tmp_path)


def test_rows_are_read_in_any_order(tmp_path):
    write(tmp_path / "set", "a.parquet", table(range(60)), group=13)
    stored = load(tmp_path / "set", tmp_path)
    lazy = load(tmp_path / "set", tmp_path / "lazy", store_pixels=False)
    rows = np.random.default_rng(0).permutation(len(stored.train.labels))
    np.testing.assert_array_equal(lazy.train.images[rows], stored.train.images[rows])
