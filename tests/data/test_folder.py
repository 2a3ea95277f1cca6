"""Folders of pictures become data sets, or are refused in one line."""

import csv
import json
import os
import re
import shutil

import numpy as np
import pytest
from absl import logging
from pictures_of import (
    SIZE,
    content,
    digit_pixels,
    load,
    noise,
    pixels_of,
    refused,
    save,
    write_classes,
    write_digits,
    write_photographs,
)
from PIL import Image
from sklearn.datasets import load_digits

import init_study
from init_study.data import load_dataset
from init_study.errors import UserError


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: lines.append(text % a))
    return lines


@pytest.fixture(scope="module")
def digits_folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("digits")
    write_digits(root)
    return root


# --- classes and parts ----------------------------------------------------------------


def test_digits_as_files_are_the_digits(digits_folder, tmp_path):
    dataset = load(digits_folder, tmp_path)
    assert dataset.name == f"folder:{digits_folder}"
    assert (dataset.image_shape, dataset.num_classes) == ((8, 8, 1), 10)
    found = load_digits()
    theirs = zip(found.images[:200], found.target[:200], strict=True)
    wanted = sorted((digit_pixels(i).tobytes(), int(n)) for i, n in theirs)
    assert content(*dataset[1:4]) == wanted


def test_one_picture_in_colour_makes_all_of_them_so(digits_folder, tmp_path):
    shutil.copytree(digits_folder, tmp_path / "set")
    grey = load(tmp_path / "set", tmp_path)
    (victim,) = (tmp_path / "set" / "0").glob("0000.png")
    with Image.open(victim) as image:
        save(victim, image.convert("RGB"))
    coloured = load(tmp_path / "set", tmp_path)
    assert (grey.image_shape, coloured.image_shape) == ((8, 8, 1), (8, 8, 3))


@pytest.mark.parametrize("name, part", [("val", "test"), ("valid", "test")])
def test_parts_have_folders_of_their_own(tmp_path, name, part):
    root = tmp_path / "set"
    write_classes(root / "train", ("cat", "ant"), 30)
    write_classes(root / name, ("cat", "ant"), seed=500)
    dataset = load(root, tmp_path, image_size=SIZE)
    cats = pixels_of((root / name / "cat").iterdir())
    ants = pixels_of((root / name / "ant").iterdir())
    # Classes are sorted: the ant is 0.
    wanted = sorted([(ant, 0) for ant in ants] + [(cat, 1) for cat in cats])
    assert content(getattr(dataset, part)) == wanted
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 60


def test_with_three_parts_each_is_what_it_says(tmp_path):
    root = tmp_path / "set"
    for seed, name in enumerate(("train", "validation", "test")):
        write_classes(root / name, ("a", "b"), count=3 + seed, seed=100 * seed)
    dataset = load(root, tmp_path, image_size=SIZE)
    assert [len(part.labels) for part in dataset[1:4]] == [6, 8, 10]


def test_endings_of_any_case_count_and_others_are_said(tmp_path, warnings):
    root = tmp_path / "set"
    for ending in ("png", "JPG", "jpeg", "JPEG", "webp", "bmp"):
        write_classes(root, (f"of_{ending}",), count=10, ending=ending)
    (root / "of_png" / "notes.txt").write_text("")
    (root / "of_png" / ".hidden.png").write_text("")
    (root / ".git").mkdir()
    dataset = load(root, tmp_path, image_size=SIZE)
    assert dataset.num_classes == 6
    assert sum(len(part.labels) for part in dataset[1:4]) == 60
    (line,) = warnings
    assert "1 files are no pictures" in line and "notes.txt" in line


def test_pictures_in_folders_of_a_class_are_of_the_class(tmp_path):
    root = tmp_path / "set"
    write_classes(root, ("a", "b"), 20)
    write_classes(root / "b", ("deeper",), 10, seed=77)
    dataset = load(root, tmp_path, image_size=SIZE)
    labels = np.concatenate([part.labels for part in dataset[1:4]])
    assert np.bincount(labels).tolist() == [20, 30]


def test_it_is_said_that_of_several_frames_the_first_counts(tmp_path, warnings):
    root = tmp_path / "set"
    write_classes(root, ("a", "b"), 10)
    frames = [Image.new("L", (10, 12), level) for level in (3, 200)]
    for number in range(30):
        path = root / "a" / f"moving_{number}.gif"
        save(path, frames[0], save_all=True, append_images=frames[1:])
    load(root, tmp_path, image_size=SIZE)
    assert "30 pictures have several frames; the first one counts" in warnings[0]


def test_classes_may_be_called_like_parts(tmp_path):
    root = tmp_path / "set"
    write_classes(root, ("train", "plane", "car"), 12)
    assert load(root, tmp_path, image_size=SIZE).num_classes == 3


def test_a_test_part_that_says_no_classes_is_not_used(tmp_path, warnings):
    root = tmp_path / "set"
    write_classes(root / "train", ("a", "b"), 40)
    for number in range(3):
        save(root / "test" / f"{number}.png", noise(number))
    dataset = load(root, tmp_path, image_size=SIZE)
    assert sum(len(part.labels) for part in dataset[1:4]) == 80
    assert "says no classes" in warnings[0]


# --- what is no such folder -----------------------------------------------------------


def two_classes(root):
    write_classes(root, ("a", "b"), 3)


def link_out(root):
    two_classes(root)
    save(root.parent / "elsewhere.png", noise(1))
    (root / "a" / "link.png").symlink_to(root.parent / "elsewhere.png")


def link_to_itself(root):
    two_classes(root)
    (root / "a" / "again").symlink_to(root)


def link_to_nothing(root):
    two_classes(root)
    (root / "a" / "link.png").symlink_to(root / "nothing.png")


def empty_class(root):
    two_classes(root)
    (root / "c").mkdir()


def unknown_class(root):
    write_classes(root / "train", ("a", "b"), 3)
    write_classes(root / "val", ("a", "zebra"), 3)


def both_names(root):
    for name in ("train", "val", "valid"):
        write_classes(root / name, ("a", "b"), 2)


@pytest.mark.parametrize(
    "write, said",
    [
        (lambda root: root.mkdir(), "has no folders of classes with pictures"),
        (lambda root: write_classes(root, ("a",), 3), "has one class alone, 'a'"),
        (empty_class, "set/c has no pictures; remove it"),
        (link_out, "a/link.png is a link out of the folder, to"),
        (link_to_itself, "a/again is a link to a folder"),
        (link_to_nothing, "a/link.png is a link to nothing"),
        (unknown_class, "is of class 'zebra', which the training part does not have"),
        (both_names, "has both val and valid; keep one"),
        (
            lambda root: write_classes(root / "val", ("a", "b"), 2),
            "has a folder 'val', but none called 'train'",
        ),
        (
            lambda root: save(root / "one.png", noise(1)),
            "nothing says what the pictures in",
        ),
    ],
)
def test_what_is_no_set_is_refused_by_name(tmp_path, write, said):
    write(tmp_path / "set")
    assert said in refused(tmp_path / "set", tmp_path)


def test_a_pipe_is_no_picture(tmp_path):
    two_classes(tmp_path / "set")
    os.mkfifo(tmp_path / "set" / "a" / "pipe.png")
    write_classes(tmp_path / "set", ("a", "b"), 30)
    dataset = load(tmp_path / "set", tmp_path, image_size=SIZE)
    assert sum(len(part.labels) for part in dataset[1:4]) == 60


@pytest.mark.parametrize(
    "name, said",
    [
        ("foldr:{}", "Did you mean 'folder:{}'"),
        ("folder:{}x", "there is no folder '{}x'. Did you mean 'folder:{}'"),
        ("arrays:{}.npy", "there is no file '{}.npy'. Did you mean 'arrays:{}.npz'"),
        ("folder:", "there is no folder ''"),
        ("folder:{}/a/a_0.png", "it is a file"),
        ("arrays:{}", "it is a folder"),
    ],
)
def test_a_place_that_is_not_there_is_named(tmp_path, name, said):
    root = tmp_path / "set"
    two_classes(root)
    (tmp_path / "set.npz").write_bytes(b"")
    with pytest.raises(UserError, match=re.escape(said.format(root, root))) as error:
        load_dataset(name.format(root), cache_dir=tmp_path)
    assert "\n" not in str(error.value)


# --- metadata of Hugging Face's imagefolder -------------------------------------------


def write_flat(folder, count: int = 20, seed: int = 0) -> list[dict[str, str]]:
    rows = []
    for number in range(count):
        save(folder / f"{number}.png", noise(seed + number))
        rows.append(
            {"file_name": f"{number}.png", "label": "ant cat".split()[number % 2]}
        )
    return rows


def write_metadata(path, rows):
    with open(path, "w", newline="") as file:
        if path.suffix == ".jsonl":
            file.write("".join(json.dumps(row) + "\n" for row in rows))
        else:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
@pytest.mark.parametrize("whole", [True, False])
def test_metadata_say_what_pictures_are(tmp_path, name, whole):
    """In the folder of each part, or once for the whole set."""
    root, rows = tmp_path / "set", []
    for seed, part in enumerate(("train", "test")):
        here = write_flat(root / part, 20, 100 * seed)
        if whole:
            rows += [row | {"file_name": f"{part}/{row['file_name']}"} for row in here]
        else:
            write_metadata(root / part / name, here)
    if whole:
        write_metadata(root / name, rows)
    dataset = load(root, tmp_path, image_size=SIZE)
    wanted = [
        (pixels, number % 2)
        for number in range(20)
        for pixels in pixels_of([root / "test" / f"{number}.png"])
    ]
    assert content(dataset.test) == sorted(wanted)


def test_labels_that_are_numbers_are_in_the_order_of_numbers(tmp_path):
    rows = write_flat(tmp_path / "set", 33)
    rows = [row | {"label": str(i % 11)} for i, row in enumerate(rows)]
    write_metadata(tmp_path / "set" / "metadata.csv", rows)
    dataset = load(tmp_path / "set", tmp_path, image_size=SIZE)
    wanted = [
        (pixels, number % 11)
        for number in range(33)
        for pixels in pixels_of([tmp_path / "set" / f"{number}.png"])
    ]
    assert content(*dataset[1:4]) == sorted(wanted)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda rows: rows + rows[:1], "lists '0.png' twice"),
        (lambda rows: [*rows, {"file_name": "x.png", "label": "a"}], "is not there"),
        (
            lambda rows: [*rows, {"file_name": "../x.png", "label": "a"}],
            "'../x.png', which is not there",
        ),
        (lambda rows: [{"file_name": r["file_name"]} for r in rows], "no 'label'"),
        (lambda rows: [r | {"label": ""} for r in rows], "row 1 has no"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(tmp_path, change, said):
    rows = write_flat(tmp_path / "set", 6)
    write_metadata(tmp_path / "set" / "metadata.csv", change(rows))
    assert said in refused(tmp_path / "set", tmp_path)


def test_photographs_and_a_batch_that_is_too_large(tmp_path):
    """Fewer images than a batch are found when a study is planned."""
    from init_study.plan import make_plan
    from init_study.study import Study

    write_photographs(tmp_path / "set", 20)
    study = Study(
        schemes="zeros",
        learning_rates=0.1,
        dataset=f"folder:{tmp_path / 'set'}",
        image_size=SIZE,
        batch_size=64,
    )
    with pytest.raises(UserError, match="batch_size=64 is larger than the training"):
        make_plan(study)


def test_given_arrays_have_no_size_to_be_brought_to():
    images = np.stack([noise(seed) for seed in range(20)])
    with pytest.raises(UserError, match="image_size=4 is for data sets with"):
        init_study.compare("linear", (images, np.arange(20) % 2), image_size=4)


def test_a_study_over_two_sizes_keeps_their_data_apart(tmp_path, call, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write_photographs(tmp_path / "set", 30)
    code, _, err = call(
        *("run", f"--study.dataset=folder:{tmp_path / 'set'}", "--study.steps=2"),
        *("--study.image_size=8,12", "--study.schemes=zeros", "--study.seeds=1"),
        *("--study.learning_rates=0.1", "--study.depth=2", "--workdir=run"),
        "--study.batch_size=8",
    )
    assert code == 0, err
    data = json.loads((tmp_path / "run" / "manifest.json").read_text())["data"]
    name = f"folder:{tmp_path / 'set'}"
    assert list(data) == [f"{name} at 8", f"{name} at 12"]
    for size in (8, 12):
        facts = load(tmp_path / "set", tmp_path / "init_study", image_size=size)
        assert data[f"{name} at {size}"]["checksums"] == facts.checksums
