"""Sets of TensorFlow Datasets: read without TensorFlow, or refused in one line."""

import hashlib
import json
import re
import shutil
import sys
from typing import ClassVar

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds
from pictures_of import content

from init_study.data import (
    DATASETS,
    check_dataset_name,
    describe_datasets,
    kept,
    load_dataset,
)
from init_study.data.overview import find_datasets, is_same_set
from init_study.data.pictures import decode
from init_study.data.sources import tfds_pictures
from init_study.errors import UserError

# Before the sets below are made.
NAMES = tfds.list_builders(with_community_datasets=False)


class TinyPictures(tfds.core.GeneratorBasedBuilder):
    """Colour images whose blue channel is constant; one test image is far brighter."""

    VERSION = tfds.core.Version("1.2.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(6, 5, 3)),
            "label": tfds.features.ClassLabel(num_classes=4),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0), "test": self._generate_examples(1)}

    def _generate_examples(self, seed):
        for index, (image, label) in enumerate(zip(*tiny_pictures(seed), strict=True)):
            yield index, {"image": PIL.Image.fromarray(image), "label": int(label)}


def tiny_pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 100 + 100 * seed, (80, 6, 5, 3), dtype=np.uint8)
    images[..., 2] = 77
    return images, rng.integers(0, 4, 80)


class NeedsTensorflow(TinyPictures):
    """Preparing it imports TensorFlow, as it does for most sets."""

    def _generate_examples(self, seed):
        import tensorflow  # noqa: F401  # pyright: ignore

        yield from super()._generate_examples(seed)


def builder_with(name: str, features: dict[str, object]) -> None:
    """Make TFDS know a set with these features, which must never be prepared."""

    def info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    type(name, (TinyPictures,), {"_info": info, "__module__": __name__})


Image, ClassLabel = tfds.features.Image, tfds.features.ClassLabel
builder_with("VaryingShape", {"image": Image(), "label": ClassLabel(num_classes=2)})


class VaryingPictures(TinyPictures):
    """Colour images of many shapes, as most sets of photographs have them."""

    def _info(self):
        features = {"image": Image(), "label": ClassLabel(num_classes=4)}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _generate_examples(self, seed):
        for index, (image, label) in enumerate(zip(*tiny_pictures(seed), strict=True)):
            cut = PIL.Image.fromarray(image[: 3 + index % 4, : 2 + index % 3])
            yield index, {"image": cut, "label": int(label)}


class ConfiguredPictures(TinyPictures):
    """One set in two configurations, of which the first is what its name means."""

    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name=name, version="1.2.0") for name in ("dim", "dark")
    ]


builder_with("NoClass", {"image": Image(shape=(4, 4, 1)), "label": np.float32})
builder_with("NoImage", {"text": tfds.features.Text(), "label": np.int64})
builder_with(
    "DeepPixels",
    {
        "image": Image(shape=(4, 4, 1), dtype=np.uint16),
        "label": ClassLabel(num_classes=2),
    },
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data_dir in which TinyPictures is prepared, and an empty cache folder."""
    data_dir = tmp_path_factory.mktemp("tfds")
    cache_dir = tmp_path_factory.mktemp("tiny_cache")
    load_dataset("tiny_pictures", data_dir=str(data_dir), cache_dir=cache_dir)
    return data_dir


def load_tiny(prepared, cache_dir):
    return load_dataset("tiny_pictures", data_dir=str(prepared), cache_dir=cache_dir)


def test_a_tfds_set_is_prepared_and_read_without_tensorflow(prepared, tmp_path):
    dataset = load_tiny(prepared, tmp_path)
    assert (dataset.image_shape, dataset.num_classes) == ((6, 5, 3), 4)
    for seed, parts in enumerate(
        [(dataset.train, dataset.validation), (dataset.test,)]
    ):
        ours = {
            (image.tobytes(), int(label))
            for part in parts
            for image, label in zip(part.images, part.labels, strict=True)
        }
        theirs = zip(*tiny_pictures(seed), strict=True)
        assert ours == {(image.tobytes(), int(label)) for image, label in theirs}
    (folder,) = (tmp_path / "data").iterdir()
    assert folder.name == "tiny_pictures-1.2.0"
    # TFDS's own reader finds the same files.
    source = tfds.data_source("tiny_pictures", split="test", data_dir=prepared)
    assert len(source) == 80


def test_a_set_that_varies_in_shape_is_brought_to_a_size(tmp_path):
    dataset = load_dataset(
        "varying_pictures",
        image_size=4,
        data_dir=str(tmp_path),
        cache_dir=tmp_path / "cache",
    )
    assert (dataset.image_shape, dataset.num_classes) == ((4, 4, 3), 4)
    for seed, parts in enumerate(
        [(dataset.train, dataset.validation), (dataset.test,)]
    ):
        pairs = enumerate(zip(*tiny_pictures(seed), strict=True))
        wanted = [
            (decode(image[: 3 + i % 4, : 2 + i % 3], 3, 4).tobytes(), int(label))
            for i, (image, label) in pairs
        ]
        assert content(*parts) == sorted(wanted)


def test_a_set_that_is_too_large_is_prepared_out_of_memory(
    prepared, tmp_path, monkeypatch
):
    """With the pixels, parts and statistics of a small one."""
    small = load_tiny(prepared, tmp_path)
    monkeypatch.setattr(kept, "IN_MEMORY", 0)
    monkeypatch.setattr(tfds_pictures, "IN_MEMORY", 0)
    for _ in range(2):
        large = load_tiny(prepared, tmp_path / "large")
        assert not isinstance(large.train.images, np.ndarray)
        for ours, theirs in zip(large[1:4], small[1:4], strict=True):
            np.testing.assert_array_equal(np.asarray(ours.images), theirs.images)
            np.testing.assert_array_equal(ours.labels, theirs.labels)
        assert (large.mean == small.mean).all() and (large.std == small.std).all()


def test_statistics_are_of_the_training_part_alone(prepared, tmp_path):
    dataset = load_tiny(prepared, tmp_path)
    pixels = dataset.train.images.astype(np.float64) / 255
    np.testing.assert_allclose(dataset.mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(dataset.std[:2], pixels.std((0, 1, 2))[:2], rtol=1e-6)
    assert dataset.std[2] == 1 and dataset.std.dtype == dataset.mean.dtype == np.float32
    everything = np.concatenate([p.images for p in dataset[1:4]]) / 255
    assert (np.abs(dataset.mean - everything.mean((0, 1, 2)))[:2] > 0.01).all()


def test_checksums_are_of_images_and_labels(prepared, tmp_path):
    dataset = load_tiny(prepared, tmp_path)
    assert set(dataset.checksums) == {"train", "validation", "test"}
    expected = hashlib.sha256(
        dataset.test.images.tobytes() + dataset.test.labels.astype("<i4").tobytes()
    )
    assert dataset.checksums["test"] == expected.hexdigest()
    assert len(set(dataset.checksums.values())) == 3


def test_a_prepared_set_needs_no_code_of_its_own(prepared, tmp_path):
    """As a user's own set in a folder of TFDS's layout."""
    folder = tmp_path / "renamed_pictures" / "1.2.0"
    shutil.copytree(prepared / "tiny_pictures" / "1.2.0", folder)
    info = json.loads((folder / "dataset_info.json").read_text())
    info["name"] = "renamed_pictures"
    (folder / "dataset_info.json").write_text(json.dumps(info))
    for file in folder.glob("tiny_pictures-*"):
        file.rename(file.with_name(file.name.replace("tiny_", "renamed_")))
    renamed = load_dataset(
        "renamed_pictures", data_dir=str(tmp_path), cache_dir=tmp_path / "cache"
    )
    assert renamed.checksums == load_tiny(prepared, tmp_path / "cache").checksums


@pytest.mark.parametrize(
    "name, message",
    [
        ("varying_shape", r"vary in shape: .* \(None, None, 3\); give --study.image_"),
        ("no_class", "not classification: its label is a"),
        ("no_image", "not image classification: .* but label, text"),
        ("deep_pixels", "are uint16, not uint8"),
        ("tiny_picture", "unknown data set 'tiny_picture'. Did you mean 'tiny_pict"),
        ("fashion-mnist", "Did you mean 'fashion_mnist'"),
        ("digit", "Did you mean 'digits'"),
        ("digits/8", "unknown data set"),
        ("", "unknown data set ''"),
        ("cifar10_corrupted/brightnes_1", "Did you mean 'brightness_1'"),
        ("tiny_pictures/large", "it has none"),
        ("tiny_pictures:9.9.9", "9.9.9, only: 1.2.0"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(name, message, tmp_path):
    with pytest.raises(UserError, match=message) as error:
        load_dataset(name, data_dir=str(tmp_path / "tfds"), cache_dir=tmp_path)
    assert "\n" not in str(error.value)


def test_a_set_that_needs_tensorflow_says_how_to_prepare_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError) as error:
        load_dataset("needs_tensorflow", data_dir=str(tmp_path), cache_dir=tmp_path)
    command = (
        f"tfds build needs_tensorflow --file_format=array_record --data_dir={tmp_path}"
    )
    assert command in str(error.value) and "\n" not in str(error.value)


def rewrite_info(prepared, target, change) -> str:
    """A copy of the prepared set whose description is changed."""
    folder = target / "tiny_pictures" / "1.2.0"
    shutil.copytree(prepared / "tiny_pictures" / "1.2.0", folder)
    info = json.loads((folder / "dataset_info.json").read_text())
    change(info)
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return str(target)


def test_a_set_in_tensorflows_own_format_says_so(prepared, tmp_path):
    data_dir = rewrite_info(
        prepared, tmp_path, lambda info: info.update(fileFormat="tfrecord")
    )
    with pytest.raises(UserError, match=r"needs TensorFlow to be read.*tfds build"):
        load_dataset("tiny_pictures", data_dir=data_dir, cache_dir=tmp_path)


def serve(monkeypatch, examples: list[dict[str, object]]) -> None:
    """Have TFDS read these examples, whatever the split."""

    class Source(list):
        def __getitems__(self, rows):
            return [self[row] for row in rows]

    monkeypatch.setattr(
        tfds.core.DatasetBuilder, "as_data_source", lambda self, split: Source(examples)
    )


def test_a_set_that_lost_examples_is_refused(prepared, tmp_path, monkeypatch):
    example = {"image": np.zeros((6, 5, 3), np.uint8), "label": 1}
    serve(monkeypatch, [example] * 79)
    with pytest.raises(UserError, match="is incomplete: train has 79 of 80"):
        load_tiny(prepared, tmp_path)


def test_a_part_without_labels_is_refused(prepared, tmp_path, monkeypatch):
    example = {"image": np.zeros((6, 5, 3), np.uint8), "label": -1}
    serve(monkeypatch, [example] * 80)
    with pytest.raises(UserError, match="its part 'train' has no labels"):
        load_tiny(prepared, tmp_path)


def test_a_kept_configuration_is_listed_once_by_a_name_that_loads(tmp_path):
    data_dir, listed = str(tmp_path / "tfds"), ["dim"]
    for given in ("configured_pictures", "configured_pictures/dark:1.2.0"):
        load_dataset(given, data_dir=data_dir, cache_dir=tmp_path)
        rows = find_datasets(data_dir, tmp_path)
        names = [row.name for row in rows if "configured" in row.name]
        assert sorted(names) == [f"configured_pictures/{name}" for name in listed]
        assert is_same_set(given, names[0])
        listed = ["dark", "dim"]
    load_dataset(names[0], data_dir=data_dir, cache_dir=tmp_path)
    # In another size it is another row, and TFDS's own is still none.
    load_dataset(names[0], data_dir=data_dir, cache_dir=tmp_path, image_size=3)
    rows = [row for row in find_datasets(data_dir, tmp_path) if row.name == names[0]]
    assert [row.image for row in rows] == [(3, 3, 3), (6, 5, 3)]
    assert {row.state for row in rows} == {"prepared"}
    shutil.rmtree(rows[1].where)
    rows = [row for row in find_datasets(data_dir, tmp_path) if row.name == names[0]]
    assert [row.image for row in rows] == [(3, 3, 3)]


def test_a_file_in_the_way_is_a_users_error(tmp_path):
    (tmp_path / "tfds").write_text("")
    with pytest.raises(UserError, match="cannot be prepared in"):
        load_dataset(
            "tiny_pictures", data_dir=str(tmp_path / "tfds"), cache_dir=tmp_path
        )


def test_every_name_of_tfds_passes_without_importing_it():
    for name in NAMES:
        check_dataset_name(name)
        check_dataset_name(f"{name}/config:1.0.0")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("digit", "digits"), ("cfar10", "cifar10"), ("food10", "food101"), ("", None)],
)
def test_a_name_that_nobody_has_is_refused_with_the_nearest(name, meant):
    said = f"unknown data set '{name}'." + (f" Did you mean '{meant}'" if meant else "")
    with pytest.raises(UserError, match=re.escape(said)):
        check_dataset_name(name)


def test_a_prepared_set_that_tfds_does_not_know_passes(tmp_path):
    with pytest.raises(UserError, match="unknown data set"):
        check_dataset_name("own_pictures", str(tmp_path))
    (tmp_path / "own_pictures").mkdir()
    check_dataset_name("own_pictures", str(tmp_path))


def test_a_set_passes_where_the_environment_says_that_tfds_keeps_them(
    tmp_path, monkeypatch
):
    """TFDS's own variable, which a folder that is given goes before."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    (tmp_path / "tfds" / "own_pictures").mkdir(parents=True)
    check_dataset_name("own_pictures")
    with pytest.raises(UserError, match="unknown data set"):
        check_dataset_name("own_pictures", str(tmp_path))


def test_every_listed_name_is_one_that_can_be_loaded():
    others = set(DATASETS) - {"digits"}
    assert others <= set(tfds.list_builders(with_community_datasets=False))
    assert DATASETS.items() <= describe_datasets().items()
