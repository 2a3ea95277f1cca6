"""What some published sets hold, so that a copy that was tampered with is known.

A copy has checksums beside it, which whoever changes the copy can change as well. These
were computed from files with the publisher's SHA-256.
"""

import hashlib

import numpy as np

from init_study.data.splits import Published, Split, digest_images

# By name and version, then by published part: `sum_up` of each.
KNOWN_SUMS: dict[str, dict[str, str]] = {
    # Of scikit-learn's own file, scaled as `sources.digits` does.
    "digits-1.0.0": {
        "all": "e94dbf792c4a91454d46c6d2583cbe3ddb0ac730fe5a985e6166974065b427c5",
    },
    "fashion_mnist-3.0.1": {
        "train": "51e2b8d07e1064ddbf0a5749819ac78eac24fe36ffffe17cf3fe51593e3fe7e7",
        "test": "d1a9ba83c4e64a98564473a71edd58f5db03c3fabba104305362b7a66be08771",
    },
}


def check_known(versioned_name: str, published: Published) -> None:
    """Make sure that a copy of a set is the set, if it is known what that holds.

    Args:
        versioned_name: as `digits-1.0.0`.
        published: the copy.

    Raises: ValueError naming the part that is another.

    Example:
        >>> from init_study.data.sources import digits
        >>> check_known("digits-1.0.0", digits.read())
    """
    known = KNOWN_SUMS.get(versioned_name)
    if known is None:
        return
    if set(known) != set(published.splits):
        raise ValueError(f"its parts are not {' and '.join(known)}")
    for part, split in published.splits.items():
        if sum_up(split) != known[part]:
            raise ValueError(f"its part {part} is not the published one")


def sum_up(split: Split) -> str:
    """Compute the SHA-256 of images with their labels, in whatever order they are.

    Example:
        >>> images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
        >>> one = Split(images, np.array([0, 1], np.int32))
        >>> other = Split(images[::-1], np.array([1, 0], np.int32))
        >>> sum_up(one) == sum_up(other)
        True
    """
    labels = split.labels.astype("<i4").reshape(-1, 1).view(np.uint8)
    rows = np.concatenate([digest_images(np.asarray(split.images)), labels], axis=1)
    ordered = np.sort(np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").ravel())
    return hashlib.sha256(ordered.tobytes()).hexdigest()
