"""Other places that give the files of a data set, byte for byte.

No place needs to be trusted: every file is verified by the SHA-256 of the publisher's.
"""

import os
import urllib.parse
from pathlib import Path

from init_study.errors import UserError

MIRRORS: dict[str, tuple[str, ...]] = {
    # `mirrors` of torchvision/datasets/mnist.py; TFDS's own place, which comes first,
    # is a copy as well: the publisher's gives no files any more.
    "mnist": ("https://ossci-datasets.s3.amazonaws.com/mnist/",),
    # The publisher's repository, zalandoresearch/fashion-mnist, under data/fashion.
    "fashion_mnist": (
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    # Tests/DatasetsTests/CIFAR10 of tensorflow/swift-models; MindSpore's tutorials.
    "cifar10": (
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    ),
    "cifar100": (
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    ),
}


def check_mirror(mirror: str) -> str:
    """Check that a mirror is a web address or a folder that is there.

    Returns: the address with a slash at its end, or the folder.

    Raises: UserError for anything else.

    Example:
        >>> check_mirror("https://example.org/mnist")
        'https://example.org/mnist/'
    """
    if is_address(mirror):
        if not urllib.parse.urlsplit(mirror).netloc:
            raise UserError(f"--mirror={mirror} names no host; give https://HOST/PATH")
        return mirror if mirror.endswith("/") else f"{mirror}/"
    if "://" in mirror:
        raise UserError(
            f"--mirror={mirror} is no http or https address; give one, or a folder "
            "that holds the files"
        )
    folder = Path(os.path.expanduser(mirror))
    if not folder.is_dir():
        raise UserError(
            f"--mirror={mirror} is no folder; give one that holds the files, or an "
            "address that begins with https://"
        )
    return os.fspath(folder)


def places_of(dataset: str, url: str, name: str, mirror: str | None) -> tuple[str, ...]:
    """List where a file may be had: addresses, and paths below a folder.

    Args:
        dataset: that the file is of.
        url: of the publisher, or of whom TFDS takes for him.
        name: of the file.
        mirror: of `check_mirror`, which comes first.

    Example:
        >>> places_of("kmnist", "https://example.org/a.gz", "a.gz", "mine")
        ('mine/a.gz', 'https://example.org/a.gz')
    """
    others = [base + name for base in MIRRORS.get(dataset, ())]
    if mirror is None:
        return (url, *others)
    first = mirror + name if is_address(mirror) else os.path.join(mirror, name)
    return (first, url, *others)


def is_address(place: str) -> bool:
    """Say whether a place is on the network, and no path.

    Example:
        >>> is_address("https://example.org/"), is_address("/data")
        (True, False)
    """
    return place.startswith(("http://", "https://"))
