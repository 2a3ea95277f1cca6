"""A copy of a published set that was tampered with is not taken for the set."""

import json

import numpy as np
import pytest
from absl import logging

from init_study.data import load_dataset
from init_study.data.cache import data_folder
from init_study.data.histograms import count_values
from init_study.data.kept import check_prepared, load_kept, seal
from init_study.data.known_sums import KNOWN_SUMS, check_known, sum_up
from init_study.data.sources import digits, fashion_mnist
from init_study.data.sources.tensorflow_free import read_idx
from init_study.data.splits import (
    Published,
    Split,
    buckets_of,
    digest_images,
)


def change_a_pixel(images, labels):
    images[3, 4, 4, 0] ^= 1


def change_a_label(images, labels):
    labels[3] = (labels[3] + 1) % 10


def swap_labels(images, labels):
    """As many of each class as before."""
    labels[:2] = labels[:2][::-1]


def leave_one_out(images, labels):
    return images[1:], labels[1:]


@pytest.mark.parametrize(
    "poison", [change_a_pixel, change_a_label, swap_labels, leave_one_out]
)
def test_checksums_that_are_made_anew_do_not_help(tmp_path, monkeypatch, poison):
    right = load_dataset("digits", cache_dir=tmp_path)
    place = data_folder(tmp_path) / "digits-1.0.0"
    images, labels = (np.load(place / f"all.{k}.npy") for k in ("images", "labels"))
    images, labels = poison(images, labels) or (images, labels)
    rewrite(place, images, labels)
    # Its own checksums say that all is well.
    assert check_prepared(place) == len(images)
    said = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: said.append(text % args)
    )
    again = load_dataset("digits", cache_dir=tmp_path)
    assert again.checksums == right.checksums
    assert len(said) == 1 and "part all is not the published one" in said[0]
    # The copy was made anew.
    assert load_dataset("digits", cache_dir=tmp_path).checksums == right.checksums
    assert len(said) == 1


def rewrite(place, images, labels) -> None:
    """All that belongs to a part, as whoever knows how would do it."""
    digests = digest_images(images)
    arrays = {
        "images": images,
        "labels": labels,
        "digests": digests,
        "histograms": count_values(images, buckets_of(digests)),
    }
    for kind, array in arrays.items():
        np.save(place / f"all.{kind}.npy", array)
    seal(place, json.loads((place / "info.json").read_text()))
    assert len(load_kept(place).parts["all"].labels) == len(labels)


def test_the_known_sums_are_those_of_the_source():
    assert KNOWN_SUMS["digits-1.0.0"] == {"all": sum_up(digits.read().splits["all"])}


@pytest.mark.skipif(not fashion_mnist.is_installed(), reason="of Debian's package")
def test_the_known_sums_are_those_of_the_published_files(tmp_path):
    fashion_mnist.restore_published_files(tmp_path)
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz")
        found = sum_up(Split(images[..., None], labels))
        assert found == KNOWN_SUMS["fashion_mnist-3.0.1"][part]


def test_a_set_that_lacks_a_part_is_another():
    found = digits.read()
    with pytest.raises(ValueError, match="its parts are not all"):
        check_known("digits-1.0.0", Published({"train": found.splits["all"]}, 10))
    check_known("mine-1.0.0", found)


@pytest.mark.parametrize(
    "name, content",
    [
        # A head that NumPy's reader runs out of stack or memory over.
        ("all.images.npy", b"\x93NUMPY\x01\x00\x28\x23" + b"-" * 9000),
        ("all.labels.npy", b"\x93NUMPY\x01\x00\x28\x23" + b"[" * 9000),
        ("all.digests.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff"),
    ],
)
def test_heads_without_sense_are_no_traceback(tmp_path, monkeypatch, name, content):
    right = load_dataset("digits", cache_dir=tmp_path)
    place = data_folder(tmp_path) / "digits-1.0.0"
    (place / name).write_bytes(content)
    seal(place, {"num_classes": 10})
    said = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: said.append(text % args)
    )
    assert load_dataset("digits", cache_dir=tmp_path).checksums == right.checksums
    assert len(said) == 1 and "reading anew" in said[0]
