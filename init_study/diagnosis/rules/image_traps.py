"""Images: whether their numbers are what the laws of a start count on."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy import special

from init_study.diagnosis.finding import BY_CHANCE, Sign, Trap
from init_study.diagnosis.seen import Seen
from init_study.network import Layer

# Laws count on a mean square of 1; a quarter and four times are what a rectifier does
# twice, and a scale of a half, as (x − 0.5) / 0.5 gives, stays within.
_SQUARES = 4.0
# A mean of so many standard deviations has more of the mean square than all else.
_MEAN = 1.0
# No batch of standardized images, however few, has this mean square.
_GROSS = 100.0
# Grey, colours, and colours with how opaque they are.
_CHANNELS = (1, 3, 4)
# An image ten times as long as the others.
_OUTLIER = 100.0
_ONE_DIRECTION = 0.9
_PATCHES = 4096
_A_DIRECTION = 10
_STANDARDIZED = (
    "(images - images.mean((0, 1, 2))) / images.std((0, 1, 2)), with the mean and std "
    "of all training images"
)
_DIVIDED = f"images = images.astype('float32') / 255; then {_STANDARDIZED}"


def _not_standardized(seen: Seen) -> Iterator[Sign]:
    """Give channels whose scale or mean is far off, beyond what so few images tell."""
    images = _usable(seen)
    if images is None or _are_integers(seen) or not np.ptp(images):
        return
    # Of what has no places, features have units of their own: all count as one channel.
    flat = images[..., None] if images.ndim == 2 else images
    rows = flat.reshape(len(flat), -1, flat.shape[-1])
    cure = _DIVIDED if _are_bytes(images) else ""
    for place in range(rows.shape[-1]):
        own = rows[..., place]
        squares, mean, deviation = np.mean(own**2), np.mean(own), np.std(own)
        low, high = _sure(np.mean(own**2, axis=1))
        least, most = _sure(np.mean(own, axis=1))
        sure_mean = max(least, -most, 0.0)
        far = low > _SQUARES or high < 1 / _SQUARES or squares > _GROSS
        # A channel that is constant is a trap of its own.
        if deviation and (far or sure_mean > _MEAN * deviation):
            yield Sign(
                "warning",
                "images" if rows.shape[-1] == 1 else f"images, channel {place}",
                f"mean square {squares:.3g} (threshold: from {1 / _SQUARES:g} to "
                f"{_SQUARES:g}), mean {mean:.3g} at std {deviation:.3g} (threshold: "
                f"{_MEAN:g} std), and beyond the errors of {len(own)} images; from "
                f"{own.min():.3g} to {own.max():.3g}",
                cure,
            )


def _integers(seen: Seen) -> Iterator[Sign]:
    images = _as_given(seen)
    if images.ndim < 3 or not _are_integers(seen):
        return
    squares = float(np.mean(images.astype(np.float64) ** 2))
    if images.max() - images.min() > 2:
        yield Sign(
            "warning",
            "images",
            f"{images.dtype} from {images.min()} to {images.max()}, which the network "
            f"reads as these numbers: mean square {squares:.3g} (wanted: 1, float32)",
        )


def _channels_first(seen: Seen) -> Iterator[Sign]:
    """Give images whose channels come first, for a convolution that reads the last."""
    shape, reader = seen.set_up.images.shape, _first_convolution(seen)
    if len(shape) != 4 or reader is None:
        return
    first, last = shape[1], shape[3]
    reads = reader.kernel_shape[-2] * reader.groups
    small = first in _CHANNELS and min(shape[2:]) > max(_CHANNELS)
    if small and reads == last:
        yield Sign(
            "warning",
            "images",
            f"of shape {tuple(shape)}: {first} rows of {last} channels, as "
            f"{reader.name} reads them (wanted: few channels, in the last place)",
        )


def _dead_channels(seen: Seen) -> Iterator[Sign]:
    images = _usable(seen)
    if images is None or len(images) < 2 or images.ndim < 3 or not np.ptp(images):
        return
    rows = images.reshape(-1, images.shape[-1])
    dead = np.flatnonzero(np.ptp(rows, 0) == 0)
    for place in dead:
        yield Sign(
            "warning",
            f"images, channel {place}",
            f"it is {rows[0, place]:.3g} everywhere in {len(images)} images (wanted: "
            f"some spread); {len(dead)} of {rows.shape[1]} channels are constant",
        )


def _constant(seen: Seen) -> Iterator[Sign]:
    images = _usable(seen)
    if images is not None and images.size > 1 and not np.ptp(images):
        yield Sign("info", "images", f"all numbers are {images.flat[0]:.3g}")


def _outliers(seen: Seen) -> Iterator[Sign]:
    """Give images that are much longer than the others."""
    images = _usable(seen)
    if images is None or len(images) < 3:
        return
    squares = np.mean(images.reshape(len(images), -1) ** 2, axis=1)
    usual = float(np.median(squares))
    for place in np.flatnonzero(squares > _OUTLIER * usual) if usual else ():
        yield Sign(
            "warning",
            f"image {place}",
            f"mean square {squares[place]:.3g}, the median is {usual:.3g} (threshold: "
            f"{_OUTLIER:g} times)",
        )


def _one_direction(seen: Seen) -> Iterator[Sign]:
    """Give patches, as the first layer reads them, that vary in one direction alone."""
    images, reader = _usable(seen), _first_convolution(seen)
    if images is None or images.ndim != 4 or reader is None:
        return
    height, width = reader.kernel_shape[:2]
    patches = _patches(images, height, width)
    # Of fewer patches a direction takes much of the variance by chance.
    if min(patches.shape[1] - 3, len(patches) - _A_DIRECTION * patches.shape[1]) <= 0:
        return
    values = np.linalg.eigvalsh(np.cov(patches, rowvar=False))
    share = float(values[-1] / max(values.sum(), np.finfo(float).tiny))
    if share > _ONE_DIRECTION:
        yield Sign(
            "info",
            reader.name,
            f"{share:.1%} of the variance of {height}×{width} patches is in one of "
            f"{len(values)} directions (threshold: {_ONE_DIRECTION:.0%})",
        )


def _first_convolution(seen: Seen) -> Layer | None:
    """Give the first layer, if it is a convolution."""
    first = next(iter(seen.set_up.network.layers), None)
    return first if first is not None and first.kind == "conv" else None


def _patches(
    images: Float[np.ndarray, "n h w c"], height: int, width: int
) -> Float[np.ndarray, "m p"]:
    """Cut images into patches that do not overlap, `_PATCHES` at most."""
    n, high, wide, channels = images.shape
    rows, columns = high // height, wide // width
    kept = images[:, : rows * height, : columns * width]
    cut = kept.reshape(n, rows, height, columns, width, channels)
    flat = cut.transpose(0, 1, 3, 2, 4, 5).reshape(-1, height * width * channels)
    return flat[:: max(1, len(flat) // _PATCHES)]


def _sure(of_images: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Give the least and the most that a mean can be, but for chance.

    Pixels of one image are alike: the error of a mean over all pixels is that of n
    numbers, one of each image. Of one image nothing is sure.
    """
    n, mean = len(of_images), float(np.mean(of_images))
    if n < 2:
        return -np.inf, np.inf
    error = float(np.std(of_images, ddof=1)) / np.sqrt(n)
    width = float(special.stdtrit(n - 1, 1 - BY_CHANCE)) * error
    return mean - width, mean + width


def _are_bytes(images: Float[np.ndarray, "n ..."]) -> bool:
    """Tell numbers from 0 to 255, whatever their type."""
    return bool(images.min() >= 0 and 100 < images.max() <= 255)


def _are_integers(seen: Seen) -> bool:
    return np.issubdtype(_as_given(seen).dtype, np.integer)


def _as_given(seen: Seen) -> np.ndarray:
    return np.asarray(seen.set_up.images)


def _usable(seen: Seen) -> Float[np.ndarray, "n ..."] | None:
    """Give images as float64 with a batch axis, where all are finite."""
    images = _as_given(seen).astype(np.float64)
    good = images.ndim >= 2 and images.size and np.isfinite(images).all()
    return images if good else None


IMAGE_TRAPS = (
    Trap(
        "not-standardized",
        "images are not of mean 0 and std 1",
        "Every law of a start counts on inputs of mean square 1: its signal begins off "
        "by that factor, and a common mean makes all images look alike and the loss "
        "steep in one direction.",
        f"images = {_STANDARDIZED}",
        "LeCun et al. 1998, Efficient BackProp, section 4.3; Mishkin & Matas 2016, "
        "arXiv:1511.06422",
        _not_standardized,
    ),
    Trap(
        "integer-images",
        "images are integers",
        "They are read as large numbers, all above 0: outputs are hundreds of times "
        "what the law of the start promises.",
        _DIVIDED,
        "derived: the mean square of numbers from 0 to 255 is some 20,000",
        _integers,
    ),
    Trap(
        "channels-first",
        "channels come first, and the module reads them last",
        "It slides over rows and channels and takes columns for channels; training "
        "runs, and learns little.",
        "images.transpose(0, 2, 3, 1)",
        "derived: the first layer has as many input channels as images have columns",
        _channels_first,
    ),
    Trap(
        "dead-channel",
        "a channel is the same everywhere",
        "It says nothing; of zeros its weights never get a gradient, of others it is "
        "one more bias. Fans count it all the same.",
        "images[..., alive], or mend what loads it",
        "derived: the gradient of a weight is a product with what it reads",
        _dead_channels,
    ),
    Trap(
        "constant-images",
        "all images are one constant",
        "Nothing that depends on data can be judged: spreads, dead units, losses.",
        "give real training images, standardized",
        "derived: a constant has no spread",
        _constant,
    ),
    Trap(
        "outlier-image",
        "an image is far larger than the others",
        "It alone decides on means over the batch: norms, gradients, and whatever "
        "looks at data.",
        "clip images, or leave it out",
        "derived: one of n of 100 times the mean square has 100 / (n + 99) of it",
        _outliers,
    ),
    Trap(
        "one-direction",
        "nearly all of the variance is in one direction",
        "Filters first see brightness alone; other directions are learnt by so much "
        "more slowly as they have less variance.",
        "scheme='whitened', or subtract each image's mean",
        "LeCun et al. 1998, Efficient BackProp, section 4.3",
        _one_direction,
    ),
)
