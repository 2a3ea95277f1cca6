"""One rule makes pixels of every picture, whatever its file says of colour."""

import io

import numpy as np
import pytest
from PIL import Image

from init_study.data.pictures import Header, Unreadable, decode, has_frames, read_header


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def ramp(mode: str = "L", height: int = 4, width: int = 6) -> Image.Image:
    levels = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    return Image.fromarray(levels[..., 0] if mode == "L" else levels).convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("mode, channels", [("L", 1), ("RGB", 3)])
def test_8_bits_without_loss_stay_what_they_are(mode, channels, kind):
    image = ramp(mode)
    pixels = decode(encode(image, kind), channels, None)
    assert pixels.dtype == np.uint8 and pixels.shape == (4, 6, channels)
    np.testing.assert_array_equal(pixels.squeeze(), np.asarray(image))
    np.testing.assert_array_equal(pixels, decode(np.asarray(image), channels, None))


def test_grey_becomes_rgb_by_repetition():
    pixels = decode(encode(ramp()), 3, None)
    for channel in range(3):
        np.testing.assert_array_equal(pixels[..., channel], np.asarray(ramp()))


def test_of_16_bits_the_high_byte_counts():
    levels = np.array([[0x0000, 0x00FF, 0x12FF], [0x1300, 0x7F80, 0xFFFF]], np.uint16)
    pixels = decode(encode(Image.fromarray(levels)), 1, None)
    assert pixels[..., 0].tolist() == [[0x00, 0x00, 0x12], [0x13, 0x7F, 0xFF]]


def test_black_and_white_are_0_and_255():
    image = Image.fromarray(np.array([[True, False]]))
    assert image.mode == "1"
    assert decode(encode(image), 1, None).ravel().tolist() == [255, 0]


def test_what_is_transparent_lies_on_white():
    clear, half, solid = (10, 20, 30, 0), (0, 0, 0, 51), (10, 20, 30, 255)
    image = Image.fromarray(np.array([[clear, half, solid]], np.uint8), "RGBA")
    # 51 of 255 is a fifth of black: four fifths of 255 are 204.
    wanted = [[255] * 3, [204] * 3, [10, 20, 30]]
    assert decode(encode(image), 3, None)[0].tolist() == wanted
    grey = Image.fromarray(np.array([[[0, 0], [0, 51], [9, 255]]], np.uint8), "LA")
    assert decode(encode(grey), 1, None).ravel().tolist() == [255, 204, 9]


def test_a_palette_gives_its_colours_and_its_clear_entry_white():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    wanted = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert decode(encode(image), 3, None)[0].tolist() == wanted
    wanted[1] = [255, 255, 255]
    assert decode(encode(image, transparency=1), 3, None)[0].tolist() == wanted


def test_cmyk_without_ink_is_white_and_with_black_ink_black():
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:, 8:, 3] = 255
    image = Image.fromarray(ink, "CMYK")
    pixels = decode(encode(image, "JPEG", quality=100), 3, None).astype(int)
    assert pixels[:, :8].min() >= 253 and pixels[:, 8:].max() <= 2


def test_a_turned_picture_is_shown_upright():
    stored = ramp("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn it by 90 degrees clockwise, says the standard.
    encoded = encode(stored, exif=exif)
    wanted = np.rot90(np.asarray(stored), -1)
    np.testing.assert_array_equal(decode(encoded, 3, None), wanted)
    assert read_header(encoded)[:2] == (4, 6)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_several_frames_the_first_counts(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    several = {"save_all": True, "append_images": frames[1:], **lossless}
    encoded = encode(frames[0], kind, **several)
    assert has_frames(encoded) and not has_frames(encode(frames[0], kind))
    assert (decode(encoded, 3, None) == (255, 0, 0)).all()


def test_a_header_says_what_decoding_finds():
    assert read_header(encode(ramp())) == Header(6, 4, is_grey=True)
    assert not read_header(encode(ramp("RGB"))).is_grey
    assert not read_header(encode(ramp("RGB").convert("P"))).is_grey


def test_scaling_averages_over_the_area_that_a_pixel_covers():
    """A chessboard becomes even grey; without a filter it would stay a board."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    pixels = decode(board, 1, 16).astype(int)
    assert pixels.shape == (16, 16, 1) and np.abs(pixels - 127.5).max() <= 4


@pytest.mark.parametrize("wide", [True, False])
def test_the_shorter_side_is_scaled_and_the_centre_cut_out(wide):
    """Of thirds in red, green and blue the green one is left, but for its edges."""
    thirds = np.zeros((60, 180, 3), np.uint8)
    for third in range(3):
        thirds[:, 60 * third : 60 * third + 60, third] = 255
    if not wide:
        thirds = thirds.transpose(1, 0, 2)
    pixels = decode(thirds, 3, 20)
    assert pixels.shape == (20, 20, 3)
    assert (pixels[2:-2, 2:-2] == (0, 255, 0)).all()


@pytest.mark.parametrize("height, width", [(1, 9), (9, 1), (5, 5), (7, 8), (50, 49)])
@pytest.mark.parametrize("size", [1, 4, 5, 16])
def test_any_shape_comes_to_any_size(height, width, size):
    level = np.full((height, width), 77, np.uint8)
    np.testing.assert_array_equal(decode(level, 1, size), np.full((size, size, 1), 77))


def test_at_its_own_size_a_square_is_left_alone():
    image = np.asarray(ramp("RGB", 6, 6))
    np.testing.assert_array_equal(decode(image, 3, 6), image)


def cut_off(image: bytes) -> bytes:
    return image[: len(image) // 2]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_what_is_cut_off_is_not_read(kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with pytest.raises(Unreadable):
        decode(cut_off(encode(Image.fromarray(noise), kind)), 3, 8)


@pytest.mark.parametrize(
    "encoded, why",
    [
        (b"", "is empty"),
        (b"no picture", "is none of PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is none of PNG"),
    ],
)
def test_what_is_no_picture_is_not_read(encoded, why):
    for read in (read_header, lambda e: decode(e, 3, 8)):
        with pytest.raises(Unreadable, match=why):
            read(encoded)


def test_floating_point_pixels_and_more_than_16_bits_are_not_read():
    for kind in (np.float32, np.int32):
        encoded = encode(Image.fromarray(np.full((2, 2), 70000, kind)), "TIFF")
        with pytest.raises(Unreadable, match="its pixels"):
            decode(encoded, 1, None)


@pytest.mark.parametrize("most", [20, 10])
def test_a_picture_that_is_far_too_large_is_not_read(monkeypatch, most):
    """Of up to twice the most, of which Pillow warns, and of more, which it refuses."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    for read in (read_header, lambda e: decode(e, 1, None)):
        with pytest.raises(Unreadable, match="too large"):
            read(encode(ramp()))
