"""The 1,797 handwritten digits that come with scikit-learn, 8x8 pixels, ten classes.

Source: Alpaydin & Kaynak 1998, UCI repository, test part of "Optical Recognition of
Handwritten Digits".
"""

import numpy as np

from init_study.data.splits import ALL, Published, Split
from init_study.errors import extra

# The version is that of the scaling below; the images themselves never change.
VERSIONED_NAME = "digits/1.0.0"


def read() -> Published:
    """Read all examples under one name: the set has no published parts.

    Example:
        >>> read().splits["all"].images.shape
        (1797, 8, 8, 1)
    """
    # Imported here because scikit-learn takes seconds, and a cached set needs none.
    with extra("data"):
        from sklearn.datasets import load_digits

    levels, labels = load_digits(return_X_y=True)
    images = scale(np.asarray(levels).reshape(-1, 8, 8, 1))
    split = Split(images, np.asarray(labels, dtype=np.int32))
    return Published(splits={ALL: split}, num_classes=10)


def scale(levels: np.ndarray) -> np.ndarray:
    """Turn grey levels 0 to 16 into uint8 0 to 255: the nearest of 255/16 per level.

    In whole numbers, (255·level + 8) // 16, so that level 8, exactly between two
    values, is 128.

    Example:
        >>> scale(np.array([0, 8, 16])).tolist()
        [0, 128, 255]
    """
    return ((255 * levels.astype(np.int64) + 8) // 16).astype(np.uint8)
