"""Folders of pictures become data sets, or are refused in one line."""

import numpy as np
import pytest
from pictures_of import digit_pixels, write_digits
from sklearn.datasets import load_digits

from init_study.data import load_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    write_digits(root)
    return root


def test_digits_as_files_are_the_digits(folder, tmp_path):
    dataset = load_dataset(f"folder:{folder}", cache_dir=tmp_path)
    assert dataset.name == f"folder:{folder}"
    assert (dataset.image_shape, dataset.num_classes) == ((8, 8, 1), 10)
    ours = sorted(
        (image.tobytes(), int(label))
        for part in dataset[1:4]
        for image, label in zip(part.images, part.labels, strict=True)
    )
    found = load_digits()
    theirs = zip(found.images[:200], found.target[:200], strict=True)
    assert ours == sorted((digit_pixels(i).tobytes(), int(n)) for i, n in theirs)
    pixels = dataset.train.images / 255
    np.testing.assert_allclose(dataset.mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(dataset.std, pixels.std((0, 1, 2)), rtol=1e-6)
