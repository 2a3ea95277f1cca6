"""Pictures on the disk that tests share, and what becomes of them as a data set."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from init_study.data import load_dataset
from init_study.data.pictures import decode
from init_study.errors import UserError

SIZE = 8


def write_digits(root: Path, count: int = 200) -> None:
    """The first digits of scikit-learn as PNGs, one folder for each class."""
    found = load_digits()
    for row, (image, label) in enumerate(zip(found.images, found.target, strict=True)):
        if row < count:
            save(root / str(label) / f"{row:04}.png", digit_pixels(image))


def digit_pixels(image: np.ndarray) -> np.ndarray:
    return ((255 * image.astype(np.int64) + 8) // 16).astype(np.uint8)


def write_photographs(root: Path, count: int = 40, seed: int = 0) -> None:
    """Pieces of two photographs as JPEGs of many sizes, one folder for each."""
    rng = np.random.default_rng(seed)
    for name, photograph in zip(
        ("temple", "flower"), load_sample_images().images, strict=True
    ):
        for number in range(count):
            height, width = rng.integers(24, 90, 2)
            top = rng.integers(0, photograph.shape[0] - height)
            left = rng.integers(0, photograph.shape[1] - width)
            piece = photograph[top : top + height, left : left + width]
            save(root / name / f"{number:03}.jpg", piece)


def save(path: Path, pixels: np.ndarray | Image.Image, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    image.save(path, **options)


def load(root, cache_dir, **options):
    return load_dataset(f"folder:{root}", cache_dir=cache_dir, **options)


def content(*parts) -> list[tuple[bytes, int]]:
    return sorted(
        (image.tobytes(), int(label))
        for part in parts
        for image, label in zip(part.images, part.labels, strict=True)
    )


def pixels_of(paths, channels: int = 3) -> list[bytes]:
    return [decode(path.read_bytes(), channels, SIZE).tobytes() for path in paths]


def noise(seed: int, height: int = 12, width: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write_classes(folder, names, count: int = 8, seed: int = 0, ending: str = "png"):
    for place, name in enumerate(names):
        for number in range(count):
            picture = noise(seed + 1000 * place + number)
            save(folder / name / f"{name}_{number}.{ending}", picture)


def refused(root, cache_dir, **options) -> str:
    with pytest.raises(UserError) as error:
        load(root, cache_dir, **({"image_size": SIZE} | options))
    assert "\n" not in str(error.value)
    return str(error.value)
