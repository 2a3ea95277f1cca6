"""Data sets: how they are cut, described and kept."""

import hashlib
import importlib.metadata

import numpy as np
import pytest
from absl import logging

from init_study.data import Split, load_dataset, splits
from init_study.data import cache as data_cache
from init_study.data.rows import ImageRows, choose_rows
from init_study.data.sources import digits
from init_study.data.splits import Published, buckets, carve, partition
from init_study.errors import UserError


def random_split(n: int, channels: int = 1, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 4, 4, channels), dtype=np.uint8)
    return Split(images, rng.integers(0, 3, n).astype(np.int32))


def image_bytes(split: Split) -> list[bytes]:
    return [image.tobytes() for image in split.images]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def digits_set(cache_dir):
    return load_dataset("digits", cache_dir=cache_dir)


# --- digits ---------------------------------------------------------------------------


def test_digits_are_scikit_learns_images_scaled_to_the_nearest_uint8(digits_set):
    from sklearn.datasets import load_digits

    theirs = load_digits()
    ours = np.concatenate([p.images for p in digits_set[1:4]])
    assert digits_set.image_shape == (8, 8, 1) and digits_set.num_classes == 10
    assert ours.dtype == np.uint8 and len(ours) == len(theirs.data) == 1797
    # Within half a step of 255/16 per level, and no image is lost or made up.
    levels = ours[..., 0] * (16 / 255)
    assert np.abs(levels - np.round(levels)).max() <= 0.5 * 16 / 255 + 1e-9
    labelled = {
        (np.round(image * (16 / 255)).tobytes(), int(label))
        for part in digits_set[1:4]
        for image, label in zip(part.images[..., 0], part.labels, strict=True)
    }
    assert labelled == {
        (image.tobytes(), int(label))
        for image, label in zip(theirs.images, theirs.target, strict=True)
    }


def test_the_scale_of_digits_is_exact_at_both_ends_and_in_the_middle():
    np.testing.assert_array_equal(digits.scale(np.array([0, 8, 16])), [0, 128, 255])


def test_no_image_of_digits_is_in_two_parts(digits_set):
    train, validation, test = (set(image_bytes(part)) for part in digits_set[1:4])
    assert not (train & validation or train & test or validation & test)


def test_digits_parts_have_about_the_promised_sizes(digits_set):
    sizes = np.array([len(part.labels) for part in digits_set[1:4]])
    expected = sizes.sum() * np.array([0.60, 0.15, 0.25])
    # Binomial: four standard deviations.
    assert (np.abs(sizes - expected) < 4 * np.sqrt(sizes.sum() * 0.25)).all()


def test_chance_is_the_test_accuracy_of_the_most_frequent_training_class(digits_set):
    labels = digits_set.train.labels.tolist()
    most_frequent = max(range(10), key=labels.count)
    hits = [label == most_frequent for label in digits_set.test.labels]
    assert digits_set.chance == pytest.approx(sum(hits) / len(hits))


# --- parts and statistics -------------------------------------------------------------


def test_the_side_of_a_cut_does_not_depend_on_the_order_of_examples():
    split = random_split(300)
    order = np.random.default_rng(1).permutation(300)
    shuffled = Split(split.images[order], split.labels[order])
    for ours, theirs in zip(
        carve(split, test=25, validation=15),
        carve(shuffled, test=25, validation=15),
        strict=True,
    ):
        assert set(image_bytes(ours)) == set(image_bytes(theirs))


def test_identical_images_land_on_the_same_side_and_nothing_is_lost():
    split = random_split(200)
    doubled = Split(*(np.concatenate([a, a]) for a in split))
    parts = carve(doubled, test=25, validation=15)
    counted = [image_bytes(part) for part in parts]
    assert sum(map(len, counted)) == 400
    for images in counted:
        assert all(images.count(image) == 2 for image in images)


def test_a_bucket_is_the_sha256_of_the_image_modulo_100():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    expected = int(hashlib.sha256(bytes(range(16))).hexdigest(), 16) % 100
    assert buckets(image).tolist() == [expected]


def names_of_parts(published: dict[str, Split]) -> dict[str, set[str]]:
    """For each part of the partition, the published parts that its images are from."""
    parts = partition(Published(published, num_classes=3))
    return {
        part: {
            name
            for name, split in published.items()
            if set(image_bytes(split)) & set(image_bytes(getattr(parts, part)))
        }
        for part in parts._fields
    }


@pytest.mark.parametrize(
    "published, validation, test",
    [
        ("train test", "train", "test"),
        ("train validation", "train", "validation"),
        ("train validation test", "validation", "test"),
        ("train", "train", "train"),
        ("all", "all", "all"),
    ],
)
def test_the_test_part_is_the_publishers_wherever_there_is_one(
    published, validation, test
):
    splits = {n: random_split(300, seed=i) for i, n in enumerate(published.split())}
    found = names_of_parts(splits)
    assert found["validation"] == {validation} and found["test"] == {test}
    parts = partition(Published(splits, num_classes=3))
    if test in ("test", "validation"):
        np.testing.assert_array_equal(parts.test.images, splits[test].images)
    all_images = [image for part in parts for image in image_bytes(part)]
    assert len(all_images) == len(set(all_images)) == 300 * len(splits)


def test_too_few_images_and_a_missing_training_part_are_the_users_errors():
    with pytest.raises(UserError, match="too small: its validation part is empty"):
        partition(Published({"train": random_split(1), "test": random_split(9)}, 3))
    with pytest.raises(UserError, match="this one has: test"):
        partition(Published({"test": random_split(9)}, 3))


# --- the cache ------------------------------------------------------------------------


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: lines.append(text % a))
    return lines


def only_folder(cache_dir):
    (folder,) = (cache_dir / "data").iterdir()
    return folder


def test_the_second_time_nothing_is_read_from_the_source(
    tmp_path, monkeypatch, warnings
):
    first = load_dataset("digits", cache_dir=tmp_path)
    monkeypatch.setattr(digits, "read", lambda: pytest.fail("read again"))
    again = load_dataset("digits", cache_dir=tmp_path)
    assert again.checksums == first.checksums and not warnings
    assert again.train.images.dtype == np.uint8 and again.train.labels.dtype == np.int32


def test_the_cache_is_keyed_by_name_and_can_be_checked(tmp_path):
    load_dataset("digits", cache_dir=tmp_path)
    folder = only_folder(tmp_path)
    assert folder.name == "digits-1.0.0"
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def flip_a_bit(folder):
    path = folder / "all.images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(folder):
    path = folder / "all.labels.npy"
    path.write_bytes(path.read_bytes()[:-4])


def cut_the_list_of_checksums_short(folder):
    lines = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    (folder / "SHA256SUMS").write_text("".join(lines[:2]))


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        truncate,
        lambda folder: (folder / "all.labels.npy").unlink(),
        lambda folder: (folder / "SHA256SUMS").unlink(),
        cut_the_list_of_checksums_short,
        lambda folder: (folder / "SHA256SUMS").write_text(""),
        lambda folder: (folder / "SHA256SUMS").write_bytes(b"\xff"),
    ],
)
def test_a_damaged_cache_is_noticed_and_rebuilt(tmp_path, warnings, damage):
    first = load_dataset("digits", cache_dir=tmp_path)
    damage(only_folder(tmp_path))
    assert load_dataset("digits", cache_dir=tmp_path).checksums == first.checksums
    assert len(warnings) == 1 and "damaged" in warnings[0]
    assert load_dataset("digits", cache_dir=tmp_path).checksums == first.checksums
    assert len(warnings) == 1


def test_a_cache_of_an_earlier_version_is_used_and_gets_digests(
    tmp_path, monkeypatch, warnings
):
    first = load_dataset("digits", cache_dir=tmp_path)
    folder = only_folder(tmp_path)
    for kind in ("digests", "histograms"):
        (folder / f"all.{kind}.npy").unlink()
    names = ("all.images.npy", "all.labels.npy", "info.json")
    (folder / "info.json").write_text('{"num_classes": 10}\n')
    sums = [(hashlib.sha256((folder / n).read_bytes()).hexdigest(), n) for n in names]
    (folder / "SHA256SUMS").write_text("".join(f"{s}  {n}\n" for s, n in sums))
    monkeypatch.setattr(digits, "read", lambda: pytest.fail("read again"))
    for _ in range(2):
        again = load_dataset("digits", cache_dir=tmp_path)
        assert again.checksums == first.checksums and not warnings
        assert (again.mean == first.mean).all() and (again.std == first.std).all()
        images = np.load(folder / "all.images.npy")
        found = np.load(folder / "all.digests.npy")
        for image, digest in zip(images, found, strict=True):
            assert hashlib.sha256(image.tobytes()).digest() == digest.tobytes()


def test_the_second_time_no_image_is_hashed(tmp_path, monkeypatch):
    first = load_dataset("digits", cache_dir=tmp_path)
    monkeypatch.setattr(splits, "digest_images", lambda images: pytest.fail("hashed"))
    assert load_dataset("digits", cache_dir=tmp_path).checksums == first.checksums


def test_what_is_cached_is_found_without_tfds(tmp_path, monkeypatch):
    """Which takes seconds to import."""
    rng = np.random.default_rng(0)
    parts = {
        part: Split(rng.integers(0, 256, (60, 4, 4, 1), np.uint8), np.arange(60) % 10)
        for part in ("train", "test")
    }
    parts = {n: Split(s.images, s.labels.astype(np.int32)) for n, s in parts.items()}
    reader = f"tfds {importlib.metadata.version('tensorflow-datasets')}"
    made = Published(parts, num_classes=10)
    data_cache.load_or_read(tmp_path / "data", "mnist/3.0.1", lambda: made, reader)
    from init_study.data.sources import tfds

    monkeypatch.setattr(
        tfds, "find", lambda *a: (_ for _ in ()).throw(KeyError("asked"))
    )
    dataset = load_dataset("mnist", cache_dir=tmp_path)
    np.testing.assert_array_equal(dataset.test.images, parts["test"].images)
    # Another version of TFDS may have another version of the set.
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    with pytest.raises(KeyError, match="asked"):
        load_dataset("mnist", cache_dir=tmp_path)


def test_rows_of_images_that_are_no_array_stay_where_they_are(tmp_path):
    whole = random_split(200)
    np.save(tmp_path / "images.npy", whole.images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), whole.labels)
    ours = carve(mapped, test=25, validation=15)
    theirs = carve(whole, test=25, validation=15)
    for one, other in zip(ours, theirs, strict=True):
        assert isinstance(one.images, ImageRows) and len(one.images) == len(one.labels)
        assert one.images.shape == other.images.shape
        assert one.images.dtype == other.images.dtype
        np.testing.assert_array_equal(np.asarray(one.images), other.images)
        rows = np.array([3, 0, 3])
        np.testing.assert_array_equal(one.images[rows], other.images[rows])
        assert type(one.images[rows]) is np.ndarray
        again = choose_rows(one.images, rows)
        np.testing.assert_array_equal(np.asarray(again), other.images[rows])


def test_a_cache_that_cannot_be_written_costs_only_a_warning(tmp_path, warnings):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert load_dataset("digits", cache_dir=blocked).num_classes == 10
    assert len(warnings) == 1 and "not cached" in warnings[0]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch, warnings):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    published = Published({"train": random_split(3)}, num_classes=3)
    assert data_cache.load_or_read(tmp_path, "a/1", lambda: published) is published
    assert not list(tmp_path.iterdir()) and "No space left" in warnings[0]


def test_the_cache_lies_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_cache.data_folder(None) == tmp_path / "init_study" / "data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_cache.data_folder(None) == tmp_path / ".cache" / "init_study" / "data"
