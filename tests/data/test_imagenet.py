"""ImageNet is read as it comes: folders, archives, and files of labels."""

import shutil
import tarfile

import numpy as np
import pytest
from pictures_of import (
    SIZE,
    content,
    load,
    noise,
    pixels_of,
    refused,
    save,
    write_classes,
)
from scipy.io import savemat

WNIDS = ("n01440764", "n01443537", "n01484850")


def write_imagenet(root, packed: bool = False) -> dict[str, bytes]:
    """Three classes as ImageNet has them; the pictures of the validation part."""
    write_classes(root / "train", WNIDS, 8, ending="JPEG")
    for number in range(1, 7):
        name = f"ILSVRC2012_val_{number:08}.JPEG"
        save(root / "val" / name, noise(5000 + number))
    pictures = sorted((root / "val").iterdir())
    found = dict(zip((p.name for p in pictures), pixels_of(pictures), strict=True))
    if packed:
        pack(root)
    return found


def pack(root) -> None:
    """As the archives are published: one with one for each class, one of pictures."""
    for wnid in WNIDS:
        with tarfile.open(root / f"{wnid}.tar", "w") as archive:
            for path in sorted((root / "train" / wnid).iterdir()):
                archive.add(path, path.name)
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as archive:
        for wnid in WNIDS:
            archive.add(root / f"{wnid}.tar", f"{wnid}.tar")
            (root / f"{wnid}.tar").unlink()
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as archive:
        for path in sorted((root / "val").iterdir()):
            archive.add(path, path.name)
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "val")


LABELS = (2, 0, 1, 1, 2, 0)
# In the order of ImageNet's own numbers, which is not that of the names.
OWN_ORDER = (WNIDS[1], WNIDS[2], WNIDS[0])


def caffe(root):
    lines = [
        f"ILSVRC2012_val_{n:08}.JPEG {label}\n" for n, label in enumerate(LABELS, 1)
    ]
    (root / "val.txt").write_text("".join(lines))


def kaggle(root):
    lines = [
        f"ILSVRC2012_val_{n:08},{WNIDS[label]} 85 1 499 272 {WNIDS[0]} 1 2 3 4\n"
        for n, label in enumerate(LABELS, 1)
    ]
    text = "ImageId,PredictionString\n" + "".join(lines[::-1])
    (root / "LOC_val_solution.csv").write_text(text)


def truth(root):
    numbers = [OWN_ORDER.index(WNIDS[label]) + 1 for label in LABELS]
    text = "".join(f"{number}\n" for number in numbers)
    (root / "ILSVRC2012_validation_ground_truth.txt").write_text(text)


def meta(root):
    leaves = [(n, wnid, 0) for n, wnid in enumerate(OWN_ORDER, 1)]
    write_meta(root, [*leaves, (4, "n00001740", 3)])


def write_meta(root, rows):
    kinds = [("ILSVRC2012_ID", "f8"), ("WNID", "O"), ("num_children", "f8")]
    savemat(root / "meta.mat", {"synsets": np.array(rows, kinds)})


def own(root):
    truth(root)
    meta(root)


@pytest.mark.parametrize("labels", [caffe, kaggle, own])
@pytest.mark.parametrize("packed", [True, False])
def test_imagenet_is_read_as_it_comes(tmp_path, labels, packed):
    root = tmp_path / "imagenet"
    pictures = write_imagenet(root, packed)
    labels(root)
    dataset = load(root, tmp_path, image_size=SIZE)
    assert dataset.num_classes == 3
    pairs = zip(pictures.values(), LABELS, strict=True)
    assert content(dataset.test) == sorted(pairs)
    found = np.concatenate([dataset.train.labels, dataset.validation.labels])
    assert np.bincount(found).tolist() == [8, 8, 8]


def test_folders_and_archives_hold_the_same(tmp_path):
    for name in ("folders", "archives"):
        write_imagenet(tmp_path / name, packed=name == "archives")
        caffe(tmp_path / name)
    both = [
        load(tmp_path / name, tmp_path, image_size=SIZE, store_pixels=stored)
        for name in ("folders", "archives")
        for stored in (True, False)
    ]
    assert len({str(one.checksums) for one in both}) == 1
    assert len({str(content(*one[1:4])) for one in both}) == 1


def test_a_class_may_be_an_archive(tmp_path):
    root = tmp_path / "set"
    write_classes(root / "train", ("a", "b"), 30)
    whole = load(root, tmp_path, image_size=SIZE)
    with tarfile.open(root / "train" / "b.tar", "w") as archive:
        for path in sorted((root / "train" / "b").iterdir()):
            archive.add(path, path.name)
    shutil.rmtree(root / "train" / "b")
    assert load(root, tmp_path, image_size=SIZE).checksums == whole.checksums


def other_meta(root):
    own(root)
    write_meta(root, [(1, "n00000001", 0)])


def image_sets(root):
    lines = [f"ILSVRC2012_val_{number:08} {number}\n" for number in range(1, 7)]
    (root / "val.txt").write_text("".join(lines))


def cut_off_truth(root):
    own(root)
    (root / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n")


def partial_caffe(root):
    (root / "val.txt").write_text("ILSVRC2012_val_00000001.JPEG 1\n")


def torn_meta(root):
    truth(root)
    (root / "meta.mat").write_bytes(b"torn")


@pytest.mark.parametrize(
    "labels, said",
    [
        (lambda root: None, "nothing says what the pictures in"),
        (truth, "put that beside it, or LOC_val_solution.csv, or val.txt of Caffe"),
        (other_meta, "which are not the 3 of the training part"),
        (torn_meta, "is no meta.mat of ImageNet"),
        (cut_off_truth, "has 2 labels for 6 pictures"),
        (image_sets, "not that of the same name in ImageSets"),
        (partial_caffe, "does not say what ILSVRC2012_val_00000002.JPEG is"),
    ],
)
def test_labels_that_nothing_tells_are_not_guessed(tmp_path, labels, said):
    write_imagenet(tmp_path / "imagenet")
    labels(tmp_path / "imagenet")
    assert said in refused(tmp_path / "imagenet", tmp_path)


@pytest.mark.parametrize("damage", ["cut off", "compressed", "text"])
def test_a_damaged_archive_is_named(tmp_path, damage):
    root = tmp_path / "imagenet"
    write_imagenet(root, packed=True)
    caffe(root)
    path = root / "ILSVRC2012_img_val.tar"
    whole = path.read_bytes()
    if damage == "cut off":
        path.write_bytes(whole[: len(whole) // 2 + 100])
    elif damage == "text":
        path.write_text("text")
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(root / "val.txt", "val.txt")
    assert "ILSVRC2012_img_val.tar is" in refused(root, tmp_path)
