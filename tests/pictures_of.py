"""Pictures on the disk that the tests of folders share: digits and two photographs."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images


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
