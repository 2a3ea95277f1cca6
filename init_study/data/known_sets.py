"""What is known of data sets before they are there: numbers and published files.

Sizes of files are those that TFDS has registered.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class KnownSet(NamedTuple):
    """A data set as it is published.

    Attributes:
        examples: in all parts together.
        image_shape: height, width and channels; None if images vary.
        num_classes: how many there are.
        files: bytes of each published file, by name; none if nothing is downloaded.
        by_hand: names of files that no program may download.
    """

    examples: int
    image_shape: tuple[int, int, int] | None
    num_classes: int
    files: Mapping[str, int] = {}
    by_hand: tuple[str, ...] = ()


def _mnist_like(sizes: tuple[int, int, int, int]) -> KnownSet:
    parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3")
    names = [f"{part}-ubyte.gz" for part in (*parts, "t10k-labels-idx1")]
    return KnownSet(70_000, (28, 28, 1), 10, dict(zip(names, sizes, strict=True)))


def say_by_hand(files: Sequence[str], folder: str) -> str:
    """Say what to do with files that no program may download.

    Args:
        files: their names: pictures to train on, and others whose labels lie apart.
        folder: where TFDS wants them.

    Example:
        >>> say_by_hand(["a.tar", "b.tar"], "manual")[:42]
        'put a.tar and b.tar into a folder DIR, wit'
    """
    return (
        f"put {' and '.join(files)} into a folder DIR, with LOC_val_solution.csv for "
        "the labels of validation, and take folder:DIR as the data set, which may also "
        "hold the pictures as DIR/train/CLASS/*.JPEG and DIR/val/CLASS/*.JPEG; TFDS, "
        f"which needs TensorFlow for it, wants them in {folder}"
    )


KNOWN_SETS: dict[str, KnownSet] = {
    "digits": KnownSet(1_797, (8, 8, 1), 10),
    "fashion_mnist": _mnist_like((26_421_880, 29_515, 4_422_102, 5_148)),
    "mnist": _mnist_like((9_912_422, 28_881, 1_648_877, 4_542)),
    "kmnist": _mnist_like((18_165_135, 29_497, 3_041_136, 5_120)),
    "cifar10": KnownSet(
        60_000, (32, 32, 3), 10, {"cifar-10-binary.tar.gz": 170_052_171}
    ),
    "cifar100": KnownSet(
        60_000, (32, 32, 3), 100, {"cifar-100-binary.tar.gz": 168_513_733}
    ),
    # Russakovsky et al. 2015: training and validation; the test part has no labels.
    "imagenet2012": KnownSet(
        1_331_167,
        None,
        1_000,
        by_hand=("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"),
    ),
}
