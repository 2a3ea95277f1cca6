"""A set is prepared once, goes on after a kill, and is never half or damaged."""

import hashlib
import json
import os
import re
import shutil
import signal
import sys
import threading

import numpy as np
import pytest
from absl import logging
from calling import ROOT, finish
from pictures_of import write_digits, write_photographs

from init_study.data import decoding, kept, load_dataset, prepared
from init_study.data.kept import check_prepared
from init_study.data.listing import ListedPart, Listing, Source
from init_study.data.pictures import decode
from init_study.data.prepared import load_or_prepare
from init_study.data.splits import Published, Split, carve
from init_study.errors import UserError

SIZE = 12


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    root = tmp_path_factory.mktemp("photographs")
    write_photographs(root)
    return root


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: lines.append(text % a))
    return lines


@pytest.fixture
def small_blocks(monkeypatch):
    """Progress is noted after each block of few rows."""
    monkeypatch.setattr(decoding, "_MOST_ROWS", 4)
    monkeypatch.setattr(decoding, "_SECONDS_BETWEEN_NOTES", 0.0)


def load(root, cache_dir, **options):
    name = f"folder:{root}"
    return load_dataset(name, cache_dir=cache_dir, **{"image_size": SIZE} | options)


def content(dataset) -> list[tuple[bytes, int]]:
    """All images with their labels, part after part."""
    return [
        (image.tobytes(), int(label))
        for part in dataset[1:4]
        for image, label in zip(np.asarray(part.images), part.labels, strict=True)
    ]


def folders(cache_dir) -> list[str]:
    """What is prepared and whole."""
    return sorted(p.name for p in (cache_dir / "data").glob("[!.]*"))


def only_folder(cache_dir):
    (name,) = folders(cache_dir)
    return cache_dir / "data" / name


def test_photographs_of_many_sizes_become_arrays_of_one(photographs, tmp_path):
    dataset = load(photographs, tmp_path)
    assert dataset.image_shape == (SIZE, SIZE, 3)
    wanted = {
        (decode(path.read_bytes(), 3, SIZE).tobytes(), label)
        for label, name in enumerate(("flower", "temple"))
        for path in (photographs / name).iterdir()
    }
    assert len(wanted) == 80 and set(content(dataset)) == wanted


def test_parts_statistics_and_checksums_are_those_of_the_pixels(photographs, tmp_path):
    """Though no pixel is looked at when the set is loaded."""
    dataset = load(photographs, tmp_path)
    images = np.load(only_folder(tmp_path) / "all.images.npy")
    labels = np.load(only_folder(tmp_path) / "all.labels.npy")
    parts = carve(Split(images, labels), test=25, validation=15)
    for ours, theirs in zip(dataset[1:4], parts, strict=True):
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    pixels = parts.train.images / 255
    np.testing.assert_allclose(dataset.mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(dataset.std, pixels.std((0, 1, 2)), rtol=1e-6)
    digests = [hashlib.sha256(image.tobytes()).digest() for image in parts.test.images]
    summed = b"".join(digests) + parts.test.labels.astype("<i4").tobytes()
    assert dataset.checksums["test"] == hashlib.sha256(summed).hexdigest()


def test_pictures_that_vary_need_a_size(photographs, tmp_path):
    with pytest.raises(UserError, match=r"vary in size, from \d+x\d+ to \d+x\d+") as e:
        load(photographs, tmp_path, image_size=None)
    assert "give --study.image_size=64" in str(e.value)
    sizes = re.findall(r"(\d+)x(\d+)", str(e.value))
    assert int(sizes[0][0]) * int(sizes[0][1]) < int(sizes[1][0]) * int(sizes[1][1])


def test_a_set_with_a_shape_of_its_own_may_be_brought_to_a_size(tmp_path):
    dataset = load_dataset("digits", image_size=16, cache_dir=tmp_path)
    assert dataset.image_shape == (16, 16, 1) and dataset.name == "digits"
    as_is = load_dataset("digits", cache_dir=tmp_path)
    wanted = {
        (decode(image, 1, 16).tobytes(), int(label))
        for part in as_is[1:4]
        for image, label in zip(part.images, part.labels, strict=True)
    }
    assert set(content(dataset)) == wanted


def test_the_second_time_nothing_is_decoded(photographs, tmp_path, monkeypatch):
    first = load(photographs, tmp_path)
    monkeypatch.setattr(decoding, "decode", lambda *a: pytest.fail("decoded again"))
    assert load(photographs, tmp_path).checksums == first.checksums


def test_decoded_when_asked_for_pixels_are_the_same_bit_for_bit(photographs, tmp_path):
    stored = load(photographs, tmp_path / "stored")
    lazy = load(photographs, tmp_path / "lazy", store_pixels=False)
    assert not list(only_folder(tmp_path / "lazy").glob("*.images.npy"))
    assert content(lazy) == content(stored) and lazy.checksums == stored.checksums
    assert (lazy.mean == stored.mean).all() and (lazy.std == stored.std).all()
    rows = np.array([5, 0, 5])
    images = lazy.train.images
    assert images.dtype == np.uint8 and images.shape == stored.train.images.shape
    assert len(images) == len(stored.train.labels)
    np.testing.assert_array_equal(images[rows], stored.train.images[rows])


def test_of_a_large_set_no_part_is_in_memory(photographs, tmp_path, monkeypatch):
    small = load(photographs, tmp_path)
    monkeypatch.setattr(kept, "IN_MEMORY", 0)
    large = load(photographs, tmp_path / "large")
    assert "images" not in (only_folder(tmp_path / "large") / "SHA256SUMS").read_text()
    for part in large[1:4]:
        assert not isinstance(part.images, np.ndarray)
        assert isinstance(part.images[np.array([0])], np.ndarray)
    assert content(large) == content(small) and large.checksums == small.checksums
    assert (large.mean == small.mean).all() and (large.std == small.std).all()


# --- what cannot be read --------------------------------------------------------------


@pytest.fixture
def damaged(photographs, tmp_path):
    root = tmp_path / "damaged"
    shutil.copytree(photographs, root)
    for name in ("flower/003.jpg", "temple/010.jpg"):
        whole = (root / name).read_bytes()
        (root / name).write_bytes(whole[: len(whole) // 2])
    return root


@pytest.mark.parametrize("store_pixels", [True, False])
def test_what_cannot_be_read_is_named_and_left_out(
    damaged, tmp_path, warnings, store_pixels
):
    dataset = load(damaged, tmp_path, store_pixels=store_pixels)
    wanted = {
        (decode(path.read_bytes(), 3, SIZE).tobytes(), label)
        for label, name in enumerate(("flower", "temple"))
        for path in (damaged / name).iterdir()
        if path.name not in (("003.jpg",), ("010.jpg",))[label]
    }
    assert len(wanted) == 78 and set(content(dataset)) == wanted
    for name in ("flower/003.jpg", "temple/010.jpg"):
        (line,) = [line for line in warnings if name in line]
        assert "left out" in line and "truncated" in line.lower()
    assert "2 of 80 pictures" in warnings[-1]
    info = json.loads((only_folder(tmp_path) / "info.json").read_text())
    assert [os.path.basename(name) for name in info["left_out"]] == [
        "003.jpg",
        "010.jpg",
    ]
    again = load(damaged, tmp_path, store_pixels=store_pixels)
    assert again.checksums == dataset.checksums and len(warnings) == 3


def test_strictly_it_is_refused(damaged, tmp_path):
    with pytest.raises(UserError, match=r"(003|010).jpg cannot be read: .*runcated"):
        load(damaged, tmp_path, strict=True)
    assert folders(tmp_path) == []
    load(damaged, tmp_path)
    # Nor is taken what was prepared when it was not asked for.
    with pytest.raises(UserError, match=r"(003|010).jpg cannot be read: .*runcated"):
        load(damaged, tmp_path, strict=True)


def test_a_set_of_which_nothing_can_be_read_is_refused(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(b"no picture")
    with pytest.raises(UserError, match="none of its 2 pictures can be read"):
        load(tmp_path / "set", tmp_path)


def test_a_file_that_changes_while_it_is_read_is_named(
    photographs, tmp_path, monkeypatch
):
    root = tmp_path / "changing"
    shutil.copytree(photographs, root)
    victim = root / "flower" / "007.jpg"
    shape = prepared.image_shape

    def late(*args):
        with open(victim, "ab") as file:
            file.write(b"more")
        return shape(*args)

    monkeypatch.setattr(prepared, "image_shape", late)
    with pytest.raises(UserError, match=r"007.jpg changes while it is read"):
        load(root, tmp_path)
    assert folders(tmp_path) == []


# --- going on -------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from init_study.data import decoding, load_dataset
from init_study.data.sources import folder

decoding._MOST_ROWS, decoding._SECONDS_BETWEEN_NOTES = 4, 0.0
save, notes = decoding._save_progress, []

def save_and_die(*args):
    save(*args)
    notes.append(1)
    if len(notes) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

decoding._save_progress = save_and_die
load_dataset(sys.argv[1], image_size=12, cache_dir=sys.argv[2])
"""


def test_after_a_kill_the_next_run_goes_on(
    photographs, tmp_path, monkeypatch, small_blocks
):
    whole = load(photographs, tmp_path / "whole")
    words = [sys.executable, "-c", KILLED, f"folder:{photographs}", str(tmp_path)]
    done = finish(words, check=False, cwd=ROOT)
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), done.stderr
    assert folders(tmp_path) == []
    decoded = []
    real = decoding.decode_to
    monkeypatch.setattr(decoding, "decode_to", lambda *a: decoded.append(1) or real(*a))
    dataset = load(photographs, tmp_path)
    # Five blocks of four rows at least were done: each was noted before the next.
    assert 0 < len(decoded) <= 80 - 5 * 4
    assert content(dataset) == content(whole) and dataset.checksums == whole.checksums
    assert (dataset.mean == whole.mean).all()
    assert not list(tmp_path.glob("data/.*.part"))


def test_killed_at_the_very_end_nothing_is_decoded_again(
    photographs, tmp_path, monkeypatch
):
    def killed(*paths):
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(UserError, match="killed"):
            load(photographs, tmp_path)
    monkeypatch.setattr(decoding, "decode", lambda *a: pytest.fail("decoded again"))
    assert len(content(load(photographs, tmp_path))) == 80
    assert not list(only_folder(tmp_path).glob("*.progress.*"))


def test_a_damaged_note_of_progress_begins_anew(photographs, tmp_path, small_blocks):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "seal", lambda *a: (_ for _ in ()).throw(OSError("stop")))
        with pytest.raises(UserError, match="stop"):
            load(photographs, tmp_path)
    (work,) = tmp_path.glob("data/.*.part")
    (work / "all.progress.npz").write_bytes(b"torn")
    assert len(content(load(photographs, tmp_path))) == 80


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(
    photographs, tmp_path, monkeypatch, small_blocks
):
    real, calls = os.pwrite, []

    def full(*args):
        calls.append(1)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(
            UserError, match=r"the disk is full in .* [\d,]+ bytes more"
        ) as error:
            load(photographs, tmp_path)
    assert "\n" not in str(error.value) and folders(tmp_path) == []
    assert len(content(load(photographs, tmp_path))) == 80


def test_too_little_room_is_noticed_before(photographs, tmp_path, monkeypatch):
    room = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)
    with pytest.raises(UserError, match=r"takes 3\d,\d{3} bytes .* has 1,000 left"):
        load(photographs, tmp_path)


def test_a_folder_that_cannot_be_written_is_one_line(photographs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be prepared in"):
        load(photographs, tmp_path / "file")


def test_of_two_at_once_one_waits_and_then_loads(tmp_path, monkeypatch):
    waits, lines = threading.Event(), []

    def warn(text, *args):
        lines.append(text % args)
        waits.set()

    monkeypatch.setattr(logging, "warning", warn)
    pictures = [np.full((2, 2), level, np.uint8) for level in range(9)]

    def listing():
        assert waits.wait(60), "the other one did not wait"
        rows = ListedPart(
            np.arange(9) % 2, lambda r: map(pictures.__getitem__, r), lambda r: str(r)
        )
        lists.append(1)
        return Listing({"all": rows}, ("a", "b"))

    lists, found = [], []
    source = Source("mine", "mine", "1", listing)
    both = [
        threading.Thread(target=lambda: found.append(load_or_prepare(source, tmp_path)))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(120)
    assert len(found) == 2 and len(lists) == 1
    assert "is being prepared by process" in lines[0]


# --- what is kept ---------------------------------------------------------------------


def flip(path):
    before = path.stat()
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    return before


@pytest.mark.parametrize("in_memory", [0, 2**28])
@pytest.mark.parametrize("kind", ["images", "labels", "digests", "histograms"])
def test_a_changed_file_is_noticed_and_prepared_anew(
    photographs, tmp_path, monkeypatch, warnings, in_memory, kind
):
    monkeypatch.setattr(kept, "IN_MEMORY", in_memory)
    first = load(photographs, tmp_path)
    before = content(first)
    flip(only_folder(tmp_path) / f"all.{kind}.npy")
    again = load(photographs, tmp_path)
    assert "is damaged" in warnings[0] and content(again) == before
    assert load(photographs, tmp_path).checksums == first.checksums
    assert len(warnings) == 1


@pytest.mark.parametrize("in_memory", [0, 2**28])
def test_a_missing_file_is_noticed_and_prepared_anew(
    photographs, tmp_path, monkeypatch, warnings, in_memory
):
    monkeypatch.setattr(kept, "IN_MEMORY", in_memory)
    before = content(load(photographs, tmp_path))
    (only_folder(tmp_path) / "all.images.npy").unlink()
    with pytest.raises(UserError, match="is damaged"):
        check_prepared(only_folder(tmp_path))
    again = load(photographs, tmp_path)
    assert "is damaged" in warnings[0] and content(again) == before


def test_a_full_check_finds_what_the_quick_one_cannot(
    photographs, tmp_path, monkeypatch
):
    monkeypatch.setattr(kept, "IN_MEMORY", 0)
    load(photographs, tmp_path)
    folder = only_folder(tmp_path)
    assert check_prepared(folder) == 80
    path = folder / "all.images.npy"
    before = flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    load(photographs, tmp_path)
    with pytest.raises(UserError, match=r"image 79 of all.images.npy has changed"):
        check_prepared(folder)


def test_a_copy_with_other_times_is_verified_whole(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "IN_MEMORY", 0)
    first = load(photographs, tmp_path)
    os.utime(only_folder(tmp_path) / "all.images.npy")
    monkeypatch.setattr(decoding, "decode", lambda *a: pytest.fail("prepared anew"))
    assert load(photographs, tmp_path).checksums == first.checksums


def test_changed_files_are_prepared_anew(tmp_path, warnings, monkeypatch):
    root = tmp_path / "set"
    write_digits(root, 60)
    monkeypatch.chdir(tmp_path)
    load_dataset("folder:set", cache_dir=tmp_path)
    (root / "3" / "0003.png").unlink()
    again = load_dataset("folder:./set", cache_dir=tmp_path)
    assert "have changed since" in warnings[0] and len(content(again)) == 59
    assert len(folders(tmp_path)) == 2


def test_another_rule_or_size_is_another_folder(photographs, tmp_path, monkeypatch):
    load(photographs, tmp_path)
    load(photographs, tmp_path, image_size=8)
    monkeypatch.setattr(prepared, "RULE", prepared.RULE + 1)
    load(photographs, tmp_path)
    assert len(folders(tmp_path)) == 3


def test_what_is_prepared_is_like_what_is_cached(photographs, tmp_path):
    load(photographs, tmp_path)
    folder = only_folder(tmp_path)
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    images = np.load(folder / "all.images.npy")
    for image, digest in zip(images, np.load(folder / "all.digests.npy"), strict=True):
        assert hashlib.sha256(image.tobytes()).digest() == digest.tobytes()
    assert isinstance(load_or_prepare, type(load)) and Published._fields
