"""How a picture becomes pixels: one rule for every picture of every set.

1. It is decoded whole; of several frames the first counts. EXIF orientation is applied.
2. It becomes 8 bits of grey or RGB. Of 16 bits the high byte counts, as Pillow has it
   for RGB. What is transparent, by alpha or by a palette, lies on white. CMYK and other
   spaces become RGB as Pillow converts them. Grey becomes RGB by repetition.
3. With a size, its shorter side is scaled to the size by Pillow's BILINEAR, which
   averages over the whole area that a pixel covers (no reducing gap, no JPEG draft
   mode), the longer one by the same ratio, rounded; then its centre is cut out.

`RULE` changes with any of this, and what was prepared by another rule is not used.
"""

import contextlib
import io
from typing import NamedTuple

import numpy as np

from init_study.data.listing import Encoded
from init_study.errors import extra

with extra("data"):
    from PIL import Image, ImageOps

RULE = 1
# Formats that Pillow reads by itself: none that starts another program.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
_GREY = ("1", "L", "LA", "I", "I;16", "I;16L", "I;16B")
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)


class Unreadable(Exception):
    """Error for a picture that cannot be decoded; the message says why."""


class Header(NamedTuple):
    """What the head of a picture says.

    Attributes:
        width: in pixels, turned as it is shown.
        height: in pixels, turned as it is shown.
        is_grey: whether it has no colour.
    """

    width: int
    height: int
    is_grey: bool


def read_header(encoded: Encoded) -> Header:
    """Read what a picture says of itself, without decoding its pixels.

    Raises: Unreadable if it is no picture, or too large a one.

    Example:
        >>> read_header(np.zeros((4, 6), np.uint8))
        Header(width=6, height=4, is_grey=True)
    """
    if isinstance(encoded, np.ndarray):
        height, width = encoded.shape[:2]
        is_grey = encoded.ndim == 2 or encoded.shape[2] == 1
        return Header(width, height, is_grey)
    try:
        with _open(encoded) as image:
            width, height = image.size
            if image.getexif().get(_ORIENTATION) in _TURNED:
                width, height = height, width
            return Header(width, height, image.mode in _GREY)
    except Unreadable:
        raise
    # Pillow raises whatever its readers trip over.
    except Exception as error:
        raise Unreadable(_why(error)) from error


def has_frames(encoded: Encoded) -> bool:
    """Say whether a picture is animated: a GIF, WebP or PNG of several frames.

    Example:
        >>> has_frames(np.zeros((4, 6), np.uint8))
        False
    """
    if isinstance(encoded, np.ndarray):
        return False
    may = encoded.startswith((b"GIF8", b"RIFF"))
    if not may and b"acTL" not in encoded[: encoded.find(b"IDAT")]:
        return False
    with contextlib.suppress(Exception), _open(encoded) as image:
        return bool(getattr(image, "is_animated", False))
    return False


def decode(encoded: Encoded, channels: int, size: int | None) -> np.ndarray:
    """Turn a picture into pixels by the rule above.

    Args:
        encoded: the picture.
        channels: 1 for grey, 3 for RGB.
        size: height and width of the result; None for those of the picture.

    Returns: uint8 `[height, width, channels]`.

    Raises: Unreadable if it is no whole picture, or too large a one.

    Example:
        >>> decode(np.full((4, 8), 7, np.uint8), channels=3, size=2).shape
        (2, 2, 3)
    """
    try:
        if isinstance(encoded, np.ndarray):
            plane = encoded[..., 0] if encoded.shape[2:] == (1,) else encoded
            image = Image.fromarray(np.ascontiguousarray(plane))
        else:
            image = _open(encoded)
        with image:
            shown = _to_mode(_upright(image), "L" if channels == 1 else "RGB")
    except Unreadable:
        raise
    # Pillow raises whatever its readers trip over.
    except Exception as error:
        raise Unreadable(_why(error)) from error
    pixels = np.asarray(shown if size is None else _square(shown, size))
    return pixels[..., None] if channels == 1 else pixels


def _open(encoded: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(encoded), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(f"too large, {_why(error)}") from error
    except Image.UnidentifiedImageError as error:
        what = "is empty" if not encoded else f"is none of {', '.join(FORMATS)}"
        raise Unreadable(what) from error
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and image.width * image.height > most:
        raise Unreadable(f"too large, {image.width}x{image.height} pixels")
    return image


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    return ImageOps.exif_transpose(image)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "F":
        raise Unreadable("its pixels are floating-point numbers")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        if levels.size and not 0 <= levels.min() <= levels.max() < 2**16:
            raise Unreadable("its pixels have more than 16 bits")
        image = Image.fromarray((levels >> 8).astype(np.uint8))
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        image = Image.alpha_composite(white, clear).convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _square(image: Image.Image, size: int) -> Image.Image:
    short = min(image.size)
    scaled = [max(size, round(side * size / short)) for side in image.size]
    if image.size != tuple(scaled):
        image = image.resize((scaled[0], scaled[1]), Image.Resampling.BILINEAR)
    left, top = ((side - size) // 2 for side in scaled)
    return image.crop((left, top, left + size, top + size))


def _why(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
