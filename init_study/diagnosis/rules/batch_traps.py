"""The batch: whether so many images are as many as they seem, for what is read off."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.seen import Seen

_ALIKE = 0.9
# A standard deviation of n images is uncertain by 1 / √(2n) of itself: a quarter of it
# for 8, an eighth for 32.
_FEW, _SOME = 8, 32
_BLOCKS = (8, 7, 6, 5, 4, 3, 2)
# A border of an eighth of the width on each side leaves nine sixteenths of the places.
_BORDER = 1 / 8
_HALF = ("float16", "bfloat16")


def _repeated(seen: Seen) -> Iterator[Sign]:
    images = _varied(seen)
    if images is None:
        return
    n = len(images)
    distinct = len(np.unique(images.reshape(n, -1), axis=0))
    if distinct < n:
        yield Sign(
            "warning" if 2 * distinct <= n else "info",
            "images",
            f"{distinct} of {n} images are distinct (wanted: all; a warning: half of "
            "them or fewer)",
        )


def _alike(seen: Seen) -> Iterator[Sign]:
    """Give a batch whose distinct images have one direction, brightness aside."""
    images = _varied(seen)
    if images is None or images.ndim < 3:
        return
    flat = images.reshape(len(images), -1)
    if len(np.unique(flat, axis=0)) < len(flat):
        return
    centred = images - images.mean(tuple(range(images.ndim - 1)))
    lengths = np.linalg.norm(centred.reshape(flat.shape), axis=1)
    if not lengths.all():
        return
    units = centred.reshape(flat.shape) / lengths[:, None]
    n = len(units)
    # The sum of all products, less those of images with themselves.
    cosine = (float(np.sum(units.sum(0) ** 2)) - n) / (n * (n - 1))
    if cosine > _ALIKE:
        yield Sign(
            "info",
            "images",
            f"mean cosine of two images is {cosine:.3f}, each channel's mean taken "
            f"away (threshold: {_ALIKE})",
        )


def _few(seen: Seen) -> Iterator[Sign]:
    names = [step.name for step in seen.set_up.refinements if step.needs == "images"]
    n = seen.set_up.given
    if names and n < _SOME:
        yield Sign(
            "warning" if n < _FEW else "info",
            "images",
            f"{names[0]} looks at {n} images, which leaves ±{1 / np.sqrt(2 * n):.0%} "
            f"on a standard deviation (threshold: {_SOME} images, ±"
            f"{1 / np.sqrt(2 * _SOME):.0%}; a warning: fewer than {_FEW})",
        )


def _upscaled(seen: Seen) -> Iterator[Sign]:
    images = _varied(seen)
    if images is None or images.ndim != 4:
        return
    height, width = images.shape[1:3]
    for size in _BLOCKS:
        if height % size or width % size or min(height, width) < 2 * size:
            continue
        coarse = images[:, ::size, ::size]
        if np.array_equal(coarse.repeat(size, 1).repeat(size, 2), images):
            if not np.array_equal(coarse, np.broadcast_to(coarse[:1], coarse.shape)):
                yield Sign(
                    "info",
                    "images",
                    f"blocks of {size}×{size} pixels are equal in all {len(images)} "
                    f"images: {height // size}×{width // size} of {height}×{width} "
                    "pixels are all there is",
                )
            return


def _padded(seen: Seen) -> Iterator[Sign]:
    images = _varied(seen)
    if images is None or images.ndim != 4:
        return
    low, high = images.min((0, 3)), images.max((0, 3))
    frame = low == high
    size = min(frame.shape)
    rings = 0
    while 2 * (rings + 1) < size and _ring(frame, rings).all():
        rings += 1
    if rings >= _BORDER * size:
        yield Sign(
            "info",
            "images",
            f"a border of {rings} pixels is constant in all {len(images)} images of "
            f"{frame.shape[0]}×{frame.shape[1]} (threshold: {_BORDER:.1%} of the size)",
        )


def _ring(frame: np.ndarray, place: int) -> np.ndarray:
    """Give the places of a frame that lie so many pixels from its border."""
    inner = frame[place : len(frame) - place, place : frame.shape[1] - place]
    return np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])


def _half(seen: Seen) -> Iterator[Sign]:
    dtype = str(seen.set_up.images.dtype)
    if dtype in _HALF:
        yield Sign(
            "info",
            "images",
            f"images are {dtype} (wanted: float32, cast in the module)",
        )


def _varied(seen: Seen) -> Float[np.ndarray, "n ..."] | None:
    """Give two images or more, all finite, and not all one constant."""
    images = np.asarray(seen.set_up.images).astype(np.float64)
    good = len(images) > 1 and images.ndim > 1 and np.isfinite(images).all()
    return images if good and np.ptp(images) else None


BATCH_TRAPS = (
    Trap(
        "repeated-images",
        "images of the batch are the same",
        "The batch is smaller than it seems; in a data set such images may also be in "
        "training and test at once.",
        "images[np.unique(images.reshape(len(images), -1), axis=0, "
        "return_index=True)[1]]",
        "derived: a mean over copies has the error of the distinct ones",
        _repeated,
    ),
    Trap(
        "images-alike",
        "all images have nearly one direction",
        "What tells them apart is a small part of what layers read; it takes long to "
        "be learnt, and means over the batch hide it.",
        "subtract the mean image: images - images.mean(0)",
        "derived: of cosine c a share 1 − c of the mean square tells images apart",
        _alike,
    ),
    Trap(
        "few-images",
        "a scheme looks at a batch that is too small",
        "The statistics that it sets are of this batch, and chance is a large part of "
        "them; the next batch has others.",
        "give it 64 images or more: initialize(module, images[:256], 'lsuv', key)",
        "derived: the standard deviation of n independent numbers is uncertain by "
        "1 / √(2n) of itself",
        _few,
    ),
    Trap(
        "upscaled-images",
        "pixels are repeated in blocks",
        "The first layer spends its places on copies; costs grow with the square.",
        "images[:, ::k, ::k], and a first layer of smaller stride",
        "derived: every k-th pixel gives the image back",
        _upscaled,
    ),
    Trap(
        "padded-images",
        "images have a wide border that never changes",
        "Much of every map says nothing, and means over places shrink with it.",
        "crop: images[:, k:-k, k:-k]",
        "derived: constant places have no variance",
        _padded,
    ),
    Trap(
        "half-images",
        "images are of half precision",
        "Their last digits are lost before the network sees them; what is computed in "
        "float32 gains nothing by it.",
        "images.astype('float32')",
        "derived: bfloat16 keeps 8 bits, float16 11",
        _half,
    ),
)
